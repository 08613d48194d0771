"""Whether a span follows OpenTelemetry's GenAI conventions: each rule is broken once, and says so."""

from __future__ import annotations

import pytest

from ai_dev_squad_parity.lab.cell import Span
from ai_dev_squad_parity.lab.conventions import breaches, violations

CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 200,
    "gen_ai.usage.output_tokens": 30,
    "gen_ai.response.finish_reasons": ["stop"],
}


def span(name: str = "chat gpt-4o-mini", kind: str = "CLIENT", status: str = "UNSET", **attributes: object) -> Span:
    """A span that a model call has; `__` in the name of an attribute is a dot, and None takes it away."""
    given = {**CHAT, **{key.replace("__", "."): value for key, value in attributes.items()}}
    return Span(
        trace_id="0af7651916cd43dd8448eb211c80319c", span_id="b7ad6b7169203331", parent_span_id=None, name=name,
        kind=kind, scope="s", start_ns=1, end_ns=2, status=status,
        attributes={key: value for key, value in given.items() if value is not None},
    )  # fmt: skip


RULES = [
    (span(), []),
    (span(gen_ai__operation__name=None, gen_ai__provider__name=None), []),  # it is nothing of ours
    (span(kind="SERVER"), ["kind is SERVER, allowed is CLIENT or INTERNAL"]),
    (span(gen_ai__provider__name=None), ["gen_ai.provider.name is missing"]),
    (span(name="openai.chat"), ["the name should be 'chat gpt-4o-mini'"]),
    (span(gen_ai__usage__input_tokens="200"), ["gen_ai.usage.input_tokens is a str, should be int"]),
    (span(gen_ai__usage__input_tokens=True), ["gen_ai.usage.input_tokens is a bool, should be int"]),
    (span(gen_ai__response__finish_reasons="stop"), ["gen_ai.response.finish_reasons is a str, should be tuple"]),
    (span(gen_ai__system="openai"), ["gen_ai.system is a name of the past"]),
    (span(gen_ai__provider__name="LangChain"), ["gen_ai.provider.name names a framework, 'LangChain'"]),
    (
        span(gen_ai__usage__cache_read__input_tokens=201),
        ["gen_ai.usage.cache_read.input_tokens is more than gen_ai.usage.input_tokens, of which it is a part"],
    ),
    (
        span(gen_ai__usage__reasoning__output_tokens=31),
        ["gen_ai.usage.reasoning.output_tokens is more than gen_ai.usage.output_tokens, of which it is a part"],
    ),
    (span(status="ERROR"), ["error.type is missing"]),
    (span(status="ERROR", error__type="RateLimitError"), []),
    (span(status="OK"), ["the status is OK; success leaves it unset"]),
    (span(error__type="RateLimitError"), ["error.type without status ERROR"]),
    (span(name="execute_tool", kind="INTERNAL", gen_ai__operation__name="execute_tool"), ["gen_ai.tool.name is missing"]),
    (
        span(name="invoke_workflow w", kind="INTERNAL", gen_ai__operation__name="invoke_workflow", gen_ai__workflow__name="w"),
        ["a workflow carries no usage"],
    ),
]  # fmt: skip

REQUIRED = ("is missing", "should be int", "should be tuple", "of which it is a part", "a workflow carries no usage")


def test_what_is_there_without_a_value_is_not_there():
    """An instrumentation that sets each setting, given or not, has broken nothing by it."""
    given = span()
    given.attributes["gen_ai.request.max_tokens"] = None
    assert violations(given) == []


@pytest.mark.parametrize("given,expected", RULES)
def test_each_rule_is_seen_when_it_is_broken(given, expected):
    """A violation names the span, the field, what is wrong, and what is right; what must be is told from what should be."""
    assert violations(given) == [f"{given.name}: {problem}" for problem in expected]
    assert breaches(given) == [f"{given.name}: {problem}" for problem in expected if problem.endswith(REQUIRED)]

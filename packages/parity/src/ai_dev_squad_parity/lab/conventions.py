"""Whether a span follows OpenTelemetry's GenAI semantic conventions: required fields, types, names and kinds.

The rules are those of the repository ``open-telemetry/semantic-conventions-genai`` (client inference, agent and tool spans),
as the project's reference of attributes lists them. Most say what a span *should* be; what it must have are the required
attributes with their types, counts that agree with each other, and ``error.type`` on an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ai_dev_squad.frameworks import framework_called
from ai_dev_squad_parity.lab.cell import Span

__all__ = ["breaches", "violations"]

DEPRECATED = frozenset(
    "gen_ai.system gen_ai.usage.prompt_tokens gen_ai.usage.completion_tokens gen_ai.prompt gen_ai.completion "
    "gen_ai.usage.cache_creation.input_tokens".split()
)


@dataclass(frozen=True)
class _Rule:
    kinds: tuple[str, ...]
    required: tuple[str, ...] = ()
    named_by: str | None = None
    """The attribute that follows the operation in the span's name."""
    usage: bool = False


_RULES: Mapping[str, _Rule] = {
    "chat": _Rule(
        ("CLIENT", "INTERNAL"), ("gen_ai.provider.name", "gen_ai.request.model"), "gen_ai.request.model", usage=True
    ),
    "text_completion": _Rule(
        ("CLIENT", "INTERNAL"), ("gen_ai.provider.name", "gen_ai.request.model"), "gen_ai.request.model", usage=True
    ),
    "embeddings": _Rule(("CLIENT",), ("gen_ai.provider.name",), "gen_ai.request.model"),
    "retrieval": _Rule(("CLIENT", "INTERNAL")),
    "invoke_agent": _Rule(("INTERNAL", "CLIENT"), (), "gen_ai.agent.name"),
    "invoke_workflow": _Rule(("INTERNAL",), (), "gen_ai.workflow.name"),
    "execute_tool": _Rule(("INTERNAL",), ("gen_ai.tool.name",), "gen_ai.tool.name"),
}

_Check = Callable[[Span, str, _Rule], Iterator[str]]

_TYPES: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(
        (
            "gen_ai.usage.input_tokens gen_ai.usage.output_tokens gen_ai.usage.cache_read.input_tokens "
            "gen_ai.usage.cache_write.input_tokens gen_ai.usage.reasoning.output_tokens gen_ai.request.max_tokens "
            "gen_ai.request.seed gen_ai.request.top_k gen_ai.request.choice.count server.port"
        ).split(),
        (int,),
    ),
    **dict.fromkeys(
        (
            "gen_ai.request.temperature gen_ai.request.top_p gen_ai.request.frequency_penalty "
            "gen_ai.request.presence_penalty gen_ai.response.time_to_first_chunk"
        ).split(),
        (float, int),
    ),
    **dict.fromkeys(("gen_ai.response.finish_reasons", "gen_ai.request.stop_sequences"), (tuple, list)),
    **dict.fromkeys(
        (
            "gen_ai.provider.name gen_ai.request.model gen_ai.response.model gen_ai.response.id gen_ai.agent.name "
            "gen_ai.workflow.name gen_ai.tool.name gen_ai.tool.call.id gen_ai.conversation.id error.type server.address"
        ).split(),
        (str,),
    ),
}


def violations(span: Span) -> list[str]:
    """What a span does against the conventions, each as ``span: field: what is wrong``. Spans without an operation are free."""
    return _problems(span, _CHECKS)


def breaches(span: Span) -> list[str]:
    """Those of ``violations`` that go against what a span must have, not only against what it should be."""
    return _problems(span, _MUST)


def _problems(span: Span, checks: tuple[_Check, ...]) -> list[str]:
    operation = span.attributes.get("gen_ai.operation.name")
    rule = _RULES.get(str(operation))
    if rule is None:
        return []
    return [f"{span.name}: {problem}" for check in checks for problem in check(span, str(operation), rule)]


def _kind(span: Span, operation: str, rule: _Rule) -> Iterator[str]:
    if span.kind not in rule.kinds:
        yield f"kind is {span.kind}, allowed is {' or '.join(rule.kinds)}"


def _required(span: Span, operation: str, rule: _Rule) -> Iterator[str]:
    for key in rule.required:
        if key not in span.attributes:
            yield f"{key} is missing"


def _name(span: Span, operation: str, rule: _Rule) -> Iterator[str]:
    named = span.attributes.get(rule.named_by or "")
    wanted = f"{operation} {named}" if named else operation
    if rule.named_by and span.name != wanted and not (named is None and span.name.startswith(operation)):
        yield f"the name should be {wanted!r}"


def _types(span: Span, operation: str, rule: _Rule) -> Iterator[str]:
    for key, value in span.attributes.items():
        # What is there without a value is not there.
        wanted = _TYPES.get(key) if value is not None else None
        if wanted is not None and (not isinstance(value, wanted) or isinstance(value, bool)):
            yield f"{key} is a {type(value).__name__}, should be {wanted[0].__name__}"


def _deprecated(span: Span, operation: str, rule: _Rule) -> Iterator[str]:
    for key in sorted(DEPRECATED & span.attributes.keys()):
        yield f"{key} is a name of the past"


def _provider(span: Span, operation: str, rule: _Rule) -> Iterator[str]:
    if framework_called(str(span.attributes.get("gen_ai.provider.name"))):
        yield f"gen_ai.provider.name names a framework, {span.attributes['gen_ai.provider.name']!r}"


def _usage(span: Span, operation: str, rule: _Rule) -> Iterator[str]:
    given = span.attributes
    if operation == "invoke_workflow" and any(key.startswith("gen_ai.usage.") for key in given):
        yield "a workflow carries no usage"
    for part, whole in (
        ("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.input_tokens"),
        ("gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.output_tokens"),
    ):
        if isinstance(given.get(part), int) and isinstance(given.get(whole), int) and given[part] > given[whole]:
            yield f"{part} is more than {whole}, of which it is a part"


def _error(span: Span, operation: str, rule: _Rule) -> Iterator[str]:
    if span.status == "ERROR" and "error.type" not in span.attributes:
        yield "error.type is missing"


def _success(span: Span, operation: str, rule: _Rule) -> Iterator[str]:
    if span.status == "OK":
        yield "the status is OK; success leaves it unset"
    if span.status != "ERROR" and "error.type" in span.attributes:
        yield "error.type without status ERROR"


_MUST: tuple[_Check, ...] = (_required, _types, _usage, _error)
_CHECKS: tuple[_Check, ...] = (*_MUST, _kind, _name, _deprecated, _provider, _success)

"""An OTLP span, log record or metric point becomes a row: what stands where, and what is left unknown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ai_dev_squad.attributes import PROVIDER_NAME, REQUEST_MODEL, RESPONSE_MODEL, SERVER_ADDRESS
from ai_dev_squad.costs import ModelPricing
from ai_dev_squad.genai.stated import usage_of
from ai_dev_squad.schema import Usage
from ai_dev_squad.spans import usage_attributes
from ai_dev_squad_dashboard.ingest.content import plain_text, searched_text
from ai_dev_squad_dashboard.ingest.otlp_shapes import Event, Link, LogRecord, Metric, Origin, Point, Span
from ai_dev_squad_dashboard.ingest.pricing import Prices, saving
from ai_dev_squad_dashboard.ingest.translate import span_row
from ai_dev_squad_dashboard.ingest.translate_signals import log_row, metric_rows
from ai_dev_squad_dashboard.store.rows import LogRow, MetricRow, SpanRow

START_NS, NOW_US = 1_767_225_600_000_000_000, 1_767_225_700_000_000
TRACE, ID, PARENT = "a" * 32, "b" * 16, "c" * 16
PRICES = Prices()
ORIGIN = Origin({"service.name": "shop"}, "my.tracer")
CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 100,
}


def span(attributes: dict[str, Any] | None = None, **changes: Any) -> Span:
    whole = Span(
        TRACE, ID, PARENT, "chat gpt-4o", 3, START_NS, START_NS + 2_000_000, attributes or {}, [], [], False, ""
    )
    return whole._replace(**changes)


def row(attributes: dict[str, Any] | None = None, origin: Origin = ORIGIN, **changes: Any) -> SpanRow:
    return span_row(span(attributes, **changes), origin, NOW_US, PRICES)


def details(found: SpanRow) -> dict[str, Any]:
    return json.loads(found.details or b"")


def test_a_model_call_in_the_conventions_names_becomes_a_whole_row():
    """Every column has its value, and what nobody said is None."""
    messages = '[{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]'
    attributes = {
        **CALL,
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.conversation.id": "s-1",
        "gen_ai.agent.name": "planner",
        "gen_ai.usage.cache_read.input_tokens": 400,
        "gen_ai.usage.reasoning.output_tokens": 10,
        "gen_ai.response.time_to_first_chunk": 0.25,
        "gen_ai.input.messages": messages,
    }
    found = row(attributes)

    assert found._replace(details=None) == SpanRow(
        trace_id=TRACE, span_id=ID, parent_span_id=PARENT, start_us=START_NS // 1000, duration_us=2000, name="gpt-4o",
        operation="chat", status="ok", framework=None, service="shop", session_id="s-1", agent="planner", tool=None,
        provider="openai", model="gpt-4o-2024-08-06", error_type=None, error_message=None, input_tokens=1000,
        output_tokens=100, cache_read_tokens=400, cache_write_tokens=None, reasoning_tokens=10, usage_source="provider",
        cost_usd=0.003, price="openai/gpt-4o", price_date=found.price_date, price_source="genai-prices",
        cost_reason=None, cache_saving_usd=0.0005, first_chunk_us=250_000, source="otlp", instrumentation="my.tracer",
        ingested_us=NOW_US, details=None, text="hi", asked="hi",
    )  # fmt: skip
    del attributes["gen_ai.input.messages"]
    assert details(found) == {
        "attributes": attributes,
        "input": json.loads(messages),
        "resource": {"service.name": "shop"},
    }


@pytest.mark.parametrize(
    "operation", ["invoke_agent", "invoke_workflow", "execute_tool", "plan", "retrieval", "create_agent"]
)
def test_only_model_calls_have_tokens_and_money(operation: str):
    """Agents and workflows carry sums of what is counted below them; those are ignored."""
    found = row({**CALL, "gen_ai.operation.name": operation})
    assert (
        found.input_tokens,
        found.output_tokens,
        found.usage_source,
        found.cost_usd,
        found.model,
        found.provider,
    ) == ((None,) * 6)


@pytest.mark.parametrize(
    "operation, key, fallback",
    [
        ("invoke_workflow", "gen_ai.workflow.name", "flow"),
        ("invoke_agent", "gen_ai.agent.name", "flow"),
        ("task", "ai_dev_squad.task.name", "flow"),
        ("execute_tool", "gen_ai.tool.name", "flow"),
        ("retrieval", "gen_ai.data_source.id", "flow"),
        ("embeddings", "gen_ai.request.model", "flow"),
        ("other", "gen_ai.tool.name", "other flow"),
    ],
)
def test_a_row_is_called_after_what_was_called(operation: str, key: str, fallback: str):
    """The name of the agent, tool, model and so on; without it the span's, without the operation in front."""
    named = row({"gen_ai.operation.name": operation, key: "it"}, name=f"{operation} flow")
    unnamed = row({"gen_ai.operation.name": operation}, name=f"{operation} flow")
    assert (named.name, unnamed.name) == ("it" if operation != "other" else "other flow", fallback)


def test_usage_that_nobody_told_is_missing_and_never_zero():
    """Tokens stay None, the source says missing, and the cost has its reason."""
    found = row({"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"})
    assert (found.input_tokens, found.output_tokens, found.usage_source, found.cost_usd, found.cost_reason) == (
        None,
        None,
        "missing",
        None,
        "the tokens of this call were not counted",
    )


def test_a_model_without_a_price_is_unknown_with_the_reason():
    """None, not 0, and how to give one a price."""
    found = row({**CALL, "gen_ai.request.model": "home-made"})
    assert found.cost_usd is None
    assert "no price is known for model 'home-made' of provider 'openai'" in (found.cost_reason or "")
    assert row({"gen_ai.operation.name": "chat"}).cost_reason == "the span does not name the model"


@pytest.mark.parametrize("value", [-1, 1 << 60, "many", "1" * 40, 1.5, float("inf"), True, [5], None, b"5"], ids=repr)
def test_what_is_no_number_of_tokens_is_unknown(value: Any):
    """A hostile or mistaken count never becomes a number in a sum."""
    assert row({**CALL, "gen_ai.usage.input_tokens": value}).input_tokens is None


@pytest.mark.parametrize("value", [7, 7.0, "7"], ids=repr)
def test_a_number_of_tokens_may_be_written_in_other_ways(value: Any):
    """Whole floats and digits, as some senders write them, count."""
    assert row({**CALL, "gen_ai.usage.input_tokens": value}).input_tokens == 7


def test_our_own_cost_is_taken_over_with_its_price():
    """What the core has priced is not priced again."""
    own = {
        **CALL,
        "ai_dev_squad.framework": "crewai",
        "ai_dev_squad.session.id": "s-1",
        "ai_dev_squad.usage.source": "estimated",
        "ai_dev_squad.cost.usd": 0.5,
        "ai_dev_squad.cost.price": "openai/gpt-4o",
        "ai_dev_squad.cost.price_date": "2026-01-01",
        "ai_dev_squad.cost.price_source": "user",
        "agent.id": "planner",
    }
    found = row(own)
    assert (found.framework, found.session_id, found.agent, found.usage_source) == (
        "crewai",
        "s-1",
        "planner",
        "estimated",
    )
    assert (found.cost_usd, found.price, found.price_date, found.price_source) == (
        0.5,
        "openai/gpt-4o",
        "2026-01-01",
        "user",
    )


@pytest.mark.parametrize(
    "attributes, events, expected",
    [
        ({"error.type": "timeout"}, [], ("error", "timeout", "broke")),
        ({}, [], ("error", "_OTHER", "broke")),
        ({}, [Event(1, "exception", {"exception.type": "app.Bad"})], ("error", "app.Bad", "broke")),
        (
            {"error.type": "langgraph.errors.GraphInterrupt"},
            [],
            ("interrupted", "langgraph.errors.GraphInterrupt", "broke"),
        ),
        ({"error.type": "CancelledError"}, [], ("cancelled", "CancelledError", "broke")),
        ({"ai_dev_squad.status": "cancelled", "ai_dev_squad.framework": "x"}, [], ("cancelled", None, "broke")),
        ({"ai_dev_squad.status": "nonsense"}, [], ("error", "_OTHER", "broke")),
        ({"ai_dev_squad.status": ["ok"]}, [], ("error", "_OTHER", "broke")),
    ],
)
def test_a_failed_span_says_how_it_ended(attributes, events, expected):
    """Error type from the attribute or the exception; an interrupt or a cancellation is no error."""
    found = row(attributes, failed=True, message="broke", events=events)
    assert (found.status, found.error_type, found.error_message) == expected


def test_a_handled_exception_does_not_make_a_span_fail():
    """An exception event on a span without the status of an error is a note."""
    found = row(events=[Event(1, "exception", {"exception.type": "Retried", "exception.stacktrace": "at line 1"})])
    assert (found.status, found.error_type) == ("ok", None)
    assert details(found)["stacktrace"] == "at line 1"


def test_events_and_links_stand_in_the_details():
    """With their times in microseconds, their attributes, and the link's type."""
    link = Link("d" * 32, "e" * 16, {"ai_dev_squad.link.type": "resumes"})
    found = details(row(events=[Event(5_000, "note", {"x": 1})], links=[link], origin=Origin()))
    assert found == {
        "attributes": {},
        "events": [{"name": "note", "time_us": 5, "attributes": {"x": 1}}],
        "links": [
            {
                "trace_id": "d" * 32,
                "span_id": "e" * 16,
                "type": "resumes",
                "attributes": {"ai_dev_squad.link.type": "resumes"},
            }
        ],
    }


@pytest.mark.parametrize(
    "content, shown, text",
    [
        ([{"role": "user", "parts": [{"type": "text", "content": "hi"}]}], None, "hi"),
        ("plain words", "plain words", "plain words"),
        (
            '[{"role": "user", "parts": [{"cut of',
            '[{"role": "user", "parts": [{"cut of',
            '[{"role": "user", "parts": [{"cut of',
        ),
        ('{"deep": ' * 5000 + "1" + "}" * 5000, ..., ...),
        ([{"role": "user", "parts": [{"type": "blob", "content": "AAAA", "modality": "image"}]}], None, None),
    ],
    ids=["structured", "plain", "cut off", "too deep", "an image"],
)
def test_content_is_shown_in_whatever_form_it_came(content, shown, text):
    """Structures, JSON text, cut-off JSON and plain words; images are not text."""
    found = row({**CALL, "gen_ai.input.messages": content})
    if text is ...:
        assert found.text is not None
        return
    assert details(found)["input"] == (content if shown is None else shown)
    assert found.text == text


def test_a_tool_shows_arguments_and_result():
    """Input and output of a tool are its own, and searched."""
    found = row(
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "look_up",
            "gen_ai.tool.call.arguments": '{"city": "Paris", "id": 75}',
            "gen_ai.tool.call.result": "18 degrees",
        }
    )
    assert (found.tool, details(found)["input"], details(found)["output"]) == (
        "look_up",
        {"city": "Paris", "id": 75},
        "18 degrees",
    )
    assert found.text == "Paris\n75\n18 degrees"


def test_what_a_tool_is_said_to_do_is_searched():
    """As a journal's definitions of tools are."""
    tools = [{"type": "function", "name": "weather", "description": "How warm it is in a town."}]
    found = row({"gen_ai.operation.name": "chat", "gen_ai.tool.definitions": json.dumps(tools)})
    assert (found.text, details(found)["tools"]) == ("weather\nHow warm it is in a town.", tools)


def test_all_content_is_searchable():
    """However long a conversation is, its end is text as well."""
    assert plain_text(["x" * 10_000_000, {"role": "assistant", "content": "the end"}]) == "x" * 10_000_000 + "\nthe end"
    assert plain_text([]) is None


GIVEN = {"id": "A-17", "type": "refund", "order": 4711, "price": 19.99, "urgent": True, "note": None}


@pytest.mark.parametrize(
    "contents, arguments, text",
    [
        ([], GIVEN, "A-17\nrefund\n4711\n19.99"),
        ([{"type": "tool_call", "id": "call_1", "name": "refund", "arguments": GIVEN}], None, "refund\nA-17\nrefund\n4711\n19.99"),
        ([{"type": "tool_use", "id": "toolu_1", "name": "pay", "input": {"id": 107505301260286111}}], None, "pay\n107505301260286111"),
        ([{"id": "call_1", "type": "function", "function": {"name": "pay", "arguments": '{"id": 7}'}}], None, 'pay\n{"id": 7}'),
        ([{"role": "tool", "id": "m1", "tool_call_id": "call_1", "content": [{"type": "text", "text": "paid"}]}], None, "paid"),
        ([{"orders": [4711, 4712], "id": "B-3"}, {"vector": [0.25] * 100}], None, "4711\n4712\nB-3"),
        ([{"input": {"messages": [{"type": "human", "id": "m1", "content": "hi"}]}}], None, "hi"),
    ],
    ids=["a tool's own", "a call", "Anthropic's", "OpenAI's", "a result", "an answer", "a state"],
)  # fmt: skip
def test_what_somebody_knows_a_run_by_is_searched(contents, arguments, text):
    """Numbers, and whatever a tool was given; not the ids and kinds of messages and parts, nor vectors."""
    assert searched_text(contents, arguments) == text


def test_what_has_blanks_for_a_name_is_called_by_its_operation():
    """Nobody could see or click them; they are nobody's session and user either."""
    given = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": " ", "session.id": "\t", "user.id": "  "}
    found = row(given, name=" ")
    assert (found.name, found.agent, found.session_id, found.user_id) == ("invoke_agent", "invoke_agent", None, None)


def test_translating_leaves_the_span_as_it_was():
    """The same span translates twice into the same row."""
    one = span({**CALL, "gen_ai.input.messages": "hi", "llm.model_name": "x"})
    before = dict(one.attributes)
    assert span_row(one, ORIGIN, NOW_US, PRICES) == span_row(one, ORIGIN, NOW_US, PRICES)
    assert one.attributes == before


# --- prices ---------------------------------------------------------------------------------------------------------------


def test_a_price_of_the_past_prices_calls_of_the_past():
    """A model whose price changed costs what it cost on the day; both prices stay at hand."""
    prices = Prices()
    usage = Usage(input_tokens=1_000_000, output_tokens=0, source="provider")
    dated = prices.find("openai", "o3", 1_767_225_600)
    moments = [1_745_000_000.0, 1_767_225_600.0]
    costs = [prices.find("openai", "o3", moment).cost(usage).usd for moment in moments]
    again = [prices.find("openai", "o3", moment).cost(usage).usd for moment in moments]
    assert dated.dated
    assert costs == again == [10.0, 2.0]


def test_a_call_is_priced_by_every_count_that_core_writes():
    """All of the usage that a span of ours carries comes back, so that the dashboard prices what the program priced."""
    used = Usage(
        input_tokens=100, output_tokens=50, cache_read_input_tokens=40, cache_write_input_tokens=30,
        cache_write_1h_input_tokens=20, reasoning_output_tokens=10, audio_input_tokens=5, audio_output_tokens=4,
        image_input_tokens=3, image_output_tokens=2, cache_read_audio_input_tokens=1, source="estimated",
    )  # fmt: skip
    priced = Prices().find("openai", "gpt-4o", NOW_US / 1e6).cost(used)
    told = {**CALL, REQUEST_MODEL: "gpt-4o", RESPONSE_MODEL: "gpt-4o", **usage_attributes(used)}

    assert usage_of(told) == used
    assert span_row(span(told), ORIGIN, NOW_US, Prices()).cost_usd == priced.usd


@pytest.mark.parametrize(
    "attributes, cost",
    [
        pytest.param({REQUEST_MODEL: "prod-chat", RESPONSE_MODEL: "gpt-4o-2024-08-06"}, 0.0035, id="a deployment"),
        pytest.param({REQUEST_MODEL: "gpt-4", RESPONSE_MODEL: "gpt-4o-2024-08-06"}, 0.0035, id="named like another"),
        pytest.param({REQUEST_MODEL: "gpt-oss-20b", SERVER_ADDRESS: "127.0.0.1"}, None, id="at home"),
    ],
)
def test_a_call_is_priced_by_the_model_that_answered_and_the_place_it_answered_from(
    attributes: dict[str, Any], cost: float | None
) -> None:
    """As in the program itself: a name of the customer's own has no price, and nobody sells at an address of this machine."""
    told = {PROVIDER_NAME: "azure.ai.openai", "gen_ai.usage.input_tokens": 1_000, "gen_ai.usage.output_tokens": 100}
    row = span_row(span({"gen_ai.operation.name": "chat", **told, **attributes}), ORIGIN, NOW_US, Prices())
    assert row.cost_usd == cost


def test_what_the_cache_saved_is_the_difference_to_the_price_without_it():
    """None when nothing was read from a cache or the price is unknown; a price of your own counts as well."""
    prices = Prices()
    pricing = ModelPricing("mine", "openai", 0.01, 0.01, cache_read_cost_per_1k_tokens=0.001)
    prices.book.add_pricing_model(pricing)
    cached = Usage(input_tokens=1000, output_tokens=0, cache_read_input_tokens=500, source="provider")
    plain = Usage(input_tokens=1000, output_tokens=0, source="provider")
    assert saving(prices.find("openai", "mine", 0.0), cached) == 0.0045
    assert saving(prices.find("openai", "mine", 0.0), plain) is None
    assert saving(prices.find("openai", "never-heard-of", 0.0), cached) is None


def test_a_new_price_counts_after_forgetting():
    """Prices that were found are kept until told otherwise."""
    prices = Prices()
    usage = Usage(input_tokens=1000, output_tokens=0, source="provider")
    assert prices.find("openai", "mine", 0.0).cost(usage).usd is None
    prices.book.add_pricing_model(ModelPricing("mine", "openai", 0.01, 0.01))
    prices.forget()
    assert prices.find("openai", "mine", 0.0).cost(usage).usd == 0.01


# --- logs and metrics -----------------------------------------------------------------------------------------------------


def test_a_log_record_becomes_a_line():
    """Level, event type, message, who and where, and everything else as details."""
    attributes = {"gen_ai.conversation.id": "s-1", "gen_ai.agent.name": "planner", "n": 1}
    record = LogRecord(START_NS, 17, "", "it broke", attributes, "shop.broke", TRACE, ID)
    found = log_row(record, ORIGIN, NOW_US)
    expected = {"attributes": attributes, "resource": {"service.name": "shop"}, "scope": "my.tracer"}

    assert found._replace(details=None) == LogRow(
        START_NS // 1000, "ERROR", "shop.broke", "it broke", None, "shop", "s-1", "planner", TRACE, ID, "otlp", None
    )
    assert json.loads(found.details or b"") == expected


@pytest.mark.parametrize(
    "severity, text, level",
    [
        (1, "", "DEBUG"), (8, "", "DEBUG"), (9, "", "INFO"), (13, "", "WARNING"), (17, "", "ERROR"), (24, "", "CRITICAL"),
        (0, "warn", "WARNING"), (0, "Fatal", "CRITICAL"), (0, "whatever", "INFO"), (0, "", "INFO"), (99, "ERROR", "ERROR"),
    ],
)  # fmt: skip
def test_severities_become_the_journals_levels(severity: int, text: str, level: str):
    """By number; without one by the text; INFO when neither says anything."""
    assert log_row(LogRecord(START_NS, severity, text, "", {}, "", "", ""), Origin(), NOW_US).level == level


@pytest.mark.parametrize(
    "body, attributes, event, message",
    [
        ({"a": 1}, {}, "", '{"a":1}'),
        (None, {"exception.message": "bad"}, "", "bad"),
        (None, {}, "gen_ai.choice", "gen_ai.choice"),
        (None, {}, "", ""),
    ],
)
def test_a_record_without_text_says_what_it_can(body, attributes, event, message):
    """A structured body as JSON, else the exception's message, else the event's name."""
    assert log_row(LogRecord(START_NS, 9, "", body, attributes, event, "", ""), Origin(), NOW_US).message == message


@pytest.mark.parametrize("time_ns", [0, (NOW_US + 90_000_000_000) * 1000])
def test_a_record_without_a_credible_time_has_that_of_its_arrival(time_ns: int):
    """None at all, or one of the day after tomorrow."""
    assert log_row(LogRecord(time_ns, 9, "", "", {}, "", "", ""), Origin(), NOW_US).time_us == NOW_US


def test_metric_points_become_rows():
    """Value and count as columns, attributes and buckets as details; a number that is none is None."""
    histogram = Point(START_NS, {"a": 1}, 6.5, 3, {"buckets": {"bounds": [1.0], "counts": [1, 2]}})
    rows = list(metric_rows(Metric("wait", "histogram", "s", [histogram]), ORIGIN, NOW_US))
    strange = list(
        metric_rows(Metric("g", "gauge", "", [Point(START_NS, {}, float("nan"), None, None)]), ORIGIN, NOW_US)
    )

    buckets = b'{"attributes":{"a":1},"buckets":{"bounds":[1.0],"counts":[1,2]}}'
    assert rows == [MetricRow(START_NS // 1000, "wait", "histogram", "s", "shop", 6.5, 3, buckets)]
    assert strange == [MetricRow(START_NS // 1000, "g", "gauge", "", "shop", None, None, b'{"attributes":{}}')]

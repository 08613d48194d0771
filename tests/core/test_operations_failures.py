"""Operations when something of ours or of the application's fails: the caller never notices, the rest goes on."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.sampling import Sampler

import ai_dev_squad
from ai_dev_squad import guard, operations, runtime
from ai_dev_squad.operations import AGENT, CHAT, TASK, TOOL, Kind, ModelRequest, Operation, open_operations
from ai_dev_squad.schema import Usage
from ai_dev_squad_testing import Captured, capture, fixed_ids_and_clock


def start(kind: Kind, name: str = "it", **options: Any) -> Operation:
    """An operation of a framework that exists in these tests only."""
    return operations.start(kind, name, framework="test", **options)


@contextmanager
def lenient(**settings: Any) -> Iterator[Captured]:
    """Capture as in production: a failure of ours is reported and goes no further."""
    with capture(**settings) as captured:
        before = guard.set_strict(False)
        try:
            yield captured
        finally:
            guard.set_strict(before)


def reports(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was said of failures, up to the reassurance."""
    return [message.partition(". Your program is fine")[0] for message in caplog.messages]


class Broken(Exception):
    """What fails in these tests."""


def broken(*_: Any, **__: Any) -> Any:
    """Fails."""
    raise Broken("on purpose")


def a_failing_call() -> Operation:
    """One model call that fails, with everything that an operation can have."""
    agent = start(AGENT, "coder")
    call = start(CHAT, "gpt-4o-mini", parent=agent, request=ModelRequest("gpt-4o-mini", "openai"))
    call.usage = Usage(input_tokens=10, output_tokens=2, source="provider")
    call.event(ai_dev_squad.EventType.AGENT_HANDOFF, "hands off", {"a": 1})
    assert call.fail(ValueError("no"))
    assert agent.stop()
    assert open_operations() == []
    return call


def break_journal(captured: Captured) -> None:
    """The sink of lines raises."""
    runtime.pipeline().logger.emit = broken


def break_redactor(captured: Captured) -> None:
    """The redactor raises for every error."""
    runtime.pipeline().redactor.exception = broken  # type: ignore[method-assign]


def break_ledger(captured: Captured) -> None:
    """The cost tracker raises for every call."""
    runtime.pipeline().costs.record = broken  # type: ignore[method-assign]


def break_spans(captured: Captured) -> None:
    """A span processor of the application raises at both ends."""

    class Processor(SpanProcessor):
        on_start = on_end = broken

    runtime.pipeline().tracing.add_span_processor(Processor())


BREAKS = [
    # what breaks, what is said of it, how many lines, ended spans and ledger entries there are all the same
    (
        break_journal,
        ["writing the start of an operation", "writing an event", "writing the end of an operation"],
        0,
        2,
        1,
    ),
    (break_redactor, ["describing an error"], 5, 2, 1),
    (break_ledger, ["entering a model call in the ledger"], 5, 2, 0),
    # The spans that were given up carry ids only.
    (break_spans, ["starting a span"], 5, 0, 1),
]


@pytest.mark.parametrize("how, said, lines, spans, entries", BREAKS, ids=[how.__name__ for how, *_ in BREAKS])
def test_one_broken_part_costs_one_part(
    how: Callable[[Captured], None],
    said: list[str],
    lines: int,
    spans: int,
    entries: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Journal, redactor, ledger or spans may fail: the caller hears nothing, all the others hear of the end."""
    with lenient(spans=True) as captured:
        how(captured)
        call = a_failing_call()

        assert call.status == "error"
        assert len(runtime.pipeline().costs.entries) == entries
    assert (len(captured.lines), len(captured.spans)) == (lines, spans)
    assert reports(caplog) == [f"{what} failed (Broken: on purpose)" for what in said]


class Unspeakable(Exception):
    """An error that ends the program when it's asked what it says."""

    def __str__(self) -> str:
        raise SystemExit(3)

    __repr__ = __str__


def test_an_error_that_exits_when_it_is_asked_for_its_words() -> None:
    """The program goes on with its own error, and the operation ends once."""
    with lenient(spans=True) as captured:
        call = start(TOOL, "look_up")
        assert call.fail(Unspeakable())

    (line,) = captured.closing("execute_tool")
    assert line.error is not None
    assert (line.status, line.error.type) == ("error", "Unspeakable")
    assert line.error.message == "(no text: str() raised SystemExit)"
    assert open_operations() == []


def test_an_event_whose_data_cannot_be_read(caplog: pytest.LogCaptureFixture) -> None:
    """It's written without them, and reported once."""

    class Unreadable(dict[str, Any]):
        def keys(self) -> Any:
            raise Unspeakable

        __iter__ = items = keys

    class Lost(Mapping[str, Any]):
        __getitem__ = __iter__ = __len__ = broken

    with lenient() as captured:
        for data in (Unreadable(a=1), Lost(), Unreadable(a=1)):
            ai_dev_squad.get_logger().log_custom_event(data)

    assert [line.metadata for line in captured.lines] == [
        {"unreadable": "Unreadable"},
        {"unreadable": "Lost"},
        {"unreadable": "Unreadable"},
    ]
    assert reports(caplog) == [
        "reading a custom event's data failed (Unspeakable: no text)",
        "reading a custom event's data failed (Broken: on purpose)",
    ]


def test_an_error_that_cannot_be_described_is_still_an_error(caplog: pytest.LogCaptureFixture) -> None:
    """If the redactor fails, the line names the kind of error and none of its text."""
    with lenient() as captured:
        break_redactor(captured)
        start(TASK).fail(ValueError("secret"))

    (line,) = captured.closing()
    assert (line.status, line.level, line.event_type) == ("error", "ERROR", "task.fail")
    assert line.error == ai_dev_squad.schema.ErrorInfo(type="ValueError")


def test_a_sampler_that_fails_costs_the_span_only(caplog: pytest.LogCaptureFixture) -> None:
    """The application's sampler raises: the operation has ids of its own, in the sender's trace, and its lines."""

    class Sometimes(Sampler):
        should_sample = broken

        def get_description(self) -> str:
            return "broken"

    with lenient(spans=True, sampler=Sometimes()) as captured:
        root = start(AGENT)
        task = start(TASK, parent=root)
        task.stop()
        root.stop()

    assert captured.tree() == "invoke_agent it: ok\n  task it: ok"
    assert (task.trace_id, task.parent_span_id) == (root.trace_id, root.span_id)
    assert int(root.trace_id, 16)
    assert captured.spans == []
    assert reports(caplog) == ["starting a span failed (Broken: on purpose)"]


def test_a_processor_that_fails_at_the_end_of_a_span_costs_that_span_only(caplog: pytest.LogCaptureFixture) -> None:
    """``on_end`` of the application raises: the line is there, and so are the ends that follow."""

    class Processor(SpanProcessor):
        on_end = broken

    with lenient(spans=True) as captured:
        runtime.pipeline().tracing.add_span_processor(Processor())
        assert [start(TASK).stop(), start(TASK).stop()] == [True, True]

    assert [line.status for line in captured.closing()] == ["ok", "ok"]
    assert reports(caplog) == ["ending a span failed (Broken: on purpose)"]


def test_what_a_signal_handler_of_the_program_raises_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """Such as a soft time limit: whoever set it waits for it, wherever in our code it comes. Nothing of ours has failed."""

    class Slow(SpanProcessor):
        def on_end(self, span: Any) -> None:
            signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, broken)
    try:
        with lenient(spans=True):
            runtime.pipeline().tracing.add_span_processor(Slow())
            operation = start(TOOL)
            with pytest.raises(Broken, match="on purpose"):
                operation.stop()
    finally:
        signal.signal(signal.SIGINT, before)

    assert operation.status == "ok"
    assert reports(caplog) == []


def test_what_no_span_can_hold_ends_it_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    """An annotation that can't be encoded is reported; the span ends, and the journal's line is there."""
    with lenient(spans=True) as captured:
        operation = start(TASK)
        operation.annotate({"live": object()})
        assert operation.stop()

    assert len(captured.closing()) == 1
    assert [span.name for span in captured.spans] == ["task it"]
    assert reports(caplog) == ["ending a span failed (TypeError: Encoding objects of type object is unsupported)"]


def test_a_link_that_is_none_costs_the_span_only(caplog: pytest.LogCaptureFixture) -> None:
    """Ids that are no hexadecimal numbers are reported, not raised."""
    link = ai_dev_squad.schema.Link(trace_id="not hexadecimal", span_id="either")
    with lenient(spans=True) as captured:
        start(TASK, links=[link]).stop()
        later = start(TASK)
        later.link(link)
        later.stop()

    assert [line.links for line in captured.closing()] == [[link], [link]]
    assert reports(caplog)[0].startswith("starting a span failed (ValueError: invalid literal for int()")


def test_a_broken_meter_costs_the_measurement_only(caplog: pytest.LogCaptureFixture) -> None:
    """A metric that can't be recorded is reported once; lines and spans are complete."""
    provider = MeterProvider(shutdown_on_exit=False)
    with lenient(spans=True, meter_provider=provider) as captured:
        metrics = runtime.pipeline().metrics
        assert metrics is not None
        metrics.record = broken  # type: ignore[method-assign]
        a_failing_call()
    provider.shutdown()

    assert (len(captured.lines), len(captured.spans)) == (5, 2)
    assert reports(caplog) == ["recording metrics failed (Broken: on purpose)"]


def test_in_tests_a_failure_of_ours_is_raised() -> None:
    """Inside ``capture`` nothing is swept under the carpet."""
    with capture() as captured:
        break_journal(captured)
        with pytest.raises(Broken, match="on purpose"):
            start(TASK)
        runtime.pipeline().logger.emit = captured.lines.append
        operations.abandon_open_operations()


def test_a_failure_is_told_once_and_calmly(caplog: pytest.LogCaptureFixture) -> None:
    """A thousand failures of a kind are one warning on the logger ``ai_dev_squad``, without a stack."""
    with lenient() as captured:
        break_journal(captured)
        for _ in range(1000):
            start(TASK).stop()

    assert [(record.name, record.levelno, bool(record.exc_info)) for record in caplog.records] == [
        ("ai_dev_squad", logging.WARNING, False)
    ] * 2
    assert caplog.messages[0] == (
        "writing the start of an operation failed (Broken: on purpose). Your program is fine; some telemetry is missing. "
        "Reported once."
    )


# --- metrics ----------------------------------------------------------------------------------------------------------


def test_operations_are_measured_when_a_meter_is_configured() -> None:
    """An agent's run, its model call and its tool call arrive as the conventions name them; the task has no metric."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    with capture(meter_provider=provider), fixed_ids_and_clock():
        agent = start(AGENT, "coder", agent_id="coder")
        task = start(TASK, "plan", parent=agent)
        call = start(CHAT, "gpt-4o-mini", parent=task, request=ModelRequest("gpt-4o-mini", "openai"))
        call.usage = Usage(input_tokens=10, output_tokens=2, source="provider")
        call.first_chunk()
        call.stop()
        start(TOOL, "search", parent=task).cancel()
        for operation in (task, agent):
            operation.stop()
    found = measured(reader)
    provider.shutdown()

    base = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
    }
    unknown = {**base, "gen_ai.token.modality": "unknown"}
    tool = {"gen_ai.tool.name": "search", "gen_ai.agent.name": "coder", "error.type": "cancelled"}
    assert found == {
        "gen_ai.client.inference.duration": [(base, 3.0)],
        "gen_ai.client.inference.time_to_first_chunk": [(base, 2.0)],
        "gen_ai.client.inference.usage.input_tokens": [(unknown, 10)],
        "gen_ai.client.inference.usage.output_tokens": [(unknown, 2)],
        "gen_ai.client.inference.operation.input_tokens": [(base, 10)],
        "gen_ai.client.inference.operation.output_tokens": [(base, 2)],
        "gen_ai.execute_tool.duration": [(tool, 2.0)],
        "gen_ai.invoke_agent.duration": [({"gen_ai.agent.name": "coder"}, 15.0)],
        "gen_ai.invoke_agent.inference_calls": [({"gen_ai.agent.name": "coder"}, 1)],
        "gen_ai.invoke_agent.tool_calls": [({"gen_ai.agent.name": "coder"}, 1)],
    }


def measured(reader: InMemoryMetricReader) -> dict[str, list[tuple[dict[str, Any], float]]]:
    """Attributes and value (of a histogram its sum) of every point, by metric."""
    data = reader.get_metrics_data()
    assert data is not None
    return {
        metric.name: [
            (dict(point.attributes or {}), getattr(point, "sum", None) or getattr(point, "value", 0))
            for point in metric.data.data_points
        ]
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }

"""What somebody thinks of a run: in the journal, and told to OpenTelemetry where that has an ear."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import _logs
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

import ai_dev_squad
from ai_dev_squad import guard, operations
from ai_dev_squad.running import running
from ai_dev_squad.schema import JournalLine, Usage
from ai_dev_squad_testing import Captured, capture

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SECRET = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD"


@pytest.fixture
def captured() -> Iterator[Captured]:
    with capture(spans=True) as found:
        yield found


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemoryLogRecordExporter]:
    """The log records of an application that has made a logger provider global."""
    provider, exporter = LoggerProvider(), InMemoryLogRecordExporter()
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    monkeypatch.setattr(_logs, "get_logger_provider", lambda: provider)
    yield exporter
    provider.shutdown()


def judgements(captured: Captured) -> list[JournalLine]:
    return [line for line in captured.lines if line.event_type == "gen_ai.evaluation.result"]


@pytest.mark.parametrize(
    "given, message, metadata",
    [
        ({"score": 1}, "feedback: 1", {"gen_ai.evaluation.score.value": 1.0}),
        ({"score": 0}, "feedback: 0", {"gen_ai.evaluation.score.value": 0.0}),
        ({"label": "good", "score": -0.5}, "feedback: good", {"gen_ai.evaluation.score.value": -0.5, "gen_ai.evaluation.score.label": "good"}),
        ({"comment": "It was late."}, "feedback: It was late.", {"gen_ai.evaluation.explanation": "It was late."}),
        ({"comment": "Late.", "score": 0}, "feedback: 0", {"gen_ai.evaluation.score.value": 0.0, "gen_ai.evaluation.explanation": "Late."}),
        ({"name": "helpful", "label": "yes"}, "helpful: yes", {"gen_ai.evaluation.score.label": "yes"}),
    ],
)  # fmt: skip
def test_what_is_given_is_a_line_about_the_run(
    captured: Captured, given: dict[str, Any], message: str, metadata: dict[str, Any]
) -> None:
    """A score is a number whatever its scale, also 0; the message says the label, else the score, else the comment."""
    ai_dev_squad.feedback(TRACE, span_id=SPAN, **given)

    (line,) = judgements(captured)
    assert (line.trace_id, line.span_id, line.level, line.message) == (TRACE, SPAN, "INFO", message)
    assert line.metadata == {"gen_ai.evaluation.name": given.get("name", "feedback"), **metadata}


@pytest.mark.parametrize(
    "given, message",
    [
        ({}, "there is nothing to keep; give a score, a label or a comment"),
        ({"label": "", "comment": ""}, "there is nothing to keep; give a score, a label or a comment"),
        ({"score": float("inf")}, "score inf is no finite number; use one such as 1.0"),
        ({"score": 1, "trace_id": "x"}, "trace_id 'x' is no trace id; use 32 hexadecimal digits in lower case"),
        ({"score": 1, "trace_id": TRACE.upper()}, f"trace_id '{TRACE.upper()}' is no trace id; use 32 hexadecimal digits in lower case"),
        ({"score": 1, "trace_id": f"{TRACE}\n"}, f"trace_id '{TRACE}\\n' is no trace id; use 32 hexadecimal digits in lower case"),
        ({"score": 1, "span_id": ""}, "span_id '' is no span id; use 16 hexadecimal digits in lower case"),
        ({"score": 1, "span_id": TRACE}, f"span_id '{TRACE}' is no span id; use 16 hexadecimal digits in lower case"),
        ({"score": 1, "trace_id": None}, "no run is under way here; give the trace_id of the run that is meant"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_at_once_and_keeps_nothing(captured: Captured, given: dict[str, Any], message: str) -> None:
    """The message names the value and what is allowed."""
    with pytest.raises(ValueError, match=re.escape(message)):
        ai_dev_squad.feedback(**{"trace_id": TRACE, **given})

    assert judgements(captured) == []


def test_within_a_run_it_is_about_what_is_under_way(captured: Captured) -> None:
    """Without an id the operation here is meant, with its trace alone the whole run; on its span both are events."""
    with running(operations.AGENT, "planner", framework="test") as here:
        ai_dev_squad.feedback(score=1)
        ai_dev_squad.feedback(here.trace_id, score=2, comment=f"the key {SECRET}")
        ai_dev_squad.feedback(here.trace_id, span_id=SPAN, score=3)
        ai_dev_squad.feedback(TRACE, score=4)
    ai_dev_squad.feedback(here.trace_id, score=5)

    assert [(line.trace_id, line.span_id) for line in judgements(captured)] == [
        (here.trace_id, here.span_id),
        (here.trace_id, None),
        (here.trace_id, SPAN),
        (TRACE, None),
        (here.trace_id, None),
    ]
    (span,) = captured.spans
    assert [(event.name, dict(event.attributes or {})) for event in span.events] == [
        ("gen_ai.evaluation.result", {"gen_ai.evaluation.name": "feedback", "gen_ai.evaluation.score.value": 1.0}),
        (
            "gen_ai.evaluation.result",
            {
                "gen_ai.evaluation.name": "feedback",
                "gen_ai.evaluation.score.value": 2.0,
                "gen_ai.evaluation.explanation": "the key [redacted:openai-key]",
                "ai_dev_squad.evaluation.of": "trace",
            },
        ),
    ]


def test_an_application_that_exports_logs_gets_a_record(captured: Captured, records: InMemoryLogRecordExporter) -> None:
    """It is on the trace, or the operation, that was judged, whatever is current; the span says nothing of its own then."""
    with running(operations.AGENT, "planner", framework="test") as here:
        ai_dev_squad.feedback(here.trace_id, name="helpful", score=1, comment=SECRET)
        ai_dev_squad.feedback(TRACE, span_id=SPAN, label="bad")

    found = [one.log_record for one in records.get_finished_logs()]
    assert [(f"{one.trace_id:032x}", f"{one.span_id:016x}") for one in found] == [
        (here.trace_id, "0" * 16),
        (TRACE, SPAN),
    ]
    assert {(one.event_name, one.severity_text, one.severity_number.value) for one in found} == {
        ("gen_ai.evaluation.result", "INFO", 9)
    }
    assert [dict(one.attributes or {}) for one in found] == [
        {
            "gen_ai.evaluation.name": "helpful",
            "gen_ai.evaluation.score.value": 1.0,
            "gen_ai.evaluation.explanation": "[redacted:openai-key]",
        },
        {"gen_ai.evaluation.name": "feedback", "gen_ai.evaluation.score.label": "bad"},
    ]
    assert [span.events for span in captured.spans] == [()]


def test_an_exporter_that_fails_costs_the_record_alone(
    captured: Captured, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The line is in the journal, and the program goes on."""
    guard.set_strict(False)

    def fail() -> None:
        raise RuntimeError("no logs today")

    monkeypatch.setattr(_logs, "get_logger_provider", fail)
    ai_dev_squad.feedback(TRACE, score=1)

    assert [line.message for line in judgements(captured)] == ["feedback: 1"]
    told = "telling OpenTelemetry of an evaluation failed (RuntimeError: no logs today)"
    assert caplog.messages == [f"{told}. Your program is fine; some telemetry is missing. Reported once."]


def test_a_model_call_is_an_event_where_that_is_wanted(records: InMemoryLogRecordExporter) -> None:
    """With ``genai_events`` each call is a record on its span, with what it used and how it failed; other operations are none."""
    request = operations.ModelRequest("gpt-4o-mini", "openai")
    said = {"gen_ai.output.type": "json", "gen_ai.input.messages": [{"role": "user"}], "langgraph.node": "x"}
    for wanted in (False, True):
        with capture(spans=True, genai_events=wanted):
            run = operations.start(operations.AGENT, "planner", framework="test")
            call = operations.start(
                operations.CHAT, "gpt-4o-mini", framework="test", parent=run, request=request, attributes=said
            )
            call.usage = Usage(input_tokens=12, output_tokens=3, source="provider")
            call.fail(TimeoutError("late"))
            operations.start(operations.CHAT, "unknown", framework="test", parent=run).stop()
            run.stop()

    (one,) = [one.log_record for one in records.get_finished_logs()]
    assert (f"{one.trace_id:032x}", f"{one.span_id:016x}") == (call.trace_id, call.span_id)
    assert (one.event_name, one.severity_text) == ("gen_ai.client.inference.operation.details", "DEBUG")
    assert dict(one.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.output.type": "json",
        "gen_ai.input.messages": ({"role": "user"},),
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 3,
        "error.type": "TimeoutError",
        "ai_dev_squad.usage.source": "provider",
    }

"""Runs that are read from journals: what belongs together, and what it took."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

import ai_dev_squad
from ai_dev_squad import operations
from ai_dev_squad.events.rotation import compress_rotated, rotate
from ai_dev_squad.runs import Runs, read_runs, runs_in
from ai_dev_squad.schema import Cost, ErrorInfo, JournalLine, Link, Usage

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def line(
    span: str, event: str = "llm.response", *, at: float = 0.0, trace: str = "a" * 32, **fields: Any
) -> JournalLine:
    """A journal line ``at`` seconds after the beginning."""
    values = {"operation": "chat", "name": "m", "status": "ok", "duration_ms": 1000.0, **fields}
    return JournalLine(
        timestamp=START + timedelta(seconds=at), level="INFO", event_type=event, message="", trace_id=trace, span_id=span, **values
    )  # fmt: skip


def test_a_run_is_what_its_journal_says(tmp_path):
    """Operations with parents, calls with tokens and cost, the tool that failed; from a compressed file as well."""
    ai_dev_squad.configure(log_dir=str(tmp_path))
    agent = operations.start(operations.AGENT, "planner", framework="langgraph", session_id="s1", agent_id="planner")
    request = operations.ModelRequest("gpt-4o-mini", "openai")
    call = operations.start(operations.CHAT, "gpt-4o-mini", framework="langgraph", parent=agent, request=request)
    call.usage = Usage(input_tokens=1_000_000, output_tokens=0, source="provider")
    call.stop()
    operations.start(operations.TOOL, "weather", framework="langgraph", parent=agent).fail(ValueError("no such place"))
    agent.stop()
    ai_dev_squad.shutdown()
    rotate(tmp_path / "ai_dev_squad.jsonl")
    compress_rotated(tmp_path / "ai_dev_squad.jsonl", None)

    (run,) = read_runs(tmp_path)
    assert [(step.operation, step.name, step.status) for step in run.steps] == [
        ("invoke_agent", "planner", "ok"),
        ("chat", "gpt-4o-mini", "ok"),
        ("execute_tool", "weather", "error"),
    ]
    assert [step.span_id for step in run.roots] == [run.first.span_id] == [run.steps[1].parent_span_id]
    assert (run.status, run.framework, run.session_id, run.tools) == ("ok", "langgraph", "s1", ["weather"])
    assert (run.input_tokens, run.output_tokens, run.cost_usd, run.unpriced_calls) == (1_000_000, 0, 0.15, 0)
    assert [(step.name, step.error.type) for step in run.errors if step.error] == [("weather", "ValueError")]
    (call,) = run.calls
    assert (call.model, call.provider, call.agent, call.started.tzinfo) == (
        "gpt-4o-mini",
        "openai",
        "planner",
        timezone.utc,
    )


def test_what_is_open_is_open_until_its_end_comes():
    """A run grows line by line; an operation that is told of twice counts once, and its first end is the one."""
    runs = Runs()
    runs.add(line("b" * 16, "llm.request", status=None, duration_ms=None, at=1))
    (run,) = runs
    assert (run.status, run.duration_ms, run.unpriced_calls) == ("open", None, 0)

    closing = line("b" * 16, at=3, duration_ms=1990.0, cost=Cost(usd=0.5))
    assert runs.add(closing) is not None
    assert runs.add(line("b" * 16, at=9, status="error", cost=Cost(usd=7.0))) is None
    (run,) = runs
    assert (run.status, run.started, run.duration_ms, run.cost_usd) == ("ok", START + timedelta(seconds=1), 1990.0, 0.5)


@pytest.mark.parametrize(
    "fields, tokens, cost",
    [
        ({"usage": Usage(input_tokens=5, output_tokens=2, source="provider"), "cost": Cost(usd=0.25)}, 7, 0.25),
        ({"usage": Usage(input_tokens=5, output_tokens=2, source="provider")}, 7, None),
        ({"usage": Usage(input_tokens=10**12, output_tokens=2, source="provider")}, 0, None),
        ({"cost": Cost(usd=1e9)}, 0, None),
        ({"cost": Cost(usd=-1.0)}, 0, None),
        ({"status": "error", "error": ErrorInfo(type="x.BudgetExceeded")}, 0, 0.0),
        ({"status": "error", "error": ErrorInfo(type="TimeoutError")}, 0, None),
    ],
)
def test_what_a_call_took_is_known_or_not(fields, tokens, cost):
    """Unknown is not zero: only a call that was refused is known to cost nothing, and what no call has is unknown."""
    (run,) = runs_in([line("b" * 16, **fields)])

    assert (run.input_tokens + run.output_tokens, run.calls[0].cost_usd) == (tokens, cost)
    assert run.unpriced_calls == (cost is None)


def test_a_damaged_journal_gives_what_is_left():
    """Lines without ids are none of a run's; a parent that is nowhere, or is itself, makes a root."""
    found = [
        line("b" * 16, parent_span_id="b" * 16),
        line("c" * 16, parent_span_id="f" * 16, at=1),
        line("d" * 16, parent_span_id="c" * 16, at=2),
        JournalLine(timestamp=START, level="INFO", event_type="custom.event", message="hello"),
    ]
    (run,) = runs_in(found)

    assert [step.span_id[0] for step in run.roots] == ["b", "c"]
    assert {parent and parent[0]: [step.span_id[0] for step in steps] for parent, steps in run.children().items()} == {
        None: ["b", "c"],
        "c": ["d"],
    }


@pytest.mark.parametrize("stated, taken", [(-1.0, 0.0), (None, 0.0), (1e308, 366 * 86_400_000.0)])
def test_a_duration_that_cannot_be_is_bounded(stated, taken):
    """A run can be told whatever a line states: nothing ends before it began, nor takes longer than a year."""
    (run,) = runs_in([line("b" * 16, duration_ms=stated)])

    assert (run.duration_ms, run.started) == (taken, START - timedelta(milliseconds=taken))


def test_runs_are_found_by_the_beginning_of_an_id():
    """In the order in which they started; a run that goes on with another says so."""
    link = Link(trace_id="a" * 32, span_id="b" * 16, type="resumes")
    runs = runs_in([line("c" * 16, trace="ab" + "0" * 30, at=5, links=[link]), line("b" * 16)])

    assert [run.trace_id[:2] for run in runs] == ["aa", "ab"]
    assert (runs.matching("A"), runs.matching("aB"), runs.matching("c")) == (
        ["ab" + "0" * 30, "a" * 32],
        ["ab" + "0" * 30],
        [],
    )
    assert [run.resumes for run in runs] == [None, "a" * 32]
    assert runs.get("nowhere") is None

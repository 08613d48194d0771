"""What the product offers to tests: capturing, ids and clocks that never change, and a runtime that's put back."""

from __future__ import annotations

import json
import logging
import random
from pathlib import Path
from typing import Any

import msgspec
import openai
import pytest

import ai_dev_squad
from ai_dev_squad import context, guard, operations, runtime
from ai_dev_squad.operations import CHAT, TASK, TOOL, WORKFLOW, ModelRequest, Operation
from ai_dev_squad.running import running
from ai_dev_squad.schema import EventType, Usage
from ai_dev_squad_testing import Captured, capture, fixed_ids_and_clock, reset
from ai_dev_squad_testing.model_server import ModelServer, reply, tokens


def start(kind: Any, name: str = "it", **options: Any) -> Operation:
    """An operation of a framework that exists in these tests only."""
    return operations.start(kind, name, framework="test", **options)


# --- capture ----------------------------------------------------------------------------------------------------------


def test_everything_inside_the_block_is_captured() -> None:
    """Lines in order, spans when asked for, costs in a tracker of the block's own; nothing is written anywhere."""
    with capture(spans=True) as captured:
        call = start(CHAT, "gpt-4o", request=ModelRequest("gpt-4o", "openai"))
        call.usage = Usage(input_tokens=1, output_tokens=1, source="provider")
        call.stop()
        ai_dev_squad.get_logger().log_agent_start("planner", "developer", "test")
        assert len(ai_dev_squad.get_cost_tracker().entries) == 1

    assert [line.event_type for line in captured.lines] == ["llm.request", "llm.response", "agent.start"]
    assert [span.name for span in captured.spans] == ["chat gpt-4o"]
    assert list(Path().iterdir()) == []


def test_a_block_that_takes_minutes_has_the_lines_of_one_that_takes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the wire says of its calls once a minute is no line of what was observed in the block, nor is what it says at the end."""
    monkeypatch.setattr("ai_dev_squad.wire.observer._TELL_EVERY_S", -1.0)
    with ModelServer([reply("a", usage=tokens(10, 5))]) as server, capture() as captured:
        api = openai.OpenAI(base_url=server.base_url, api_key="x")
        with running(WORKFLOW, "it", framework="test"):
            api.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "q"}])
        api.close()

    assert [line.event_type for line in captured.lines] == ["agent.start", "llm.request", "llm.response", "agent.stop"]


def test_a_response_in_the_background_is_counted_each_time_that_a_test_is_run() -> None:
    """A scripted server gives each run the same ids, and what one block has counted is not another's; no claim is written."""
    told = []
    for _ in range(2):
        with ModelServer([reply("a", usage=tokens(10, 5))]) as server, capture() as captured:
            api = openai.OpenAI(base_url=server.base_url, api_key="x")
            with running(WORKFLOW, "it", framework="test"):
                response = api.responses.create(model="gpt-4o", input="q", background=True)
                while api.responses.retrieve(response.id).status != "completed":
                    pass
            api.close()
            told.append((captured.calls, captured.tokens))

    assert told == [(1, 15), (1, 15)]
    assert list(Path().iterdir()) == []


def test_opening_and_closing_lines() -> None:
    """``closing`` gives ends, of one kind of operation if asked; ``opening`` starts; events in between are neither."""
    with capture() as captured:
        root = start(WORKFLOW, "squad")
        root.event(EventType.AGENT_INTERRUPT, "waits")
        start(TASK, "plan", parent=root).stop()
        root.stop()

    assert [line.name for line in captured.opening()] == ["squad", "plan"]
    assert [line.name for line in captured.closing()] == ["plan", "squad"]
    assert [line.name for line in captured.closing("task")] == ["plan"]
    assert captured.closing("chat") == []


def test_the_tree_shows_who_belongs_to_whom() -> None:
    """Indented, siblings in the order they started, what is still open says so, several roots one after the other."""
    with capture() as captured:
        root = start(WORKFLOW, "squad")
        plan, code = start(TASK, "plan", parent=root), start(TASK, "code", parent=root)
        search = start(TOOL, "search", parent=plan)
        for operation in (code, search):
            operation.stop()
        plan.fail(ValueError("no"))
        start(TOOL, "alone").cancel()
        tree = captured.tree()
        root.stop()

    assert tree == (
        "invoke_workflow squad: open\n"
        "  task plan: error\n"
        "    execute_tool search: ok\n"
        "  task code: ok\n"
        "execute_tool alone: cancelled"
    )
    assert captured.tree().startswith("invoke_workflow squad: ok\n")
    assert Captured().tree() == ""


def test_what_belongs_to_a_span_from_elsewhere_is_a_root() -> None:
    """An operation whose parent was not captured is shown all the same."""
    with capture() as captured:
        sender = ai_dev_squad.extract({"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
        start(TASK, "plan", context=sender).stop()

    assert captured.tree() == "task plan: ok"


def test_settings_of_the_block_end_with_it() -> None:
    """Arguments are settings; the program's own are neither used inside nor changed."""
    ai_dev_squad.configure(service_name="mine", capture_content=True, log_dir="mine")
    mine = runtime.pipeline()
    with capture(service_name="theirs"):
        assert ai_dev_squad.get_settings().service_name == "theirs"
        assert not ai_dev_squad.get_settings().capture_content
        ai_dev_squad.configure(redact_emails=True)
        assert ai_dev_squad.get_settings().service_name == "theirs"

    assert runtime.pipeline() is mine
    ai_dev_squad.configure(environment="test")
    settings = ai_dev_squad.get_settings()
    assert (settings.service_name, settings.redact_emails, settings.log_dir) == ("mine", False, "mine")


def test_captures_nest() -> None:
    """The innermost block captures; what began outside ends where it began."""
    with capture() as outer:
        began_outside = start(TASK, "outside")
        with capture() as inner:
            start(TASK, "inside").stop()
            began_outside.stop()
        start(TASK, "after").stop()

    assert inner.tree() == "task inside: ok"
    assert outer.tree() == "task outside: ok\ntask after: ok"


def test_what_is_open_at_the_end_of_the_block_is_abandoned() -> None:
    """Nothing stays open for the next test."""
    with capture() as captured:
        start(TASK, "open")

    assert captured.tree() == "task open: abandoned"
    assert operations.open_operations() == []


def test_an_error_in_the_block_passes_and_everything_is_put_back() -> None:
    """The test's own failure is what the test sees."""
    strict = guard.set_strict(False)
    before = runtime.exchange(None, {})
    try:
        with pytest.raises(ValueError, match="mine"), capture():
            raise ValueError("mine")
        assert runtime.exchange(None, {}) == (None, {})
        assert guard.set_strict(False) is False
    finally:
        runtime.exchange(*before)
        guard.set_strict(strict)


def test_a_failure_of_ours_raises_inside_the_block_only(caplog: pytest.LogCaptureFixture) -> None:
    """Inside, what would be a line in the log is an exception; outside it's a line in the log."""
    strict = guard.set_strict(False)
    try:
        with capture(), pytest.raises(OSError, match="on purpose"):
            guard.report("testing", OSError("on purpose"))
        guard.report("testing", OSError("on purpose"))
    finally:
        guard.set_strict(strict)

    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_lines_are_redacted_as_in_production() -> None:
    """What a test sees is what would stand in the file."""
    with capture(redact_emails=True) as captured:
        ai_dev_squad.get_logger().log_task_error("plan", "plan", "planner", "test", "ada@example.com")

    assert "ada@example.com" not in msgspec.json.encode(captured.lines).decode()


# --- fixed ids and clock ----------------------------------------------------------------------------------------------


def a_run() -> None:
    """A little of everything."""
    root = start(WORKFLOW, "squad")
    with context.attached(root), ai_dev_squad.get_trace_manager().trace_operation("mine"):
        start(TASK, "plan").stop()
    root.stop()


def test_whole_results_can_be_compared() -> None:
    """Ids count from 1, the clock ticks at every look; the same program gives the same lines and spans."""
    found = []
    for _ in range(2):
        random.seed()
        with capture(spans=True) as captured, fixed_ids_and_clock():
            a_run()
        spans = [json.loads(span.to_json()) for span in captured.spans if span.name != "mine"]
        for span in spans:
            del span["resource"]
        found.append((msgspec.json.decode(msgspec.json.encode(captured.lines)), spans))

    assert found[0] == found[1]
    lines, spans = found[0]
    assert [(line["span_id"][-1], line["timestamp"], line.get("duration_ms")) for line in lines] == [
        ("2", "2026-01-01T00:00:01Z", None),
        ("4", "2026-01-01T00:00:03Z", None),
        ("4", "2026-01-01T00:00:05Z", 2000.0),
        ("2", "2026-01-01T00:00:07Z", 6000.0),
    ]
    assert [(span["start_time"][14:19], span["end_time"][14:19]) for span in spans] == [
        ("00:02", "00:04"),
        ("00:00", "00:06"),
    ]


def test_ids_and_clock_are_put_back() -> None:
    """After the block ids are random again and time is real, also after an error."""
    with pytest.raises(ValueError, match="mine"), fixed_ids_and_clock():
        raise ValueError("mine")
    with capture() as captured:
        a_run()
        a_run()

    assert len({line.trace_id for line in captured.lines}) == 2
    assert all(int(line.span_id or "0", 16) > 100 for line in captured.lines)
    assert captured.lines[0].timestamp.year != 2026 or captured.lines[0].timestamp.month != 1


# --- reset ------------------------------------------------------------------------------------------------------------


def test_reset_forgets_everything() -> None:
    """Settings, open operations and what was reported are gone; what was logged is written."""
    ai_dev_squad.configure(log_dir="mine", service_name="mine")
    start(TASK, "open")

    reset()

    assert operations.open_operations() == []
    assert runtime.exchange(None, {}) == (None, {})
    assert [
        json.loads(line)["event_type"] for line in Path("mine/ai_dev_squad.jsonl").read_text("utf-8").splitlines()
    ] == [
        "task.start",
        "task.fail",
    ]
    assert ai_dev_squad.get_settings().service_name == "ai-dev-squad"

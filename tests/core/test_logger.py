"""StructuredLogger: events by hand, sessions that don't leak, one method for every event type."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from ai_dev_squad import StructuredLogger, guard
from ai_dev_squad.compat.convenience import CONVENIENCE_METHODS
from ai_dev_squad.context import session
from ai_dev_squad.events import EventFilter, Journal, read_journal
from ai_dev_squad.schema import ErrorInfo, EventType, JournalLine, LogEvent, LogLevel, utc_now


@pytest.fixture
def logger(tmp_path: Path):
    made = StructuredLogger(tmp_path / "logs")
    yield made
    made.close()
    made.set_session_context(None)


def lines(logger: StructuredLogger) -> list[JournalLine]:
    assert logger.flush() is True
    return list(read_journal(logger.log_dir, strict=True))


def facts(line: JournalLine) -> dict[str, Any]:
    """The line as it stands in the file, without what differs from run to run."""
    found = msgspec.to_builtins(line)
    del found["timestamp"], found["schema"]
    return found


def event(**fields: Any) -> LogEvent:
    return LogEvent(**{"event_type": EventType.AGENT_START, "timestamp": utc_now(), "level": LogLevel.INFO, "message": "m", **fields})  # fmt: skip


def test_an_event_becomes_one_line(logger: StructuredLogger) -> None:
    """Every field of the event is in the line."""
    at = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc)
    logger.log_event(
        LogEvent(
            EventType.TASK_COMPLETE,
            at,
            LogLevel.WARNING,
            "done",
            session_id="s",
            correlation_id="c",
            agent_id="a",
            framework="crewai",
            metadata={"k": [1, 2.5, None, {"x": True}]},
            trace_id="1" * 32,
            span_id="2" * 16,
            duration_ms=1.5,
        )
    )

    assert lines(logger) == [
        JournalLine(
            timestamp=at,
            level="WARNING",
            event_type="task.complete",
            message="done",
            session_id="s",
            correlation_id="c",
            agent_id="a",
            framework="crewai",
            metadata={"k": [1, 2.5, None, {"x": True}]},
            trace_id="1" * 32,
            span_id="2" * 16,
            duration_ms=1.5,
        )
    ]


@pytest.mark.parametrize(
    "given, written",
    [
        (datetime(2026, 1, 1, 12), datetime(2026, 1, 1, 12, tzinfo=timezone.utc)),
        (datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2))), datetime(2026, 1, 1, 10, tzinfo=timezone.utc)),
    ],
)
def test_times_are_utc(logger: StructuredLogger, given: datetime, written: datetime) -> None:
    """A naive time, as from datetime.utcnow(), is taken as UTC; another zone is converted."""
    logger.log_event(event(timestamp=given))

    [line] = lines(logger)
    assert (line.timestamp, line.timestamp.utcoffset()) == (written, timedelta(0))


def test_logging_leaves_the_event_as_it_was(logger: StructuredLogger) -> None:
    """The caller's object isn't changed, so it may be logged again elsewhere."""
    logger.set_session_context("s", "c")
    mine = event(metadata={"key": "sk-proj-" + "a1B2" * 12})
    before = dict(mine.__dict__)
    logger.log_event(mine)

    assert mine.__dict__ == before


def test_the_directory_is_made_with_the_first_line(tmp_path: Path) -> None:
    """A logger that logs nothing leaves nothing behind, also below directories that don't exist."""
    logger = StructuredLogger(tmp_path / "a" / "b", enable_console=False)
    assert list(tmp_path.iterdir()) == []
    logger.log_agent_stop("a", "f")
    logger.close()

    assert (tmp_path / "a" / "b" / "ai_dev_squad.jsonl").exists()


def test_a_file_is_no_log_directory(tmp_path: Path) -> None:
    """The error names the path and the cure."""
    (tmp_path / "logs").write_text("")
    with pytest.raises(ValueError, match="logs' is a file; give a directory, it's created when needed"):
        StructuredLogger(tmp_path / "logs")


def test_emit_is_the_journals_own_write(tmp_path: Path) -> None:
    """With neither filter nor console nothing stands between an operation and the journal; taking them away restores it."""
    journal = Journal(tmp_path / "x.jsonl")
    logger = StructuredLogger(tmp_path, journal=journal)
    assert logger.emit == journal.write
    logger.filter = EventFilter("ERROR")
    assert logger.emit != journal.write
    logger.filter = None
    assert logger.emit == journal.write
    logger.console_enabled = True
    assert logger.emit != journal.write
    logger.console_enabled = False
    assert logger.emit == journal.write


# --- session ----------------------------------------------------------------------------------------------------------


def test_the_session_is_on_every_event_that_names_none(logger: StructuredLogger) -> None:
    """What the event says itself wins."""
    logger.set_session_context("session_123", "correlation_456")
    assert (logger.session_id, logger.correlation_id) == ("session_123", "correlation_456")
    logger.log_event(event())
    logger.log_event(event(session_id="own"))
    logger.session_id, logger.correlation_id = "changed", None
    logger.log_agent_stop("a", "f")

    assert [(line.session_id, line.correlation_id) for line in lines(logger)] == [
        ("session_123", "correlation_456"),
        ("own", "correlation_456"),
        ("changed", None),
    ]


def test_threads_do_not_share_a_session(logger: StructuredLogger) -> None:
    """Each thread has its own, though all use one logger."""
    barrier = threading.Barrier(4)

    def work(name: str) -> None:
        logger.set_session_context(name, name)
        barrier.wait()
        logger.log_agent_stop(name, "f")

    threads = [threading.Thread(target=work, args=(str(n),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted((line.agent_id, line.session_id) for line in lines(logger)) == [(n, n) for n in "0123"]
    assert logger.session_id is None


async def test_tasks_do_not_share_a_session(logger: StructuredLogger) -> None:
    """Each asyncio task has its own, and the block form ends with its block."""

    async def work(name: str) -> None:
        with session(name, name.upper()):
            await asyncio.sleep(0)
            logger.log_agent_stop(name, "f")
        await asyncio.sleep(0)
        logger.log_agent_stop(name, "f")

    await asyncio.gather(*(work(name) for name in "abc"))
    found = [(line.agent_id, line.session_id, line.correlation_id) for line in lines(logger)]

    assert sorted(found[:3]) == [(name, name, name.upper()) for name in "abc"]
    assert sorted(found[3:]) == [(name, None, None) for name in "abc"]


# --- the current span -------------------------------------------------------------------------------------------------


def test_events_carry_the_current_span(logger: StructuredLogger) -> None:
    """Ids that the event brings along win; without a span there are none."""
    span = NonRecordingSpan(SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(0)))
    logger.log_agent_stop("before", "f")
    with trace.use_span(span):
        logger.log_agent_stop("inside", "f")
        logger.log_event(event(trace_id="own"))

    assert [(line.trace_id, line.span_id) for line in lines(logger)] == [
        (None, None),
        (f"{0xABC:032x}", f"{0xDEF:016x}"),
        ("own", None),
    ]


# --- mistakes ---------------------------------------------------------------------------------------------------------


def test_an_unknown_event_type_is_an_error_and_the_event_is_kept(logger: StructuredLogger) -> None:
    """The caller is told what is allowed; the journal has the event as custom.event."""
    with pytest.raises(ValueError, match=r"unknown event type 'agent.started'; allowed: agent.handoff"):
        logger.log_event(event(event_type="agent.started", metadata={"k": 1}))
    with pytest.raises(ValueError, match="level 'LOUD' is unknown; use a LogLevel"):
        logger.log_event(event(level="LOUD"))

    assert [(line.event_type, line.level, line.metadata) for line in lines(logger)] == [
        ("custom.event", "INFO", {"k": 1, "unknown_event_type": "agent.started"}),
        ("agent.start", "INFO", {"unknown_level": "LOUD"}),
    ]


def test_wrong_types_are_written_as_they_can_be(logger: StructuredLogger) -> None:
    """Numbers for ids, an object for a message, a list for metadata: the line is valid and readable."""

    class Rude:
        def __str__(self) -> str:
            raise RuntimeError("no")

    logger.log_event(event(message=Rude(), agent_id=7, metadata=[1, 2], timestamp="now"))

    [line] = lines(logger)
    assert (line.agent_id, line.metadata) == ("7", {"value": [1, 2]})
    assert line.message.endswith("Rude>")


def test_secrets_are_redacted_in_text_metadata_and_errors(logger: StructuredLogger) -> None:
    """No sink sees a key, whichever field it was in."""
    secret = "sk-proj-" + "a1B2c3D4" * 6
    logger.log_event(event(message=f"key {secret}", metadata={"header": f"Bearer {secret}"}))
    logger.log_system_error(ValueError(f"bad key {secret}"))
    logger.log_task_error("t", "t", "a", "f", f"bad key {secret}")
    logger.log_tool_call("http", {"nested": [secret]})
    logger.flush()
    text = (logger.log_dir / "ai_dev_squad.jsonl").read_text()

    assert text.count("[redacted:") >= 5
    assert secret not in text


def test_a_failing_redactor_leaks_nothing_and_loses_no_event(tmp_path: Path) -> None:
    """The line is written without its text, and the failure is reported."""
    guard.set_strict(False)

    class Broken:
        def text(self, text: str) -> str:
            raise RuntimeError("broken")

        def value(self, value: Any) -> Any:
            return value

        def exception(self, error: BaseException) -> ErrorInfo:
            return ErrorInfo(type="E", message=str(error))

    logger = StructuredLogger(tmp_path, redactor=Broken())
    logger.log_task_error("t", "secret", "agent", "f", "secret")
    logger.close()

    [line] = read_journal(tmp_path)
    assert (line.event_type, line.message, line.metadata, line.error) == (
        "task.fail",
        "<left out: redaction failed>",
        None,
        None,
    )


def test_a_filter_of_the_users_own_class_that_raises_loses_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Even if should_log itself is overridden and broken."""
    guard.set_strict(False)

    class Broken(EventFilter):
        passes_everything = False  # type: ignore[assignment]

        def should_log(self, event: LogEvent) -> bool:
            raise RuntimeError("broken for good")

    logger = StructuredLogger(tmp_path, filter=Broken())
    with caplog.at_level(logging.WARNING, "ai_dev_squad"):
        logger.log_agent_stop("a", "f")
    logger.close()

    assert [line.agent_id for line in read_journal(tmp_path)] == ["a"]
    assert "the event filter failed (RuntimeError: broken for good)" in caplog.text


# --- convenience methods ----------------------------------------------------------------------------------------------


def test_every_event_type_has_its_method(logger: StructuredLogger) -> None:
    """The table is complete, and each method writes the type it's there for."""
    assert list(CONVENIENCE_METHODS) == list(EventType)
    for name in CONVENIENCE_METHODS.values():
        method = getattr(logger, name)
        required = [p for p in inspect.signature(method).parameters.values() if p.default is p.empty]
        method(*[{"custom_data": {}, "threshold": 0.8, "dropped": 1, "seen": 1, "captured": 1, "value": 1.0}.get(p.name, 0.5 if "usd" in p.name else p.name) for p in required])  # fmt: skip

    assert [line.event_type for line in lines(logger)] == [member.value for member in EventType]
    assert [line.operation for line in lines(logger)] == [None] * len(EventType)


def test_agents(logger: StructuredLogger) -> None:
    """The five events of an agent's life."""
    logger.log_agent_start("test_agent", "developer", "test_framework")
    logger.log_agent_start("a", "planner", "langgraph", capabilities=["plan", "review"])
    logger.log_agent_interrupt("a", "langgraph", "needs approval", interrupt_id="i1")
    logger.log_agent_resume("a", "langgraph", interrupt_id="i1")
    logger.log_agent_handoff("a", "b", "langgraph", "tests fail")
    logger.log_agent_loop("a", ["look_up"], 5, "langgraph")
    logger.log_agent_stop("a", "langgraph", status="error", reason="gave up", duration_ms=12.5)

    agent = {"agent_id": "a", "framework": "langgraph"}
    assert [facts(line) for line in lines(logger)] == [
        {"level": "INFO", "event_type": "agent.start", "message": "Agent test_agent starting", "agent_id": "test_agent",
         "framework": "test_framework", "metadata": {"agent_type": "developer", "capabilities": []}},
        {"level": "INFO", "event_type": "agent.start", "message": "Agent a starting", **agent,
         "metadata": {"agent_type": "planner", "capabilities": ["plan", "review"]}},
        {"level": "INFO", "event_type": "agent.interrupt", "message": "Agent a interrupted: needs approval", **agent,
         "status": "interrupted", "metadata": {"reason": "needs approval", "interrupt_id": "i1"}},
        {"level": "INFO", "event_type": "agent.resume", "message": "Agent a resumed", **agent,
         "metadata": {"interrupt_id": "i1"}},
        {"level": "INFO", "event_type": "agent.handoff", "message": "Agent a hands over to b", **agent,
         "metadata": {"to_agent_id": "b", "reason": "tests fail"}},
        {"level": "WARNING", "event_type": "agent.loop", "message": "Agent a is in a loop: look_up, 5 times", **agent,
         "metadata": {"operations": ["look_up"], "repeats": 5}},
        {"level": "ERROR", "event_type": "agent.stop", "message": "Agent a stopped", **agent, "status": "error",
         "duration_ms": 12.5, "metadata": {"reason": "gave up"}},
    ]  # fmt: skip


def test_tasks_and_tools(logger: StructuredLogger) -> None:
    """The guide's positional calls, and errors as text or as exceptions."""
    logger.log_task_start("t1", "plan", "a", "langgraph")
    logger.log_task_complete("t1", "plan", "a", "langgraph", 1500)
    logger.log_task_error("t1", "plan", "a", "langgraph", "went wrong")
    logger.log_task_error("t1", "plan", "a", "langgraph", KeyError("x"))
    logger.log_tool_call("search", {"q": "x"}, call_id="c1")
    logger.log_tool_result("search", ["hit"], call_id="c1", duration_ms=2)
    logger.log_tool_result("search", error=TimeoutError("too slow"))

    task = {"agent_id": "a", "framework": "langgraph", "name": "plan", "metadata": {"task_id": "t1"}}
    assert [facts(line) for line in lines(logger)] == [
        {"level": "INFO", "event_type": "task.start", "message": "Task plan started", **task},
        {"level": "INFO", "event_type": "task.complete", "message": "Task plan completed", **task, "status": "ok",
         "duration_ms": 1500.0},
        {"level": "ERROR", "event_type": "task.fail", "message": "Task plan failed: went wrong", **task,
         "status": "error", "error": {"type": "error", "message": "went wrong"}},
        {"level": "ERROR", "event_type": "task.fail", "message": "Task plan failed: 'x'", **task, "status": "error",
         "error": {"type": "KeyError", "message": "'x'"}},
        {"level": "INFO", "event_type": "tool.call", "message": "Tool search called", "name": "search",
         "metadata": {"arguments": {"q": "x"}, "call_id": "c1"}},
        {"level": "INFO", "event_type": "tool.result", "message": "Tool search returned", "name": "search",
         "status": "ok", "duration_ms": 2.0, "metadata": {"result": ["hit"], "call_id": "c1"}},
        {"level": "ERROR", "event_type": "tool.result", "message": "Tool search failed: too slow", "name": "search",
         "status": "error", "error": {"type": "TimeoutError", "message": "too slow"}},
    ]  # fmt: skip


def test_models(logger: StructuredLogger) -> None:
    """Tokens that nobody knows are missing, not zero; a price given is the user's."""
    logger.log_llm_request("gpt-4o", "openai", "a", "crewai", parameters={"temperature": 0})
    logger.log_llm_response("gpt-4o", "openai", input_tokens=10, output_tokens=2, cost_usd=0.5, duration_ms=7)
    logger.log_llm_response("gpt-4o", "openai", error="overloaded")

    assert [facts(line) for line in lines(logger)] == [
        {"level": "INFO", "event_type": "llm.request", "message": "Asking gpt-4o", "agent_id": "a",
         "framework": "crewai", "name": "gpt-4o", "metadata": {"provider": "openai", "parameters": {"temperature": 0}}},
        {"level": "INFO", "event_type": "llm.response", "message": "gpt-4o answered", "name": "gpt-4o", "status": "ok",
         "duration_ms": 7.0, "usage": {"input_tokens": 10, "output_tokens": 2, "source": "provider"},
         "cost": {"usd": 0.5, "price_source": "user"}, "metadata": {"provider": "openai"}},
        {"level": "ERROR", "event_type": "llm.response", "message": "gpt-4o failed: overloaded", "name": "gpt-4o",
         "status": "error", "usage": {"source": "missing"}, "error": {"type": "error", "message": "overloaded"},
         "metadata": {"provider": "openai"}},
    ]  # fmt: skip


def test_everything_else(logger: StructuredLogger) -> None:
    """Safety, commits, measurements, errors, budgets, losses and events of one's own."""
    logger.log_safety_violation("path", "wrote outside", "a", action="blocked", level=LogLevel.CRITICAL)
    logger.log_vcs_commit("abc123", "Fix it", branch="main", files=("x.py",))
    logger.log_performance_metric("latency", 12.5, "ms", tags={"node": "plan"})
    logger.log_system_error(OSError("gone"), "disk")
    logger.log_budget_alert("daily", 8.0, 10.0, 0.8)
    logger.log_budget_exceeded("daily", 10.5, 10.0)
    logger.log_telemetry_dropped(3, "sampling")
    logger.log_custom_event({"key": "value"})

    assert [facts(line) for line in lines(logger)] == [
        {"level": "CRITICAL", "event_type": "safety.violation", "message": "Safety violation (path): wrote outside",
         "agent_id": "a",
         "metadata": {"violation_type": "path", "description": "wrote outside", "action": "blocked"}},
        {"level": "INFO", "event_type": "vcs.commit", "message": "Commit abc123: Fix it",
         "metadata": {"commit_id": "abc123", "commit_message": "Fix it", "branch": "main", "files": ["x.py"]}},
        {"level": "INFO", "event_type": "performance.metric", "message": "latency = 12.5 ms", "name": "latency",
         "metadata": {"value": 12.5, "unit": "ms", "tags": {"node": "plan"}}},
        {"level": "ERROR", "event_type": "system.error", "message": "disk failed: gone",
         "error": {"type": "OSError", "message": "gone"}, "metadata": {"component": "disk"}},
        {"level": "WARNING", "event_type": "budget.alert", "message": "Budget daily: $8.0000 of $10.0000 spent, past 80%",
         "metadata": {"budget": "daily", "spent_usd": 8.0, "limit_usd": 10.0, "threshold": 0.8}},
        {"level": "ERROR", "event_type": "budget.exceeded", "message": "Budget daily exceeded: $10.5000 of $10.0000",
         "metadata": {"budget": "daily", "spent_usd": 10.5, "limit_usd": 10.0}},
        {"level": "WARNING", "event_type": "telemetry.dropped", "message": "3 events were dropped: sampling",
         "metadata": {"dropped": 3, "reason": "sampling"}},
        {"level": "INFO", "event_type": "custom.event", "message": "Custom event occurred",
         "metadata": {"key": "value"}},
    ]  # fmt: skip

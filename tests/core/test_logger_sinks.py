"""The console for people and the bridge from the standard logging module."""

from __future__ import annotations

import io
import logging
import logging.handlers
import queue
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from ai_dev_squad import StructuredLogger, guard
from ai_dev_squad.events import JournalHandler, read_journal
from ai_dev_squad.events.console import Console, format_line, safe_text
from ai_dev_squad.schema import Cost, ErrorInfo, JournalLine, LogLevel, Usage

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc)


def line(message: str = "hello", **fields: Any) -> JournalLine:
    return JournalLine(**{"timestamp": AT, "level": "INFO", "event_type": "agent.start", "message": message, **fields})


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


# --- console ----------------------------------------------------------------------------------------------------------


def test_an_event_is_one_readable_line() -> None:
    """Time, level, type, who, message, and the figures there are."""
    full = line(
        framework="langgraph",
        agent_id="planner",
        duration_ms=12.345,
        usage=Usage(input_tokens=100, output_tokens=20, source="estimated"),
        cost=Cost(usd=0.00012),
        error=ErrorInfo(type="RateLimitError"),
    )

    assert format_line(line()) == "2026-01-02T03:04:05.678Z [INFO] agent.start hello"
    assert format_line(full) == (
        "2026-01-02T03:04:05.678Z [INFO] agent.start langgraph/planner: hello "
        "(12.3 ms, about 100 in, 20 out, $0.000120, RateLimitError)"
    )
    assert format_line(line(cost=Cost(usd=None))).endswith("hello (price unknown)")
    assert format_line(line(agent_id="planner", usage=Usage(input_tokens=1, output_tokens=2, source="provider"))) == (
        "2026-01-02T03:04:05.678Z [INFO] agent.start planner: hello (1 in, 2 out)"
    )
    assert format_line(line(framework="crewai", usage=Usage(source="missing"))).endswith("crewai: hello")
    east = AT.astimezone(timezone(timedelta(hours=2)))
    assert format_line(line(timestamp=east)) == format_line(line())
    assert [
        format_line(line(level=name), colour=True).split()[1] for name in ("DEBUG", "WARNING", "CRITICAL", "x")
    ] == [
        "\x1b[2m[DEBUG]\x1b[0m",
        "\x1b[33m[WARNING]\x1b[0m",
        "\x1b[1;31m[CRITICAL]\x1b[0m",
        "\x1b[0m[x]\x1b[0m",
    ]


def test_colour_is_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe gets plain text; so does a terminal whose user asked for it."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    pipe, terminal, quiet, dumb = io.StringIO(), Terminal(), Terminal(), Terminal()
    Console(pipe).write(line(level="ERROR"))
    Console(terminal).write(line(level="ERROR"))
    monkeypatch.setenv("NO_COLOR", "1")
    Console(quiet).write(line(level="ERROR"))
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    Console(dumb).write(line(level="ERROR"))

    assert (
        pipe.getvalue() == quiet.getvalue() == dumb.getvalue() == "2026-01-02T03:04:05.678Z [ERROR] agent.start hello\n"
    )
    assert terminal.getvalue() == "2026-01-02T03:04:05.678Z \x1b[31m[ERROR]\x1b[0m agent.start hello\n"


@pytest.mark.parametrize(
    "text, shown",
    [
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("two\nlines\r\ttab", r"two\nlines\r\ttab"),
        ("\x9b31m", r"\x9b31m"),
        ("a\u202eb", r"a\u202eb"),
        ("lone \ud800", r"lone \ud800"),
        ("Grüße \U0001f600", "Grüße \U0001f600"),
    ],
)
def test_what_a_terminal_would_obey_is_spelled_out(text: str, shown: str) -> None:
    """A model's output can't move the cursor, change colours, fake a second line or turn text around."""
    assert safe_text(text) == shown


@given(text=st.text())
def test_an_event_is_always_exactly_one_line(text: str) -> None:
    """Whatever message, agent and framework hold, what is printed is one line without control characters."""
    stream = io.StringIO()
    Console(stream).write(line(text, agent_id=text, framework=text, error=ErrorInfo(type=text)))

    printed = stream.getvalue()
    assert printed.endswith("\n")
    assert [c for c in printed[:-1] if ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u2028\u2029\u202e"] == []


def test_a_console_that_cannot_show_a_character_escapes_it() -> None:
    """An ASCII terminal gets escapes, not an error."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    Console(stream).write(line("Grüße"))

    assert raw.getvalue() == b"2026-01-02T03:04:05.678Z [INFO] agent.start Gr\\xfc\\xdfe\n"


def test_a_closed_console_loses_no_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a closed stderr nor none at all reaches the caller or the journal."""
    guard.set_strict(False)
    logger = StructuredLogger(tmp_path, enable_console=True)
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    logger.log_agent_stop("a", "f")
    monkeypatch.setattr(sys, "stderr", None)
    logger.log_agent_stop("b", "f")
    logger.close()

    assert [entry.agent_id for entry in read_journal(tmp_path)] == ["a", "b"]


def test_the_console_shows_what_the_journal_gets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Redacted, filtered, on stderr and nowhere else."""
    logger = StructuredLogger(tmp_path, enable_console=True)
    logger.filter.set_level_filter("INFO")
    secret = "sk-proj-" + "a1B2c3D4" * 6
    logger.log_custom_event({}, message=f"key {secret}")
    logger.log_custom_event({}, message="too quiet", level=LogLevel.DEBUG)
    logger.close()
    printed = capsys.readouterr()

    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert "[INFO] custom.event key [redacted:" in printed.err
    assert secret not in printed.err


# --- the bridge -------------------------------------------------------------------------------------------------------


@pytest.fixture
def logger(tmp_path: Path) -> Iterator[StructuredLogger]:
    made = StructuredLogger(tmp_path / "logs")
    yield made
    made.close()


@pytest.fixture
def app(logger: StructuredLogger) -> Iterator[logging.Logger]:
    """A program's logger with the bridge on the root."""
    handler, root = JournalHandler(logger), logging.getLogger()
    root.addHandler(handler)
    app = logging.getLogger("shop.orders")
    app.setLevel(logging.DEBUG)
    yield app
    root.removeHandler(handler)
    app.setLevel(logging.NOTSET)


def lines(logger: StructuredLogger) -> list[JournalLine]:
    assert logger.flush() is True
    return list(read_journal(logger.log_dir, strict=True))


def test_records_become_events(app: logging.Logger, logger: StructuredLogger) -> None:
    """ERROR and above are system.error, others custom.event; level, place and extra come along."""
    app.debug("asking %s", "Bob", extra={"order": 7})
    app.error("no stock")
    app.log(35, "between the levels")

    found = lines(logger)
    assert [(e.level, e.event_type, e.message, e.name) for e in found] == [
        ("DEBUG", "custom.event", "asking Bob", "shop.orders"),
        ("ERROR", "system.error", "no stock", "shop.orders"),
        ("WARNING", "custom.event", "between the levels", "shop.orders"),
    ]
    metadata = dict(found[0].metadata or {})
    assert metadata.pop("file").startswith("test_logger_sinks.py:")
    assert metadata == {
        "logger": "shop.orders",
        "function": "test_records_become_events",
        "thread": "MainThread",
        "extra": {"order": 7},
    }


def test_exceptions_come_with_type_text_and_stack(app: logging.Logger, logger: StructuredLogger) -> None:
    """Error says what, metadata says where, and neither carries a secret."""
    secret = "sk-proj-" + "a1B2c3D4" * 6
    try:
        raise KeyError(secret)
    except KeyError:
        app.exception("order failed")

    [found] = lines(logger)
    assert found.error is not None
    assert (found.event_type, found.error.type) == ("system.error", "KeyError")
    assert "test_exceptions_come_with_type_text_and_stack" in found.metadata["stack"]
    assert secret not in repr(found)


def test_records_carry_the_current_span_and_session(app: logging.Logger, logger: StructuredLogger) -> None:
    """A log record belongs to the operation that wrote it."""
    logger.set_session_context("s", "c")
    with trace.use_span(NonRecordingSpan(SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(0)))):
        app.warning("inside")
    logger.set_session_context(None)

    [found] = lines(logger)
    assert (found.trace_id, found.span_id) == (f"{0xABC:032x}", f"{0xDEF:016x}")
    assert (found.session_id, found.correlation_id) == ("s", "c")


def test_ids_that_were_put_on_the_record_win(app: logging.Logger, logger: StructuredLogger) -> None:
    """With a QueueHandler the record arrives in another thread; OpenTelemetry's fields say where it came from."""
    app.warning("x", extra={"otelTraceID": "a" * 32, "otelSpanID": "b" * 16, "otelTraceSampled": True})
    app.warning("y", extra={"otelTraceID": "0", "otelSpanID": "0"})

    assert [(e.trace_id, e.span_id, "extra" in e.metadata) for e in lines(logger)] == [
        ("a" * 32, "b" * 16, False),
        (None, None, False),
    ]


def test_records_through_a_queue_arrive(logger: StructuredLogger) -> None:
    """The handler works behind logging's own queue."""
    waiting: queue.Queue[Any] = queue.Queue()
    listener = logging.handlers.QueueListener(waiting, JournalHandler(logger))
    app = logging.getLogger("queued")
    handler = logging.handlers.QueueHandler(waiting)
    app.addHandler(handler)
    listener.start()
    app.error("over there", exc_info=ValueError("x"))
    listener.stop()
    app.removeHandler(handler)

    [found] = lines(logger)
    # QueueHandler puts the stack into the message.
    assert found.message.startswith("over there\n")
    assert found.message.endswith("ValueError: x")


def test_our_own_records_are_left_alone(app: logging.Logger, logger: StructuredLogger) -> None:
    """A report of a failing journal never goes into the journal; somebody else's similar name does."""
    logging.getLogger("ai_dev_squad").warning("ours")
    logging.getLogger("ai_dev_squad.events").warning("ours")
    logging.getLogger("ai_dev_squad_app").warning("theirs")

    assert [e.message for e in lines(logger)] == ["theirs"]


def test_logging_inside_logging_does_not_recurse(app: logging.Logger, logger: StructuredLogger) -> None:
    """A filter that logs while its event is logged ends there."""
    logger.filter.add_custom_filter(lambda fields: app.warning("again") or True)
    app.warning("once")

    assert [e.message for e in lines(logger)] == ["once"]


def test_a_malformed_record_is_written_all_the_same(logger: StructuredLogger) -> None:
    """Arguments that don't fit their format cost the arguments, not the record, and nothing is raised."""
    record = logging.makeLogRecord({"name": "x", "levelno": 30, "msg": "only %s %s", "args": ("one",)})
    JournalHandler(logger).handle(record)

    assert [e.message for e in lines(logger)] == ["only %s %s (its arguments don't fit)"]


def test_a_long_stack_keeps_its_end(app: logging.Logger, logger: StructuredLogger) -> None:
    """Where it happened matters most; the stack is bounded."""
    try:
        raise ValueError("far " * 3_000 + "the bottom")
    except ValueError:
        app.exception("deep")

    [found] = lines(logger)
    assert found.metadata["stack"] == "..." + ("far " * 3_000 + "the bottom")[-8_192:]


def test_a_stack_may_come_without_an_exception(app: logging.Logger, logger: StructuredLogger) -> None:
    """Where somebody asked for it; of an exception that another handler has written out already, that is taken."""
    app.warning("here", stack_info=True)
    record = logging.makeLogRecord({"name": "x", "levelno": 30, "msg": "there", "exc_text": "as it was written"})
    record.exc_info = (ValueError, ValueError("x"), None)
    app.handle(record)
    app.warning("plain")

    found = lines(logger)
    assert found[0].metadata["stack"].startswith("Stack (most recent call last):\n")
    assert [(e.error, (e.metadata or {}).get("stack")) for e in found[1:]] == [
        (ErrorInfo(type="ValueError", message="x"), "as it was written"),
        (None, None),
    ]


def test_a_record_of_no_level_is_one_for_debugging(app: logging.Logger, logger: StructuredLogger) -> None:
    """Also of one below that; a critical one is an error of the system, as one of level ERROR is."""
    for level in (0, 5, 39, 40, 50):
        app.handle(logging.makeLogRecord({"name": "x", "msg": "m", "levelno": level}))

    assert [(e.level, e.event_type) for e in lines(logger)] == [
        ("DEBUG", "custom.event"),
        ("DEBUG", "custom.event"),
        ("WARNING", "custom.event"),
        ("ERROR", "system.error"),
        ("CRITICAL", "system.error"),
    ]


def test_a_record_that_cannot_be_carried_is_told_and_the_next_one_is(
    app: logging.Logger, logger: StructuredLogger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Logging goes on."""
    guard.set_strict(False)
    with monkeypatch.context() as broken:
        broken.setattr(logger, "log_line", lambda line: 1 / 0)
        app.warning("lost")
    app.warning("kept")

    assert [e.message for e in lines(logger)] == ["kept"]
    assert [r.getMessage().partition(" failed")[0] for r in caplog.records if r.name == "ai_dev_squad"] == [
        "carrying a log record into the journal"
    ]


def test_without_a_logger_the_configured_one_is_used(tmp_path: Path) -> None:
    """JournalHandler() follows configure()."""
    from ai_dev_squad import runtime

    runtime.configure(log_dir=str(tmp_path / "configured"))
    app = logging.getLogger("plain")
    handler = JournalHandler()
    app.addHandler(handler)
    app.warning("to the journal")
    app.removeHandler(handler)
    runtime.get_logger().flush()

    assert [e.message for e in read_journal(tmp_path / "configured")] == ["to the journal"]

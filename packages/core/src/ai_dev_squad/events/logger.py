"""The logger that programs write events with by hand, and through which every operation's lines go."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

from ai_dev_squad.context import correlation_id_var, session_id_var
from ai_dev_squad.events.console import Console
from ai_dev_squad.events.filters import EventFilter, as_level
from ai_dev_squad.events.journal import JOURNAL_FILE_NAME, Journal, NullJournal, flush_all
from ai_dev_squad.events.pending import PendingLine
from ai_dev_squad.guard import report
from ai_dev_squad.process import ExitOrder, at_exit
from ai_dev_squad.schema import (
    ErrorInfo,
    EventType,
    JournalLine,
    LogEvent,
    LogLevel,
    resolve_event_type,
    utc_now,
)

__all__ = ["EventLogger", "JournalLike", "Redacts"]

_LEVEL_NAMES = {level: level.name for level in LogLevel}


class Redacts(Protocol):
    """What a logger asks of a redactor: ``ai_dev_squad.redaction.Redactor`` or something like it."""

    def text(self, text: str, /) -> str: ...
    def value(self, value: Any, /) -> Any: ...
    def exception(self, error: BaseException, /) -> ErrorInfo: ...


class JournalLike(Protocol):
    """Where a logger's lines go: ``Journal`` or ``NullJournal``."""

    def write(self, line: JournalLine, /) -> None: ...
    def flush(self, timeout: float | None = None) -> bool: ...
    def close(self, timeout: float | None = None) -> bool: ...


class EventLogger:
    """Writes events to the journal ``log_dir/ai_dev_squad.jsonl`` and, if asked, to the console.

    Session and correlation ids belong to the thread or asyncio task that sets them. Text and metadata are redacted.
    ``emit`` is the entry for finished lines: with neither filter nor console it is ``journal.write`` itself. Raises
    ``ValueError`` if ``log_dir`` is a file. The directory is created with the first line.
    """

    emit: Callable[[JournalLine], None]
    emit_later: Callable[[PendingLine], None]
    """The same for a line that is yet to be made: by the journal's thread, where nobody looks at it before."""

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        enable_console: bool = False,
        *,
        journal: JournalLike | None = None,
        filter: EventFilter | None = None,  # noqa: A002 - the attribute's name
        redactor: Redacts | None = None,
    ) -> None:
        self.log_dir = Path(log_dir)
        if journal is None:
            if self.log_dir.exists() and not self.log_dir.is_dir():
                raise ValueError(f"log_dir={str(log_dir)!r} is a file; give a directory, it's created when needed")
            journal = Journal(self.log_dir / JOURNAL_FILE_NAME)
            at_exit(flush_all, ExitOrder.JOURNALS, sigterm=True)
        self.journal = journal
        self._redactor = redactor if redactor is not None else _default_redactor()
        self._console = Console() if enable_console else None
        self._filter = filter
        self._bind()

    # --- configuration ------------------------------------------------------------------------------------------------

    @property
    def filter(self) -> EventFilter:
        """The filter in force. It may be changed at any time, or replaced."""
        if self._filter is None:
            self._filter = EventFilter()
            self._bind()
        return self._filter

    @filter.setter
    def filter(self, value: EventFilter | None) -> None:
        self._filter = value
        self._bind()

    @property
    def console_enabled(self) -> bool:
        """Whether events are also shown on the console. May be set."""
        return self._console is not None

    @console_enabled.setter
    def console_enabled(self, value: bool) -> None:
        self._console = Console() if value else None
        self._bind()

    def _bind(self) -> None:
        # A filter that somebody holds may be changed behind our back, so having one at all takes the longer way.
        plain = self._filter is None and self._console is None
        self.emit = self.journal.write if plain else self._emit_checked
        journal = self.journal
        if plain and isinstance(journal, Journal | NullJournal):
            self.emit_later = journal.write_later
        else:
            self.emit_later = self._emit_made

    def _emit_made(self, pending: PendingLine) -> None:
        self.emit(pending.line())

    def _emit_checked(self, line: JournalLine) -> None:
        chosen = self._filter
        try:
            if chosen is not None and not chosen.passes_everything and not chosen.should_log(_event_of(line)):
                return
        except Exception as error:  # noqa: BLE001 - a filter of the user's own class
            report("the event filter", error)
        self.journal.write(line)
        if self._console is not None:
            self._console.write(line)

    # --- session ------------------------------------------------------------------------------------------------------

    def set_session_context(self, session_id: str | None, correlation_id: str | None = None) -> None:
        """Set the ids that events of this thread or task carry from now on."""
        session_id_var.set(session_id)
        correlation_id_var.set(correlation_id)

    @property
    def session_id(self) -> str | None:
        """The session of this thread or task. May be set."""
        return session_id_var.get()

    @session_id.setter
    def session_id(self, value: str | None) -> None:
        session_id_var.set(value)

    @property
    def correlation_id(self) -> str | None:
        """The correlation id of this thread or task. May be set."""
        return correlation_id_var.get()

    @correlation_id.setter
    def correlation_id(self, value: str | None) -> None:
        correlation_id_var.set(value)

    # --- events -------------------------------------------------------------------------------------------------------

    def log_event(self, event: LogEvent) -> None:
        """Log an event: redacted, and with the session and the current span where the event names none.

        A naive timestamp is taken as UTC. Raises ``ValueError`` for an unknown event type or level, after writing the
        event as ``custom.event``, so that the mistake is seen and nothing is lost.
        """
        problem: ValueError | None = None
        metadata = event.metadata
        try:
            event_type = resolve_event_type(event.event_type)
        except ValueError as error:
            problem, event_type = error, EventType.CUSTOM_EVENT.value
            metadata = {**_as_dict(metadata), "unknown_event_type": event.event_type}
        try:
            level = _LEVEL_NAMES[as_level(event.level)]
        except ValueError as error:
            problem, level = problem or error, "INFO"
            metadata = {**_as_dict(metadata), "unknown_level": event.level}
        self.log_line(
            JournalLine(
                timestamp=event.timestamp,
                level=level,  # type: ignore[arg-type]
                event_type=event_type,
                message=event.message,
                session_id=event.session_id,
                correlation_id=event.correlation_id,
                agent_id=event.agent_id,
                framework=event.framework,
                metadata=metadata,
                trace_id=event.trace_id,
                span_id=event.span_id,
                duration_ms=event.duration_ms,
            )
        )
        if problem is not None:
            raise problem

    def log_line(self, line: JournalLine) -> None:
        """Complete a line that wasn't redacted yet (session, span, UTC), redact it, and write it. Never raises."""
        try:
            self._complete(line)
            self._redact(line)
        except Exception as error:  # noqa: BLE001 - observing never raises
            report("completing an event", error)
        self.emit(line)

    def _complete(self, line: JournalLine) -> None:
        line.timestamp = _as_utc(line.timestamp)
        if line.session_id is None:
            line.session_id = session_id_var.get()
        if line.correlation_id is None:
            line.correlation_id = correlation_id_var.get()
        if line.trace_id is None:
            line.trace_id, line.span_id = _current_span()
        for name in ("session_id", "correlation_id", "agent_id", "framework", "name", "trace_id", "span_id"):
            value = getattr(line, name)
            if value is not None and type(value) is not str:
                setattr(line, name, _text_of(value))

    def _redact(self, line: JournalLine) -> None:
        message, metadata, error = _text_of(line.message), line.metadata, line.error
        # Should the redactor fail, a line without its text is better than a secret in a file.
        line.message, line.metadata, line.error = "<left out: redaction failed>", None, None
        line.message = self._redactor.text(message)
        if error is not None:
            line.error = ErrorInfo(type=error.type, message=self._redactor.text(error.message))
        if metadata:
            line.metadata = _as_dict(self._redactor.value(_as_dict(metadata)))

    def error_info(self, error: BaseException | str) -> ErrorInfo:
        """What a line says of an error; it's redacted when the line is logged."""
        if isinstance(error, BaseException):
            return self._redactor.exception(error)
        return ErrorInfo(type="error", message=_text_of(error))

    # --- end ----------------------------------------------------------------------------------------------------------

    def flush(self, timeout: float | None = None) -> bool:
        """Return when everything logged before the call is in the file; ``False`` if ``timeout`` (seconds) ran out."""
        return self.journal.flush(timeout)

    def close(self, timeout: float | None = None) -> bool:
        """Flush and stop the journal's thread. Later events are still written, one by one."""
        return self.journal.close(timeout)


def _default_redactor() -> Redacts:
    from ai_dev_squad.redaction import Redactor

    return Redactor()


def _event_of(line: JournalLine) -> LogEvent:
    """The line as the event that filters know."""
    return LogEvent(
        event_type=_EVENT_TYPES.get(line.event_type, line.event_type),
        timestamp=line.timestamp,
        level=LogLevel[line.level],
        message=line.message,
        session_id=line.session_id,
        correlation_id=line.correlation_id,
        agent_id=line.agent_id,
        framework=line.framework,
        metadata=line.metadata,
        trace_id=line.trace_id,
        span_id=line.span_id,
        duration_ms=line.duration_ms,
    )


_EVENT_TYPES: dict[str, EventType] = {member.value: member for member in EventType}


def _as_utc(timestamp: Any) -> datetime:
    if not isinstance(timestamp, datetime):
        return utc_now()
    # Naive times come from datetime.utcnow(), as the guide has it.
    return timestamp.replace(tzinfo=timezone.utc) if timestamp.tzinfo is None else timestamp.astimezone(timezone.utc)


def _as_dict(metadata: Any) -> dict[str, Any]:
    return metadata if isinstance(metadata, dict) else {} if metadata is None else {"value": metadata}


def _text_of(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - a user's __str__
        return f"<{type(value).__qualname__}>"


def _current_span() -> tuple[str | None, str | None]:
    # A program that never loaded OpenTelemetry's API has no current span.
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None, None
    context = trace.get_current_span().get_span_context()
    return (f"{context.trace_id:032x}", f"{context.span_id:016x}") if context.is_valid else (None, None)

"""The standard ``logging`` module's records, in the journal and tied to the current span."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ai_dev_squad import state
from ai_dev_squad.events.filters import as_level
from ai_dev_squad.guard import report
from ai_dev_squad.schema import EventType, JournalLine

if TYPE_CHECKING:
    from ai_dev_squad.events.logger import EventLogger

__all__ = ["JournalHandler"]

_OURS = "ai_dev_squad"
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_OTEL_FIELDS = {"otelTraceID", "otelSpanID", "otelServiceName", "otelTraceSampled"}
_MAX_STACK_CHARS = 8_192
_busy = threading.local()


class JournalHandler(logging.Handler):
    """Carries log records into the journal: ``logging.getLogger().addHandler(JournalHandler())``.

    A record of level ERROR or above becomes a ``system.error``, any other a ``custom.event``. Metadata names the logger,
    the place, the thread, and what was passed as ``extra``; an exception fills ``error`` and ``metadata["stack"]``.
    Records of our own logger are left alone, as they may tell of a journal that fails. Without ``logger`` the records go
    to whatever ``get_logger()`` gives at that moment.
    """

    def __init__(self, logger: EventLogger | None = None, level: int | str = logging.NOTSET) -> None:
        super().__init__(level)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record. Never raises, and ignores what is logged while a record is being written."""
        if record.name == _OURS or record.name.startswith(f"{_OURS}.") or getattr(_busy, "now", False):
            return
        _busy.now = True
        try:
            logger = self._logger or _configured_logger()
            logger.log_line(_line_of(record, logger))
        except Exception as error:  # noqa: BLE001 - logging must go on
            report("carrying a log record into the journal", error)
        finally:
            _busy.now = False

    def flush(self) -> None:
        """Nothing to do: the journal writes on its own, and ``logging`` calls this at every turn."""


def _configured_logger() -> EventLogger:
    return state.pipeline().logger


def _line_of(record: logging.LogRecord, logger: EventLogger) -> JournalLine:
    level = as_level(max(record.levelno, 0))
    error = record.exc_info[1] if record.exc_info else None
    is_error = record.levelno >= logging.ERROR
    return JournalLine(
        timestamp=datetime.fromtimestamp(record.created, timezone.utc),
        level=level.name,  # type: ignore[arg-type]
        event_type=(EventType.SYSTEM_ERROR if is_error else EventType.CUSTOM_EVENT).value,
        message=_message(record),
        name=record.name,
        trace_id=_otel_id(record, "otelTraceID"),
        span_id=_otel_id(record, "otelSpanID"),
        error=None if error is None else logger.error_info(error),
        metadata=_metadata(record),
    )


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - arguments that don't fit their format are common, and the text still says a lot
        return f"{record.msg!s} (its arguments don't fit)"


def _otel_id(record: logging.LogRecord, field: str) -> str | None:
    """The id that OpenTelemetry's logging instrumentation put on the record, in the thread that logged it."""
    value = vars(record).get(field)
    return value if isinstance(value, str) and value.strip("0") else None


def _metadata(record: logging.LogRecord) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "logger": record.name,
        "file": f"{record.filename}:{record.lineno}",
        "function": record.funcName,
        "thread": record.threadName,
    }
    extra = {key: value for key, value in vars(record).items() if key not in _STANDARD and key not in _OTEL_FIELDS}
    if extra:
        metadata["extra"] = extra
    stack = _stack(record)
    if stack:
        metadata["stack"] = stack
    return metadata


def _stack(record: logging.LogRecord) -> str | None:
    text = record.exc_text or record.stack_info
    if record.exc_info and not record.exc_text:
        formatter: Callable[[Any], str] = logging.Formatter().formatException
        text = formatter(record.exc_info)
    # The end of a stack is where it happened.
    return text if text is None or len(text) <= _MAX_STACK_CHARS else f"...{text[-_MAX_STACK_CHARS:]}"

"""Events of OpenTelemetry's GenAI conventions, told as log records on the operation that they are about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider

__all__ = ["emit_event"]


def emit_event(
    name: str,
    attributes: Mapping[str, Any],
    of: tuple[str, str | None],
    *,
    scope: str,
    time_ns: int,
    severity: Literal["DEBUG", "INFO"] = "INFO",
) -> bool:
    """Send an event to the logger provider that the application has made global. False where it has none: it exports no logs.

    ``of`` are the ids of the trace and of the operation that the event is about; without the second it is about the
    trace, whatever is current here.
    """
    provider = _application_logs()
    if provider is None:
        return False
    from opentelemetry._logs import LogRecord, SeverityNumber

    above = SpanContext(int(of[0], 16), int(of[1] or "0", 16), is_remote=False, trace_flags=TraceFlags(1))
    record = LogRecord(
        timestamp=time_ns,
        observed_timestamp=time_ns,
        context=set_span_in_context(NonRecordingSpan(above), Context()),
        severity_text=severity,
        severity_number=SeverityNumber[severity],
        attributes=dict(attributes),
        event_name=name,
    )
    provider.get_logger(scope).emit(record)
    return True


def _application_logs() -> LoggerProvider | None:
    from opentelemetry._logs import get_logger_provider

    provider = get_logger_provider()
    # Without one, the interface hands out stand-ins of its own, which go by no public name.
    return None if type(provider).__module__.startswith("opentelemetry._logs") else provider

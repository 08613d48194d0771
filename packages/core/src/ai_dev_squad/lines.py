"""An operation's journal lines: what opens it, what happens on the way, what closes it."""

from __future__ import annotations

from datetime import timezone
from typing import TYPE_CHECKING, Any

from ai_dev_squad import attributes as keys
from ai_dev_squad import clock
from ai_dev_squad.context import task_label_var
from ai_dev_squad.kinds import REMOTE_AGENT
from ai_dev_squad.schema import ErrorInfo, EventType, JournalLine

if TYPE_CHECKING:
    from ai_dev_squad.operations import Operation

__all__ = ["known_at_the_start", "write_closing", "write_event", "write_opening"]

_UTC = timezone.utc

_FAILED = frozenset({"error", "cancelled", "abandoned"})
_LEVELS = {"error": "ERROR", "cancelled": "WARNING", "abandoned": "WARNING"}


def known_at_the_start(
    operation: Operation, attributes: dict[str, Any] | None, task: str | None, *, is_local_root: bool
) -> dict[str, Any] | None:
    """Add what a journal line has no field for, because the span must be rebuilt from the line.

    ``is_local_root``: its parent is a span of the application, which no journal will ever tell of.
    """
    more = {} if attributes is None else attributes
    if operation.request is not None:
        more[keys.PROVIDER_NAME] = operation.request.provider
    if operation.attempt is not None:
        more[keys.ATTEMPT] = operation.attempt
    if operation.user_id is not None:
        more[keys.USER_ID] = operation.user_id
    if operation.kind is REMOTE_AGENT:
        more[keys.REMOTE] = True
    if is_local_root:
        more[keys.LOCAL_ROOT] = True
    label = task_label_var.get() if task is None and operation.parent is None else task
    if label is not None:
        more[keys.TASK_LABEL] = operation.pipeline.redactor.text(label)
    return more or attributes


def write_opening(operation: Operation) -> None:
    """Write the line that says that the operation began."""
    kind = operation.kind
    line = _line(operation, "INFO", kind.opening, f"{kind.operation} {operation.name}", operation.started_with)
    line.links = operation.links
    operation.pipeline.logger.emit(line)


def write_event(
    operation: Operation,
    event_type: EventType,
    message: str,
    metadata: dict[str, Any] | None = None,
    level: str = "INFO",
) -> None:
    """Write a line that belongs to the operation and doesn't end it."""
    operation.pipeline.logger.emit(_line(operation, level, event_type, message, metadata))


def write_closing(operation: Operation, error: ErrorInfo | None) -> None:
    """Write the line that says how the operation ended: all that its span has, so that one can be made of the other."""
    kind, status = operation.kind, operation.status
    assert status is not None
    line = _line(
        operation,
        _LEVELS.get(status, "INFO"),
        kind.failing if status in _FAILED else kind.closing,
        f"{kind.operation} {operation.name}: {status}",
        operation.attributes,
    )
    line.status, line.duration_ms, line.error, line.links = status, operation.duration_ns / 1e6, error, operation.links
    line.usage, line.cost = operation.usage, operation.cost
    operation.pipeline.logger.emit(line)


def _line(
    operation: Operation, level: Any, event_type: EventType, message: str, metadata: dict[str, Any] | None
) -> JournalLine:
    return JournalLine(
        timestamp=clock.now(_UTC),
        level=level,
        event_type=event_type,
        message=message,
        session_id=operation.session_id,
        correlation_id=operation.correlation_id,
        agent_id=operation.agent_id,
        framework=operation.framework,
        name=operation.name,
        operation=operation.kind.operation,
        trace_id=operation.trace_id,
        span_id=operation.span_id,
        parent_span_id=operation.parent_span_id,
        metadata=metadata,
    )

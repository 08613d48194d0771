"""An operation's journal lines: what opens it, what happens on the way, what closes it."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ai_dev_squad import attributes as keys
from ai_dev_squad import clock
from ai_dev_squad.context import task_label_var
from ai_dev_squad.events.pending import PendingLine
from ai_dev_squad.kinds import REMOTE_AGENT
from ai_dev_squad.schema import Cost, ErrorInfo, EventType, JournalLine, Link, Usage

if TYPE_CHECKING:
    from ai_dev_squad.operations import Operation

__all__ = ["known_at_the_start", "together", "write_closing", "write_event", "write_opening"]

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


def together(started_with: dict[str, Any] | None, ended_with: dict[str, Any] | None) -> dict[str, Any] | None:
    """What was known at the start, and what was learnt on the way; the latter counts where both say something."""
    return {**started_with, **ended_with} if started_with and ended_with else ended_with or started_with


class _Opening(PendingLine, gc=False):
    operation: Operation
    timestamp: datetime
    name: str
    links: list[Link] | None

    def line(self) -> JournalLine:
        operation, kind = self.operation, self.operation.kind
        message = f"{kind.operation} {self.name}"
        line = _line(operation, self.timestamp, "INFO", kind.opening, message, operation.started_with)
        line.name, line.links = self.name, self.links
        return line


class _Closing(PendingLine, gc=False):
    operation: Operation
    timestamp: datetime
    error: ErrorInfo | None
    ended_with: dict[str, Any] | None
    usage: Usage | None
    cost: Cost | None

    def line(self) -> JournalLine:
        operation, kind, status = self.operation, self.operation.kind, self.operation.status
        assert status is not None
        line = _line(
            operation,
            self.timestamp,
            _LEVELS.get(status, "INFO"),
            kind.failing if status in _FAILED else kind.closing,
            f"{kind.operation} {operation.name}: {status}",
            together(operation.started_with, self.ended_with),
        )
        line.status, line.duration_ms, line.error = status, operation.duration_ns / 1e6, self.error
        line.links, line.usage, line.cost = operation.links, self.usage, self.cost
        return line


def write_opening(operation: Operation) -> None:
    """Write the line that says that the operation began."""
    operation.pipeline.logger.emit_later(_Opening(operation, clock.now(_UTC), operation.name, operation.links))


def write_event(
    operation: Operation,
    event_type: EventType,
    message: str,
    metadata: dict[str, Any] | None = None,
    level: str = "INFO",
) -> None:
    """Write a line that belongs to the operation and doesn't end it."""
    line = _line(operation, clock.now(_UTC), level, event_type, message, metadata)
    operation.pipeline.logger.emit(line)


def write_closing(operation: Operation, error: ErrorInfo | None) -> None:
    """Write the line that says how the operation ended: all that its span has, so that one can be made of the other."""
    closing = _Closing(operation, clock.now(_UTC), error, operation.ended_with, operation.usage, operation.cost)
    operation.pipeline.logger.emit_later(closing)


def _line(
    operation: Operation,
    timestamp: datetime,
    level: Any,
    event_type: EventType,
    message: str,
    metadata: dict[str, Any] | None,
) -> JournalLine:
    return JournalLine(
        timestamp=timestamp,
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

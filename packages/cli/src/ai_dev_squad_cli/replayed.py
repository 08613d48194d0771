"""The span that a journal's line was written beside: the same name, ids, times, attributes, links and status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from ai_dev_squad import attributes as keys
from ai_dev_squad.kinds import KINDS
from ai_dev_squad.runs import duration_of
from ai_dev_squad.spans import cost_attributes, flat, usage_attributes

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

    from ai_dev_squad.schema import JournalLine

__all__ = ["span_of"]

_SCOPE: Final = InstrumentationScope("ai_dev_squad")
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)


def span_of(line: JournalLine, resource: Resource) -> ReadableSpan | None:
    """The span of a line that closes an operation; ``None`` for every other line, and for ids that no span can have."""
    if line.status is None or line.operation is None:
        return None
    context = _context(line.trace_id, line.span_id)
    if context is None:
        return None
    kind = KINDS.get(line.operation)
    ended_ns = round(line.timestamp.timestamp() * 1e6) * 1000
    failed = line.error is not None
    return ReadableSpan(
        name=f"{line.operation} {line.name or line.operation}",
        context=context,
        parent=_context(line.trace_id, line.parent_span_id),
        resource=resource,
        attributes=_attributes(line),
        events=_events(line, ended_ns),
        links=[
            Link(found, None if link.type is None else {keys.LINK_TYPE: link.type})
            for link in line.links or ()
            if (found := _context(link.trace_id, link.span_id)) is not None
        ],
        kind=SpanKind.INTERNAL if kind is None else kind.span_kind,
        instrumentation_scope=_SCOPE,
        status=Status(StatusCode.ERROR, (line.error.message or line.error.type) if line.error else None)
        if failed
        else Status(),
        start_time=ended_ns - round(duration_of(line) * 1e6),
        end_time=ended_ns,
    )


def _context(trace_id: str | None, span_id: str | None) -> SpanContext | None:
    try:
        context = SpanContext(int(trace_id or "", 16), int(span_id or "", 16), is_remote=False, trace_flags=_SAMPLED)
    except ValueError:
        return None
    return context if context.is_valid else None


def _attributes(line: JournalLine) -> dict[str, Any]:
    kind = KINDS.get(line.operation or "")
    metadata = line.metadata or {}
    attributes: dict[str, Any] = {
        keys.OPERATION_NAME: line.operation,
        keys.FRAMEWORK: line.framework,
        keys.AGENT_FRAMEWORK: line.framework,
        keys.AGENT_ID: line.agent_id,
        keys.SESSION_ID: line.session_id,
        keys.CORRELATION_ID: line.correlation_id,
        keys.ERROR_TYPE: None if line.error is None else line.error.type,
        keys.OPERATION_STATUS: None if line.status == "ok" else line.status,
    }
    if kind is not None:
        attributes[kind.name_key] = line.name
        if kind.is_model_call:
            attributes[keys.LLM_PROVIDER], attributes[keys.LLM_MODEL] = metadata.get(keys.PROVIDER_NAME), line.name
    found = flat({**attributes, **metadata})
    if line.usage is not None:
        found.update(usage_attributes(line.usage))
    if line.cost is not None:
        found.update(cost_attributes(line.cost))
    return found


def _events(line: JournalLine, ended_ns: int) -> list[Event]:
    if line.error is None or line.error.stacktrace is None:
        return []
    facts = {
        "exception.type": line.error.type,
        "exception.message": line.error.message,
        "exception.stacktrace": line.error.stacktrace,
    }
    return [Event("exception", facts, ended_ns)]

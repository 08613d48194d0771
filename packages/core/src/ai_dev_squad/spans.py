"""An operation's span: what it's called, which attributes it carries, how it ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import StatusCode

from ai_dev_squad import attributes as keys
from ai_dev_squad import clock
from ai_dev_squad.context import Scope, span_in
from ai_dev_squad.guard import report
from ai_dev_squad.schema import Cost, ErrorInfo, Link, Usage
from ai_dev_squad.tracing.identity import generate_span_id, generate_trace_id, root_identity, start_identity

if TYPE_CHECKING:
    from ai_dev_squad.operations import Operation
    from ai_dev_squad.tracing import TraceManager

__all__ = [
    "add_event",
    "add_link",
    "carrier",
    "cost_attributes",
    "end",
    "flat",
    "is_of_application",
    "open_span",
    "usage_attributes",
]


_USAGE_KEYS = {
    "input_tokens": keys.USAGE_INPUT_TOKENS,
    "output_tokens": keys.USAGE_OUTPUT_TOKENS,
    "cache_read_input_tokens": keys.USAGE_CACHE_READ_INPUT_TOKENS,
    "cache_read_audio_input_tokens": keys.USAGE_CACHE_READ_AUDIO_INPUT_TOKENS,
    "cache_write_input_tokens": keys.USAGE_CACHE_WRITE_INPUT_TOKENS,
    "cache_write_1h_input_tokens": keys.USAGE_CACHE_WRITE_1H_INPUT_TOKENS,
    "reasoning_output_tokens": keys.USAGE_REASONING_OUTPUT_TOKENS,
    "audio_input_tokens": keys.USAGE_AUDIO_INPUT_TOKENS,
    "audio_output_tokens": keys.USAGE_AUDIO_OUTPUT_TOKENS,
    "image_input_tokens": keys.USAGE_IMAGE_INPUT_TOKENS,
    "image_output_tokens": keys.USAGE_IMAGE_OUTPUT_TOKENS,
    "web_searches": keys.USAGE_WEB_SEARCHES,
    "file_searches": keys.USAGE_FILE_SEARCHES,
    "audio_input_seconds": keys.USAGE_AUDIO_INPUT_SECONDS,
    "source": keys.USAGE_SOURCE,
}
_COST_KEYS = {
    "usd": keys.COST_USD,
    "price": keys.COST_PRICE,
    "price_date": keys.COST_PRICE_DATE,
    "price_source": keys.COST_PRICE_SOURCE,
}


def open_span(operation: Operation, tracing: TraceManager, context: Context, started_at_ns: int | None) -> None:
    """Give the operation its ids and, when somebody receives spans, its span. One that has a span already takes its ids."""
    above = span_in(context)
    if operation.recorded_span is not None:
        _take_ids(operation, operation.recorded_span, above)
        return
    if not tracing.recording:
        # Ids are all it takes. They are at hand as text where the parent is one of ours, and new ones at a root.
        parent = None
        if type(above) is Scope:
            parent = above.operation_in_charge() if above.healed else above.operation
        if parent is not None:
            operation.above = parent
            operation.trace_id, operation.parent_span_id = parent.trace_id, parent.span_id
        elif above is trace.INVALID_SPAN:
            operation.trace_id = f"{generate_trace_id():032x}"
        if parent is not None or above is trace.INVALID_SPAN:
            operation.span_id = f"{generate_span_id():016x}"
            return
    operation.started_wall_ns = started_at_ns or clock.wall_ns()
    try:
        span = tracing.start_operation_span(
            f"{operation.kind.operation} {operation.name}",
            context=context,
            kind=operation.kind.span_kind,
            attributes=_start_attributes(operation) if tracing.recording else None,
            start_time=operation.started_wall_ns,
            links=[_link(link) for link in operation.links or ()],
        )
    except Exception as error:  # noqa: BLE001 - a sampler or processor of the application's own
        report("starting a span", error)
        span = start_identity(operation.name, context)
    operation.recorded_span = span
    _take_ids(operation, span, above)


def is_of_application(above: trace.Span) -> bool:
    """Whether this current span is one that the application made in this process, rather than one of ours or of a caller elsewhere."""
    if above is trace.INVALID_SPAN or (type(above) is Scope and above.operation_in_charge() is not None):
        return False
    known = above.get_span_context()
    return known.is_valid and not known.is_remote


def _take_ids(operation: Operation, span: trace.Span, above: trace.Span) -> None:
    own = span.get_span_context()
    operation.trace_id = format(own.trace_id, "032x")
    operation.span_id = format(own.span_id, "016x")
    if parent_id := above.get_span_context().span_id:
        operation.parent_span_id = format(parent_id, "016x")


def carrier(operation: Operation) -> trace.Span:
    """A span that nobody receives: it hands the ids on to the user's own spans and to outgoing HTTP headers."""
    above, span_id = operation.above, int(operation.span_id, 16)
    if above is None:
        return root_identity(int(operation.trace_id, 16), span_id)
    inherited = above.span.get_span_context()
    ids = (inherited.trace_id, span_id)
    return trace.NonRecordingSpan(trace.SpanContext(*ids, False, inherited.trace_flags, inherited.trace_state))


def end(operation: Operation, error: ErrorInfo | None) -> None:
    """Write what is known only now, and end the span."""
    span = operation.span
    ended_at_ns = operation.started_wall_ns + operation.duration_ns
    try:
        if span.is_recording():
            _describe_end(operation, span, error, ended_at_ns)
    finally:
        span.end(ended_at_ns)


def _describe_end(operation: Operation, span: trace.Span, error: ErrorInfo | None, ended_at_ns: int) -> None:
    attributes: dict[str, Any] = {} if operation.ended_with is None else flat(operation.ended_with)
    if operation.status != "ok":
        attributes[keys.OPERATION_STATUS] = operation.status
    if operation.usage is not None:
        attributes.update(usage_attributes(operation.usage))
    if operation.cost is not None:
        attributes.update(cost_attributes(operation.cost))
    if error is not None:
        attributes[keys.ERROR_TYPE] = error.type
        # Success stays unset, as the conventions ask; only errors have a status.
        span.set_status(StatusCode.ERROR, error.message or error.type)
        if error.stacktrace is not None:
            span.add_event("exception", _exception_attributes(error), ended_at_ns)
    if attributes:
        getattr(span, "describe", span.set_attributes)(attributes)


def add_event(operation: Operation, name: str, attributes: Mapping[str, Any] | None) -> None:
    """Add a span event when somebody receives the span."""
    span = operation.recorded_span
    if span is not None and span.is_recording():
        span.add_event(name, None if attributes is None else flat(attributes), clock.wall_ns())


def add_link(operation: Operation, link: Link) -> None:
    """Add a link when somebody receives the span."""
    span = operation.recorded_span
    if span is not None and span.is_recording():
        converted = _link(link)
        span.add_link(converted.context, converted.attributes)


def usage_attributes(usage: Usage) -> dict[str, Any]:
    """``gen_ai.usage.*`` of the counts that are known."""
    return _named(usage, _USAGE_KEYS)


def cost_attributes(cost: Cost) -> dict[str, Any]:
    """``ai_dev_squad.cost.*`` of what is known."""
    return _named(cost, _COST_KEYS)


def _named(source: Usage | Cost, names: Mapping[str, str]) -> dict[str, Any]:
    return {key: value for field, key in names.items() if (value := getattr(source, field)) is not None}


def _exception_attributes(error: ErrorInfo) -> dict[str, Any]:
    return {
        "exception.type": error.type,
        "exception.message": error.message,
        "exception.stacktrace": error.stacktrace,
    }


def _start_attributes(operation: Operation) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        keys.OPERATION_NAME: operation.kind.operation,
        operation.kind.name_key: operation.name,
        keys.FRAMEWORK: operation.framework,
        keys.AGENT_FRAMEWORK: operation.framework,
    }
    if operation.agent_id is not None:
        attributes[keys.AGENT_ID] = operation.agent_id
    if operation.session_id is not None:
        attributes[keys.SESSION_ID] = operation.session_id
    if operation.correlation_id is not None:
        attributes[keys.CORRELATION_ID] = operation.correlation_id
    request = operation.request
    if request is not None:
        attributes[keys.LLM_PROVIDER], attributes[keys.LLM_MODEL] = request.provider, request.model
    if operation.started_with:
        attributes.update(flat(operation.started_with))
    return attributes


def flat(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as every exporter takes them: structures become JSON text, ``None`` is left out."""
    return {key: _flat_value(value) for key, value in attributes.items() if value is not None}


def _flat_value(value: Any) -> Any:
    if isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        return tuple(value)  # an exporter may read it long after its owner changed it
    return msgspec.json.encode(value).decode()


def _link(link: Link) -> trace.Link:
    context = trace.SpanContext(int(link.trace_id, 16), int(link.span_id, 16), is_remote=True)
    return trace.Link(context, None if link.type is None else {keys.LINK_TYPE: link.type})

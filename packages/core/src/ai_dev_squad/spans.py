"""An operation's span: what it's called, which attributes it carries, how it ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import StatusCode

from ai_dev_squad import attributes as keys
from ai_dev_squad.schema import Cost, ErrorInfo, Link, Usage

if TYPE_CHECKING:
    from ai_dev_squad.operations import Operation
    from ai_dev_squad.runtime import Pipeline

__all__ = ["add_event", "cost_attributes", "end", "open_span", "usage_attributes"]

_USAGE_KEYS = {
    "input_tokens": keys.USAGE_INPUT_TOKENS,
    "output_tokens": keys.USAGE_OUTPUT_TOKENS,
    "cache_read_input_tokens": keys.USAGE_CACHE_READ_INPUT_TOKENS,
    "cache_write_input_tokens": keys.USAGE_CACHE_WRITE_INPUT_TOKENS,
    "reasoning_output_tokens": keys.USAGE_REASONING_OUTPUT_TOKENS,
    "audio_input_tokens": keys.USAGE_AUDIO_INPUT_TOKENS,
    "audio_output_tokens": keys.USAGE_AUDIO_OUTPUT_TOKENS,
    "source": keys.USAGE_SOURCE,
}
_COST_KEYS = {
    "usd": keys.COST_USD,
    "price": keys.COST_PRICE,
    "price_date": keys.COST_PRICE_DATE,
    "price_source": keys.COST_PRICE_SOURCE,
}


def open_span(operation: Operation, pipeline: Pipeline, context: Context) -> None:
    """Start the operation's span under the span of ``context`` and note its ids."""
    tracing = pipeline.tracing
    parent = trace.get_current_span(context).get_span_context()
    span = tracing.start_span(
        f"{operation.kind.operation} {operation.name}",
        context=context,
        kind=operation.kind.span_kind,
        attributes=_start_attributes(operation) if tracing.recording else None,
        start_time=operation._started_wall_ns,
        links=_links(operation.links) if operation.links else (),
    )
    own = span.get_span_context()
    operation.span = span
    operation.trace_id = format(own.trace_id, "032x")
    operation.span_id = format(own.span_id, "016x")
    operation.parent_span_id = format(parent.span_id, "016x") if parent.span_id else None


def end(operation: Operation, error: ErrorInfo | None, ended_with: Mapping[str, Any] | None, end_time_ns: int) -> None:
    """Write what is known only now, and end the span."""
    span = operation.span
    if span.is_recording():
        attributes: dict[str, Any] = {} if ended_with is None else flat(ended_with)
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
        if attributes:
            span.set_attributes(attributes)
    span.end(end_time_ns)


def add_event(span: trace.Span, name: str, attributes: Mapping[str, Any] | None) -> None:
    """Add a span event when somebody receives the span."""
    if span.is_recording():
        span.add_event(name, None if attributes is None else flat(attributes))


def usage_attributes(usage: Usage) -> dict[str, Any]:
    """``gen_ai.usage.*`` of the counts that are known."""
    return _named(usage, _USAGE_KEYS)


def cost_attributes(cost: Cost) -> dict[str, Any]:
    """``ai_dev_squad.cost.*`` of what is known."""
    return _named(cost, _COST_KEYS)


def _named(source: Usage | Cost, names: Mapping[str, str]) -> dict[str, Any]:
    return {key: value for field, key in names.items() if (value := getattr(source, field)) is not None}


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
    if operation.user_id is not None:
        attributes[keys.USER_ID] = operation.user_id
    if operation.attempt is not None:
        attributes[keys.ATTEMPT] = operation.attempt
    request = operation.request
    if request is not None:
        attributes[keys.PROVIDER_NAME] = attributes[keys.LLM_PROVIDER] = request.provider
        attributes[keys.LLM_MODEL] = request.model
    if operation._start_attributes:
        attributes.update(flat(operation._start_attributes))
    return attributes


def flat(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as every exporter takes them: structures become JSON text, ``None`` is left out."""
    return {key: _flat_value(value) for key, value in attributes.items() if value is not None}


def _flat_value(value: Any) -> Any:
    if isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        return value
    return msgspec.json.encode(value).decode()


def _links(links: list[Link]) -> list[trace.Link]:
    return [
        trace.Link(
            trace.SpanContext(int(link.trace_id, 16), int(link.span_id, 16), is_remote=True),
            None if link.type is None else {keys.LINK_TYPE: link.type},
        )
        for link in links
    ]

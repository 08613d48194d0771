"""One operation: what went in and out, what it used and cost, what went wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ai_dev_squad import attributes as keys
from ai_dev_squad.runs import MODEL_OPERATIONS
from ai_dev_squad_dashboard.page import NotFoundError, Page, Site
from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.store.base import Selection
from ai_dev_squad_dashboard.store.rows import LogRow, OpenRow, SpanRow
from ai_dev_squad_dashboard.views.conversation import Conversation, read_conversation
from ai_dev_squad_dashboard.views.texts import Budget, Text, pretty

__all__ = ["PAGE", "SpanLine", "SpanLink", "SpanView", "Usage", "build", "read_details", "span_view"]

MAX_ATTRIBUTES = 200
MAX_LINES = 200
WITH_CONTENT = MODEL_OPERATIONS | {"execute_tool", "retrieval"}


@dataclass(frozen=True)
class Usage:
    """What a model call used and cost. ``None`` is unknown; money is USD."""

    source: str
    """``provider``, ``estimated`` or ``missing``."""
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    cost_usd: float | None
    cost_reason: str | None
    """Why the cost is unknown."""
    price: str | None
    price_date: str | None
    price_source: str | None
    cache_saving_usd: float | None
    tokens_per_s: float | None
    """Output tokens in a second, from the first chunk on where the answer was streamed."""


@dataclass(frozen=True)
class Field:
    """An attribute and its value."""

    key: str
    value: Text


@dataclass(frozen=True)
class SpanEvent:
    """Something that happened while the operation ran."""

    name: str
    time_us: int | None
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class SpanLink:
    """Another operation that this one refers to, or that refers to this one."""

    trace_id: str
    span_id: str
    type: str
    """Such as ``resumes`` or ``resumed by``."""
    name: str | None
    """``None`` where the other operation has not arrived."""


@dataclass(frozen=True)
class SpanLine:
    """A journal line of the operation."""

    time_us: int
    level: str
    event_type: str
    message: str
    details: Text | None


@dataclass(frozen=True)
class SpanView:
    """One operation, with everything that is known of it."""

    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    operation: str
    status: str
    framework: str | None
    service: str | None
    session_id: str | None
    agent: str | None
    tool: str | None
    provider: str | None
    model: str | None
    start_us: int
    duration_us: int
    first_chunk_us: int | None
    attempt: int | None
    """1 for a first try, 2 for its first repetition, where the sender says so."""
    error_type: str | None
    error_message: Text | None
    stacktrace: Text | None
    usage: Usage | None
    """Only of model calls."""
    conversation: Conversation | None
    """Only of model calls whose content was captured."""
    input: Text | None
    """Arguments, or whatever else went in, where it is no conversation."""
    output: Text | None
    wants_content: bool
    """True for an operation that has content which was not captured."""
    attributes: tuple[Field, ...]
    resource: tuple[Field, ...]
    events: tuple[SpanEvent, ...]
    links: tuple[SpanLink, ...]
    lines: tuple[SpanLine, ...]
    source: str
    instrumentation: str | None
    ingested_us: int


def build(site: Site, _: Query, trace_id: str, span_id: str) -> SpanView:
    """The operation, finished or running."""
    view = span_view(site, trace_id, span_id)
    if view is None:
        raise NotFoundError(
            f"span {span_id} of trace {trace_id} is not in the store; look for its trace in the list of traces"
        )
    return view


def span_view(site: Site, trace_id: str, span_id: str) -> SpanView | None:
    """The operation, or ``None`` where it has neither finished nor begun."""
    found = site.store.span(trace_id, span_id)
    if found is not None:
        return _finished(site, *found)
    # Only what runs is wanted of the trace; its lines come with their own limit.
    trace = site.store.trace(trace_id, limit=1)
    opened = next((row for row in trace.running if row.span_id == span_id), None) if trace else None
    if opened is not None:
        day_us = 86_400_000_000
        around = Selection(opened.start_us - day_us, opened.start_us + 30 * day_us)
        lines = site.store.logs(around, trace_id=trace_id, limit=500).rows
        return _running(opened, [line for line in reversed(lines) if line.span_id == span_id])
    return None


def read_details(span: SpanRow) -> Mapping[str, Any]:
    """A span's details. Empty where there are none or they are no JSON object."""
    if span.details is None:
        return {}
    try:
        details = msgspec.json.decode(span.details)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}
    return details if isinstance(details, dict) else {}


def _finished(site: Site, span: SpanRow, logs: Sequence[LogRow]) -> SpanView:
    details = read_details(span)
    attributes = details.get("attributes")
    attributes = attributes if isinstance(attributes, dict) else {}
    conversation, given, returned = _content(span, details)
    attempt = attributes.get(keys.ATTEMPT)
    stack = details.get("stacktrace") or _exception(details, "exception.stacktrace")
    return SpanView(
        **{name: getattr(span, name) for name in _SAME},
        attempt=attempt if isinstance(attempt, int) else None,
        error_message=None if span.error_message is None else Budget().clip(span.error_message),
        stacktrace=Budget().clip(stack) if isinstance(stack, str) and stack else None,
        usage=_usage(span),
        conversation=conversation,
        input=given,
        output=returned,
        wants_content=span.operation in WITH_CONTENT and not conversation and given is None and returned is None,
        attributes=_fields(attributes),
        resource=_fields(details.get("resource")),
        events=_events(details.get("events")),
        links=_links(site, details.get("links")),
        lines=_lines(logs),
    )


_SAME = (
    "trace_id",
    "span_id",
    "parent_span_id",
    "name",
    "operation",
    "status",
    "framework",
    "service",
    "session_id",
    "agent",
    "tool",
    "provider",
    "model",
    "start_us",
    "duration_us",
    "first_chunk_us",
    "error_type",
    "source",
    "instrumentation",
    "ingested_us",
)


def _running(opened: OpenRow, logs: Sequence[LogRow]) -> SpanView:
    return SpanView(
        trace_id=opened.trace_id,
        span_id=opened.span_id,
        parent_span_id=opened.parent_span_id,
        name=opened.name,
        operation=opened.operation,
        status="running",
        framework=opened.framework,
        service=None,
        session_id=opened.session_id,
        agent=opened.agent,
        tool=None,
        provider=None,
        model=None,
        start_us=opened.start_us,
        duration_us=0,
        first_chunk_us=None,
        attempt=None,
        error_type=None,
        error_message=None,
        stacktrace=None,
        usage=None,
        conversation=None,
        input=None,
        output=None,
        wants_content=False,
        attributes=(),
        resource=(),
        events=(),
        links=(),
        lines=_lines(logs),
        source="journal",
        instrumentation=None,
        ingested_us=0,
    )


def _usage(span: SpanRow) -> Usage | None:
    if span.usage_source is None:
        return None
    answering_us = span.duration_us - (span.first_chunk_us or 0)
    speed = span.output_tokens / answering_us * 1_000_000 if span.output_tokens and answering_us > 0 else None
    return Usage(
        source=span.usage_source,
        input_tokens=span.input_tokens,
        output_tokens=span.output_tokens,
        cache_read_tokens=span.cache_read_tokens,
        cache_write_tokens=span.cache_write_tokens,
        reasoning_tokens=span.reasoning_tokens,
        cost_usd=span.cost_usd,
        cost_reason=span.cost_reason,
        price=span.price,
        price_date=span.price_date,
        price_source=span.price_source,
        cache_saving_usd=span.cache_saving_usd,
        tokens_per_s=speed,
    )


def _content(span: SpanRow, details: Mapping[str, Any]) -> tuple[Conversation | None, Text | None, Text | None]:
    """What went in and out: a conversation of a model call, otherwise two values."""
    if span.usage_source is not None:
        return read_conversation(details) or None, None, None
    given, returned = details.get("input"), details.get("output")
    return (
        None,
        None if given is None else pretty(given),
        None if returned is None else pretty(returned),
    )


def _exception(details: Mapping[str, Any], key: str) -> Any:
    """What an OpenTelemetry exception event says of the error."""
    events = details.get("events")
    for event in events if isinstance(events, list) else ():
        attributes = event.get("attributes") if isinstance(event, dict) else None
        if isinstance(attributes, dict) and key in attributes:
            return attributes[key]
    return None


def _fields(values: Any) -> tuple[Field, ...]:
    budget = Budget(total=100_000, least=200)
    pairs = sorted(values.items())[:MAX_ATTRIBUTES] if isinstance(values, dict) else ()
    return tuple(Field(key[:300], budget.pretty(value)) for key, value in pairs)


def _events(events: Any) -> tuple[SpanEvent, ...]:
    return tuple(
        SpanEvent(
            str(event.get("name", ""))[:300],
            event["time_us"] if isinstance(event.get("time_us"), int) else None,
            _fields(event.get("attributes")),
        )
        for event in (events if isinstance(events, list) else [])[:MAX_LINES]
        if isinstance(event, dict)
    )


def _links(site: Site, links: Any) -> tuple[SpanLink, ...]:
    result = []
    for link in (links if isinstance(links, list) else [])[:20]:
        if not isinstance(link, dict):
            continue
        trace_id, span_id = str(link.get("trace_id", "")), str(link.get("span_id", ""))
        if not re.fullmatch("[0-9a-f]{32}", trace_id) or not re.fullmatch("[0-9a-f]{16}", span_id):
            continue
        other = site.store.span(trace_id, span_id)
        result.append(SpanLink(trace_id, span_id, str(link.get("type") or "link")[:100], other and other[0].name))
    return tuple(result)


def _lines(logs: Sequence[LogRow]) -> tuple[SpanLine, ...]:
    budget = Budget(total=200_000)
    return tuple(
        SpanLine(
            line.time_us,
            line.level,
            line.event_type,
            budget.clip(line.message).text,
            None if line.details is None else budget.pretty(line.details.decode("utf-8", "replace")),
        )
        for line in logs[:MAX_LINES]
    )


PAGE = Page(
    "span", "/traces/<trace_id>/spans/<span_id>", "/api/traces/<trace_id>/spans/<span_id>", "Span", build, SpanView
)

"""Spans of operations, where nobody but our own exporters receives them.

The SDK's span checks and copies every attribute, locks at every change, and asks its provider for what never changes.
An operation's attributes are made by us, of plain values, redacted already, and written by one thread at a time; leaving
that work out makes a span several times cheaper. To whoever looks, it is a ``ReadableSpan``. What the user's program
adds to it takes the SDK's way, with its checks and limits, and is redacted when it leaves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.sampling import DEFAULT_ON, Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    get_current_span,
)

from ai_dev_squad.genai.errors import error_text, error_type, stack_trace
from ai_dev_squad.tracing.identity import generate_span_id, generate_trace_id

__all__ = ["OwnSpan", "OwnSpans"]

_LIMIT = 128  # the SDK's default number of attributes
_SAMPLED, _DROPPED = TraceFlags(TraceFlags.SAMPLED), TraceFlags(TraceFlags.DEFAULT)


class OwnSpans:
    """Starts the spans of operations below a provider of ours and hands the ended ones to its processors."""

    def __init__(self, provider: TracerProvider, processors: Sequence[Any], name: str, version: str) -> None:
        self.resource, self.processors = provider.resource, tuple(processors)
        self.scope = InstrumentationScope(name, version)
        self._sampler = provider.sampler

    def start(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Any = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Span:
        """A span below that of ``context``, or one that only carries ids if the sampler drops it."""
        parent: SpanContext | None = get_current_span(context).get_span_context()
        assert parent is not None
        if parent.trace_id:
            trace_id, flags, state = parent.trace_id, parent.trace_flags, parent.trace_state
        else:
            trace_id, flags, state, parent = generate_trace_id(), _SAMPLED, None, None
        if self._sampler is not DEFAULT_ON:
            chosen = self._sampler.should_sample(context, trace_id, name, kind, attributes, links)
            state = chosen.trace_state
            flags = _SAMPLED if chosen.decision is Decision.RECORD_AND_SAMPLE else _DROPPED
            attributes = {**(attributes or {}), **(chosen.attributes or {})}
        own = SpanContext(trace_id, generate_span_id(), False, flags, state)
        if not flags & TraceFlags.SAMPLED:
            return NonRecordingSpan(own)
        span = OwnSpan(self, name, own, parent, attributes or {}, links or (), kind, start_time)
        for processor in self.processors:
            processor.on_start(span, context)
        return span


class OwnSpan(ReadableSpan, Span):
    """The span of one operation."""

    touched = False
    """Whether the user's program changed it; then it's redacted on its way out."""

    def __init__(
        self,
        spans: OwnSpans,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        attributes: dict[str, Any],
        links: Sequence[Link],
        kind: SpanKind,
        start_time: int | None,
    ) -> None:
        super().__init__(
            name, context, parent, spans.resource, attributes, [], links, kind, start_time=start_time,
            instrumentation_scope=spans.scope,
        )  # fmt: skip
        self._spans = spans

    # --- by the operation, with plain and redacted values -------------------------------------------------------------

    def describe(self, attributes: Mapping[str, Any]) -> None:
        """Add attributes as they are."""
        if self.touched:
            self.set_attributes(attributes)
        else:
            self._attributes.update(attributes)  # type: ignore[union-attr]

    def end(self, end_time: int | None = None) -> None:
        if self._end_time is not None:
            return
        self._end_time = end_time
        for processor in self._spans.processors:
            processor.on_end(self)

    # --- by the user's program ----------------------------------------------------------------------------------------

    def get_span_context(self) -> SpanContext:
        return self._context  # type: ignore[return-value]

    def is_recording(self) -> bool:
        return self._end_time is None

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        if self._end_time is not None:
            return
        if not isinstance(self._attributes, BoundedAttributes):
            self._attributes = BoundedAttributes(_LIMIT, self._attributes, immutable=False)
        self.touched = True
        for key, value in attributes.items():
            self._attributes[key] = value

    def set_attribute(self, key: str, value: Any) -> None:
        self.set_attributes({key: value})

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        if self._end_time is None:
            self.touched = True
            self._events = [*self._events, Event(name, BoundedAttributes(_LIMIT, attributes), timestamp)]

    def add_link(self, context: SpanContext, attributes: Any = None) -> None:
        if self._end_time is None:
            self._links = [*self._links, Link(context, BoundedAttributes(_LIMIT, attributes))]

    def update_name(self, name: str) -> None:
        if self._end_time is None:
            self._name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        if self._end_time is None and self._status.status_code is not StatusCode.OK:
            self._status = status if isinstance(status, Status) else Status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Any = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        described = {
            "exception.type": error_type(exception),
            "exception.message": error_text(exception, str),
            "exception.stacktrace": stack_trace(exception, str),
            "exception.escaped": str(escaped),
        }
        self.add_event("exception", {**described, **(attributes or {})}, timestamp)

"""Span identities for when nobody receives spans: valid W3C ids at about a microsecond, without the SDK.

User spans and outgoing HTTP headers still nest below an operation, and the journal tells the same ids. A root is marked
as *sampled*: the trace is recorded, in the journal; marking it unsampled would make downstream services, and other
tracer providers in this process, drop their own spans. Below a parent, the parent's decision stands.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    TraceFlags,
    TraceState,
    get_current_span,
)
from opentelemetry.util.types import Attributes

from ai_dev_squad.process import after_fork

__all__ = ["generate_span_id", "generate_trace_id", "random_bits", "root_identity", "start_identity"]

# A generator of our own: programs call random.seed(42), and ids must stay unique all the same.
_random = random.Random()  # noqa: S311 - ids are no secrets
random_bits = _random.getrandbits
"""Where every id comes from, in one place so that a test can count instead."""
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_NO_STATE = TraceState()

after_fork(_random.seed)


def generate_trace_id() -> int:
    """A random trace id, never 0."""
    return random_bits(128) or 1


def generate_span_id() -> int:
    """A random span id, never 0."""
    return random_bits(64) or 1


def start_identity(
    name: str,
    context: Context | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Attributes = None,
    links: Sequence[Link] | None = (),
    start_time: int | None = None,
    record_exception: bool = True,
    set_status_on_exception: bool = True,
) -> Span:
    """A span that records nothing but has ids of its own, below the current span (or that of ``context``)."""
    parent = get_current_span(context).get_span_context()
    if parent.is_valid:
        return NonRecordingSpan(
            SpanContext(parent.trace_id, random_bits(64) or 1, False, parent.trace_flags, parent.trace_state)
        )
    return root_identity(random_bits(128) or 1, random_bits(64) or 1)


def root_identity(trace_id: int, span_id: int) -> Span:
    """A span that records nothing, with these ids and no parent."""
    return NonRecordingSpan(SpanContext(trace_id, span_id, False, _SAMPLED, _NO_STATE))

"""A peer's spans as operations, read as the dashboard reads them, so that peers are scored by what their users would see.

Needs ai-dev-squad-dashboard, whose translation this is: what a span means, how it ended, what it cost by the price table,
and which of several spans of one model call counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ai_dev_squad_parity.lab.captured import Operation
from ai_dev_squad_parity.lab.cell import Span

if TYPE_CHECKING:
    from ai_dev_squad_dashboard import reader

__all__ = ["operations"]

_WRAPPED = ("inputs", "args", "kwargs", "arguments")
"""Under which of these names a peer keeps a tool's arguments among other things."""


def operations(spans: Sequence[Span]) -> list[Operation]:
    """What ``spans`` tell, but for traces in which nothing is a run, an agent, a task, a call or a tool: a framework's own
    bookkeeping. Raises ``ImportError``, with the cure, without ai-dev-squad-dashboard.
    """
    try:
        from ai_dev_squad_dashboard.reader import read_spans
    except ImportError as error:
        raise ImportError(
            f"a peer's spans are read as the dashboard reads them: pip install ai-dev-squad-dashboard ({error})"
        ) from error
    read = read_spans((_otlp(span), span.scope) for span in spans)
    telling = {one.row.trace_id for one in read if one.row.operation != "other"}
    return [
        _operation(span, one.row, counts=one.counts)
        for span, one in zip(spans, read, strict=True)
        if one.row.trace_id in telling
    ]


def _otlp(span: Span) -> reader.Span:
    from ai_dev_squad_dashboard.reader import Event, Link
    from ai_dev_squad_dashboard.reader import Span as ForeignSpan

    return ForeignSpan(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_span_id or "",
        name=span.name,
        kind=0,
        start_ns=span.start_ns,
        end_ns=span.end_ns,
        attributes=dict(span.attributes),
        events=[Event(event.time_ns, event.name, dict(event.attributes)) for event in span.events],
        links=[Link(trace_id, span_id, {}) for trace_id, span_id in span.links],
        failed=span.status == "ERROR",
        message=span.message,
    )


def _operation(span: Span, row: reader.SpanRow, *, counts: bool) -> Operation:
    return Operation(
        trace_id=row.trace_id,
        span_id=row.span_id,
        parent_span_id=row.parent_span_id,
        # Of several spans of one model call the others are shown and count nothing.
        operation=row.operation if counts else "other",
        name=row.name,
        status=row.status,
        start_us=row.start_us,
        end_us=row.start_us + row.duration_us,
        agent=row.agent,
        session=row.session_id,
        error_type=row.error_type,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        cached_tokens=row.cache_read_tokens,
        reasoning_tokens=row.reasoning_tokens,
        usage_source=row.usage_source,
        cost_usd=row.cost_usd,
        arguments=_arguments(_input(row)) if row.operation == "execute_tool" else None,
        first_chunk_us=row.first_chunk_us or _first_chunk_us(span),
        links=tuple(span.links),
    )


def _input(row: reader.SpanRow) -> Any:
    return json.loads(row.details or b"{}").get("input")


def _first_chunk_us(span: Span) -> int | None:
    """The time to the first event that tells of a piece of the answer."""
    pieces = (event.time_ns for event in span.events if _tells_a_piece(event.name.lower()))
    first = min(pieces, default=None)
    return None if first is None else max(1, (first - span.start_ns) // 1000)


def _tells_a_piece(event: str) -> bool:
    return "first token" in event or event.endswith(".chunk")


def _arguments(value: Any) -> Any:
    """A tool's arguments out of what a peer keeps beside them."""
    return next(iter(_candidates(value)), None)


def _candidates(value: Any) -> Iterator[Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            yield value
            return
    if isinstance(value, Mapping):
        for name in _WRAPPED:
            if isinstance(value.get(name), (Mapping, str)):
                yield from _candidates(value[name])
                return
    yield value

"""A trace as far as its tree needs it: of each span only what a row shows, so that a hundred thousand of them are read soon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from ai_dev_squad.schema import Status, UsageSource

from .answers import TraceRow
from .rows import LogRow, OpenRow

__all__ = ["LOOP", "MOST_LOOPS", "Outline", "OutlineSpan"]

LOOP: Final = "agent.loop"
"""The event by which a program tells of a loop."""
MOST_LOOPS: Final = 100
"""Of them, how many an outline has."""


class OutlineSpan(NamedTuple):
    """A finished operation, as ``SpanRow`` has it, without what only its own page shows."""

    span_id: str
    parent_span_id: str | None
    start_us: int
    duration_us: int
    name: str
    operation: str
    status: Status
    agent: str | None
    usage_source: UsageSource | None
    cost_usd: float | None
    input_tokens: int | None
    output_tokens: int | None
    error_type: str | None
    error_message: str | None
    """How it begins."""
    first_chunk_us: int | None


@dataclass(frozen=True)
class Outline:
    """A trace's operations, and how much else there is of it."""

    row: TraceRow
    spans: tuple[OutlineSpan, ...]
    """By start, those of one start as they came."""
    running: tuple[OpenRow, ...]
    truncated: bool
    """True when the trace is longer than the limit that was asked for."""
    clashes: int
    """Spans that came with the id of another span of the trace, and were not stored."""
    lines: int
    """Log lines of the trace."""
    told: tuple[LogRow, ...]
    """The lines in which the program told of a loop."""

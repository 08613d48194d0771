"""What is counted as it arrives: spans added up by names and moments, small enough to be looked at every second.

A figure is of several spans, so that whoever adds up has less to add. Money is whole billionths of a dollar: sums that grow and
shrink must come back to nothing.
"""

from __future__ import annotations

from enum import IntFlag
from typing import Final, Literal, NamedTuple, get_args

__all__ = ["COLUMNS", "FIGURE_NAMES", "MOST_US", "MOST_USD", "NANO", "SUMS", "Figure", "FigureName", "Kind"]

FigureName = Literal["framework", "service", "session", "user", "agent", "tool", "provider", "model", "budget"]
FIGURE_NAMES: Final[tuple[FigureName, ...]] = get_args(FigureName)
"""The names that a figure has, in their order. ``budget`` stands on what is told of budgets only."""

COLUMNS: Final[dict[FigureName, str]] = {
    "framework": "framework",
    "service": "service",
    "session": "session_id",
    "user": "user_id",
    "agent": "agent",
    "tool": "tool",
    "provider": "provider",
    "model": "model",
}
"""The name of a figure → the column of a span."""

NANO: Final = 1_000_000_000
"""Parts of a dollar that are counted."""
MOST_USD: Final = 1_000_000
"""US dollars: ten times what a span is believed to cost."""
MOST_US: Final = (1 << 62) - 1
"""Microseconds of a stated start or duration that can be added up."""


class Kind(IntFlag):
    """What a figure is of; a span may be several of them."""

    SPAN = 1
    RUN = 2
    """A root span."""
    CALL = 4
    """A model call."""
    TOOL = 8
    AGENT = 16
    BUDGET_WARNING = 32
    """A program told that a share of a budget is spent."""
    BUDGET_CROSSED = 64
    BUDGET_REFUSED = 128
    LOOP = 256
    DROPPED = 512
    """Spans or rows that were lost."""
    BUDGET_SPENT = 1024
    """How a budget of the dashboard stands: ``level`` is what is spent, as a share of its limit."""
    BUDGET_FORECAST = 2048
    """The same at the end of its period, if it goes on as now."""


class Figure(NamedTuple):
    """Spans of the same kinds and names that ended at the same moment, or so many events. Flat, as it is made thousands of
    times a second.
    """

    kinds: int
    """Members of ``Kind``, added."""
    time_us: int
    framework: str | None = None
    service: str | None = None
    session: str | None = None
    user: str | None = None
    agent: str | None = None
    tool: str | None = None
    provider: str | None = None
    model: str | None = None
    budget: str | None = None
    count: int = 1  # type: ignore[assignment] # a tuple has a method of this name, which nobody calls
    errors: int = 0
    cost_nano: int = 0
    """The known costs, in billionths of a dollar."""
    input_tokens: int = 0
    output_tokens: int = 0
    duration_us: int = 0
    bin: int | None = None
    """The bin of their durations (``percentiles.bin_of``), where it was asked for."""
    level: float = 0.0
    """Of a kind that is a state, not a sum."""
    first_bin: int | None = None
    """The bin of the time until the first piece of their answers, where bins were asked for."""
    unpriced: int = 0
    """Model calls whose cost is unknown, hence not in ``cost_nano``."""
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0


SUMS: Final = slice(Figure._fields.index("count"), Figure._fields.index("bin"))
"""Where in a figure the numbers are that are added up."""

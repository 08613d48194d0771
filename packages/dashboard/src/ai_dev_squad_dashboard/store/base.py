"""``Store``: what pages, receivers and commands know of where spans are kept. No SQL stands elsewhere, no Flask in here.

A further engine implements ``Store`` and passes the same contract. Times are microseconds since 1970, UTC;
``*_us`` durations are microseconds; money is USD; ``None`` means unknown, never zero.
"""

from __future__ import annotations

from typing import Final, Protocol

from .answers import (
    Choices,
    ErrorExample,
    ErrorGroup,
    Facets,
    Fingerprint,
    Found,
    Incident,
    LogPage,
    MetricName,
    SearchState,
    Session,
    SessionPage,
    StoreState,
    Trace,
    TracePage,
    TraceRow,
    User,
    UserPage,
    Written,
)
from .capabilities import Lacks
from .keeping import Moving, Positions, Upkeep, Writing
from .outline import Outline
from .questions import Questions
from .selection import (
    DrawnBy,
    ErrorOrder,
    GroupBy,
    MarkedBy,
    NamedBy,
    OrderBy,
    Selection,
    SessionOrder,
    TraceFilters,
    TraceOrder,
    UserOrder,
)
from .sums import Group, Growth, Marked, Point, Step, ToolCalls, ToolEnds, ToolInput, ToolStep, Totals, Unpriced

__all__ = [
    "SETTLED_S",
    "BadCursorError",
    "Choices",
    "DrawnBy",
    "ErrorExample",
    "ErrorGroup",
    "ErrorOrder",
    "Facets",
    "Fingerprint",
    "Found",
    "Group",
    "GroupBy",
    "Growth",
    "Incident",
    "LogPage",
    "Marked",
    "MarkedBy",
    "MetricName",
    "NamedBy",
    "OrderBy",
    "Outline",
    "Point",
    "SearchState",
    "Selection",
    "Session",
    "SessionOrder",
    "SessionPage",
    "Step",
    "Store",
    "StoreBegunAnewError",
    "StoreError",
    "StoreState",
    "ToolCalls",
    "ToolEnds",
    "ToolInput",
    "ToolStep",
    "Totals",
    "Trace",
    "TraceFilters",
    "TraceOrder",
    "TracePage",
    "TraceRow",
    "Unpriced",
    "UnsupportedError",
    "User",
    "UserOrder",
    "UserPage",
    "Written",
]


class StoreError(Exception):
    """The store cannot do it: a file that is no store, corrupt, of a newer version, in use, or a full disk. The message
    names the file and the cure.
    """


class StoreBegunAnewError(StoreError):
    """The store's file was lost while it was open, and an empty one stands in its place: what was read before is to be read again."""


class UnsupportedError(StoreError):
    """The engine lacks it. The message names what to do instead."""


SETTLED_S: Final = 3.0
"""Seconds after which rows that were numbered are stored, unless their writer is in trouble: what readers of what follows wait."""


class BadCursorError(ValueError):
    """A page's cursor that this store did not give out."""


class Store(Questions, Writing, Positions, Upkeep, Moving, Protocol):
    """Every method may be called from any thread. Methods raise ``StoreError`` when the engine cannot answer."""

    @property
    def lacks(self) -> Lacks:
        """What of ``capabilities`` the engine lacks → why, and what to do instead."""

    def close(self) -> None:
        """Write what is pending and let go of the file. Twice is harmless."""

"""What a question is about: a span of time and names, what rows are put together by, and in which order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias, TypedDict

__all__ = [
    "FILTERS",
    "DrawnBy",
    "ErrorOrder",
    "GroupBy",
    "MarkedBy",
    "NamedBy",
    "OrderBy",
    "Selection",
    "SessionOrder",
    "TraceFilters",
    "TraceOrder",
    "UserOrder",
]

GroupBy = Literal[
    "framework", "provider", "model", "agent", "tool", "operation", "service", "session", "day", "workflow"
]
"""What rows are put together by. ``session`` reads spans, ``workflow`` the names of root spans, the others roll-ups."""

DrawnBy: TypeAlias = GroupBy | Literal["program"]
"""What is drawn over time: also by ``program``, which is the framework, or the service where none is known."""

NamedBy = Literal["framework", "provider", "model", "agent", "tool", "operation", "service"]
"""Names that spans have of their own."""

MarkedBy = Literal[
    "model", "provider", "agent", "tool", "framework", "service", "session", "user", "task", "workflow", "day"
]
"""What marks are put together by: of a run as a whole, or what took part in it."""

OrderBy = Literal["cost", "calls", "errors", "p95", "tokens", "key"]

TraceOrder = Literal["newest", "cost", "duration", "tokens", "errors", "spans", "calls"]
SessionOrder = Literal["newest", "cost", "duration", "tokens", "errors", "turns", "calls"]
UserOrder = Literal["cost", "tokens", "runs", "errors", "sessions", "newest"]
ErrorOrder = Literal["count", "runs", "last", "first"]
"""What lists are sorted by, the largest or the newest first."""


class TraceFilters(TypedDict, total=False):
    """Which traces a list has besides its selection; what is left out, or ``None``, means all."""

    status: str | None
    """Of the root; ``failed_step`` matches traces in which something failed though they did not."""
    operation: str | None
    tool: str | None
    name: str | None
    min_duration_us: int | None
    min_cost_usd: float | None
    min_tokens: int | None
    min_calls: int | None
    min_spans: int | None
    min_errors: int | None
    error_group: str | None
    """The id of an ``ErrorGroup`` of which they have a failure."""
    mark: str | None
    """The label of a mark; ``any`` for whatever somebody thinks of them."""
    min_score: float | None
    max_score: float | None
    noted: bool | None
    """Whether it has a comment. All that is said of a mark holds for one and the same."""


@dataclass(frozen=True)
class Selection:
    """Which spans are meant: a half-open span of time, and names; an empty tuple means all."""

    start_us: int
    end_us: int
    frameworks: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    """Spans of the traces of these users."""
    tasks: tuple[str, ...] = ()
    """Spans of the traces of runs that were asked to do one of these."""
    labels: tuple[tuple[str, str], ...] = ()
    """(key, value) of tags and metadata: spans of the traces that have, for each key, one of its values."""

    @property
    def runs(self) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[tuple[str, str], ...]]:
        """The filters that choose runs rather than names; empty parts mean all."""
        return self.sessions, self.users, self.tasks, self.labels

    @property
    def before(self) -> Selection:
        """The same names over the span of time of equal length that ends where this one begins."""
        return replace(self, start_us=2 * self.start_us - self.end_us, end_us=self.start_us)


FILTERS: Final[dict[str, str]] = {
    "framework": "frameworks",
    "provider": "providers",
    "model": "models",
    "agent": "agents",
    "service": "services",
}
"""A series' column → the field of ``Selection`` that filters it."""

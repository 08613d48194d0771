"""The runs, newest first, and how to find one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ai_dev_squad_dashboard.page import Page, Site
from ai_dev_squad_dashboard.query import FILTERS, Query
from ai_dev_squad_dashboard.store.base import Facets, TraceRow
from ai_dev_squad_dashboard.store.rows import OpenRow

__all__ = ["OPERATIONS", "PAGE", "STATUSES", "RunningTrace", "Search", "TracesView", "build"]

STATUSES = ("ok", "error", "interrupted", "cancelled", "handoff", "closed_early", "abandoned")
OPERATIONS = (
    "invoke_workflow",
    "invoke_agent",
    "task",
    "chat",
    "text_completion",
    "generate_content",
    "embeddings",
    "execute_tool",
    "retrieval",
    "plan",
    "guardrail",
    "other",
)
SEARCHES = ("q", "status", "operation", "tool", "name", "min_duration_ms", "min_cost_usd")


@dataclass(frozen=True)
class Search:
    """What is looked for, besides the span of time and the names."""

    q: str
    """Words, each of which occurs in a name, an error or captured content."""
    status: str
    operation: str
    tool: str
    name: str
    min_duration_ms: float | None
    min_cost_usd: float | None

    @property
    def active(self) -> int:
        """How many conditions there are."""
        return sum(value not in {"", None} for value in (getattr(self, name) for name in SEARCHES))


@dataclass(frozen=True)
class RunningTrace:
    """A run of which nothing has finished yet."""

    trace_id: str
    name: str
    framework: str | None
    session_id: str | None
    start_us: int
    operations: int


@dataclass(frozen=True)
class TracesView:
    """A page of runs."""

    rows: tuple[TraceRow, ...]
    next: str | None
    """The cursor of older runs."""
    longest_us: int
    """The longest duration on this page, which the bars are drawn against."""
    active: tuple[str, ...]
    """Trace ids of rows in which something still runs."""
    running: tuple[RunningTrace, ...]
    search: Search
    facets: Facets
    statuses: tuple[str, ...] = STATUSES
    operations: tuple[str, ...] = OPERATIONS


def build(site: Site, query: Query) -> TracesView:
    """The runs that match."""
    search = Search(
        q=query.get("q").strip(),
        status=query.choice("status", ("", *STATUSES), ""),
        operation=query.choice("operation", ("", *OPERATIONS), ""),
        tool=query.get("tool"),
        name=query.get("name"),
        min_duration_ms=query.number("min_duration_ms", maximum=1e12),
        min_cost_usd=query.number("min_cost_usd"),
    )
    page = site.store.traces(
        query.selection,
        text=search.q,
        status=search.status or None,
        operation=search.operation or None,
        tool=search.tool or None,
        name=search.name or None,
        min_duration_us=None if search.min_duration_ms is None else round(search.min_duration_ms * 1000),
        min_cost_usd=search.min_cost_usd,
        cursor=query.get("cursor") or None,
        limit=query.limit(50, 200),
    )
    opened = site.store.running(limit=1000)
    shown = {row.trace_id for row in page.rows}
    first = not query.get("cursor") and not search.active and query.live
    return TracesView(
        rows=page.rows,
        next=page.next,
        longest_us=max((row.duration_us for row in page.rows), default=0),
        active=tuple(sorted({row.trace_id for row in opened} & shown)),
        running=_running(opened, query) if first else (),
        search=search,
        facets=site.store.facets(query.selection),
    )


def _running(opened: Sequence[OpenRow], query: Query) -> tuple[RunningTrace, ...]:
    """Runs whose beginning is all there is, as far as the filters can tell."""
    selection = query.selection
    groups: dict[str, list[OpenRow]] = {}
    for row in opened:
        if _matches(row.framework, selection.frameworks) and _matches(row.session_id, selection.sessions):
            groups.setdefault(row.trace_id, []).append(row)
    if any(getattr(selection, target) for target in FILTERS.values() if target not in {"frameworks", "sessions"}):
        return ()
    firsts = []
    for trace_id, rows in groups.items():
        first = min(rows, key=lambda row: (row.parent_span_id is not None, row.start_us))
        firsts.append(RunningTrace(trace_id, first.name, first.framework, first.session_id, first.start_us, len(rows)))
    return tuple(sorted(firsts, key=lambda run: -run.start_us)[:20])


def _matches(value: str | None, allowed: tuple[str, ...]) -> bool:
    return not allowed or value in allowed


PAGE = Page(
    "traces",
    "/traces",
    "/api/traces",
    "Traces",
    build,
    TracesView,
    navigation="Traces",
    key="t",
    parameters=(*SEARCHES, "cursor", "limit"),
)

"""The runs, in an order to choose, and how to find one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final, get_args

from ai_dev_squad_dashboard.page import Page, Site
from ai_dev_squad_dashboard.query import FILTERS, Query
from ai_dev_squad_dashboard.store.base import ErrorGroup, Facets, Found, TraceOrder, TracePage, TraceRow
from ai_dev_squad_dashboard.store.rows import OpenRow

__all__ = ["LEAST", "OPERATIONS", "ORDERS", "PAGE", "STATUSES", "RunningTrace", "Search", "TracesView", "build"]

STATUSES = ("ok", "error", "failed_step", "interrupted", "cancelled", "handoff", "closed_early", "abandoned")
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
LEAST = ("min_duration_ms", "min_cost_usd", "min_tokens", "min_calls", "min_spans", "min_errors")
SEARCHES = ("q", "status", "operation", "tool", "name", "error_group", "mark", "min_score", "max_score", "note", *LEAST)
ORDERS: Final[tuple[TraceOrder, ...]] = get_args(TraceOrder)


@dataclass(frozen=True)
class Search:
    """What is looked for, besides the span of time and the names."""

    q: str
    """Words, each of which occurs in a name, an error or captured content."""
    status: str
    operation: str
    tool: str
    name: str
    error_group: str
    """The id of a group of errors, of which the run has one."""
    mark: str
    """The label of a mark, or ``any``."""
    min_score: float | None
    max_score: float | None
    note: str
    """``1``: the mark has a note."""
    min_duration_ms: float | None
    min_cost_usd: float | None
    min_tokens: float | None
    min_calls: float | None
    min_spans: float | None
    min_errors: float | None

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
class Covered:
    """What a search has looked through, besides names and errors."""

    calls: int
    """Model calls of the span of time and the filters."""
    captured: int
    """Those of them whose content was captured, question and answer; all of it is searched."""
    indexed: float
    """The share of what is stored that stands in the index; the rest was read."""
    complete: bool
    """False where a part of a word stands for so many words that not all of them were looked for."""


@dataclass(frozen=True)
class TracesView:
    """A page of runs."""

    rows: tuple[TraceRow, ...]
    next: str | None
    """The cursor of the runs that follow."""
    total: int | None
    """How many runs match in all; ``null`` where words are searched for."""
    order: TraceOrder
    error: ErrorGroup | None
    """The group of errors that is looked for, as far as it happened in the span of time."""
    scale_us: int
    """What the bars are drawn against: nearly the longest duration on this page. One that is far longer than all others
    would leave nothing to see of them."""
    active: dict[str, str]
    """Rows in which something still runs: the name of the outermost such operation by trace id."""
    running: tuple[RunningTrace, ...]
    search: Search
    facets: Facets
    labels: tuple[str, ...] = ()
    """Labels of marks to choose from."""
    covered: Covered | None = None
    """What the search has looked through; ``None`` without one."""
    named: tuple[Found, ...] = ()
    """What has the words of the search for an id: traces, spans, sessions."""
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
        error_group=query.get("error_group"),
        mark=query.get("mark"),
        note=query.choice("note", ("", "1"), ""),
        **{name: query.number(name, minimum=-1e12, maximum=1e12) for name in ("min_score", "max_score")},
        **{name: query.number(name, maximum=1e12) for name in LEAST},
    )
    order: TraceOrder = query.choice("order", ORDERS, "newest")  # type: ignore[assignment]
    page = site.store.traces(
        query.selection,
        text=search.q,
        status=search.status or None,
        operation=search.operation or None,
        tool=search.tool or None,
        name=search.name or None,
        min_duration_us=None if search.min_duration_ms is None else round(search.min_duration_ms * 1000),
        min_cost_usd=search.min_cost_usd,
        min_tokens=_whole(search.min_tokens),
        min_calls=_whole(search.min_calls),
        min_spans=_whole(search.min_spans),
        min_errors=_whole(search.min_errors),
        error_group=search.error_group or None,
        mark=search.mark or None,
        min_score=search.min_score,
        max_score=search.max_score,
        noted=True if search.note else None,
        order=order,
        cursor=query.get("cursor") or None,
        limit=query.limit(50),
    )
    opened = site.store.running(query.open_since_us, limit=1000)
    shown = {row.trace_id for row in page.rows}
    durations = sorted(row.duration_us for row in page.rows)
    first = not query.get("cursor") and not search.active and query.live and order == "newest"
    groups = site.store.errors(query.selection, group=search.error_group) if search.error_group else ()
    return TracesView(
        rows=page.rows,
        next=page.next,
        total=page.total,
        order=order,
        error=groups[0] if groups else None,
        scale_us=durations[int(0.95 * (len(durations) - 1))] if durations else 0,
        active={trace_id: _outermost(rows).name for trace_id, rows in _by_trace(opened).items() if trace_id in shown},
        running=_running([row for row in opened if row.trace_id not in shown], query) if first else (),
        search=search,
        facets=site.store.facets(query.selection),
        labels=tuple(site.store.mark_labels(query.selection)),
        covered=_covered(site, query, page) if search.q else None,
        named=tuple(site.store.find(search.q)) if search.q and not query.get("cursor") else (),
    )


def _whole(least: float | None) -> int | None:
    return None if least is None else ceil(least)


def _covered(site: Site, query: Query, page: TracePage) -> Covered:
    captured, calls = site.store.captured(query.selection)
    state = site.store.search_state()
    everything = state.indexed + state.behind
    return Covered(calls, captured, state.indexed / everything if everything else 1.0, page.complete)


def _running(opened: Sequence[OpenRow], query: Query) -> tuple[RunningTrace, ...]:
    """Runs whose beginning is all there is, as far as the filters can tell."""
    selection = query.selection
    if selection.labels or any(
        getattr(selection, target) for target in FILTERS.values() if target not in {"frameworks", "sessions"}
    ):
        return ()
    runs = []
    for trace_id, rows in _by_trace(opened).items():
        first = _outermost(rows)
        if _matches(first.framework, selection.frameworks) and _matches(first.session_id, selection.sessions):
            runs.append(
                RunningTrace(trace_id, first.name, first.framework, first.session_id, first.start_us, len(rows))
            )
    return tuple(sorted(runs, key=lambda run: -run.start_us)[:20])


def _by_trace(opened: Sequence[OpenRow]) -> dict[str, list[OpenRow]]:
    groups: dict[str, list[OpenRow]] = {}
    for row in opened:
        groups.setdefault(row.trace_id, []).append(row)
    return groups


def _outermost(rows: Sequence[OpenRow]) -> OpenRow:
    return min(rows, key=lambda row: (row.parent_span_id is not None, row.start_us))


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
    parameters=(*SEARCHES, "order", "cursor", "limit"),
)

"""One run: its operations as a tree and on a time line, its agents, what it waited for, what failed."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import itemgetter

from ai_dev_squad_dashboard.marks.reading import Mark, marks_of
from ai_dev_squad_dashboard.page import NotFoundError, Page, Site
from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.store.base import Trace, TraceRow
from ai_dev_squad_dashboard.views.agent_graph import AgentGraph, build_graph
from ai_dev_squad_dashboard.views.loops import Loop, loops_of
from ai_dev_squad_dashboard.views.span import SpanLink, SpanView, read_details, span_view
from ai_dev_squad_dashboard.views.tree import TreeRow, build_tree, failures

__all__ = ["PAGE", "TraceView", "Wait", "build"]

FIRST_ROWS = 200
"""Rows in the HTML itself; scripts show all of them."""
MAX_FAILURES = 50
FOLLOWERS_LOOKED_AT = 20


@dataclass(frozen=True)
class Wait:
    """What the run waited for, summed over operations of the same name."""

    name: str
    operation: str
    agent: str | None
    wait_us: int
    span_id: str
    """The one that took longest."""


@dataclass(frozen=True)
class TraceView:
    """A run as it stands. ``rows`` are in the order of the tree."""

    row: TraceRow
    name: str
    """The root's, also while it runs."""
    status: str
    """The root's, ``running`` while it has not ended."""
    start_us: int
    duration_us: int
    """From the first start to the last end, of whatever has arrived; so far, while something runs."""
    running: int
    """Operations that have not ended."""
    partial: bool
    """True when the root, or the parent of some operation, has not arrived."""
    truncated: bool
    """True when the trace is longer than what is shown."""
    skewed: int
    """Operations whose sender's clock differs; they stand where their parent began."""
    set_back: int
    """Operations that ended before they began, by a clock that was set back meanwhile."""
    clashes: int
    """Spans that came with the id of another one, and are not here."""
    rows: tuple[TreeRow, ...]
    failures: tuple[int, ...]
    """Places of the rows where errors arose, those that were passed on first."""
    loops: tuple[Loop, ...]
    """Where it went round, the dearest first."""
    waits: tuple[Wait, ...]
    """What the time went to: the largest first."""
    graph: AgentGraph
    links: tuple[SpanLink, ...]
    """Runs that this one continues, or that continue it."""
    lines: int
    """Journal lines of the run."""
    marks: tuple[Mark, ...]
    """What people and programs think of it, newest first."""
    selected: SpanView | None
    """The operation whose details are shown."""
    version: str
    """Changes when anything of the trace has changed."""
    first_rows: int = field(default=FIRST_ROWS)


def build(site: Site, query: Query, trace_id: str) -> TraceView:
    """The run with the operation that ``span`` in the URL names, else where it failed, else its root."""
    trace = site.store.trace(trace_id)
    if trace is None:
        raise NotFoundError(
            f"trace {trace_id} is not in the store; it may be older than what is kept, or not have arrived yet"
        )
    rows = build_tree(trace.spans, trace.running, query.now_us)
    failed = failures(rows)
    start = min((row.start_us for row in rows), default=trace.row.start_us)
    end = max((row.start_us + row.duration_us for row in rows), default=start)
    running = sum(row.status == "running" for row in rows)
    chosen = query.get("span") or (rows[failed[0] if failed else 0].span_id if rows else "")
    return TraceView(
        row=trace.row,
        name=rows[0].name if rows and trace.row.root_span_id is None else trace.row.name,
        status="running" if rows and rows[0].status == "running" else trace.row.status,
        start_us=start,
        duration_us=end - start,
        running=running,
        partial=any(row.orphan for row in rows),
        truncated=trace.truncated,
        skewed=sum(row.skew_us != 0 for row in rows),
        set_back=sum(row.set_back_us > 0 for row in rows),
        clashes=trace.clashes,
        rows=rows,
        failures=failed[:MAX_FAILURES],
        loops=loops_of(site.store, trace, rows),
        waits=_waits(rows),
        graph=build_graph(rows),
        links=_links(site, trace),
        lines=len(trace.logs),
        # A clock that runs ahead must not hide what was marked before it.
        marks=marks_of(site.store, trace.row.trace_id, min(start, query.now_us)),
        selected=span_view(site, trace_id, chosen) if chosen else None,
        version=f"{len(rows)}.{running}.{trace.row.spans}",
    )


def _waits(rows: tuple[TreeRow, ...]) -> tuple[Wait, ...]:
    sums: dict[tuple[str, str, str | None], tuple[int, int, str]] = {}
    for row in rows:
        if row.critical_us:
            key = row.name, row.operation, row.agent
            total, longest, span_id = sums.get(key, (0, 0, row.span_id))
            if row.critical_us > longest:
                longest, span_id = row.critical_us, row.span_id
            sums[key] = total + row.critical_us, longest, span_id
    top = sorted(((total, key, span_id) for key, (total, _, span_id) in sums.items()), key=itemgetter(0), reverse=True)
    return tuple(Wait(*key, total, span_id) for total, key, span_id in top[:4])


def _links(site: Site, trace: Trace) -> tuple[SpanLink, ...]:
    """What the root refers to, and the runs of its session that refer to this one."""
    row = trace.row
    links: list[SpanLink] = []
    if row.root_span_id is not None:
        own = span_view(site, row.trace_id, row.root_span_id)
        links += own.links if own else ()
    if row.status == "interrupted" and row.session_id is not None:
        session = site.store.session(row.session_id)
        later = [other for other in session[1] if other.start_us > row.start_us] if session else []
        for other in later[:FOLLOWERS_LOOKED_AT]:
            found = site.store.span(other.trace_id, other.root_span_id) if other.root_span_id else None
            targets = read_details(found[0]).get("links") if found else None
            if isinstance(targets, list) and any(
                isinstance(link, dict) and link.get("trace_id") == row.trace_id for link in targets
            ):
                links.append(SpanLink(other.trace_id, other.root_span_id or "", "resumed by", other.name))
    return tuple(links)


PAGE = Page("trace", "/traces/<trace_id>", "/api/traces/<trace_id>", "Trace", build, TraceView, parameters=("span",))

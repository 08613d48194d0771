"""One run: its operations as a tree and on a time line, its agents, what it waited for, what failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from ai_dev_squad_dashboard.marks.reading import Mark, marks_of
from ai_dev_squad_dashboard.page import Page, Site
from ai_dev_squad_dashboard.query import Query, QueryError
from ai_dev_squad_dashboard.store.base import TraceRow
from ai_dev_squad_dashboard.store.runs import Run
from ai_dev_squad_dashboard.views.agent_graph import AgentGraph
from ai_dev_squad_dashboard.views.loops import Loop
from ai_dev_squad_dashboard.views.run_tree import RunTree, Shown, Wait, load_tree
from ai_dev_squad_dashboard.views.span import SpanLink, SpanView, span_view
from ai_dev_squad_dashboard.views.tree import TreeRow

__all__ = ["PAGE", "Failure", "TraceView", "Wait", "build"]

WHOLE: Final = 2_000
"""Operations up to which all rows are sent at once."""
PART: Final = 500
"""Rows that are sent of a longer run, unless the address asks for others."""
SHOWN: Final = 200
"""Rows in the HTML itself."""
MAX_FAILURES: Final = 50
_MOST_PLACES: Final = 500
_NO_GRAPH: Final = AgentGraph((), (), 0, 0, 0)


@dataclass(frozen=True)
class Failure:
    """Where an error arose."""

    place: int
    """Its place among all operations."""
    span_id: str
    name: str
    error_type: str | None
    error_message: str | None


@dataclass(frozen=True)
class TraceView:
    """A run as it stands. A place is that of an operation among all of them, in the order of the tree, from 0."""

    row: TraceRow
    """The whole run: a run that was interrupted and resumed has several traces."""
    parts: tuple[TraceRow, ...]
    """Its traces, oldest first; mostly one."""
    waited_us: int
    """How long it waited between its parts."""
    name: str
    """The root's, also while it runs."""
    status: str
    """The root's, ``running`` while it has not ended."""
    start_us: int
    duration_us: int
    """From the first start to the last end, of whatever has arrived, without what it waited between its parts; so far, while
    something runs."""
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
    operations: int
    """How many there are in all."""
    rows: tuple[TreeRow, ...]
    """All operations, in the order of the tree; of more than 2,000 the first, or those that the address asks for. ``parent`` is a
    place."""
    places: tuple[int, ...]
    """The places of ``rows``."""
    next: str | None
    """The cursor of the rows that follow."""
    depths: tuple[int, ...]
    """How deep each operation is, where ``rows`` are not all of them and none in particular were asked for: the shape of the tree."""
    failed: tuple[int, ...]
    """The places of all operations with an error, where ``depths`` stand."""
    shown: tuple[Shown, ...]
    """What tells most of a run with more than 200 operations, or the operations from the cursor on."""
    shown_rest: int
    """Operations that are left out after the last of those."""
    failures: tuple[Failure, ...]
    """Where errors arose, those that were passed on first."""
    loops: tuple[Loop, ...]
    """Where it went round, the dearest first."""
    waits: tuple[Wait, ...]
    """What the time went to: the largest first."""
    graph: AgentGraph
    links: tuple[SpanLink, ...]
    """Other runs that it refers to."""
    lines: int
    """Journal lines of the run."""
    marks: tuple[Mark, ...]
    """What people and programs think of it, newest first."""
    selected: SpanView | None
    """The operation whose details are shown."""
    selected_at: int | None
    """The place of the operation that is shown, or that ``span`` names."""
    version: str
    """Changes when anything of the trace has changed."""


def build(site: Site, query: Query, trace_id: str) -> TraceView:
    """The run with the operation that ``span`` in the URL names, else where it failed, else its root.

    ``cursor``: from that place on; ``places``: just the rows at these.
    """
    tree = load_tree(site, trace_id, query.now_us)
    rows, run = tree.rows, tree.run
    asked, cursor = _places(query, len(rows)), _cursor(query, len(rows))
    chosen = query.get("span") or ("" if asked is not None or cursor is not None else _worst(tree))
    at = tree.place_of(chosen) if chosen else None
    places = asked if asked is not None else _part(query, cursor, len(rows))
    whole = asked is None and cursor is None
    end = places.stop if isinstance(places, range) else len(rows)
    shown = tree.shown(_shown(tree, cursor, at)) if asked is None and (cursor is not None or len(rows) > SHOWN) else ()
    return TraceView(
        row=run.row,
        parts=run.parts,
        waited_us=run.waited_us,
        name=rows[0].name if rows and run.row.root_span_id is None else run.row.name,
        status="running" if rows and rows[0].status == "running" else run.row.status,
        start_us=tree.start_us,
        duration_us=tree.duration_us,
        running=tree.running,
        partial=tree.partial,
        truncated=tree.truncated,
        skewed=tree.skewed,
        set_back=tree.set_back,
        clashes=tree.clashes,
        operations=len(rows),
        rows=tuple(rows[place] for place in places),
        places=tuple(places),
        next=str(end) if end < len(rows) else None,
        depths=tree.depths if whole and len(places) < len(rows) else (),
        failed=tree.failed if whole and len(places) < len(rows) else (),
        shown=shown,
        shown_rest=len(rows) - 1 - shown[-1].place if shown else 0,
        failures=_failures(tree) if asked is None else (),
        loops=tree.loops if asked is None else (),
        waits=tree.waits if asked is None else (),
        graph=tree.graph if asked is None else _NO_GRAPH,
        links=_links(site, run) if asked is None else (),
        lines=tree.lines,
        # A clock that runs ahead must not hide what was marked before it.
        marks=_marks(site, run, min(tree.start_us, query.now_us)) if asked is None else (),
        selected=_selected(site, tree, chosen, at) if chosen and asked is None else None,
        selected_at=at,
        version=f"{len(rows)}.{tree.running}.{run.row.spans}",
    )


def _places(query: Query, count: int) -> Sequence[int] | None:
    """The places that the address asks for, as far as they are there."""
    texts = query.all("places")
    if not texts:
        return None
    given = ",".join(texts).split(",")
    if len(given) > _MOST_PLACES or not all(each.isascii() and each.isdigit() and len(each) < 10 for each in given):
        raise QueryError(
            f"places={','.join(given)[:40]!r} is no list of places; write at most {_MOST_PLACES} numbers, as 0,1,2"
        )
    return [place for place in map(int, given) if place < count]


def _cursor(query: Query, count: int) -> int | None:
    text = query.get("cursor")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise QueryError(f"cursor={text[:40]!r} is not the place of an operation; use a number from 0")
    return min(int(text), max(count - 1, 0))


def _part(query: Query, cursor: int | None, count: int) -> range:
    usual = WHOLE if cursor is None and count <= WHOLE else PART
    start = cursor or 0
    return range(start, min(start + query.limit(usual), count))


def _shown(tree: RunTree, cursor: int | None, selected: int | None) -> list[int]:
    """The places that the HTML shows: those that tell most, or those from the cursor on, each with what it stands below."""
    if cursor is not None:
        return [*tree.above(cursor), *range(cursor, min(cursor + SHOWN, len(tree.rows)))]
    wanted = tree.telling if selected is None else (selected, *tree.telling)
    taken: set[int] = set()
    for place in wanted:
        needed = {place, *tree.above(place)} - taken
        if len(taken) + len(needed) <= SHOWN:
            taken |= needed
    places = sorted(taken)
    # A link to one operation takes as much room as the operation.
    between = {after - 1 for before, after in pairwise(places) if after - before == 2}
    return sorted({*places, *between})


def _worst(tree: RunTree) -> str:
    """Where it failed, else the root."""
    return tree.rows[tree.failures[0] if tree.failures else 0].span_id if tree.rows else ""


def _failures(tree: RunTree) -> tuple[Failure, ...]:
    return tuple(
        Failure(place, row.span_id, row.name, row.error_type, row.error_message)
        for place, row in ((place, tree.rows[place]) for place in tree.failures[:MAX_FAILURES])
    )


def _selected(site: Site, tree: RunTree, span_id: str, at: int | None) -> SpanView | None:
    parts = tree.run.parts if at is None else (tree.run.parts[tree.rows[at].part],)
    # The root of a later part is no row of its own.
    views = (span_view(site, part.trace_id, span_id) for part in parts)
    return next((view for view in views if view is not None), None)


def _links(site: Site, run: Run) -> tuple[SpanLink, ...]:
    """What the roots refer to, but for one another."""
    own = {part.trace_id for part in run.parts}
    views = (span_view(site, part.trace_id, part.root_span_id) for part in run.parts if part.root_span_id is not None)
    return tuple(link for view in views if view is not None for link in view.links if link.trace_id not in own)


def _marks(site: Site, run: Run, since_us: int) -> tuple[Mark, ...]:
    marks = (mark for part in run.parts for mark in marks_of(site.store, part.trace_id, since_us))
    return tuple(sorted(marks, key=lambda mark: mark.time_us, reverse=True))


PAGE = Page(
    "trace",
    "/traces/<trace_id>",
    "/api/traces/<trace_id>",
    "Trace",
    build,
    TraceView,
    parameters=("span", "cursor", "limit", "places"),
)

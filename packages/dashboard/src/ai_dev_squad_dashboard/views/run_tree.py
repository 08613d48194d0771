"""A run's tree with what is read off it: made once for the page, its parts and its updates, as long as nothing has changed."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

from ai_dev_squad_dashboard.page import NotFoundError, Site
from ai_dev_squad_dashboard.store.rows import UNTIMED_US
from ai_dev_squad_dashboard.store.runs import Run, joined

from .agent_graph import AgentGraph, build_graph
from .callers import below_callers
from .loops import Loop, loops_of
from .tree import TreeRow, failures
from .whole_run import tree_of

__all__ = ["RunTree", "Shown", "Wait", "load_tree", "telling"]

KEPT_FROM: Final = 2_000
"""Operations from which a tree takes so long to make that it is kept."""
MOST_OPERATIONS: Final = 200_000
"""Operations of one trace that its tree has."""
_FRESH_US: Final = 10_000_000
"""How old a tree of what still runs may be: only how long that took so far changes."""
_OF_A_KIND: Final = 20


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
class Shown:
    """A row of a tree of which not every row is shown."""

    row: TreeRow
    place: int
    """Its place among all operations."""
    skipped: int
    """How many operations before it are left out."""
    skipped_depth: int
    """How deep the first of those is."""


@dataclass(frozen=True)
class RunTree:
    """All operations of a run."""

    run: Run
    rows: tuple[TreeRow, ...]
    failures: tuple[int, ...]
    """Places of the rows where errors arose, those that were passed on first."""
    loops: tuple[Loop, ...]
    waits: tuple[Wait, ...]
    graph: AgentGraph
    depths: tuple[int, ...]
    failed: tuple[int, ...]
    """Places of all rows with an error."""
    telling: tuple[int, ...]
    """Places by how much they tell, the root first."""
    start_us: int
    duration_us: int
    running: int
    partial: bool
    skewed: int
    set_back: int
    truncated: bool
    clashes: int
    lines: int

    def place_of(self, span_id: str) -> int | None:
        """Where an operation is."""
        return next((place for place, row in enumerate(self.rows) if row.span_id == span_id), None)

    def shown(self, places: Iterable[int]) -> tuple[Shown, ...]:
        """The rows at these places, with how many are left out between them."""
        result, reached = [], 0
        for place in sorted(set(places)):
            depth = self.rows[reached].depth if reached < place else 0
            result.append(Shown(self.rows[place], place, place - reached, depth))
            reached = place + 1
        return tuple(result)

    def above(self, place: int) -> list[int]:
        """The places of what a row stands below, the nearest first."""
        result = []
        parent = self.rows[place].parent
        while parent is not None:
            result.append(parent)
            parent = self.rows[parent].parent
        return result


def load_tree(site: Site, trace_id: str, now_us: int) -> RunTree:
    """The tree of the run that a trace is of. Raises ``NotFoundError``."""
    run = site.store.run(trace_id)
    known = site.store.outline(trace_id, limit=0) if run is None else None
    if run is None and known is None:
        raise NotFoundError(
            f"trace {trace_id[:200]} is not in the store; it may be older than what is kept, or not have arrived yet"
        )
    run = run or joined([known.row] if known else [])
    if run.row.spans <= KEPT_FROM:
        return _load(site, run, now_us)
    heads = [site.store.outline(part.trace_id, limit=0) for part in run.parts]
    opened = [(head.running, head.clashes, head.lines) for head in heads if head is not None]
    moment = now_us // _FRESH_US if any(running for running, *_ in opened) else None
    version = run, opened, moment
    tree: RunTree = site.trees.get(run.row.trace_id, version, lambda: _load(site, run, now_us))
    return tree


def _load(site: Site, run: Run, now_us: int) -> RunTree:
    found = (site.store.outline(part.trace_id, limit=MOST_OPERATIONS) for part in run.parts)
    outlines = tuple(below_callers(site.store, outline) for outline in found if outline is not None)
    rows = tree_of(outlines, now_us)
    _mark_parts(run, rows)
    where = failures(rows)
    return RunTree(
        run=run,
        rows=rows,
        failures=where,
        loops=loops_of(site.store, outlines, rows),
        waits=_waits(rows),
        graph=build_graph(rows),
        depths=tuple(row.depth for row in rows),
        failed=tuple(place for place, row in enumerate(rows) if row.status == "error"),
        telling=telling(rows, where),
        start_us=min((row.start_us for row in rows if row.part == 0), default=run.row.start_us),
        duration_us=max((row.at_us + row.duration_us for row in rows), default=0),
        running=sum(row.status == "running" for row in rows),
        partial=any(row.orphan for row in rows),
        skewed=sum(row.skew_us != 0 for row in rows),
        set_back=sum(row.set_back_us > -UNTIMED_US for row in rows),
        truncated=any(outline.truncated for outline in outlines),
        clashes=sum(outline.clashes for outline in outlines),
        lines=sum(outline.lines for outline in outlines),
    )


def telling(rows: Sequence[TreeRow], failed: Sequence[int]) -> tuple[int, ...]:
    """Places by how much they tell of a run: the root, what failed, what was dearest, what it waited for, then level by level."""
    if not rows:
        return ()
    calls = [place for place, row in enumerate(rows) if row.cost_usd and not row.children]
    path = [place for place, row in enumerate(rows) if row.critical_us]
    first = (
        0,
        *failed[:_OF_A_KIND],
        *heapq.nlargest(_OF_A_KIND, calls, key=lambda place: rows[place].cost_usd),
        *heapq.nlargest(_OF_A_KIND, path, key=lambda place: rows[place].critical_us),
    )
    levels = heapq.nsmallest(KEPT_FROM, range(len(rows)), key=lambda place: (rows[place].depth, place))
    return tuple(dict.fromkeys((*first, *levels)))


def _mark_parts(run: Run, rows: Sequence[TreeRow]) -> None:
    """Let the first row of what came after an interruption say how long the run waited before it."""
    marked = {0}
    for row in rows:
        if row.part not in marked:
            marked.add(row.part)
            row.resumed_after_us = run.waited_before(row.part)


def _waits(rows: Sequence[TreeRow]) -> tuple[Wait, ...]:
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

"""Runs side by side: what they were asked and answered, what they took, and where they part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ai_dev_squad_dashboard.page import Page, Site
from ai_dev_squad_dashboard.query import Query, QueryError
from ai_dev_squad_dashboard.store.base import TraceRow
from ai_dev_squad_dashboard.store.runs import Related, Run
from ai_dev_squad_dashboard.views.agent_turns import agent_turns
from ai_dev_squad_dashboard.views.alignment import Aligned, align_all
from ai_dev_squad_dashboard.views.transcript import Said
from ai_dev_squad_dashboard.views.tree import TreeRow
from ai_dev_squad_dashboard.views.whole_run import load_run, said_in_run, traces_of, tree_of

__all__ = [
    "MOST",
    "PAGE",
    "ROWS",
    "SHOWS",
    "WAYS",
    "CompareView",
    "ComparedRow",
    "ComparedRun",
    "Measure",
    "build",
    "compare",
]

MOST: Final = 6
"""Runs that are laid side by side."""
MAX_ROWS: Final = 2000
WAYS: Final = ("tree", "agents")
SHOWS: Final = ("time", "tokens", "cost")
ROWS: Final = ("all", "differ")
OFFERED: Final = 12


@dataclass(frozen=True)
class ComparedRun:
    """One of the runs."""

    letter: str
    """``A`` for the first, which the others are compared with."""
    run: Run
    """All its traces, where it was interrupted and resumed."""
    asked: Said | None
    """What was asked; ``null`` where content was not captured."""
    answered: Said | None


@dataclass(frozen=True)
class Measure:
    """One number of every run. ``unit`` is ``us``, ``usd`` or empty for a count."""

    name: str
    unit: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class ComparedRow:
    """One line: an operation, and where each run has it. Tokens and money include what lies below."""

    depth: int
    cells: tuple[TreeRow | None, ...]
    """One for each run; ``null`` where it did nothing of the kind."""
    verdict: str
    """``same``, ``status`` (ended differently), ``other`` (something else did it) or ``missing`` (not in every run)."""


@dataclass(frozen=True)
class CompareView:
    """Up to six runs side by side."""

    runs: tuple[ComparedRun, ...]
    by: str
    """``tree``: operation by operation; ``agents``: by turns of agents, without what each framework wraps around them."""
    show: str
    """Which number stands in the table of operations: ``time``, ``tokens`` or ``cost``."""
    measures: tuple[Measure, ...]
    rows: tuple[ComparedRow, ...]
    """All operations, or those that differ and what they stand below."""
    operations: int
    """How many there are in all."""
    missing: int
    """Operations that not every run has."""
    different: int
    """Operations that ended differently, or that something else did."""
    parting: int | None
    """The place among ``rows`` where the runs first part; ``null`` where they do not."""
    truncated: bool
    """True when a run has more operations than are compared."""
    offered: tuple[Related, ...]
    """Runs worth adding, the best reason first."""
    newest: tuple[TraceRow, ...]
    """The newest runs, to choose from where none was chosen."""


def build(site: Site, query: Query) -> CompareView:
    """The runs that ``t`` names, several times, as the list of traces sends it. Raises ``NotFoundError``, ``QueryError``."""
    chosen = tuple(dict.fromkeys(value.strip() for value in query.all("t") if value.strip()))
    if len(chosen) > MOST:
        raise QueryError(f"{len(chosen)} runs were chosen; {MOST} can be compared: choose fewer in the list of traces")
    loaded = {run.row.trace_id: run for run in (load_run(site, trace_id, chosen) for trace_id in chosen)}
    runs = tuple(
        ComparedRun("ABCDEF"[number], run, *said_in_run(site, run)) for number, run in enumerate(loaded.values())
    )
    parts = {part.trace_id for one in runs for part in one.run.parts}
    offered = site.store.related(runs[0].run.row.trace_id) if runs else ()
    trees = [tree_of(traces_of(site, one.run), query.now_us) for one in runs] if len(runs) > 1 else []
    # Frameworks wrap the same work differently; seen as turns of agents it is the same again.
    usual = "tree" if len({one.run.row.framework for one in runs}) < 2 else "agents"
    return compare(
        runs,
        trees,
        by=query.choice("by", WAYS, usual),
        show=query.choice("show", SHOWS, "time"),
        only_different=query.choice("rows", ROWS, "all") == "differ",
        offered=tuple(each for each in offered if each.row.trace_id not in parts)[:OFFERED],
        newest=() if runs else site.store.traces(query.selection, limit=OFFERED, counted=False).rows,
    )


def compare(
    runs: tuple[ComparedRun, ...],
    trees: Sequence[tuple[TreeRow, ...]],
    *,
    by: str = "tree",
    show: str = "time",
    only_different: bool = False,
    offered: tuple[Related, ...] = (),
    newest: tuple[TraceRow, ...] = (),
) -> CompareView:
    """Runs with their trees, compared; without trees, as long as there is nothing to compare."""
    if by == "agents":
        trees = [agent_turns(tree) for tree in trees]
    truncated = any(len(tree) > MAX_ROWS for tree in trees)
    # Parents stand before children, so that a beginning is a tree as well.
    trees = [tree[:MAX_ROWS] for tree in trees]
    lines = align_all(trees)
    rows = tuple(_row(line, trees) for line in lines)
    shown = _with_those_above(lines, rows) if only_different else range(len(rows))
    return CompareView(
        runs=runs,
        by=by,
        show=show,
        measures=_measures([one.run for one in runs]) if trees else (),
        rows=tuple(rows[place] for place in shown),
        operations=len(rows),
        missing=sum(row.verdict == "missing" for row in rows),
        different=sum(row.verdict in {"status", "other"} for row in rows),
        parting=next((at for at, place in enumerate(shown) if _parts(lines[place], rows[place])), None),
        truncated=truncated,
        offered=offered,
        newest=newest,
    )


def _measures(runs: Sequence[Run]) -> tuple[Measure, ...]:
    rows = [run.row for run in runs]
    measures = (
        Measure("Duration", "us", tuple(row.duration_us for row in rows)),
        Measure("Waited for a person", "us", tuple(run.waited_us for run in runs)),
        Measure("Cost", "usd", tuple(row.cost_usd for row in rows)),
        Measure("Input tokens", "", tuple(row.input_tokens for row in rows)),
        Measure("Output tokens", "", tuple(row.output_tokens for row in rows)),
        Measure("Model calls", "", tuple(row.calls for row in rows)),
        Measure("Tool calls", "", tuple(row.tools for row in rows)),
        Measure("Operations", "", tuple(row.spans for row in rows)),
        Measure("Errors", "", tuple(row.errors for row in rows)),
    )
    return tuple(measure for measure in measures if measure.name != "Waited for a person" or any(measure.values))


def _row(line: Aligned, trees: Sequence[tuple[TreeRow, ...]]) -> ComparedRow:
    cells = tuple(None if place is None else tree[place] for place, tree in zip(line.places, trees, strict=True))
    there = [cell for cell in cells if cell is not None]
    if len(there) < len(cells):
        verdict = "missing"
    elif len({cell.status for cell in there}) > 1:
        verdict = "status"
    elif line.depth and len({(cell.operation, cell.name) for cell in there}) > 1:
        verdict = "other"
    else:
        verdict = "same"
    return ComparedRow(line.depth, cells, verdict)


def _parts(line: Aligned, row: ComparedRow) -> bool:
    """Whether the runs part here; a root that failed only says that something below it did."""
    return row.verdict != "same" and line.depth > 0


def _with_those_above(lines: Sequence[Aligned], rows: Sequence[ComparedRow]) -> list[int]:
    wanted: set[int] = set()
    for place, row in enumerate(rows):
        if row.verdict != "same":
            above: int | None = place
            while above is not None and above not in wanted:
                wanted.add(above)
                above = lines[above].parent
    return sorted(wanted)


PAGE = Page(
    "compare",
    "/compare",
    "/api/compare",
    "Compare",
    build,
    CompareView,
    default_range="7d",
    parameters=("t", "by", "show", "rows"),
)

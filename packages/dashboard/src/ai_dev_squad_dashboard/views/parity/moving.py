"""From one framework to another: what the same scenarios take on both, and how each program changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ai_dev_squad.frameworks import framework_title, known_frameworks
from ai_dev_squad_dashboard.hues import hues
from ai_dev_squad_dashboard.lab.figures import shifted
from ai_dev_squad_dashboard.lab.move import LabMove, LabMoveRow, LabTotal, move
from ai_dev_squad_dashboard.lab.table import RunInfo, run_info, versions_of
from ai_dev_squad_dashboard.lab_results import LabResult, Verdict
from ai_dev_squad_dashboard.page import NotFoundError, Page, Site
from ai_dev_squad_dashboard.query import Query, QueryError

from .lab import open_runs
from .programs import ProgramBlock, side_by_side

__all__ = ["PAGE", "Moving", "MovingChange", "MovingRow", "MovingSide", "build", "proposed"]


@dataclass(frozen=True)
class MovingSide:
    """One of the two frameworks."""

    framework: str
    title: str
    hue: int
    version: str | None
    versions: Mapping[str, str]
    """Distribution and version of all that took part."""


@dataclass(frozen=True)
class MovingChange:
    """A measure of one scenario, before and after: medians."""

    name: str
    """The lab's name of it: ``calls``, ``tokens``, ``cost`` or ``wall``."""
    unit: str
    before: float
    after: float
    clear: bool
    """Whether it changed beyond doubt."""


@dataclass(frozen=True)
class MovingRow:
    """A scenario on both frameworks."""

    name: str
    title: str
    before: Verdict | None
    """The verdict; ``None`` where it was not run."""
    after: Verdict | None
    passes: bool
    """Whether both do."""
    lost: bool
    """Whether it passes before and has no counterpart after."""
    lines_gone: int | None
    """How many lines of the program go; ``None`` where one of the programs is not known."""
    lines_come: int | None
    measures: tuple[MovingChange, ...]
    """Only where both pass and both were measured."""
    reason: str
    """Why the second framework has no counterpart, or does not pass; empty where it does."""
    source: str
    """The page that says so."""
    note: str
    """What the second framework does otherwise."""


@dataclass(frozen=True)
class Moving:
    """From one framework to another: the same scenarios executed on both."""

    run: RunInfo
    frameworks: tuple[str, ...]
    """Those that the run has cells of, to choose two from."""
    before: MovingSide
    after: MovingSide
    passing: int
    """How many scenarios pass on both."""
    totals: tuple[LabTotal, ...]
    """Sums over the scenarios that pass on both."""
    rows: tuple[MovingRow, ...]
    scenario: str | None
    """The scenario whose programs are shown; ``None`` where the run has none."""
    programs: tuple[ProgramBlock, ...]
    """Its programs, block by block, before and after."""
    sources: tuple[str, str]
    """The same as texts."""
    difference: str
    """The same as a unified diff."""
    previous: str | None
    """The scenario before that one."""
    next: str | None


def build(site: Site, query: Query) -> Moving:
    """The pair that the URL names, or that users are most asked to take. Raises ``NotFoundError``, ``QueryError``."""
    results, _, problems = open_runs(site.settings.logs, query)
    if not results:
        what = f"{problems[0].path} {problems[0].message}" if problems else "`ai-dev-squad parity run` does"
        raise NotFoundError(f"the lab has not run yet; {what}")
    result = results[0]
    names = tuple(dict.fromkeys(cell.framework for cell in result.cells))
    pair = proposed(names)
    if pair is None:
        raise NotFoundError(
            f"the run has cells of {names[0] if names else 'nothing'} only; moving takes two frameworks"
        )
    before, after = query.get("before") or pair[0], query.get("after") or pair[1]
    try:
        found = move(result, before, after)
    except ValueError as error:
        raise QueryError(str(error)) from error
    return _moving(result, found, names, query.get("scenario"))


def proposed(frameworks: Sequence[str]) -> tuple[str, str] | None:
    """The move that a framework's own maker proposes, else from the first to the second; ``None`` of fewer than two."""
    known = known_frameworks()
    for name in frameworks:
        successor = known[name].successor if name in known else None
        if successor in frameworks:
            return name, str(successor)
    return (frameworks[0], frameworks[1]) if len(frameworks) > 1 else None


def _moving(result: LabResult, found: LabMove, names: tuple[str, ...], wanted: str) -> Moving:
    scenarios = [row.name for row in found.rows]
    if wanted and wanted not in scenarios:
        raise NotFoundError(f"the run has no scenario {wanted[:100]!r} on either; it has {', '.join(scenarios)}")
    shown = next((row for row in found.rows if row.name == wanted), None)
    shown = shown or next((row for row in found.rows if all(row.programs)), None)
    at = scenarios.index(shown.name) if shown is not None else 0
    return Moving(
        run=run_info(result),
        frameworks=names,
        before=_side(result, found.before, names),
        after=_side(result, found.after, names),
        passing=sum(row.passes for row in found.rows),
        totals=found.totals,
        rows=tuple(map(_row, found.rows)),
        scenario=shown.name if shown is not None else None,
        programs=side_by_side([text or None for text in shown.programs]) if shown is not None else (),
        sources=shown.programs if shown is not None else ("", ""),
        difference=shown.difference if shown is not None else "",
        previous=scenarios[at - 1] if at else None,
        next=scenarios[at + 1] if at + 1 < len(scenarios) else None,
    )


def _side(result: LabResult, name: str, names: Sequence[str]) -> MovingSide:
    own, versions = versions_of([result], (name, result.observer))
    return MovingSide(name, framework_title(name), hues(names)[name], own, versions)


def _row(row: LabMoveRow) -> MovingRow:
    gone, come = row.lines if all(row.programs) else (None, None)
    return MovingRow(
        name=row.name,
        title=row.title,
        before=row.verdicts[0],
        after=row.verdicts[1],
        passes=row.passes,
        lost=row.lost,
        lines_gone=gone,
        lines_come=come,
        measures=tuple(
            MovingChange(name, old.unit, old.median, new.median, shifted(old, new))
            for name, (old, new) in row.measures.items()
        ),
        reason=row.reason,
        source=row.source,
        note=row.note,
    )


PAGE = Page(
    "parity_move",
    "/parity-matrix/frameworks/move",
    "/api/parity-matrix/frameworks/move",
    "Moving",
    build,
    Moving,
    default_range="7d",
    parameters=("before", "after", "scenario", "run"),
)

"""An open cell: one scenario on every framework, its programs, traces, and what was captured against what is true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ai_dev_squad_dashboard.hues import hues
from ai_dev_squad_dashboard.lab.figures import NAMES, Figure, figures
from ai_dev_squad_dashboard.lab.table import LabEntry, RunInfo, columns_of, entry, result_cell, run_info, versions_of
from ai_dev_squad_dashboard.lab_results import LabCell, LabCheck, LabResult, LabScenario, LabSummary
from ai_dev_squad_dashboard.page import NotFoundError, Page, Site
from ai_dev_squad_dashboard.query import Query

from .calls import CallPair, pair_calls
from .lab import open_runs
from .programs import Piece, ProgramBlock, highlight, side_by_side
from .trees import TreeRow, align_trees

__all__ = ["PAGE", "Beside", "CheckRow", "PastVerdicts", "ScenarioCells", "TraceLink", "build"]

MAX_TRACES: Final = 8
PAST: Final = 10


@dataclass(frozen=True)
class TraceLink:
    """A trace of a cell."""

    trace_id: str
    stored: bool
    """Whether the store has it."""


@dataclass(frozen=True)
class Beside:
    """A framework as one instrumentation observed it, with the evidence of its verdict."""

    framework: str
    observer: str
    hue: int
    version: str | None
    versions: Mapping[str, str]
    cell: LabEntry | None
    """``None`` where the scenario was not run."""
    coverage: str
    """How many of the model calls that left the process were captured, in words; empty where nobody counted them."""
    calls: tuple[CallPair, ...]
    traces: tuple[TraceLink, ...]
    more_traces: int
    program: str
    """The source, empty where there is none."""
    output: str
    """The last that the process printed, where it failed."""


@dataclass(frozen=True)
class CheckRow:
    """One check on every framework; ``None`` where it was not made."""

    name: str
    checks: tuple[LabCheck | None, ...]


@dataclass(frozen=True)
class MeasureRow:
    """One measure on every framework."""

    name: str
    title: str
    figures: tuple[Figure | None, ...]


@dataclass(frozen=True)
class PastVerdicts:
    """The scenario in an earlier or later run."""

    run: str
    created_us: int
    shown: bool
    verdicts: tuple[str | None, ...]
    """One for each framework."""


@dataclass(frozen=True)
class ScenarioCells:
    """A scenario of the lab on every framework, with the evidence."""

    name: str
    title: str
    purpose: str
    run: RunInfo
    focus: str
    """The framework that stands first: the one that `framework` asks for."""
    columns: tuple[Beside, ...]
    """The focus first."""
    measures: tuple[MeasureRow, ...]
    programs: tuple[ProgramBlock, ...]
    """The programs block by block, one source for each column's framework."""
    frameworks: tuple[str, ...]
    """The frameworks of ``programs``."""
    trees: tuple[TreeRow, ...]
    operations_left_out: int
    checks: tuple[CheckRow, ...]
    spec: tuple[tuple[Piece, ...], ...]
    """The scenario's own source, line by line."""
    history: tuple[PastVerdicts, ...]
    previous: str | None
    """The scenario before this one."""
    next: str | None


def build(site: Site, query: Query, scenario: str) -> ScenarioCells:
    """A scenario of a run. Raises ``NotFoundError`` for one that is not in it."""
    results, runs, problems = open_runs(site.settings.logs, query)
    names = list(dict.fromkeys(cell.scenario for result in results for cell in result.cells))
    if scenario not in names:
        what = f"{problems[0].path} {problems[0].message}" if problems and not names else "/parity-matrix lists them"
        raise NotFoundError(f"the lab's run has no scenario {scenario[:100]!r}; {what}")
    focus = query.get("framework")
    # The one that was asked for comes first, also where a screen has room for one only.
    keys = sorted(columns_of(results), key=lambda key: key[0] != focus)
    cells = [result_cell(results, key, scenario) for key in keys]
    measured = figures(cells)
    info = next(
        (one for result in results for one in result.scenarios if one.name == scenario), LabScenario(scenario, scenario)
    )
    frameworks = tuple(dict.fromkeys(framework for framework, _ in keys))
    trees, left_out = align_trees([cell.tree if cell is not None else () for cell in cells])
    at = names.index(scenario)
    return ScenarioCells(
        name=scenario,
        title=info.title or scenario,
        purpose=info.purpose,
        run=run_info(results[0]),
        focus=frameworks[0],
        columns=tuple(
            _beside(site, results, key, cell, measured[column], info, keys)
            for column, (key, cell) in enumerate(zip(keys, cells, strict=True))
        ),
        measures=_measure_rows(measured),
        programs=side_by_side([info.programs.get(framework) for framework in frameworks]),
        frameworks=frameworks,
        trees=trees,
        operations_left_out=left_out,
        checks=_check_rows(cells),
        spec=highlight(info.spec.rstrip()[:100_000]),
        history=_past(runs, scenario, keys, results[0].id),
        previous=names[at - 1] if at else None,
        next=names[at + 1] if at + 1 < len(names) else None,
    )


def _beside(
    site: Site,
    results: Sequence[LabResult],
    key: tuple[str, str],
    cell: LabCell | None,
    measured: Mapping[str, Figure],
    info: LabScenario,
    keys: Sequence[tuple[str, str]],
) -> Beside:
    own, versions = versions_of(results, key)
    traces = cell.trace_ids if cell is not None else ()
    return Beside(
        framework=key[0],
        observer=key[1],
        hue=hues([framework for framework, _ in keys])[key[0]],
        version=own,
        versions=versions,
        cell=entry(cell, measured) if cell is not None else None,
        coverage=_coverage(cell),
        calls=pair_calls(cell.captured, cell.truth) if cell is not None else (),
        traces=tuple(TraceLink(trace, site.store.trace(trace, limit=1) is not None) for trace in traces[:MAX_TRACES]),
        more_traces=max(0, len(traces) - MAX_TRACES),
        program=info.programs.get(key[0], ""),
        output=cell.output if cell is not None else "",
    )


def _coverage(cell: LabCell | None) -> str:
    checks = cell.checks if cell is not None else ()
    return next((check.captured for check in checks if check.name == "coverage"), "")


def _measure_rows(measured: Sequence[Mapping[str, Figure]]) -> tuple[MeasureRow, ...]:
    return tuple(
        MeasureRow(name, title, tuple(one.get(name) for one in measured))
        for name, title in NAMES.items()
        if any(name in one for one in measured)
    )


def _check_rows(cells: Sequence[LabCell | None]) -> tuple[CheckRow, ...]:
    made = [{check.name: check for check in cell.checks} if cell is not None else {} for cell in cells]
    names = dict.fromkeys(name for one in made for name in one)
    return tuple(CheckRow(name, tuple(one.get(name) for one in made)) for name in names)


def _past(
    runs: Sequence[LabSummary], scenario: str, keys: Sequence[tuple[str, str]], shown: str
) -> tuple[PastVerdicts, ...]:
    found = []
    for run in runs:
        verdicts = {(cell.framework, run.observer): cell.verdict for cell in run.cells if cell.scenario == scenario}
        if any(key in verdicts for key in keys):
            found.append(
                PastVerdicts(run.id, run.created_us, run.id == shown, tuple(verdicts.get(key) for key in keys))
            )
    return tuple(found[:PAST])


PAGE = Page(
    "parity_scenario",
    "/parity-matrix/<scenario>",
    "/api/parity-matrix/<scenario>",
    "Scenario",
    build,
    ScenarioCells,
    default_range="7d",
    parameters=("run", "observer"),
)

"""The lab's matrix: scenarios by frameworks, each cell executed, with its verdict and what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ai_dev_squad.frameworks import known_frameworks
from ai_dev_squad_dashboard.hues import hues
from ai_dev_squad_dashboard.lab_results import LabCell, LabResult, LabSummary, Verdict
from ai_dev_squad_dashboard.matrix_file import FileProblem

from .differences import LabDifference, differences, measured
from .figures import SHOWS, VARIES, Figure, figures
from .history import PastRun, history, tally

__all__ = [
    "OBSERVERS",
    "Lab",
    "LabColumn",
    "LabEntry",
    "LabRow",
    "RunInfo",
    "columns_of",
    "entry",
    "result_cell",
    "run_info",
    "tabulate",
    "versions_of",
]

OBSERVERS: Mapping[str, str] = {"ours": "ai-dev-squad", "openinference": "OpenInference", "openllmetry": "OpenLLMetry"}


@dataclass(frozen=True)
class RunInfo:
    """The run of the lab that is shown."""

    id: str
    created_us: int
    observer: str
    """``ours``, or the name of another instrumentation."""
    model_server: str
    """``scripted``, or the address of a real model."""
    repeat: int
    """How often each program was repeated to measure."""
    machine: Mapping[str, str]


@dataclass(frozen=True)
class LabColumn:
    """A framework as one instrumentation observed it."""

    framework: str
    observer: str
    hue: int
    version: str | None
    """The framework's own version."""
    versions: Mapping[str, str]
    """Distribution and version of all that took part."""
    verdicts: Mapping[str, int]
    """How many of all scenarios have each verdict, whatever the filters."""
    total: float | None
    """The sum of the view's main measure over ``Lab.summed`` scenarios."""


@dataclass(frozen=True)
class LabEntry:
    """A cell of the matrix."""

    verdict: Verdict
    reason: str
    """Why it is not ``passes``."""
    source: str | None
    """The URL of what the reason rests on."""
    note: str
    checks: int
    failed_checks: tuple[str, ...]
    figures: Mapping[str, Figure]
    """Measures by the lab's names."""


@dataclass(frozen=True)
class LabRow:
    """A scenario. ``cells`` has one entry for each column, ``None`` where it was not run."""

    name: str
    title: str
    purpose: str
    cells: tuple[LabEntry | None, ...]
    equal: bool
    """Whether every cell passes with the same note and, in what the view shows, has the same number; never where it varies by chance."""


@dataclass(frozen=True)
class Lab:
    """The matrix of a run, as far as the filters leave it."""

    directory: str
    """Where results of the lab are looked for first."""
    run: RunInfo | None
    """``None`` where there is none yet."""
    show: str
    """The view: ``capture``, ``tokens``, ``cost``, ``latency`` or ``overhead``."""
    measures: tuple[str, ...]
    """The measures that a cell shows in this view, the main one first; none in ``capture``."""
    columns: tuple[LabColumn, ...]
    rows: tuple[LabRow, ...]
    scenarios: int
    """Scenarios of the run, before filtering."""
    verdicts: Mapping[str, int]
    """How many cells have each verdict, whatever the filters on rows."""
    summed: int
    """Scenarios that are in the totals: shown, and passed by every column."""
    unit: str | None
    """The unit of the totals."""
    differences: tuple[LabDifference, ...]
    """What differs between the columns over the scenarios shown, whatever the view."""
    frameworks: tuple[str, ...]
    """The frameworks of the run, to filter by."""
    pinned: str | None
    """The framework whose column stands first, and stays while the others are scrolled."""
    observers: tuple[str, ...]
    """Instrumentations that there are runs through."""
    history: tuple[PastRun, ...]
    problems: tuple[FileProblem, ...]
    """Files that are no results."""


def tabulate(
    results: Sequence[LabResult],
    *,
    show: str = "capture",
    frameworks: Sequence[str] = (),
    verdict: str = "",
    text: str = "",
    pin: str = "",
    runs: Sequence[LabSummary] = (),
    directory: str = "",
    problems: tuple[FileProblem, ...] = (),
) -> Lab:
    """The matrix of the first of ``results``, with what others observed of the same scenarios beside it.

    ``frameworks`` leaves others out, ``verdict`` and ``text`` leave out scenarios without them. The columns of ``pin`` stand first.
    ``runs`` are those of the history.
    """
    if not results:
        return Lab(directory, None, show, SHOWS[show], (), (), 0, tally(()), 0, None, (), (), None, (), (), problems)
    run = results[0]
    columns = columns_of(results, frameworks, pin)
    rows = []
    for scenario in _scenarios(results):
        cells = tuple(result_cell(results, column, scenario) for column in columns)
        title, purpose = _words(results, scenario)
        entries = _entries(cells)
        row = LabRow(scenario, title, purpose, entries, _equal(entries, SHOWS[show]))
        if _wanted(row, verdict, text):
            rows.append(row)
    main = SHOWS[show][0] if SHOWS[show] else None
    comparable = [row for row in rows if main and all(measured(cell, main) for cell in row.cells)]
    units = {cell.figures[main].unit for row in comparable for cell in row.cells if cell is not None and main}
    all_cells = [cell for result in results for cell in result.cells if _shown(cell, columns)]
    return Lab(
        directory=directory,
        run=run_info(run),
        show=show,
        measures=SHOWS[show],
        columns=tuple(_column(results, key, at, comparable, main, columns) for at, key in enumerate(columns)),
        rows=tuple(rows),
        scenarios=len(_scenarios(results)),
        verdicts=tally(all_cells),
        summed=len(comparable),
        unit=next(iter(units), None),
        differences=differences(rows),
        frameworks=tuple(dict.fromkeys(cell.framework for result in results for cell in result.cells)),
        pinned=pin if any(framework == pin for framework, _ in columns) else None,
        observers=tuple(dict.fromkeys(one.observer for one in runs)),
        history=history(runs, run.id),
        problems=problems,
    )


def run_info(run: LabResult) -> RunInfo:
    """What pages say of how the lab ran."""
    machine = {name: str(value)[:200] for name, value in run.machine.items()}
    return RunInfo(run.id, run.created_us, run.observer, run.model_server, run.repeat, machine)


Key = tuple[str, str]


def columns_of(results: Sequence[LabResult], frameworks: Sequence[str] = (), pin: str = "") -> tuple[Key, ...]:
    """(framework, observer) of each column: a framework's observers stand beside one another, those of ``pin`` first."""
    keys = dict.fromkeys((cell.framework, result.observer) for result in results for cell in result.cells)
    order = {name: at for at, name in enumerate(dict.fromkeys(framework for framework, _ in keys))}
    shown = [key for key in keys if not frameworks or key[0] in frameworks]
    return tuple(sorted(shown, key=lambda key: (key[0] != pin, order[key[0]])))


def result_cell(results: Sequence[LabResult], key: Key, scenario: str) -> LabCell | None:
    """The cell of a column and a scenario."""
    return next(
        (
            cell
            for result in results
            if result.observer == key[1]
            for cell in result.cells
            if (cell.scenario, cell.framework) == (scenario, key[0])
        ),
        None,
    )


def _entries(cells: Sequence[LabCell | None]) -> tuple[LabEntry | None, ...]:
    """The cells of a scenario as the matrix shows them."""
    measured = figures(cells)
    return tuple(None if cell is None else entry(cell, measured[at]) for at, cell in enumerate(cells))


def entry(cell: LabCell, measured: Mapping[str, Figure]) -> LabEntry:
    """A cell as the matrix shows it."""
    return LabEntry(
        verdict=cell.verdict,
        reason=cell.reason,
        source=cell.link,
        note=cell.note,
        checks=len(cell.checks),
        failed_checks=tuple(check.name for check in cell.checks if not check.ok),
        figures=measured,
    )


def versions_of(results: Sequence[LabResult], key: Key) -> tuple[str | None, dict[str, str]]:
    """The framework's own version, and those of all that took part."""
    versions = next((result.versions.get(key[0], {}) for result in results if result.observer == key[1]), {})
    info = known_frameworks().get(key[0])
    own = versions.get(info.packages[0] if info is not None and info.packages else key[0])
    return own, versions


def _column(
    results: Sequence[LabResult],
    key: Key,
    at: int,
    comparable: Sequence[LabRow],
    main: str | None,
    keys: Sequence[Key],
) -> LabColumn:
    own, versions = versions_of(results, key)
    values = [cell.figures[main].median for row in comparable if main and (cell := row.cells[at]) is not None]
    cells = [cell for result in results for cell in result.cells if _shown(cell, [key]) and result.observer == key[1]]
    return LabColumn(
        framework=key[0],
        observer=key[1],
        hue=hues([framework for framework, _ in keys])[key[0]],
        version=own,
        versions=versions,
        verdicts=tally(cells),
        total=sum(values) if values else None,
    )


def _shown(cell: LabCell, columns: Sequence[Key]) -> bool:
    return any(cell.framework == framework for framework, _ in columns)


def _scenarios(results: Sequence[LabResult]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(cell.scenario for result in results for cell in result.cells))


def _words(results: Sequence[LabResult], name: str) -> tuple[str, str]:
    found = (scenario for result in results for scenario in result.scenarios if scenario.name == name)
    return next(((scenario.title or name, scenario.purpose) for scenario in found), (name, ""))


def _equal(cells: Sequence[LabEntry | None], measures: Sequence[str]) -> bool:
    passing = [cell for cell in cells if cell is not None and cell.verdict == "passes"]
    if len(passing) < len(cells) or len(cells) < 2 or len({cell.note for cell in passing}) > 1:
        return False
    shown = [tuple((name, cell.figures[name]) for name in measures if name in cell.figures) for cell in passing]
    if any(figure.unit in VARIES for one in shown for _, figure in one):
        # Two times that are the same are so by chance.
        return False
    return len({tuple((name, figure.median) for name, figure in one) for one in shown}) == 1


def _wanted(row: LabRow, verdict: str, text: str) -> bool:
    cells = [cell for cell in row.cells if cell is not None]
    if verdict and not any(cell.verdict == verdict for cell in cells):
        return False
    words = [row.name, row.title, row.purpose, *(f"{cell.reason} {cell.note}" for cell in cells)]
    everything = " ".join(words).casefold()
    return all(word in everything for word in text.casefold().split())

"""The lab's matrix as a file: CSV, Markdown, and one HTML file that needs nothing else."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from ai_dev_squad_dashboard import formats, safe_text
from ai_dev_squad_dashboard.formats import NONE, day_time, quantity
from ai_dev_squad_dashboard.lab_results import SIGNS, LabCell, LabProviders, LabResult, LabScenario
from ai_dev_squad_dashboard.safe_text import no_formula, safe_line

from .figures import NAMES, SHOWS
from .providers import tabulate_providers
from .table import OBSERVERS, Lab, LabColumn, LabEntry, LabRow, result_cell

__all__ = ["as_csv", "as_html", "as_markdown", "markdown_row", "markdown_text"]

_COLUMNS: Final[Mapping[str, str]] = {
    "wall": "wall_ms",
    "framework": "overhead_ms",
    "observation": "observation_ratio",
    "calls": "calls",
    "tokens": "tokens",
    "cost": "cost_usd",
    "memory": "memory_mib",
    "import": "import_ms",
    "quality": "quality",
}
"""Measure → its column in CSV, with the unit."""
_STYLES: Final = ("tokens", "base", "components", "runs", "parity", "parity_scenario")
_SHOWS: Final = {**SHOWS, "quality": ("quality",)}
_HERE: Final = Path(__file__).parents[1]
_CSS: Final = _HERE / "static" / "css"


def as_csv(lab: Lab) -> str:
    """One line for each cell, with every measure's median and interval."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    head = ["scenario", "title", "framework", "version", "observer", "verdict", "reason", "source", "note", "checks"]
    measures = [f"{name}{end}" for name in _COLUMNS.values() for end in ("", "_low", "_high")]
    writer.writerow([*head, "failed_checks", *measures])
    for row, column, cell in _cells(lab):
        figures = [cell.figures.get(name) for name in _COLUMNS]
        numbers = [
            value for one in figures for value in ((one.median, one.low, one.high) if one is not None else ("", "", ""))
        ]
        texts = [
            row.name, row.title, column.framework, column.version or "", column.observer, cell.verdict, cell.reason,
            cell.source or "", cell.note,
        ]  # fmt: skip
        writer.writerow([*map(no_formula, texts), cell.checks, no_formula(" ".join(cell.failed_checks)), *numbers])
    return file.getvalue()


def as_markdown(lab: Lab) -> str:
    """The table of verdicts, then one for each view with numbers, then the reasons."""
    assert lab.run is not None
    lines = [
        "# Parity matrix",
        "",
        f"Run of {day_time(lab.run.created_us)} UTC, {markdown_text(_model(lab))}, {lab.run.repeat} repeats. {markdown_text(_tally(lab))}.",
        "",
        *(
            [markdown_text(", ".join(f"{name} {value}" for name, value in lab.run.machine.items())), ""]
            if lab.run.machine
            else []
        ),
    ]
    lines += [*_table(lab, "Verdicts", None), ""]
    for name, title in NAMES.items():
        if _is_measured(lab, (name,)):
            lines += [*_table(lab, title, name), ""]
    if any(figure.lowest for _, _, cell in _cells(lab) for figure in cell.figures.values()):
        lines += ["A value in bold is lowest beyond doubt: no other interval reaches it.", ""]
    reasons = [
        f"- {markdown_text(f'{row.title} on {_head(column)}: {cell.verdict}. {cell.reason} {cell.source or str()} {cell.note}')}"
        for row, column, cell in _cells(lab)
        if cell.reason or cell.note
    ]
    return "\n".join([*lines, *(["## Reasons and notes", "", *reasons, ""] if reasons else [])])


def _table(lab: Lab, title: str, name: str | None) -> Iterator[str]:
    """The verdicts, or a measure, of every cell."""
    yield f"## {title}"
    yield ""
    yield markdown_row("Scenario", *(markdown_text(_head(column)) for column in lab.columns))
    yield markdown_row("---", *("---" if name is None else "---:" for _ in lab.columns))
    for row in lab.rows:
        yield markdown_row(markdown_text(row.title), *(_cell(cell, name) for cell in row.cells))
    if name is None:
        yield markdown_row("**passes**", *(f"**{_passed(column)}**" for column in lab.columns))


def as_html(lab: Lab, results: Sequence[LabResult], providers: LabProviders | None = None) -> str:
    """One file that loads nothing and runs nothing: the tables, and of each scenario the evidence and the programs.

    ``providers`` stand in a table of their own, below the verdicts.
    """
    return (
        _environment()
        .get_template("lab_export.html")
        .render(
            lab=lab,
            style=_style(),
            shows={show: names for show, names in _SHOWS.items() if not names or _is_measured(lab, names)},
            names=NAMES,
            observers=OBSERVERS,
            model=_model(lab),
            verdicts=_tally(lab),
            providers=tabulate_providers(providers) if providers is not None else None,
            evidence=[_evidence(results, lab, row) for row in lab.rows],
        )
    )


@dataclass(frozen=True)
class _Evidence:
    """What the verdicts of a scenario rest on."""

    row: LabRow
    cells: tuple[tuple[LabColumn, LabCell], ...]
    programs: Mapping[str, str]
    spec: str


def _evidence(results: Sequence[LabResult], lab: Lab, row: LabRow) -> _Evidence:
    found = ((column, result_cell(results, (column.framework, column.observer), row.name)) for column in lab.columns)
    words = (scenario for result in results for scenario in result.scenarios if scenario.name == row.name)
    scenario = next(words, LabScenario(row.name))
    frameworks = dict.fromkeys(column.framework for column in lab.columns)
    programs = {name: scenario.programs[name] for name in frameworks if name in scenario.programs}
    return _Evidence(row, tuple((column, cell) for column, cell in found if cell is not None), programs, scenario.spec)


@cache
def _style() -> Markup:
    text = "\n".join((_CSS / f"{name}.css").read_text(encoding="utf-8") for name in _STYLES)
    # What a style sheet imports stands in it already.
    return Markup(re.sub(r"@import [^;]+;", "", text))  # noqa: S704 - our own


@cache
def _environment() -> Environment:
    environment = Environment(loader=FileSystemLoader(_HERE / "templates"), autoescape=True)
    formats.attach(environment)
    safe_text.attach(environment)
    return environment


def _is_measured(lab: Lab, names: Sequence[str]) -> bool:
    return any(name in cell.figures for _, _, cell in _cells(lab) for name in names)


def _cells(lab: Lab) -> Iterator[tuple[Any, LabColumn, LabEntry]]:
    for row in lab.rows:
        for column, cell in zip(lab.columns, row.cells, strict=True):
            if cell is not None:
                yield row, column, cell


def _model(lab: Lab) -> str:
    assert lab.run is not None
    return "scripted model" if lab.run.model_server == "scripted" else f"model at {safe_line(lab.run.model_server, 80)}"


def _passed(column: LabColumn) -> str:
    return f"{column.verdicts['passes']} of {sum(column.verdicts.values())}"


def _tally(lab: Lab) -> str:
    """How many cells have which verdict, in words."""
    words = {"passes": "pass", "fails": "fail"}
    parts = [f"{number} {words.get(verdict, verdict)}" for verdict, number in lab.verdicts.items() if number]
    return f"{sum(lab.verdicts.values())} cells: {', '.join(parts) or 'none'}"


def _head(column: LabColumn) -> str:
    seen = "" if column.observer == "ours" else f" ({OBSERVERS.get(column.observer, column.observer)})"
    return f"{column.framework} {column.version or ''}".rstrip() + seen


def _cell(cell: LabEntry | None, name: str | None) -> str:
    if cell is None:
        return NONE
    if name is None or (cell.verdict != "passes" and name not in cell.figures):
        return f"{SIGNS[cell.verdict]} {cell.verdict}"
    if name not in cell.figures:
        return NONE
    figure = cell.figures[name]
    words = f"{quantity(figure.median, figure.unit)}" + (f" ({figure.spread})" if figure.spread else "")
    return f"**{markdown_text(words)}**" if figure.lowest else markdown_text(words)


def markdown_row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def markdown_text(text: str) -> str:
    """Text in one line that Markdown leaves as it is."""
    line = safe_line(text.strip(), 1000)
    for sign in "\\`*_[]<>|#~":
        line = line.replace(sign, f"\\{sign}")
    return line

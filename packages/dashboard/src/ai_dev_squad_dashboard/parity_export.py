"""The lab's matrix as a file: JSON, CSV, Markdown, and one HTML file that needs nothing else."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from flask import Blueprint, Response, current_app, render_template

from .formats import NONE, day_time, quantity
from .page import NotFoundError, Site, asked
from .safe_text import safe_line
from .views.parity.figures import NAMES, SHOWS
from .views.parity.lab import OBSERVERS, Lab, LabColumn, LabEntry, build

__all__ = ["as_csv", "as_markdown", "create_blueprint"]

_SIGNS: Final[Mapping[str, str]] = {"passes": "✓", "adapter can't": "◐", "framework can't": "○", "fails": "✗"}
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
_STYLES: Final = ("tokens", "base", "components", "parity")


def create_blueprint(site: Site) -> Blueprint:
    """``/api/parity-matrix.<kind>``, with the arguments of the page."""
    blueprint = Blueprint("parity_export", __name__)

    @blueprint.get("/api/parity-matrix.<kind>")
    def export(kind: str) -> Response:
        if kind not in _KINDS:
            raise NotFoundError(f"the matrix cannot be had as {kind[:40]!r}; use {', '.join(_KINDS)}")
        query = asked("7d")
        lab = build(site.settings.logs, query)
        if lab.run is None:
            raise NotFoundError("the lab has not run yet; `ai-dev-squad parity run` does")
        mimetype, make = _KINDS[kind]
        answer = Response(make(lab), mimetype=mimetype)
        day = day_time(lab.run.created_us).replace(" ", "-").replace(":", "")
        answer.headers["Content-Disposition"] = f'attachment; filename="parity-{day}.{kind}"'
        return answer

    return blueprint


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
        writer.writerow([*map(_plain, texts), cell.checks, _plain(" ".join(cell.failed_checks)), *numbers])
    return file.getvalue()


def as_markdown(lab: Lab) -> str:
    """The table of verdicts, then one for each view with numbers, then the reasons."""
    assert lab.run is not None
    lines = [
        "# Parity matrix",
        "",
        f"Run of {day_time(lab.run.created_us)} UTC, {_model(lab)}, {lab.run.repeat} repeats.",
        "",
    ]
    for show, names in SHOWS.items():
        title = "Verdicts" if not names else NAMES[names[0]]
        lines += [f"## {title}", "", _line(["Scenario", *(_head(column) for column in lab.columns)])]
        lines.append(_line(["---", *("---" if not names else "---:" for _ in lab.columns)], escape=False))
        for row in lab.rows:
            cells = [_cell(cell, names[0] if names else None) for cell in row.cells]
            lines.append(_line([row.title, *cells]))
        lines += (
            [""]
            if show != "overhead"
            else ["", "A value in bold is lowest beyond doubt: no other interval reaches it.", ""]
        )
    reasons = [
        f"- {_text(f'{row.title} on {_head(column)}: {cell.verdict}. {cell.reason} {cell.source or str()} {cell.note}')}"
        for row, column, cell in _cells(lab)
        if cell.reason or cell.note
    ]
    return "\n".join([*lines, *(["## Reasons and notes", "", *reasons, ""] if reasons else [])])


def _json(lab: Lab) -> bytes:
    return msgspec.json.format(msgspec.json.encode(lab), indent=1)


def _html(lab: Lab) -> str:
    css = Path(current_app.static_folder or "") / "css"
    style = "\n".join((css / f"{name}.css").read_text(encoding="utf-8") for name in _STYLES)
    return render_template("parity_export.html", lab=lab, style=style, shows=SHOWS, names=NAMES, observers=OBSERVERS)


_KINDS: Final[Mapping[str, tuple[str, Callable[[Lab], Any]]]] = {
    "json": ("application/json", _json),
    "csv": ("text/csv", as_csv),
    "md": ("text/markdown", as_markdown),
    "html": ("text/html", _html),
}


def _cells(lab: Lab) -> Iterator[tuple[Any, LabColumn, LabEntry]]:
    for row in lab.rows:
        for column, cell in zip(lab.columns, row.cells, strict=True):
            if cell is not None:
                yield row, column, cell


def _plain(text: str) -> str:
    # A spreadsheet would take it for a formula.
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text


def _model(lab: Lab) -> str:
    assert lab.run is not None
    return "scripted model" if lab.run.model_server == "scripted" else f"model at {_text(lab.run.model_server)}"


def _head(column: LabColumn) -> str:
    seen = "" if column.observer == "ours" else f" ({OBSERVERS.get(column.observer, column.observer)})"
    return f"{column.framework} {column.version or ''}".rstrip() + seen


def _cell(cell: LabEntry | None, name: str | None) -> str:
    if cell is None:
        return NONE
    if name is None or (cell.verdict != "passes" and name not in cell.figures):
        return f"{_SIGNS[cell.verdict]} {cell.verdict}"
    if name not in cell.figures:
        return NONE
    figure = cell.figures[name]
    words = f"{quantity(figure.median, figure.unit)}" + (f" ({figure.spread})" if figure.spread else "")
    return f"**{words}**" if figure.lowest else words


def _line(cells: list[str], *, escape: bool = True) -> str:
    return "| " + " | ".join(_text(cell) if escape and not cell.startswith("**") else cell for cell in cells) + " |"


def _text(text: str) -> str:
    """Text in one line that Markdown leaves as it is."""
    line = safe_line(text.strip(), 1000)
    for sign in "\\`*_[]<>|#~":
        line = line.replace(sign, f"\\{sign}")
    return line

"""A run of the lab as files: each format, where it is written, and what lies beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ai_dev_squad_dashboard.lab_results import LabProviders, LabResult

__all__ = ["FORMATS", "as_format", "providers_beside", "write_providers", "write_results", "write_text"]

FORMATS = ("markdown", "html", "csv", "json", "junit", "badge")
_FILES = {
    "markdown": ("parity", "md"),
    "html": ("parity", "html"),
    "csv": ("parity", "csv"),
    "junit": ("junit", "xml"),
    "badge": ("badge", "svg"),
}


def write_results(matrix: LabResult, output: Path) -> None:
    """Write a run in every format to ``output``, and keep it in ``output/history``.

    A run through somebody else's instrumentation has the observer's name in its files' names, and stands beside ours.
    """
    from ai_dev_squad_dashboard.lab_results import save

    suffix = "" if matrix.observer == "ours" else f"-{matrix.observer}"
    save(matrix, output / f"parity{suffix}.json")
    if not suffix:
        # Colons cannot stand in a file's name everywhere.
        save(matrix, output / "history" / f"{matrix.created.replace(':', '-')}.json")
    providers = providers_beside(output)
    for kind, (stem, ending) in _FILES.items():
        write_text(as_format(matrix, kind, providers), output / f"{stem}{suffix}.{ending}")


def write_providers(table: LabProviders, output: Path) -> None:
    """Write a table of providers to ``output``, where the dashboard looks for it, and into the HTML file of the run beside it."""
    from ai_dev_squad_dashboard.lab_results import load, save

    save(table, output / "providers.json")
    run = output / "parity.json"
    if run.is_file():
        write_text(as_format(load(run), "html", table), output / "parity.html")


def as_format(matrix: LabResult, kind: str, providers: LabProviders | None = None) -> str:
    """A run as one of ``FORMATS``; the HTML file has the table of ``providers``, too."""
    import msgspec

    from ai_dev_squad_dashboard import lab_report
    from ai_dev_squad_parity.lab import report

    makers: dict[str, Callable[[LabResult], str]] = {
        "markdown": lab_report.markdown,
        "html": lambda matrix: lab_report.standalone(matrix, providers),
        "csv": lab_report.csv_table,
        "junit": report.junit,
        "badge": report.badge,
        "json": lambda matrix: msgspec.json.format(msgspec.json.encode(matrix), indent=1).decode() + "\n",
    }
    return makers[kind](matrix)


def write_text(text: str, file: Path | None) -> None:
    """Write ``text`` to ``file``, whose folder is made, or print it."""
    if file is None:
        from ai_dev_squad_parity.lab.terminal import say

        say(text.rstrip("\n"))
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="")


def providers_beside(folder: Path) -> LabProviders | None:
    """The table of providers that lies beside a run; ``None`` where there is none that can be read: the dashboard says why."""
    from ai_dev_squad_dashboard.lab_results import ResultsError, load_providers

    path = folder / "providers.json"
    try:
        return load_providers(path) if path.is_file() else None
    except ResultsError:
        return None

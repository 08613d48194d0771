"""The lab's matrix as a URL asks for it: which run, which observers beside it, which cells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ai_dev_squad_dashboard.lab.figures import SHOWS
from ai_dev_squad_dashboard.lab.table import Lab, tabulate
from ai_dev_squad_dashboard.lab_results import VERDICTS, LabResult, LabSummary
from ai_dev_squad_dashboard.matrix_file import FileProblem, read_result, read_summaries
from ai_dev_squad_dashboard.page import NotFoundError
from ai_dev_squad_dashboard.query import Query

__all__ = ["build", "open_runs", "open_table"]


def build(logs: Sequence[Path], query: Query) -> Lab:
    """The matrix that a URL asks for. Raises ``NotFoundError`` for a run that is not there, ``QueryError``."""
    return open_table(logs, query)[0]


def open_table(logs: Sequence[Path], query: Query) -> tuple[Lab, tuple[LabResult, ...]]:
    """The matrix that a URL asks for, and the results that it was made of. Raises as ``build`` does."""
    show = query.choice("show", tuple(SHOWS), "capture")
    verdict = query.choice("verdict", ("", *VERDICTS), "")
    results, runs, problems = open_runs(logs, query)
    table = tabulate(
        results,
        show=show,
        frameworks=query.selection.frameworks,
        verdict=verdict,
        text=query.get("text"),
        pin=query.get("pin"),
        runs=runs,
        directory=str(logs[0] / "parity") if logs else "logs/parity",
        problems=problems,
    )
    return table, results


def open_runs(
    logs: Sequence[Path], query: Query
) -> tuple[tuple[LabResult, ...], tuple[LabSummary, ...], tuple[FileProblem, ...]]:
    """The run that a URL asks for, or the newest, followed by the newest through each ``observer`` that it names."""
    runs, problems = read_summaries(logs)
    wanted = query.get("run")
    if wanted and not any(run.id == wanted for run in runs):
        raise NotFoundError(f"there is no run {wanted!r} of the lab; choose one of the list of runs on /parity-matrix")
    ours = [run for run in runs if run.observer == "ours"] or list(runs)
    chosen = [run for run in runs if run.id == wanted] or ours[:1]
    for observer in query.all("observer"):
        if all(run.observer != observer for run in chosen):
            chosen += [run for run in runs if run.observer == observer][:1]
    results: list[LabResult] = []
    for run in chosen:
        answer = read_result(run)
        if isinstance(answer, FileProblem):
            problems = (*problems, answer)
        else:
            results.append(answer)
    return tuple(results), runs, problems

"""The demo's second half: the same dev squad on every framework whose adapter is installed, in one table."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rich.table import Table

import ai_dev_squad
from ai_dev_squad import JournalLine
from ai_dev_squad_testing.model_server import ModelServer, Truth

from .demo_view import token_cells, truth_table, usd
from .squad import spec

__all__ = ["FRAMEWORKS", "framework_table", "run_others"]


def _crewai(base_url: str) -> None:
    # Offline, CrewAI's own telemetry holds up the end of the process for ten seconds; it is ours that is shown here.
    os.environ.setdefault("CREWAI_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("CREWAI_TRACING_ENABLED", "false")
    os.environ.setdefault("CREWAI_DISABLE_VERSION_CHECK", "true")
    from ai_dev_squad_crewai import observe

    from .squad import on_crewai

    on_crewai.run(observe(on_crewai.build(base_url)))


def _autogen(base_url: str) -> None:
    from ai_dev_squad_autogen import observe

    from .squad import on_autogen

    asyncio.run(on_autogen.run(observe(on_autogen.build(base_url))))


FRAMEWORKS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "crewai": ("CrewAI", _crewai),
    "autogen": ("AutoGen", _autogen),
}
"""What is run besides LangGraph."""


def run_others(
    session: str, pace: float, on_begin: Callable[[str], None], on_missing: Callable[[str, ImportError], None]
) -> Iterator[tuple[str, Truth]]:
    """Run the squad on the other frameworks; yields each one's name and what its model server saw.

    A framework that lacks something is left out, and ``on_missing`` is told its name and what could not be imported. Each run is a
    session of its own, ``SESSION-FRAMEWORK``.
    """
    for framework, (name, run) in FRAMEWORKS.items():
        on_begin(name)
        missing: ImportError | None = None
        with ModelServer(spec.script(pace)) as server, ai_dev_squad.session(f"{session}-{framework}"), _quiet():
            try:
                run(server.base_url)
            except ImportError as error:
                missing = error
        if missing is not None:
            on_missing(name, missing)
            continue
        yield framework, server.truth


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what frameworks print of themselves."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        level = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(level)


def framework_table(runs: dict[str, tuple[Sequence[JournalLine], Truth]]) -> tuple[Table, bool]:
    """Calls, tokens, cost and time of each framework's run, and whether all of them are as billed."""
    table = Table(title="The same squad on every framework", title_justify="left", title_style="bold")
    table.add_column("Framework")
    for column in ("Calls", "Input", "Cached", "Output", "Reasoning", "Cost", "Time"):
        table.add_column(column, justify="right")
    table.add_column("As billed")
    all_equal = True
    for name, (lines, truth) in runs.items():
        calls = [line for line in lines if line.usage is not None]
        _, equal = truth_table(lines, truth)
        all_equal = all_equal and equal
        cost = sum(line.cost.usd or 0 for line in calls if line.cost is not None)
        roots = [line for line in lines if line.status is not None and line.parent_span_id is None]
        table.add_row(
            name,
            str(len(calls)),
            *token_cells(calls),
            usd(cost),
            f"{sum(line.duration_ms or 0 for line in roots) / 1000:.2f} s",
            "[green]equal[/]" if equal else "[red]differs[/]",
        )
    return table, all_equal

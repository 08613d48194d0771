"""The demo's second half: the same dev squad on every framework whose adapter is installed, in one table."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import io
import logging
import os
import warnings
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.table import Table

import ai_dev_squad
from ai_dev_squad import JournalLine
from ai_dev_squad.frameworks import adapted_frameworks, framework_title
from ai_dev_squad_testing.model_server import ModelServer, Truth

from .demo_view import token_cells, truth_table, usd
from .squad import spec

__all__ = ["SHOWN_FIRST", "framework_table", "others", "run_others"]


SHOWN_FIRST = "langgraph"
"""The framework of the demo's first half."""


def others() -> dict[str, Callable[[str], None]]:
    """What is run besides it, where the demo has a squad: framework → a run against a model server."""
    folder = Path(__file__).with_name("squad")
    return {
        name: partial(_run, name)
        for name in adapted_frameworks()
        if name != SHOWN_FIRST and (folder / f"on_{name}.py").is_file()
    }


def _run(framework: str, base_url: str) -> None:
    info = adapted_frameworks()[framework]
    for variable, value in info.quiet.items():
        os.environ.setdefault(variable, value)
    adapter = importlib.import_module(str(info.module))
    squad = importlib.import_module(f"ai_dev_squad_parity.squad.on_{framework}")
    state = squad.run(adapter.observe(squad.build(base_url)))
    if inspect.isawaitable(state):
        asyncio.run(_wait(state))


async def _wait(state: Awaitable[Any]) -> None:
    await state


def run_others(
    session: str, pace: float, on_begin: Callable[[str], None], on_missing: Callable[[str, ImportError], None]
) -> Iterator[tuple[str, Truth]]:
    """Run the squad on the other frameworks; yields each one's name and what its model server saw.

    A framework that lacks something is left out, and ``on_missing`` is told its name and what could not be imported. Each run is a
    session of its own, ``SESSION-FRAMEWORK``.
    """
    for framework, run in others().items():
        name = framework_title(framework)
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
        logging.disable(logging.ERROR)  # a tool of the squad fails, as its script says
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

"""``ai-dev-squad parity move``: what moving from one framework to another changes, from executed cells."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ai_dev_squad_parity.lab.scenario import FRAMEWORKS, ScenarioError

if TYPE_CHECKING:
    from ai_dev_squad_dashboard.lab_results import LabResult

__all__ = ["add_move"]


def add_move(
    commands: Any,
    add_input: Callable[[argparse.ArgumentParser], None],
    read: Callable[[argparse.Namespace], LabResult],
) -> None:
    """Add ``move`` to the lab's commands, which say how a run is named and read."""
    parser = commands.add_parser("move", help="say what moving from one framework to another changes")
    parser.add_argument("before", metavar="FROM", choices=FRAMEWORKS, help=", ".join(FRAMEWORKS))
    parser.add_argument("after", metavar="TO", choices=FRAMEWORKS)
    parser.add_argument("scenario", nargs="?", metavar="SCENARIO", help="show how its program changes, line by line")
    add_input(parser)

    def run(options: argparse.Namespace) -> None:
        _move(options, read(options))

    parser.set_defaults(run=run)


def _move(options: argparse.Namespace, result: LabResult) -> None:
    from ai_dev_squad_dashboard.lab_report import move, move_markdown
    from ai_dev_squad_parity.lab.terminal import say

    found = move(result, options.before, options.after)
    if options.scenario is None:
        say(move_markdown(found).rstrip("\n"))
        return
    row = next((row for row in found.rows if row.name == options.scenario), None)
    if row is None:
        names = ", ".join(row.name for row in found.rows)
        raise ScenarioError(f"the run has no scenario {options.scenario!r}; it has {names}")
    say(row.difference.rstrip("\n") or "nothing changes")

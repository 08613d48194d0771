"""``--python`` and ``--environments``: which interpreter a framework is run with."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ai_dev_squad.frameworks import known_frameworks
from ai_dev_squad_parity.lab.scenario import FRAMEWORKS, ScenarioError, load_scenario

if TYPE_CHECKING:
    from ai_dev_squad_parity.lab.runner import Plan

__all__ = ["add_environments", "with_environments"]

MODES: Final = ("auto", "never", "always")


def add_environments(run: argparse.ArgumentParser) -> None:
    """Add both options to ``parity run``."""
    run.add_argument(
        "--python", type=_interpreter, action="append", default=[], metavar="FRAMEWORK=PATH",
        help="the interpreter of a framework's own environment; repeatable",
    )  # fmt: skip
    run.add_argument(
        "--environments", choices=MODES, default="auto",
        help="make an environment for a framework that is not installed here or whose pins do not go with what is (auto, the default), "
        "for none, or for each; they are kept and used again without a network",
    )  # fmt: skip


def _interpreter(text: str) -> tuple[str, Path]:
    framework, equals, path = text.partition("=")
    if not equals or not path or framework not in FRAMEWORKS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not FRAMEWORK=PATH; FRAMEWORK is one of {', '.join(FRAMEWORKS)}, as in crewai=.venv-crewai/bin/python"
        )
    # Not resolved: an environment's interpreter is often a link, and is the environment only under its own name.
    return framework, Path(path).expanduser().absolute()


def with_environments(plan: Plan, mode: str, say: Callable[[str], None], *, providers: bool = False) -> Plan:
    """The plan with the interpreters of environments that are made for it, and why frameworks have none."""
    if mode == "never":
        return plan
    from ai_dev_squad_parity.lab.environments import make

    needs = sorted(_needs(plan.scenarios.values()))

    def besides(framework: str) -> list[str]:
        clients = [f"ai-dev-squad-parity[{framework.replace('_', '-')}-providers]"] if providers else []
        observers = known_frameworks()[framework].instrumentors.get(plan.observer, ())
        return [*needs, *clients, *(one.distribution for one in observers)]

    made = make(plan.columns, mode, given=plan.pythons, besides=besides, say=say)
    return replace(plan, pythons=made.pythons, without=made.failed)


def _needs(scenarios: Iterable[Path]) -> set[str]:
    found: set[str] = set()
    for folder in scenarios:
        try:
            found.update(load_scenario(folder).needs)
        except (ScenarioError, ImportError):
            continue  # each of its cells says so
    return found

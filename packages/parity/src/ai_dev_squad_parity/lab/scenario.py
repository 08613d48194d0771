"""What a scenario is: a purpose, what the model says, and what must come out, whatever the framework.

A scenario is a folder: ``spec.py`` with ``SCENARIO = Scenario(...)``, and ``on_<framework>.py`` for each framework, with
``build(base_url, model)``, which returns what an adapter's ``observe`` takes, and ``run(program)``, plain or asynchronous,
which returns the answer as a text. The key is in ``OPENAI_API_KEY``, where every client looks for it.

Where a framework honestly does it otherwise, ``expected_<framework>.py`` says so in ``NOTE`` and ``EXPECTED``; like ``spec.py`` it
imports no framework, and may import from ``spec``. A few frameworks' stand in the scenario's ``notes`` and ``overrides``.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from ai_dev_squad.frameworks import adapted_frameworks
from ai_dev_squad_testing.model_server import Script

__all__ = [
    "BUILT_IN",
    "FRAMEWORKS",
    "Cannot",
    "Expected",
    "Program",
    "Scenario",
    "ScenarioError",
    "columns",
    "find_scenarios",
    "load_program",
    "load_scenario",
]

FRAMEWORKS = tuple(adapted_frameworks())
"""The frameworks the lab knows, in the order of the matrix: those that have an adapter."""

BUILT_IN = Path(__file__).resolve().parents[1] / "scenarios"
"""The folder of the scenarios that come with the lab."""


class ScenarioError(ValueError):
    """A scenario's folder cannot be used; the message names the file, what is wrong and the cure."""


@dataclass(frozen=True)
class Cannot:
    """Why a framework has no program for a scenario. ``on_<framework>.py`` says ``CANNOT = Cannot(...)`` instead of one."""

    reason: str
    source: str
    """The framework's own documentation or issue that says so: a URL."""
    whose: str = "framework"
    """``framework``, or ``adapter`` when the framework can and our adapter does not see it."""


@dataclass(frozen=True)
class Expected:
    """What must come out besides what the model server knows by itself (calls, tokens, tool calls asked for)."""

    answer: str | None = None
    """A text that the answer contains; ``None``: there is none, as when the run fails."""
    agents: tuple[str, ...] = ()
    """The agents that take part, by the roles of the script; each model call belongs to the agent of its role."""
    tools: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    """The tool calls that are executed, with their arguments, in any order."""
    failed_tools: int = 0
    """How many of them end with status ``error``."""
    failed_calls: int = 0
    """Model calls that end with status ``error`` for the program, its client's own retries being over."""
    unusable_answers: int = 0
    """Answers that are billed in full and that the client refuses, so that the call ends with status ``error``."""
    cancelled_calls: int = 0
    """Model calls that are cut off: ``cancelled`` or ``closed_early``."""
    estimated: bool = False
    """Whether those had an answer on its way: its tokens are nobody's to know, and must be estimated and say so."""
    refused_calls: int = 0
    """Model calls that a budget refuses before they are sent: the model server never sees them."""
    raises: str | None = None
    """The name of an exception class (or of a base of it) that ``run`` ends with."""
    run_status: tuple[str, ...] = ("ok",)
    """The statuses that the root operations may end with, in order; the last one repeats."""
    traces: int = 1
    """Traces per run of the program: more than one where a person is waited for."""
    linked: bool = False
    """Whether the later traces must be linked to the first (interrupt and resume)."""
    interrupts: int = 0
    """How often the program stops for a person: status ``interrupted``, never an error."""
    parallel: int = 1
    """Model calls that are under way at the same time, at least."""
    streamed: bool = False
    """Whether the model was asked for a stream, and the time to the first chunk must be known."""
    sessions: tuple[str, ...] = ()
    """Session ids whose runs must not mix."""
    loops: int = 0
    """How often the loop guard speaks up: an agent does the same again and again."""


@dataclass(frozen=True)
class Scenario:
    """One row of the matrix."""

    name: str
    title: str
    purpose: str
    """One or two sentences: what a user wants, and what observing it may get wrong."""
    script: Callable[[], Script]
    """What the model says, made anew for each run."""
    expected: Expected = Expected()
    overrides: Mapping[str, Expected] = field(default_factory=dict)
    """Where a framework honestly does it otherwise: its own expectation, with the reason in ``notes``."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """Per framework, what a reader should know: why its program or expectation differs."""
    budget_usd: float | None = None
    """A budget per run that stops it."""
    phases: tuple[str, ...] = ("run",)
    """Functions of the program that are called one after the other, each in a process of its own; they share a directory
    (``AI_DEV_SQUAD_LAB_STATE``)."""
    needs: tuple[str, ...] = ()
    """Distributions that the programs need besides their framework: without them a cell reads *not installed*."""
    timeout_s: float = 60.0
    measured: bool = True
    """Whether its time says something of a framework: not where it is a time-out that the program chose."""
    quality: Callable[[str], float] | None = None
    """A check of the answer's quality, 0 to 1, for runs against a real model."""

    def expected_of(self, framework: str) -> Expected:
        """What must come out on ``framework``."""
        return self.overrides.get(framework, self.expected)


@dataclass(frozen=True)
class Program:
    """A scenario on one framework."""

    path: Path
    build: Callable[[str, str], Any]
    phases: Mapping[str, Callable[[Any], Any]]


def find_scenarios(folder: Path = BUILT_IN) -> dict[str, Path]:
    """The scenarios in ``folder`` by name, sorted; ``folder`` may be one itself. Raises ``ScenarioError``."""
    if (folder / "spec.py").is_file():
        return {folder.name: folder}
    if not folder.is_dir():
        raise ScenarioError(f"{folder} is no folder; give one that holds scenarios (NAME/spec.py)")
    found = {path.parent.name: path.parent for path in sorted(folder.glob("*/spec.py"))}
    if not found:
        raise ScenarioError(f"{folder} holds no scenario; `ai-dev-squad parity new NAME` writes a template")
    return found


def columns(scenarios: Iterable[Path]) -> tuple[str, ...]:
    """The frameworks that at least one of these scenarios has a program for, in the order of the matrix.

    One that has some programs and lacks others is a column: what is missing fails until it is written, or says why not. Where no
    program is found at all, each framework's is missing.
    """
    folders = tuple(scenarios)
    found = tuple(name for name in FRAMEWORKS if any((folder / f"on_{name}.py").is_file() for folder in folders))
    return found or FRAMEWORKS


def load_scenario(folder: Path) -> Scenario:
    """The scenario of a folder, with what its ``expected_<framework>.py`` say. Raises ``ScenarioError``."""
    module = _load(folder / "spec.py")
    scenario = getattr(module, "SCENARIO", None)
    if not isinstance(scenario, Scenario):
        raise ScenarioError(f"{folder / 'spec.py'} has no SCENARIO = Scenario(...)")
    if scenario.name != folder.name:
        raise ScenarioError(
            f"{folder / 'spec.py'} names itself {scenario.name!r}; use the folder's name {folder.name!r}"
        )
    return _with_deviations(folder, scenario)


def _with_deviations(folder: Path, scenario: Scenario) -> Scenario:
    """The scenario with each framework's own expectation and note, from a file of that framework's."""
    overrides, notes = dict(scenario.overrides), dict(scenario.notes)
    for path in sorted(folder.glob("expected_*.py")):
        framework = path.stem.removeprefix("expected_")
        if framework in overrides or framework in notes:
            raise ScenarioError(f"{path} speaks of {framework}, and spec.py does too; say it in one of them")
        module = _load(path)
        note, expected = getattr(module, "NOTE", None), getattr(module, "EXPECTED", None)
        if not isinstance(note, str) or not isinstance(expected, Expected | None):
            raise ScenarioError(f'{path} needs NOTE = "why", and EXPECTED = Expected(...) where it differs')
        notes[framework] = note
        if expected is not None:
            overrides[framework] = expected
    return replace(scenario, overrides=overrides, notes=notes)


def load_program(folder: Path, framework: str, phases: tuple[str, ...] = ("run",)) -> Program | Cannot:
    """A scenario's program on ``framework``, or why there is none. Imports the framework. Raises ``ScenarioError``."""
    path = folder / f"on_{framework}.py"
    if not path.is_file():
        raise ScenarioError(f"{path} is missing; write it, or say in it why not: CANNOT = Cannot(reason, source)")
    module = _load(path)
    cannot = getattr(module, "CANNOT", None)
    if isinstance(cannot, Cannot):
        return cannot
    missing = [name for name in ("build", *phases) if not callable(getattr(module, name, None))]
    if missing:
        raise ScenarioError(
            f"{path} has no function {missing[0]}(); it needs build(base_url, model) and {', '.join(phases)}(program)"
        )
    return Program(path, module.build, {phase: getattr(module, phase) for phase in phases})


def _load(path: Path) -> ModuleType:
    """Run a file as a module of its own, so that a user's folder need not be a package."""
    name = f"ai_dev_squad_scenario_{path.parent.name}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Classes in it are looked up by module name when they are pickled or their annotations are read.
    sys.modules[name] = module
    # A program imports what it shares with the others from its folder: `from spec import REQUEST`.
    sys.path.insert(0, str(path.parent))
    sys.modules.pop("spec", None)
    try:
        spec.loader.exec_module(module)
    except ImportError:
        raise
    except Exception as error:
        raise ScenarioError(f"{path} cannot be loaded: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(path.parent))
        sys.modules.pop("spec", None)
    return module

"""What a run of the lab found: versioned, read and written as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

__all__ = [
    "RESULTS_VERSION",
    "Call",
    "Cell",
    "Check",
    "Interval",
    "Matrix",
    "Measure",
    "Node",
    "ResultsError",
    "ScenarioInfo",
    "Verdict",
    "load",
    "save",
]

RESULTS_VERSION = 1

Verdict = Literal["passes", "adapter can't", "framework can't", "fails"]


class ResultsError(ValueError):
    """A file that is not a result of the lab; the message names the file and the cure."""


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """A bootstrap interval of a median, 95 %."""

    low: float
    high: float


class Measure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One measured quantity over the repeats of a cell."""

    median: float
    values: tuple[float, ...]
    unit: Literal["ms", "tokens", "USD", "calls", "MiB", "ratio"]
    interval: Interval | None = None
    """``None`` where all values are equal, or there is only one."""


class Check(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that was checked."""

    name: str
    """``answer``, ``script``, ``calls``, ``tokens``, ``cost``, ``trace``, ``parents``, ``tools``, ``status``, ``interrupts``, ``events``,
    ``sessions``, ``conventions`` or ``closed``."""
    ok: bool
    captured: str = ""
    """What was captured, for a reader."""
    truth: str = ""
    """What is true, for a reader."""
    detail: str = ""
    """What is wrong, field by field."""


class Call(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model call as it was captured, or as the model server knows it."""

    model: str
    role: str | None = None
    agent: str | None = None
    status: str = "ok"
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None


class Node(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An operation of a captured run, with what is below it, by start."""

    operation: str
    name: str
    status: str
    span_id: str
    start_ms: float
    """Since the start of the run."""
    duration_ms: float
    children: tuple[Node, ...] = ()


class Cell(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A scenario on a framework: the verdict with its evidence."""

    scenario: str
    framework: str
    verdict: Verdict
    reason: str = ""
    """Why it is not ``passes``."""
    source: str = ""
    """The framework's own documentation or issue, where the framework cannot."""
    note: str = ""
    checks: tuple[Check, ...] = ()
    captured: tuple[Call, ...] = ()
    truth: tuple[Call, ...] = ()
    tree: tuple[Node, ...] = ()
    trace_ids: tuple[str, ...] = ()
    measures: dict[str, Measure] = {}
    """``wall``, ``framework`` (wall without model and tools), ``observation`` (observed / unobserved), ``calls``, ``tokens``, ``cost``, ``memory``, ``import``,
    ``quality``."""
    output: str = ""
    """The last lines of what the process printed, where it failed."""


class ScenarioInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a reader sees of a scenario: its words and its programs."""

    name: str
    title: str
    purpose: str
    spec: str
    """The source of ``spec.py``."""
    programs: dict[str, str]
    """Framework → the source of its program."""


class Matrix(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A run of the lab."""

    version: int
    created: str
    """ISO 8601, UTC."""
    observer: str
    """``ours``, ``openinference`` or ``openllmetry``."""
    model_server: str
    """``scripted``, or the address of a real model."""
    repeat: int
    machine: dict[str, Any]
    versions: dict[str, dict[str, str]]
    """Framework → distribution → version."""
    scenarios: tuple[ScenarioInfo, ...]
    cells: tuple[Cell, ...]

    def cell(self, scenario: str, framework: str) -> Cell | None:
        """The cell of a scenario and a framework."""
        found = (cell for cell in self.cells if (cell.scenario, cell.framework) == (scenario, framework))
        return next(found, None)


def save(matrix: Matrix, path: Path) -> None:
    """Write ``matrix`` as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(matrix), indent=1))


def load(path: Path) -> Matrix:
    """Read a result. Raises ``ResultsError``."""
    try:
        data = msgspec.json.decode(path.read_bytes())
        if isinstance(data, dict) and data.get("version", 0) > RESULTS_VERSION:
            raise ResultsError(
                f"{path} is of version {data['version']}, this lab reads {RESULTS_VERSION}; update ai-dev-squad-parity"
            )
        return msgspec.convert(data, Matrix)
    except (OSError, msgspec.MsgspecError) as error:
        raise ResultsError(
            f"{path} is no result of the lab ({error}); `ai-dev-squad parity run --output DIR` writes one"
        ) from error

"""What is compared: for each task, what every run of it took. From journals, from a run of the lab, or from a baseline
that was kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from ai_dev_squad.runs import Run, read_runs

__all__ = ["MEASURES", "By", "Samples", "SamplesError", "read_samples", "samples_of", "save_samples"]

By = Literal["task", "name", "framework"]

MEASURES: Final[Mapping[str, Callable[[Run], float | None]]] = {
    "cost": lambda run: None if run.unpriced_calls else run.cost_usd,
    "tokens": lambda run: float(run.input_tokens + run.output_tokens),
    "calls": lambda run: float(len(run.calls)),
    "failures": lambda run: float(run.status == "error"),
    "duration": lambda run: run.duration_ms,
}
"""What a run is measured by: cost in US dollars, tokens, model calls, failures (0 or 1), duration in milliseconds.
``None`` is unknown.
"""

_FORMAT = 1
_OF_THE_LAB = {"cost": "cost", "tokens": "tokens", "calls": "calls", "wall": "duration"}


class SamplesError(ValueError):
    """What was given cannot be compared; the message says what can."""


@dataclass
class Samples:
    """By task, and by measure, one value a run."""

    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """What was left out, and why."""

    def add(self, task: str, measure: str, value: float) -> None:
        """Add a run's value."""
        self.values.setdefault(task, {}).setdefault(measure, []).append(value)


class _Kept(msgspec.Struct):
    format: int
    tasks: dict[str, dict[str, list[float]]]


def samples_of(runs: Iterable[Run], by: By = "task") -> Samples:
    """The samples of runs that have ended. Runs of one ``task`` label are compared, or, where there is none, of one name."""
    samples, unpriced, unended = Samples(), 0, 0
    for run in runs:
        if run.status == "open":
            unended += 1
            continue
        named = {"task": run.task, "name": None, "framework": run.framework}[by]
        for measure, value in MEASURES.items():
            found = value(run)
            if found is not None:
                samples.add(named or run.first.name, measure, found)
        unpriced += bool(run.unpriced_calls)
    if unended:
        samples.notes.append(f"{unended} runs have not ended and are left out")
    if unpriced:
        samples.notes.append(f"the cost of {unpriced} runs is unknown and not compared: a call of theirs has no price")
    return samples


def read_samples(paths: Sequence[Path], by: By = "task") -> Samples:
    """The samples in journals (directories or files), in a result of the lab (``parity.json``), or in a baseline that was kept.

    Raises ``SamplesError`` for what is none of these, ``FileNotFoundError`` where there is nothing.
    """
    if len(paths) == 1 and paths[0].suffix == ".json":
        return _of_json(paths[0])
    return samples_of(read_runs(*paths), by)


def save_samples(samples: Samples, path: Path) -> None:
    """Keep samples as a baseline: figures alone, sorted, so that a repository can have it."""
    tasks = {task: dict(sorted(measures.items())) for task, measures in sorted(samples.values.items())}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(_Kept(_FORMAT, tasks)), indent=1) + b"\n")


def _of_json(path: Path) -> Samples:
    try:
        content = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        if "cells" in content:
            return _of_lab(content["cells"])
        kept = msgspec.convert(content, _Kept)
    except (msgspec.MsgspecError, UnicodeDecodeError, AttributeError, KeyError, TypeError) as error:
        raise SamplesError(
            f"{str(path)!r} is neither a baseline nor a result of the lab ({error}); name journals, parity.json, or what "
            "`ai-dev-squad gate --save` wrote"
        ) from None
    if kept.format != _FORMAT:
        raise SamplesError(
            f"{str(path)!r} has format {kept.format}; this version reads {_FORMAT}: save the baseline anew"
        )
    return Samples(kept.tasks)


def _of_lab(cells: Iterable[Mapping[str, Any]]) -> Samples:
    """One task for each scenario on each framework."""
    samples = Samples()
    for cell in cells:
        task = f"{cell['scenario']} on {cell['framework']}"
        samples.add(task, "failures", float(cell["verdict"] == "fails"))
        for name, measure in cell.get("measures", {}).items():
            for value in measure["values"] if name in _OF_THE_LAB else ():
                samples.add(task, _OF_THE_LAB[name], float(value))
    return samples

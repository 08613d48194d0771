"""Memory over ten thousand runs of each framework, bare and observed side by side.

The workload is that of the framework's ``*_overhead.py``, whose process says after every interval how many blocks of memory
Python holds, counted after a collection, and how large it is. Blocks are exact: an object that is kept for every run is one block a
run, or several. The ledger holds few calls, so that it is full at once. What the framework itself keeps, it keeps bare as well.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import environments
from report import Report, Target, main
from worker import Worker, WorkerFailed

from ai_dev_squad.frameworks import adapted_frameworks

_VARIANTS = ("bare", "ours: journal, costs")
_INTERVALS = 10
_WARM = 2  # intervals in which caches fill: interned names, compiled patterns, warnings told once
_KEPT_BLOCKS = 0.1  # a run; a single object kept for each run is 1
_HERE = Path(__file__).parent


def measure(options: argparse.Namespace) -> Report:
    """Run each framework bare and observed, by turns, and compare what is held."""
    runs = 500 if options.quick else 10_000
    report = Report(
        title="Memory over many runs of a framework",
        how=f"{runs:,} runs of each framework's `*_overhead.py` in {_INTERVALS} intervals, a model that answers at once. Blocks: what "
        f"Python's allocator holds after a collection; growth from {runs * _WARM // _INTERVALS:,} runs to the last.",
        columns={
            "framework": "", "variant": "", "runs": ",d", "blocks": ",d", "blocks a run": "+.3f",
            "RSS MiB": ".1f", "RSS growth KiB": "+,.0f",
        },
    )  # fmt: skip
    for name, info in adapted_frameworks().items():
        script = _HERE / f"{name}_overhead.py"
        if not script.exists() or name not in getattr(options, "frameworks", [name]):
            continue
        try:
            answers = _intervals(script, runs // _INTERVALS)
        except WorkerFailed as error:
            print(f"{info.title}: left out ({error})", file=sys.stderr)
            continue
        grown = {variant: _growth(found) for variant, found in answers.items()}
        for variant, found in answers.items():
            report.rows.append({"framework": info.title, "variant": variant, **grown[variant], **_held(found[-1])})
            report.used(found[-1]["versions"])
        kept = grown[_VARIANTS[1]]["blocks a run"] - grown["bare"]["blocks a run"]
        promise = f"{info.title}: observing keeps less than {_KEPT_BLOCKS} blocks a run"
        report.targets.append(Target(promise, f"{kept:+.3f}", kept < _KEPT_BLOCKS))
    return report


def _intervals(script: Path, runs: int) -> dict[str, list[dict[str, Any]]]:
    """What each variant answers after each interval of ``runs`` runs."""
    python = environments.python_of(environments.OURS)
    assert python is not None
    workers = {name: Worker(python, str(script), name, AI_DEV_SQUAD_LEDGER_SIZE="100") for name in _VARIANTS}
    answers: dict[str, list[dict[str, Any]]] = {name: [] for name in workers}
    units = {name: worker.ask(runs=1).get("units", 1) for name, worker in workers.items()}
    for _ in range(_INTERVALS):
        for name, worker in workers.items():
            answers[name].append(worker.ask(runs=runs // units[name], weigh=True))
    for worker in workers.values():
        worker.close()
    for name, found in answers.items():
        for number, answer in enumerate(found, start=1):
            answer["runs"] = number * (runs // units[name]) * units[name]
    return answers


def _growth(found: list[dict[str, Any]]) -> dict[str, float]:
    early, late = found[_WARM - 1], found[-1]
    return {
        "blocks a run": (late["blocks"] - early["blocks"]) / (late["runs"] - early["runs"]),
        "RSS growth KiB": (late["resident"] - early["resident"]) / 1024,
    }


def _held(answer: dict[str, Any]) -> dict[str, float]:
    return {"runs": answer["runs"], "blocks": answer["blocks"], "RSS MiB": answer["resident"] / 2**20}


def _add(arguments: argparse.ArgumentParser) -> None:
    arguments.add_argument(
        "--frameworks", nargs="+", metavar="NAME", default=[*adapted_frameworks()], choices=[*adapted_frameworks()]
    )


if __name__ == "__main__":
    main(measure, None, __doc__, _add)

"""What it costs to observe an asynchronous framework: how runs are timed, and how the variants are compared."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from statistics import median
from typing import Any

import environments
from answering_client import bare_of
from report import Report, Target, paired_ratio

__all__ = ["compared", "timed"]


def timed(
    prepare: Callable[[], Any],
    work: Callable[[Any], Awaitable[None]],
    flush: Callable[[], object],
    versions: Sequence[str],
    *,
    units: int = 1,
) -> Callable[..., dict[str, Any]]:
    """What ``worker.serve`` takes: ``work(prepare())`` so many times, of which ``work`` and the ``flush`` at the end are timed.

    ``units`` is how many runs, or turns, one ``work`` makes: the result is microseconds of each.
    """
    loop = asyncio.new_event_loop()

    def run(runs: int) -> dict[str, Any]:
        walls, cpu = [], 0.0
        for _ in range(runs):
            thing = prepare()
            started, before = time.perf_counter(), time.process_time()
            loop.run_until_complete(work(thing))
            walls.append(time.perf_counter() - started)
            cpu += time.process_time() - before
        before = time.process_time()
        flush()
        cpu += time.process_time() - before
        return {
            "wall_us": median(walls) / units * 1e6,
            "cpu_us": cpu / runs / units * 1e6,
            "units": units,
            "versions": environments.versions(*versions),
        }

    return run


def compared(
    title: str,
    how: str,
    answers: Mapping[str, list[dict[str, Any]]],
    spans: Mapping[str, float],
    limits: Mapping[str, float],
) -> Report:
    """The variants side by side. ``limits``: variant → how many times as long as its bare run it may take."""
    report = Report(
        title=title,
        how=how,
        columns={
            "variant": "",
            "us": ",.0f",
            "ratio": ".2f",
            "CPU us": ",.0f",
            "best CPU us": ",.0f",
            "CPU ratio": ".2f",
            "spans": ".1f",
        },
    )
    wall = {name: [answer["wall_us"] for answer in found] for name, found in answers.items()}
    cpu = {name: [answer["cpu_us"] for answer in found] for name, found in answers.items()}
    for name, found in answers.items():
        report.rows.append(
            {
                "variant": name,
                "us": median(wall[name]),
                "ratio": paired_ratio(wall[name], wall[bare_of(name)]),
                "CPU us": median(cpu[name]),
                "best CPU us": min(cpu[name]),
                "CPU ratio": paired_ratio(cpu[name], cpu[bare_of(name)]),
                "spans": spans[name],
            }
        )
        report.used(found[-1]["versions"])
    ratios = {row["variant"]: (row["ratio"], row["CPU ratio"]) for row in report.rows}
    for name, limit in limits.items():
        by_time, by_processor = ratios[name]
        promise = f"{name} / {bare_of(name)} at most {limit}, by time"
        report.targets.append(Target(promise, f"{by_time:.2f}, processor time {by_processor:.2f}", by_time <= limit))
    return report

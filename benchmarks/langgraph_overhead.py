"""What observing a LangGraph run costs, ours and the peers' side by side.

Each variant runs in its own process and its own environment; repetitions of a few runs go round the variants, so that the
machine's other work hits all alike. *Time* is the wall clock of one ``invoke``; *CPU* is that of the whole process per
run, background threads and the flush after the repetition included. Every exporting variant sends to one local receiver.
"""

from __future__ import annotations

import argparse
import os
import time
from statistics import median
from typing import Any

import environments
from repetitions import in_words, interleaved, processes
from report import Report, Target, main, paired_ratio
from variants import VARIANTS, VERSIONS, switch_on
from worker import resident_bytes, serve
from workload import NODES, state

_LIMITS = {"ours: journal, costs": 1.25, "ours: journal, costs, OTLP": 1.6}
_AHEAD = 3.0


def _work(name: str) -> None:
    """Run repetitions of the workload under the observation called ``name``."""
    graph, flush = switch_on(name, os.environ.get("BENCH_ENDPOINT"))

    def run(runs: int) -> dict[str, Any]:
        value, walls = state(), []
        cpu = time.process_time()
        for _ in range(runs):
            started = time.perf_counter()
            result = graph.invoke(value)
            walls.append(time.perf_counter() - started)
        flush()
        cpu = time.process_time() - cpu
        assert result["steps"] == NODES
        return {
            "wall_ms": median(walls) * 1e3,
            "cpu_ms": cpu / runs * 1e3,
            "rss_mib": resident_bytes() / 2**20,
            "versions": environments.versions(*VERSIONS),
        }

    serve(run)


def measure(options: argparse.Namespace) -> Report:
    """Run the repetitions and compare."""
    repetitions, runs = (3, 5) if options.quick else (25, 20)
    answers, spans = interleaved(VARIANTS, __file__, repetitions=repetitions, runs=runs, first_runs=5, counted_runs=4)
    return _report(answers, spans, repetitions, runs)


def _report(answers: dict[str, list[dict[str, Any]]], spans: dict[str, float], repetitions: int, runs: int) -> Report:
    report = Report(
        title="Observing a LangGraph run",
        how=f"{NODES} nodes, 500 items of state, no model; {in_words(repetitions, runs)}. "
        "Time: one invoke. CPU: the process per run, with background threads and flush. "
        "Ratio: to bare, median of the repetitions' ratios.",
        columns={
            "variant": "", "ms": ".2f", "ratio": ".2f", "added us": ",.0f", "best ms": ".2f",
            "CPU ms": ".2f", "CPU ratio": ".2f", "spans": "g", "RSS MiB": ".0f", "RSS growth": "+.1f",
        },
    )  # fmt: skip
    wall = {name: [a["wall_ms"] for a in found] for name, found in answers.items()}
    cpu = {name: [a["cpu_ms"] for a in found] for name, found in answers.items()}
    added = {name: median(v - b for v, b in zip(wall[name], wall["bare"], strict=True)) * 1e3 for name in answers}
    for name, found in answers.items():
        report.rows.append(
            {
                "variant": name,
                "ms": median(wall[name]),
                "ratio": paired_ratio(wall[name], wall["bare"]),
                "added us": added[name],
                "best ms": min(wall[name]),
                "CPU ms": median(cpu[name]),
                "CPU ratio": paired_ratio(cpu[name], cpu["bare"]),
                "spans": spans[name],
                "RSS MiB": found[-1]["rss_mib"],
                "RSS growth": found[-1]["rss_mib"] - found[-(repetitions // processes(repetitions))]["rss_mib"],
            }
        )
        report.used(found[-1]["versions"])
    report.targets = _targets(wall, added)
    return report


def _targets(wall: dict[str, list[float]], added: dict[str, float]) -> list[Target]:
    targets = []
    for name, limit in _LIMITS.items():
        if name in wall:
            ratio = paired_ratio(wall[name], wall["bare"])
            targets.append(Target(f"{name} / bare at most {limit}", f"{ratio:.2f}", ratio <= limit))
    ours = "ours: journal, costs, OTLP"
    for peer, times in wall.items():
        if ours in wall and not peer.startswith(("ours", "bare")):
            ahead = added[peer] / added[ours]
            whole = paired_ratio(times, wall[ours])
            words = f"{ahead:.1f}x less added time (whole run {whole:.1f}x)"
            targets.append(Target(f"{ours}: ahead of {peer} by {_AHEAD:.0f}x", words, ahead >= _AHEAD))
    return targets


if __name__ == "__main__":
    main(measure, _work, __doc__)

"""What observing a LangGraph run costs, ours and the peers' side by side.

Each subject runs in its own process and its own environment; rounds of a few runs go round the subjects, so that the
machine's other work hits all alike. *Time* is the wall clock of one ``invoke``; *CPU* is that of the whole process per
run, background threads and the flush after the round included. Every exporting subject sends to one local receiver.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import environments
from otlp_sink import Sink
from report import Report, Target, main, paired_ratio
from subjects import SUBJECTS, VERSIONS, switch_on
from worker import Worker, WorkerFailed, serve
from workload import NODES, state

_LIMITS = {"ours: journal, costs": 1.3, "ours: journal, costs, OTLP": 1.6}
_AHEAD = 3.0


def _resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def _work(name: str) -> None:
    """Run rounds of the workload under the observation called ``name``."""
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
            "rss_mib": _resident_mib(),
            "versions": environments.versions(*VERSIONS),
        }

    serve(run)


def _start(sink: Sink) -> dict[str, Worker]:
    """The workers that answer a first request; the others are named on stderr and left out."""
    workers = {}
    for name, environment in SUBJECTS.items():
        python = environments.python_of(environment)
        if python is None:
            continue
        worker = Worker(python, __file__, name, BENCH_ENDPOINT=sink.endpoint)
        try:
            worker.ask(runs=5)
        except WorkerFailed as error:
            print(f"{name}: left out ({error})", file=sys.stderr)
            continue
        workers[name] = worker
    return workers


def _spans_per_run(workers: dict[str, Worker], sink: Sink, runs: int = 4) -> dict[str, float]:
    """How many spans of one run arrive at the receiver: proof that the subjects do the work they are timed at."""
    before = sink.stats()["spans"]
    sink.count(True)
    for worker in workers.values():
        worker.ask(runs=runs)
    sink.count(False)
    arrived = sink.stats()["spans"]
    return {name: (arrived.get(name, 0) - before.get(name, 0)) / runs for name in workers}


def measure(options: argparse.Namespace) -> Report:
    """Run the rounds and compare."""
    rounds, runs = (3, 5) if options.quick else (25, 20)
    with Sink() as sink:
        workers = _start(sink)
        answers: dict[str, list[dict[str, Any]]] = {name: [] for name in workers}
        spans = _spans_per_run(workers, sink)
        names = list(workers)
        for number in range(rounds + 1):
            shift = number % len(names)
            for name in names[shift:] + names[:shift]:
                answer = workers[name].ask(runs=runs)
                if number:  # the first round warms up
                    answers[name].append(answer)
        for worker in workers.values():
            worker.close()
    return _report(answers, spans, rounds, runs)


def _report(answers: dict[str, list[dict[str, Any]]], spans: dict[str, float], rounds: int, runs: int) -> Report:
    report = Report(
        title="Observing a LangGraph run",
        how=f"{NODES} nodes, 500 items of state, no model; median of {rounds} interleaved rounds of {runs} runs. "
        "Time: one invoke. CPU: the process per run, with background threads and flush. "
        "Ratio: to bare, median of the rounds' ratios.",
        columns={
            "subject": "", "ms": ".2f", "ratio": ".2f", "added us": ",.0f", "best ms": ".2f",
            "CPU ms": ".2f", "CPU ratio": ".2f", "spans": "g", "RSS MiB": ".0f", "RSS growth": "+.1f",
        },
    )  # fmt: skip
    wall = {name: [a["wall_ms"] for a in found] for name, found in answers.items()}
    cpu = {name: [a["cpu_ms"] for a in found] for name, found in answers.items()}
    added = {name: median(v - b for v, b in zip(wall[name], wall["bare"], strict=True)) * 1e3 for name in answers}
    for name, found in answers.items():
        report.rows.append(
            {
                "subject": name,
                "ms": median(wall[name]),
                "ratio": paired_ratio(wall[name], wall["bare"]),
                "added us": added[name],
                "best ms": min(wall[name]),
                "CPU ms": median(cpu[name]),
                "CPU ratio": paired_ratio(cpu[name], cpu["bare"]),
                "spans": spans[name],
                "RSS MiB": found[-1]["rss_mib"],
                "RSS growth": found[-1]["rss_mib"] - found[0]["rss_mib"],
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

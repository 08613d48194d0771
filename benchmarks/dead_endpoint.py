"""A dead OTLP endpoint: what it adds to a program's run and to its exit.

Endpoints: none; a live receiver; a closed port, which refuses; a black hole, which accepts and never answers. Each program runs the
workload in a fresh process and ends normally. *Run* is the time inside the runs, *exit* from the last statement of the
program to the end of the process: at-exit handlers, last exports, threads.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import closing
from statistics import median
from typing import Any

import environments
from otlp_sink import Sink
from report import Report, Target, main
from variants import VERSIONS, switch_on
from workload import state

_EXPORTING = {
    "ours: journal, costs, OTLP": environments.OURS,
    "OpenInference": "openinference",
    "OpenLLMetry": "openllmetry",
    "OpenLIT": "openlit",
}
_OURS = "ours: journal, costs, OTLP"
_PLAIN = {"bare": environments.OURS, "ours: journal, costs": environments.OURS}
_LIVE = "live"
_EXIT_LIMIT_S = 5.0
_RUN_LIMIT = 1.1
_RUNS = 200


def _work(name: str) -> None:
    """Run the workload and say when the program's last statement was."""
    graph, _ = switch_on(name, os.environ.get("BENCH_ENDPOINT"))
    value = state()
    graph.invoke(value)
    started = time.perf_counter()
    for _ in range(_RUNS):
        graph.invoke(value)
    seconds = time.perf_counter() - started
    print(json.dumps({"run_s": seconds, "versions": environments.versions(*VERSIONS), "end": time.time()}), flush=True)


def _program(name: str, environment: str, endpoint: str | None) -> dict[str, Any] | None:
    python = environments.python_of(environment)
    if python is None:
        return None
    variables = {**os.environ, **({"BENCH_ENDPOINT": endpoint} if endpoint else {})}
    done = subprocess.run(
        [python, __file__, "--worker", name],
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        timeout=300,
        check=False,
    )
    ended = time.time()
    if done.returncode:
        print(f"{name}: ended with code {done.returncode}", file=sys.stderr)
        return None
    answer = json.loads(done.stdout.splitlines()[-1])
    return {**answer, "exit_s": ended - answer["end"]}


def measure(options: argparse.Namespace) -> Report:
    """Alternate fresh programs over variants and endpoints."""
    repetitions = 1 if options.quick else 5
    report = Report(
        title="A dead OTLP endpoint",
        how=f"{_RUNS} runs of the ten-node graph in a fresh process; median of {repetitions} interleaved repetitions, "
        "the peers once.",
        columns={"variant": "", "endpoint": "", "run s": ".3f", "exit s": ".3f", "worst exit s": ".3f"},
    )
    answers: dict[tuple[str, str], list[dict[str, Any]]] = {}
    listening = socket.create_server(("127.0.0.1", 0))
    with closing(listening) as hole, closing(socket.socket()) as closed, Sink() as sink:
        closed.bind(("127.0.0.1", 0))  # bound and never listening: connections are refused
        dead = {
            "closed port": f"http://127.0.0.1:{closed.getsockname()[1]}",
            "black hole": f"http://127.0.0.1:{hole.getsockname()[1]}",
        }
        cases = [(name, environment, "none", None) for name, environment in _PLAIN.items()]
        cases += [(_OURS, environments.OURS, _LIVE, sink.endpoint)]
        cases += [(name, env, kind, url) for name, env in _EXPORTING.items() for kind, url in dead.items()]
        for number in range(repetitions):
            for name, environment, kind, url in cases:
                # The peers' exits are their own time-outs, a quarter of a minute that does not vary: once is enough.
                if number and environment != environments.OURS:
                    continue
                answer = _program(name, environment, url)
                if answer:
                    answers.setdefault((name, kind), []).append(answer)
    for (name, kind), found in answers.items():
        report.used(found[0]["versions"])
        exits = [a["exit_s"] for a in found]
        row = {"variant": name, "endpoint": kind, "run s": median(a["run_s"] for a in found)}
        report.rows.append({**row, "exit s": median(exits), "worst exit s": max(exits)})
    report.targets = _targets(report.rows)
    return report


def _targets(rows: list[dict[str, Any]]) -> list[Target]:
    ours = {row["endpoint"]: row for row in rows if row["variant"] == _OURS}
    live = ours.pop(_LIVE, None)
    targets = []
    for where, row in ours.items():
        exit_s = row["worst exit s"]
        if live:
            slower = row["run s"] / live["run s"]
            promise = f"{where}: run at most {_RUN_LIMIT:g} of that with a live endpoint"
            targets.append(Target(promise, f"{slower:.2f}", slower <= _RUN_LIMIT))
        targets.append(Target(f"{where}: exit within {_EXIT_LIMIT_S:g} s", f"{exit_s:.2f} s", exit_s <= _EXIT_LIMIT_S))
    return targets


if __name__ == "__main__":
    main(measure, _work, __doc__)

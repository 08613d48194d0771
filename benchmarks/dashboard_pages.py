"""The dashboard's pages over HTTP: how long a reader waits, with a full store, idle and while 2,000 spans a second arrive.

The store is the one of ``week_of_spans.py``: a week of spans, a million unless told otherwise. The dashboard runs as a user
runs it, in a process of its own; another one sends OTLP/HTTP requests to it, four a second of 500 spans. Each page is fetched
whole, as HTML, over a connection that stays open; its span of time ends now, so no answer is one that was given before.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import environments
from dashboard_ingest import OURS, peak_mib, server
from dashboard_store import RANGES, RATE
from otlp_requests import runs
from report import Report, Target, main, p50_p95
from week_of_spans import add_arguments, filled

_BATCH = 500
_LONGEST_S = 90
_random = random.Random(4)


def _send(name: str) -> None:
    """Send spans at a steady rate to the port in ``name`` until standard input ends; then tell how many were taken."""
    port, seconds = map(int, name.split(","))
    waiting = runs(RATE * seconds, seed=int(time.time()))
    print("ready", flush=True)
    sys.stdin.readline()
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    due, taken = time.perf_counter(), 0
    while waiting and not ended.is_set():
        connection.request("POST", "/v1/traces", waiting.pop(), {"Content-Type": "application/x-protobuf"})
        answer = connection.getresponse()
        answer.read()
        taken += _BATCH if answer.status == 200 else 0
        due += _BATCH / RATE
        ended.wait(max(0.0, due - time.perf_counter()))
    print(json.dumps({"taken": taken}), flush=True)


@contextmanager
def _arriving(port: int, seconds: int) -> Iterator[dict[str, float]]:
    """Spans arrive for as long as the block lasts; afterwards the dictionary says how many a second."""
    command = [sys.executable, __file__, "--worker", f"{port},{seconds}"]
    sender = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert sender.stdin is not None
    assert sender.stdout is not None
    sender.stdout.readline()
    sender.stdin.write("go\n")
    sender.stdin.flush()
    began, found = time.perf_counter(), {"spans/s": 0.0}
    try:
        yield found
    finally:
        sender.stdin.close()
        found["spans/s"] = json.loads(sender.stdout.readline())["taken"] / (time.perf_counter() - began)
        sender.wait()


class _Reader:
    """A browser that takes one page after the other."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def rest(self, seconds: float) -> None:
        """Ask for nothing for a while. The server closes what is idle for 20 s, so the connection is opened again after it."""
        self._connection.close()
        time.sleep(seconds)

    def get(self, path: str) -> bytes:
        self._connection.request("GET", path)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"GET {path} was answered with {answer.status}: {body[:200]!r}")
        return body

    def timed(self, paths: list[str], repetitions: int) -> tuple[float, float]:
        """p50 and p95 in milliseconds, of pages drawn from ``paths``."""
        self.get(paths[0])
        took = []
        for _ in range(repetitions):
            path = _random.choice(paths)
            began = time.perf_counter()
            self.get(path)
            took.append((time.perf_counter() - began) * 1000)
        return p50_p95(took)


def _pages(reader: _Reader, words: str) -> dict[str, list[str]]:
    rows = json.loads(reader.get(f"/api/traces?range={words}&limit=200"))["rows"]
    return {
        "overview": [f"/?range={words}"],
        "costs": [f"/costs?range={words}"],
        "list of traces": [f"/traces?range={words}"],
        "one trace": [f"/traces/{row['trace_id']}" for row in rows],
    }


def measure(options: argparse.Namespace) -> Report:
    """Fill, serve, read."""
    repetitions = 5 if options.quick else 40
    report = Report(
        title="Dashboard: pages over HTTP",
        how="",
        columns={
            "page": "", "range": "", "p50 ms": ",.0f", "p95 ms": ",.0f", "p50 ms, filling": ",.0f", "p95 ms, filling": ",.0f",
        },
    )  # fmt: skip
    python = environments.python_of("dashboard")
    if python is None:
        return report
    with tempfile.TemporaryDirectory() as directory:
        path, spans = filled(options, directory)
        load = os.getloadavg()[0]
        command = ["-m", "ai_dev_squad_dashboard.cli", "dashboard", "--db", str(path)]
        product = replace(OURS, command=lambda logs, port: [*command, "--logs", str(logs), "--port", str(port)])
        with server(product, python) as (port, _, start_s, process):
            reader = _Reader(port)
            asked = {
                (page, label): paths
                for label in RANGES
                for page, paths in _pages(reader, label.replace(" ", "")).items()
            }
            found = {key: [*reader.timed(paths, repetitions)] for key, paths in asked.items()}
            seconds = 30 if options.quick else _LONGEST_S
            with _arriving(port, seconds) as arrived:
                # What the filling left to do is no part of the steady state.
                reader.rest(15)
                for key, paths in asked.items():
                    found[key] += reader.timed(paths, repetitions)
            memory = peak_mib(process.pid)
    for (page, label), numbers in found.items():
        report.rows.append(dict(zip(report.columns, (page, label, *numbers), strict=True)))
        limit = RANGES[label][1]
        promise = f"{page}, {label}: at most {limit} ms p95 while filled"
        report.targets.append(Target(promise, f"{numbers[3]:.0f} ms", numbers[3] <= limit))
    report.how = (
        f"{spans:,} spans over 7 days; {repetitions} fetches a page; first page {start_s:.2f} s after the start; {arrived['spans/s']:,.0f} "
        f"spans/s arrived meanwhile; load {load:.1f} before; peak RSS of the dashboard {memory:,.0f} MiB."
    )
    report.used(environments.versions("duckdb"))
    return report


if __name__ == "__main__":
    main(measure, _send, __doc__, add_arguments)

"""The dashboard beside Phoenix: how fast spans are stored, how soon the first page is there, what an installation weighs.

Both receive the same OTLP/HTTP requests with OpenInference's attributes, Phoenix's native ones: traces of ten spans, fifteen attributes and a
kilobyte of messages on each model call. *Stored* counts from the first request until every span can be read back from the
product's own database. Each server is a process of its own with an empty database on this machine's disk; the sender is
another, and shares the cores. Ours is also sent conversations in GenAI's names, each call with all messages before it.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import environments
from otlp_requests import SENT, SPANS_PER_REQUEST
from report import Report, Target, main

_CONNECTIONS = 10
"""As many as an exporter of the OpenTelemetry Collector has consumers, unless told otherwise."""
_SPANS_PER_S = 20_000
_LEAD = 10
_START_S = 1.5


@dataclass(frozen=True)
class Product:
    """A server under test."""

    name: str
    environment: str
    distribution: str
    command: Callable[[Path, int], list[str]]
    variables: Callable[[Path, int], dict[str, str]]
    stored: Callable[[Path, int], int]
    spans: int
    """How many spans it is sent: enough for a steady state, few enough to wait for."""
    sent: str = "runs"
    """What it is sent, of ``otlp_requests.SENT``."""


def _ours_stored(directory: Path, port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=30) as answer:
        return int(json.load(answer)["store"]["spans"])


def _phoenix_stored(directory: Path, port: int) -> int:
    # Read beside the server: its own API would be part of what is measured.
    database = directory / "phoenix.db"
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30) as connection:
        return int(connection.execute("select count(*) from spans").fetchone()[0])


OURS = Product(
    "ours",
    "dashboard",
    "ai-dev-squad-dashboard",
    lambda directory, port: [
        *("-m", "ai_dev_squad_dashboard.cli", "dashboard", "--logs", str(directory)),
        *("--db", str(directory / "store.duckdb"), "--port", str(port)),
    ],
    lambda directory, port: {},
    _ours_stored,
    400_000,
)
TALKING = replace(OURS, name="ours, conversations", spans=60_000, sent="conversations")
_PRODUCTS = (
    OURS,
    TALKING,
    Product(
        "Phoenix",
        "phoenix",
        "arize-phoenix",
        lambda directory, port: ["-m", "phoenix.server.main", "serve"],
        lambda directory, port: {
            "PHOENIX_WORKING_DIR": str(directory),
            "PHOENIX_PORT": str(port),
            "PHOENIX_GRPC_PORT": str(_free_port()),
            "PHOENIX_TELEMETRY_ENABLED": "false",
        },
        _phoenix_stored,
        10_000,
    ),
)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def _work(name: str) -> None:
    """Send spans to the port that standard input names, on a few connections at a time."""
    port, spans, seed = map(int, name.split(",")[:3])
    waiting = SENT[name.split(",")[3]](spans, seed)
    print("ready", flush=True)
    sys.stdin.readline()
    lock, refused = threading.Lock(), [0]

    def send() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        while True:
            with lock:
                if not waiting:
                    return
                body = waiting.pop()
            while True:
                connection.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
                answer = connection.getresponse()
                answer.read()
                if answer.status == 200:
                    break
                # A sender that is told to wait does so, as exporters do, but in tenths: the pause isn't the server's work.
                refused[0] += 1
                time.sleep(0.1)

    threads = [threading.Thread(target=send) for _ in range(_CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"refused": refused[0]}), flush=True)


@contextmanager
def server(product: Product, python: Path) -> Iterator[tuple[int, Path, float, subprocess.Popen[bytes]]]:
    """A running server: its port, its directory, the seconds until its first page, its process."""
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        directory, port = Path(name), _free_port()
        environment = {**os.environ, **product.variables(directory, port)}
        with (directory / "server.log").open("wb") as log:
            began = time.perf_counter()
            process = subprocess.Popen(
                [python, *product.command(directory, port)], env=environment, stdout=log, stderr=log, cwd=directory
            )
        try:
            yield port, directory, _first_page(port, began, process, directory), process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _first_page(port: int, began: float, process: subprocess.Popen[bytes], directory: Path) -> float:
    while process.poll() is None and time.perf_counter() - began < 120:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30):
                return time.perf_counter() - began
        except (urllib.error.URLError, OSError):
            time.sleep(0.01)
    log = (directory / "server.log").read_text(errors="replace")[-1500:]
    raise RuntimeError(f"the server did not come up: {log}")


def peak_mib(pid: int) -> float:
    """The most memory that a process held."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def processor_s(pid: int) -> float:
    """The processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _ingest(product: Product, python: Path, spans: int, seed: int) -> dict[str, float]:
    with server(product, python) as (port, directory, start_s, process):
        sender = subprocess.Popen(
            [sys.executable, __file__, "--worker", f"{port},{spans},{seed},{product.sent}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert sender.stdin is not None
        assert sender.stdout is not None
        sender.stdout.readline()
        began, cpu = time.perf_counter(), processor_s(process.pid)
        sender.stdin.write("go\n")
        sender.stdin.flush()
        sent = json.loads(sender.stdout.readline())
        acknowledged_s = time.perf_counter() - began
        while product.stored(directory, port) < spans:
            if time.perf_counter() - began > 600:
                raise RuntimeError(f"{product.name} had not stored {spans} spans after 10 minutes")
            time.sleep(0.05)
        stored_s = time.perf_counter() - began
        sender.wait()
        return {
            "start s": start_s,
            "spans/s acknowledged": spans / acknowledged_s,
            "spans/s stored": spans / stored_s,
            "processor us/span": (processor_s(process.pid) - cpu) / spans * 1e6,
            "peak RSS MiB": peak_mib(process.pid),
            "told to wait": sent["refused"],
        }


def _installation(python: Path) -> tuple[int, float]:
    """How many distributions an environment has, and their size in MiB."""
    code = (
        "import importlib.metadata as m, pathlib\n"
        "found = [d for d in m.distributions() if d.name not in ('pip', 'setuptools', 'uv')]\n"
        "files = {pathlib.Path(f.locate()) for d in found for f in d.files or ()}\n"
        "print(len(found), sum(f.stat().st_size for f in files if f.is_file()))"
    )
    count, size = subprocess.check_output([python, "-c", code], text=True).split()
    return int(count), int(size) / 2**20


def measure(options: argparse.Namespace) -> Report:
    """Alternate fresh servers."""
    repetitions = 1 if options.quick else 3
    report = Report(
        title="Dashboard: receiving spans",
        how=f"OTLP/HTTP, protobuf, {SPANS_PER_REQUEST} spans a request, {_CONNECTIONS} connections, servers and sender "
        f"on the same cores; medians of {repetitions} interleaved repetitions with fresh servers. Installed: what each "
        "brings along in an environment of its own.",
        columns={
            "variant": "", "start s": ".2f", "spans/s acknowledged": ",.0f", "spans/s stored": ",.0f", "processor us/span": ",.0f",
            "peak RSS MiB": ",.0f", "told to wait": ",.0f", "packages": "d", "installed MiB": ",.0f",
        },
    )  # fmt: skip
    found: dict[str, list[dict[str, float]]] = {}
    for number in range(repetitions):
        for product in _PRODUCTS:
            python = environments.python_of(product.environment)
            if python is None:
                continue
            spans = product.spans // (10 if options.quick else 1)
            found.setdefault(product.name, []).append(_ingest(product, python, spans, seed=number))
    for product in _PRODUCTS:
        if product.name not in found:
            continue
        values = found[product.name]
        python = environments.python_of(product.environment)
        assert python is not None
        packages, size = _installation(python)
        row = {key: median(value[key] for value in values) for key in values[0]}
        report.rows.append({"variant": product.name, **row, "packages": packages, "installed MiB": size})
        code = f"import importlib.metadata as m; print(m.version({product.distribution!r}))"
        report.used({product.distribution: subprocess.check_output([python, "-c", code], text=True).strip()})
    report.used(environments.versions("duckdb"))
    report.targets = _targets({str(row["variant"]): row for row in report.rows})
    return report


def _targets(rows: dict[str, dict[str, Any]]) -> list[Target]:
    ours, phoenix = rows.get("ours"), rows.get("Phoenix")
    targets = []
    if ours:
        rate = ours["spans/s stored"]
        targets.append(Target(f"at least {_SPANS_PER_S:,} spans/s", f"{rate:,.0f}", rate >= _SPANS_PER_S))
        targets.append(
            Target(f"first page within {_START_S:g} s", f"{ours['start s']:.2f} s", ours["start s"] <= _START_S)
        )
    if TALKING.name in rows:
        rate = rows[TALKING.name]["spans/s stored"]
        targets.append(
            Target(f"conversations: at least {_SPANS_PER_S:,} spans/s", f"{rate:,.0f}", rate >= _SPANS_PER_S)
        )
    if ours and phoenix:
        lead = ours["spans/s stored"] / phoenix["spans/s stored"]
        targets.append(Target(f"at least {_LEAD}x Phoenix", f"{lead:.1f}x", lead >= _LEAD))
    return targets


if __name__ == "__main__":
    main(measure, _work, __doc__)

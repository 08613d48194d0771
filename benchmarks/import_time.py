"""What an import costs: time over a bare interpreter, modules, threads, sockets.

Our import loads nothing until it is used, so the first use stands beside it. Each import runs in a fresh interpreter with warm bytecode; repetitions go round the variants. *Time* is the life of the
process minus that of a bare interpreter in the same repetition. *Sockets* counts connections and name look-ups that an
audit hook sees, *threads* those still running after the import.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median
from typing import Any

import environments
from report import Report, Target, main
from worker import WorkerFailed, fresh

_OURS = "ai_dev_squad"
_FIRST_USE = "ai_dev_squad and one event on disk"
_VARIANTS = {
    _OURS: (environments.OURS, "ai-dev-squad"),
    _FIRST_USE: (environments.OURS, "ai-dev-squad"),
    "ai_dev_squad_langgraph": (environments.OURS, "ai-dev-squad-langgraph"),
    "langgraph.graph": (environments.OURS, "langgraph"),
    "openinference.instrumentation.langchain": ("openinference", "openinference-instrumentation-langchain"),
    "opentelemetry.instrumentation.langchain": ("openllmetry", "opentelemetry-instrumentation-langchain"),
    "traceloop.sdk": ("traceloop", "traceloop-sdk"),
    "openlit": ("openlit", "openlit"),
    "loguru": ("logging", "loguru"),
    "structlog": ("logging", "structlog"),
    "genai_prices": ("genai-prices", "genai-prices"),
    "tokencost": ("tokencost", "tokencost"),
    "litellm": ("litellm", "litellm"),
}
_CODE = {
    _FIRST_USE: "import ai_dev_squad as a; a.get_logger().log_agent_start('planner', 'developer', 'bench'); a.flush()"
}
_LIMIT_MS = 100


def _work(module: str) -> None:
    """Import ``module`` and say what it left behind."""
    # environments imports hashlib, json, subprocess; what counts is what the module adds to that.
    before = set(sys.modules)
    sockets: list[str] = []

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}:
            sockets.append(f"{event} {arguments[1:2] if event == 'socket.connect' else arguments[:2]}")

    sys.addaudithook(hook)
    exec(_code(module), {})
    distribution = _VARIANTS[module][1]
    answer = {
        "modules": len(set(sys.modules) - before),
        "threads": threading.active_count() - 1,
        "sockets": sockets,
        "versions": environments.versions(distribution),
    }
    print(json.dumps(answer))


def _code(variant: str) -> str:
    return _CODE.get(variant, f"import {variant}")


def _milliseconds(python: Path, code: str) -> float:
    started = time.perf_counter()
    subprocess.run([python, "-c", code], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return (time.perf_counter() - started) * 1e3


def measure(options: argparse.Namespace) -> Report:
    """Alternate fresh interpreters."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        os.environ["AI_DEV_SQUAD_LOG_DIR"] = directory
        return _measure(3 if options.quick else 15)


def _measure(repetitions: int) -> Report:
    report = Report(
        title="Importing",
        how=f"Median of {repetitions} interleaved fresh interpreters, minus a bare interpreter of the same environment.",
        columns={"import": "", "ms": ".0f", "best ms": ".0f", "modules": "d", "threads": "d", "sockets": "d"},
    )
    found: dict[str, dict[str, Any]] = {}
    pythons: dict[str, Path] = {}
    for module, (environment, _) in _VARIANTS.items():
        python = environments.python_of(environment)
        if python is None:
            continue
        try:
            found[module] = fresh(python, __file__, module)  # warms the bytecode as well
        except WorkerFailed as error:
            print(f"{module}: left out ({error})", file=sys.stderr)
            continue
        pythons[module] = python
    times: dict[str, list[float]] = {module: [] for module in pythons}
    for _ in range(repetitions):
        for module, python in pythons.items():
            bare = _milliseconds(python, "pass")
            times[module].append(_milliseconds(python, _code(module)) - bare)
    for module, answer in found.items():
        report.used(answer["versions"])
        for place in answer["sockets"]:
            print(f"{module}: {place}", file=sys.stderr)
        row = {"import": module, "ms": median(times[module]), "best ms": min(times[module])}
        row |= {"modules": answer["modules"], "threads": answer["threads"], "sockets": len(answer["sockets"])}
        report.rows.append(row)
    for row in report.rows:
        if row["import"] == _OURS:
            report.targets = [
                Target(f"import {_OURS} under {_LIMIT_MS} ms", f"{row['ms']:.0f} ms", row["ms"] < _LIMIT_MS),
                Target("no network", f"{row['sockets']} sockets", row["sockets"] == 0),
                Target("no thread until first use", f"{row['threads']} threads", row["threads"] == 0),
            ]
    return report


if __name__ == "__main__":
    main(measure, _work, __doc__)

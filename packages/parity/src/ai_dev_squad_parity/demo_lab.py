"""The demo's last part: the lab over every framework, and the dashboard on what it found."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ai_dev_squad_dashboard.lab_results import LabProviders, LabResult
from ai_dev_squad_testing.model_server import Truth

from .lab import terminal
from .lab.files import write_providers, write_results
from .lab.fork_server import preloaded
from .lab.provider_table import run_providers
from .lab.runner import Plan, run
from .lab.scenario import find_scenarios
from .providers.clients import with_providers
from .providers.spec import PROVIDERS

__all__ = ["ask_providers", "check_dashboard", "dashboard", "run_lab"]

_START_S = 60.0
_SEEN_S = 60.0
_FIELDS = ("input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens")


def run_lab(console: Console, log_dir: str, scenarios: Sequence[str], repeat: int) -> LabResult:
    """Run every scenario on every framework, and write the results where the dashboard looks for them."""
    found = {name: folder for name, folder in find_scenarios().items() if not scenarios or name in scenarios}
    output = Path(log_dir) / "parity"
    traces = output / "traces" / "ai_dev_squad.jsonl"
    jobs = min(2, os.cpu_count() or 1)
    plan = Plan(found, repeat=repeat, jobs=jobs, preload=preloaded("ours"), traces=traces)
    console.rule("[bold]The parity lab: the same programs on every framework")
    began = time.monotonic()
    matrix = run(plan, terminal.Progress(len(found) * len(plan.columns)))
    write_results(matrix, output)
    terminal.say(f"\n{terminal.overview(matrix)} in {time.monotonic() - began:.0f} s")
    return matrix


def ask_providers(console: Console, log_dir: str) -> LabProviders:
    """Ask every provider whose client is installed, on every framework, and write the table where the dashboard looks for it."""
    plan = Plan({}, frameworks=with_providers(), jobs=min(2, os.cpu_count() or 1), preload=preloaded("ours"))
    console.rule("[bold]Providers: the frameworks' real clients, plain and streamed")
    began = time.monotonic()
    table = run_providers(tuple(PROVIDERS), plan, terminal.Progress(len(PROVIDERS) * len(plan.columns) * 2))
    write_providers(table, Path(log_dir) / "parity")
    terminal.say(f"\n{terminal.providers(table)} in {time.monotonic() - began:.0f} s")
    return table


@contextmanager
def dashboard(log_dir: str, *, port: int = 0) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A dashboard on the demo's journals; yields its address and its process. Raises ``RuntimeError`` if it does not start."""
    # The lab's traces lie a level deeper than a dashboard looks by itself: what a scripted model "costs" is nobody's bill.
    logs = ["--logs", log_dir, "--logs", str(Path(log_dir) / "parity")]
    command = [sys.executable, "-m", "ai_dev_squad_dashboard.cli", "dashboard", "--port", str(port), *logs]
    process = subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    printed: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(process, printed), daemon=True).start()
    try:
        yield _address(process, printed), process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _listen(process: subprocess.Popen[str], printed: queue.Queue[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        printed.put(line)
    process.stdout.close()


def _address(process: subprocess.Popen[str], printed: queue.Queue[str]) -> str:
    said, until = "", time.monotonic() + _START_S
    while time.monotonic() < until:
        try:
            said += printed.get(timeout=0.2)
        except queue.Empty:
            if process.poll() is not None:
                break
        if match := re.search(r"^Dashboard\s+(http\S+)", said, re.MULTILINE):
            return match[1]
    raise RuntimeError(f"the dashboard did not start: {said.strip() or 'it said nothing'}")


def check_dashboard(console: Console, url: str, began: str, truths: Iterable[Truth], matrix: LabResult) -> bool:
    """Ask the dashboard over HTTP what it knows since ``began`` (ISO 8601), and compare it with what was billed. True if both
    are equal.
    """
    true = _true(truths, matrix)
    seen = _wait_for(lambda: _seen(url, began), true)
    table = Table(title="The dashboard against the truth", title_justify="left", title_style="bold")
    for column in ("", "Dashboard", "Billed by the model servers", ""):
        table.add_column(column, justify="right" if column else "left")
    for name, number in true.items():
        same = seen.get(name) == number
        table.add_row(
            name.replace("_", " "), str(seen.get(name)), str(number), "[green]equal[/]" if same else "[red]differs[/]"
        )
    console.print(table)
    return all(seen.get(name) == number for name, number in true.items())


def _true(truths: Iterable[Truth], matrix: LabResult) -> dict[str, int]:
    billed = [truth.totals.billed for truth in truths]
    calls = [call for cell in matrix.cells for call in cell.truth if call.status == "ok"]
    # What nobody reported of a stream that was left is estimated: the dashboard has to know what the journal says.
    calls += [call for cell in matrix.cells for call in cell.captured if call.status in {"closed_early", "cancelled"}]
    lab = {
        "input_tokens": sum(call.input_tokens or 0 for call in calls),
        "output_tokens": sum(call.output_tokens or 0 for call in calls),
        "cache_read_tokens": sum(call.cached_tokens or 0 for call in calls),
        "reasoning_tokens": sum(call.reasoning_tokens or 0 for call in calls),
    }
    squads = {
        "input_tokens": sum(usage.input_tokens for usage in billed),
        "output_tokens": sum(usage.output_tokens for usage in billed),
        "cache_read_tokens": sum(usage.cache_read_input_tokens for usage in billed),
        "reasoning_tokens": sum(usage.reasoning_output_tokens for usage in billed),
    }
    return {name: lab[name] + squads[name] for name in _FIELDS}


def _seen(url: str, began: str) -> dict[str, Any]:
    address = f"{url}api/overview?{urllib.parse.urlencode({'from': began})}"
    with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310
        totals: dict[str, Any] = json.load(answer)["totals"]
    return totals


def _wait_for(ask: Callable[[], dict[str, Any]], wanted: dict[str, int]) -> dict[str, Any]:
    """The dashboard reads journals as they grow: give it time to come to the end."""
    until = time.monotonic() + _SEEN_S
    while True:
        seen = ask()
        if all(seen.get(name) == number for name, number in wanted.items()) or time.monotonic() > until:
            return seen
        time.sleep(0.5)

"""What setting money aside for a model call costs: in one process, on a ledger of this machine, and on a Redis.

A real Redis is started on a free port of the loopback; without redis-server its rows are left out. Beside it stands what
its client needs for the least that it can ask, on a connection of its own in the same rounds.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import environments
from report import Report, Target, main, p50_p95

from ai_dev_squad.costs.budgets import BudgetManager
from ai_dev_squad.costs.stores import open_ledger

_FILE, _SHARED, _REDIS = "file", "shared", "redis"
_PING, _SCRIPT = "a bare PING", "a bare EVALSHA"
_LIMITS_US = {_FILE: 60, _SHARED: 300}

Once = Callable[[], tuple[float, float]]
"""Does it once; the seconds until it was set aside, and until it was settled."""


def _reservation(manager: BudgetManager) -> Once:
    def once() -> tuple[float, float]:
        started = time.perf_counter()
        reservation = manager.reserve(0.01)
        held = time.perf_counter()
        reservation.settle(0.01)
        return held - started, time.perf_counter() - started

    return once


def _command(command: Callable[[], object]) -> Once:
    def once() -> tuple[float, float]:
        started = time.perf_counter()
        command()
        took = time.perf_counter() - started
        return took, took

    return once


def _manager(store: str, directory: Path, open_until: ExitStack) -> BudgetManager:
    ledger = open_ledger(store, directory / "budgets.sqlite3", 10.0)
    state = directory / "budgets.json" if ledger is None else None
    manager = BudgetManager(state_path=state, ledger=ledger, store_timeout_s=10.0)
    open_until.callback(manager.close)
    manager.set_budget("all", 1e9, "total", [], on_exceed="stop")
    manager.reserve(0.01).settle(0.01)
    manager.flush()
    return manager


@contextmanager
def _redis(directory: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(directory)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            for _ in range(1000):
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    time.sleep(0.01)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()


def _commands_each(manager: BudgetManager, client: Any, times: int) -> float:
    """How many commands the server was sent for one reservation."""
    manager.flush()
    client.config_resetstat()
    held = [manager.reserve(0.01) for _ in range(times)]
    # A script's own commands are counted, too: those that came over the wire are what no script makes.
    sent = sum(facts["calls"] for name, facts in client.info("commandstats").items() if name == "cmdstat_evalsha")
    for reservation in held:
        reservation.release()
    manager.flush()
    return sent / times


def measure(options: argparse.Namespace) -> Report:
    """Alternate rounds of all stores."""
    rounds, times = (3, 100) if options.quick else (15, 400)
    report = Report(
        title="Setting money aside for a model call",
        how=f"`reserve` and `settle` under one budget that stops, {rounds} interleaved rounds of {times} each, one process. What "
        "was settled is told to a shared ledger by a thread meanwhile, which these figures have to share the machine with.",
        columns={
            "store": "",
            "reserve p50 us": ",.0f",
            "reserve p95 us": ",.0f",
            "with settle p50 us": ",.0f",
            "with settle p95 us": ",.0f",
        },
    )
    report.used(environments.versions("ai-dev-squad", "redis"))
    each = 0.0
    with ExitStack() as open_until:
        directory = Path(open_until.enter_context(tempfile.TemporaryDirectory()))
        subjects = {store: _reservation(_manager(store, directory / store, open_until)) for store in (_FILE, _SHARED)}
        if shutil.which("redis-server") is None:
            print("redis-server is not installed here: its rows are left out", file=sys.stderr)
        else:
            import redis

            url = open_until.enter_context(_redis(directory))
            client = redis.Redis.from_url(url)
            open_until.callback(client.close)
            manager = _manager(url, directory / _REDIS, open_until)
            each = _commands_each(manager, client, times)
            least = client.register_script("return 1")
            subjects |= {_REDIS: _reservation(manager), _PING: _command(client.ping), _SCRIPT: _command(least)}
        took: dict[str, list[tuple[float, float]]] = {name: [] for name in subjects}
        for number in range(rounds + 1):
            for name, once in subjects.items():
                one_round = [once() for _ in range(times)]
                if number:  # the first round warms up
                    took[name] += one_round
    for name, pairs in took.items():
        held = p50_p95([first * 1e6 for first, _ in pairs])
        settled = p50_p95([both * 1e6 for _, both in pairs])
        is_bare = name in {_PING, _SCRIPT}
        report.rows.append(
            {
                "store": name,
                "reserve p50 us": held[0],
                "reserve p95 us": held[1],
                "with settle p50 us": None if is_bare else settled[0],
                "with settle p95 us": None if is_bare else settled[1],
            }
        )
        if name in _LIMITS_US:
            limit = _LIMITS_US[name]
            report.targets.append(
                Target(f"{name}: at most {limit} us", f"{settled[0]:,.0f} us (p50)", settled[0] <= limit)
            )
    if each:
        report.targets.append(Target("redis: one round trip", f"{each:g} commands each", each == 1))
    return report


if __name__ == "__main__":
    main(measure, None, __doc__)

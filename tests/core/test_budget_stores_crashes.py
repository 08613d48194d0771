"""The ledger is right whatever dies: holders, the server, the cable, the clock; and an event loop never waits for it."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ai_dev_squad.background import Request
from ai_dev_squad.costs.budgets import BudgetExceeded, BudgetManager
from ai_dev_squad.costs.stores import Exchange, Reply, open_ledger

sys.path.insert(0, str(Path(__file__).parent))

import redis_server
from ledgers import Behind

pytestmark = [
    pytest.mark.timeouts,  # leases that run out, and stores that do not answer
    pytest.mark.once,  # what SQLite, Redis and the kernel do is the same under every Python
]


@pytest.fixture(params=["shared", "redis"])
def setting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "shared":
        yield "shared"
        return
    with redis_server.RedisServer(tmp_path / "redis") as server:
        yield server.url


def opened(setting: str, path: Path, **more: Any) -> BudgetManager:
    """A manager, as another process would have it."""
    return BudgetManager(ledger=open_ledger(setting, path, 10.0), **{"store_timeout_s": 10.0, **more})


def spent(manager: BudgetManager) -> dict[str, float]:
    """What was spent in each budget, or in each key of one, in picodollars' precision."""
    return {status.key or status.name: status.spent_usd for status in manager.status()}


# A holder says in its file what it is about to spend, and that this is told.
_FORKING_PARENT = """
import os, random, signal, sys, time
from pathlib import Path
from ai_dev_squad.attribution import Attribution
from ai_dev_squad.costs.budgets import BudgetManager
from ai_dev_squad.costs.stores import open_ledger

setting, directory, kills = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])

def hold(name):
    random_ = random.Random(name)
    ledger = open_ledger(setting, directory / "budgets.sqlite3", 10.0)
    manager = BudgetManager(ledger=ledger, store_timeout_s=10.0, lease_s=0.5, when_away="refuse")
    manager.set_budget("each", 1000, "total", [], per="agent")
    manager.set_budget("all", 1000, "total", [], on_exceed="stop")
    with open(directory / name, "wb", buffering=0) as file:
        while True:
            reservation = manager.reserve(0.02, Attribution(agent_id=name))
            cents = random_.randint(1, 20)
            file.write(b"%d\\n" % cents)
            reservation.settle(cents / 100)
            if manager.flush():
                file.write(b"told\\n")

def born(name):
    child = os.fork()
    if child == 0:
        try:
            hold(name)
        finally:
            os._exit(1)
    return child

open_ledger(setting, directory / "budgets.sqlite3", 10.0)  # children find its client imported
random_ = random.Random(11)
living = [born("h0"), born("h1")]
for number in range(2, kills + 2):
    victim, file = living.pop(0), directory / f"h{number - 2}"
    while number % 5 and not file.exists():  # one of five dies in its cradle
        time.sleep(0.001)
    time.sleep(random_.uniform(0.0, 0.04))
    os.kill(victim, signal.SIGKILL)
    os.waitpid(victim, 0)
    if number < kills:
        living.append(born(f"h{number}"))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_thirty_holders_that_are_killed(setting: str, tmp_path: Path) -> None:
    """Of each, all that it was told to be told is there once, what it had yet to say once or not at all, and what it held
    comes back.
    """
    subprocess.run([sys.executable, "-c", _FORKING_PARENT, setting, str(tmp_path), "30"], check=True)

    manager = opened(setting, tmp_path / "budgets.sqlite3")
    manager.set_budget("each", 1000, "total", [], per="agent")
    manager.set_budget("all", 1000, "total", [], on_exceed="stop")
    counted = spent(manager)
    total = round(counted.pop("all") * 100)
    right = {}
    for number in range(30):
        file = tmp_path / f"h{number}"
        lines = file.read_text().split() if file.exists() else []
        told = sum(int(cents) for cents, then in pairwise(lines) if then == "told")
        last = int(lines[-1]) if lines and lines[-1] != "told" else 0
        right[f"h{number}"] = {told, told + last}
    assert {name: round(counted.get(name, 0) * 100) in sums for name, sums in right.items()} == dict.fromkeys(
        right, True
    )
    assert total == sum(round(usd * 100) for usd in counted.values()) > 30
    _until(lambda: all(status.reserved_usd == 0.0 for status in manager.status()))
    manager.close()


def _until(condition: Any) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


@pytest.mark.parametrize("blow", ["killed", "cut off"])
def test_a_server_that_goes_and_comes(tmp_path: Path, blow: str) -> None:
    """However often and at whichever moment, each cost counts once; with a server that keeps what it was told."""
    random_ = random.Random(7)
    with ExitStack() as until:
        server = until.enter_context(redis_server.RedisServer(tmp_path / "redis", keeps=True))
        cable = redis_server.Cable(server.port)
        until.callback(cable.close)
        url = f"redis://127.0.0.1:{cable.port}/0" if blow == "cut off" else server.url
        managers = [opened(url, tmp_path, store_timeout_s=0.1) for _ in range(2)]
        stop = threading.Event()
        costs: list[int] = []

        def work(manager: BudgetManager, seed: int) -> None:
            mine = random.Random(seed)
            while not stop.is_set():
                reservation = manager.reserve(0.02)
                cents = mine.randint(1, 20)
                reservation.settle(cents / 100)
                costs.append(cents)
                time.sleep(0.001)

        for manager in managers:
            until.callback(manager.close)
            manager.set_budget("all", 100_000, "total", [], on_exceed="stop")
        workers = [threading.Thread(target=work, args=(managers[number % 2], number)) for number in range(4)]
        for worker in workers:
            worker.start()
        for _ in range(6):
            time.sleep(random_.uniform(0.0, 0.2))
            server.kill() if blow == "killed" else cable.cut()
            time.sleep(random_.uniform(0.0, 0.2))
            server.start() if blow == "killed" else cable.mend()
        stop.set()
        for worker in workers:
            worker.join()
        for manager in managers:
            _until(manager.flush)

        again = opened(server.url, tmp_path)
        until.callback(again.close)
        again.set_budget("all", 100_000, "total", [], on_exceed="stop")
        assert len(costs) > 50
        assert round(spent(again)["all"] * 100) == sum(costs)


def test_a_clock_a_year_ahead_and_back(setting: str, tmp_path: Path) -> None:
    """One process lives through it again and again, another does not: each day's money is where it belongs."""
    now = datetime(2026, 3, 18, 12, tzinfo=timezone.utc)
    shift = [timedelta()]
    wandering = opened(setting, tmp_path / "budgets.sqlite3", clock=lambda: now.timestamp() + shift[0].total_seconds())
    steady = opened(setting, tmp_path / "budgets.sqlite3", clock=now.timestamp)
    for manager in (wandering, steady):
        manager.set_budget("day", 100, "daily", [], on_exceed="stop")
    for number in range(10):
        shift[0] = timedelta(days=365 * (number % 2))
        wandering.reserve(1.0).settle(1.0)
        steady.reserve(1.0).settle(1.0)
        assert wandering.flush()
        assert steady.flush()

    assert spent(steady) == {"day": 15.0}
    shift[0] = timedelta(days=365)
    assert spent(wandering) == {"day": 5.0}
    with pytest.raises(BudgetExceeded, match=r"\$15\.00 spent"):
        steady.reserve(85.01)
    wandering.close()
    steady.close()


class Stuck(Behind):
    """A ledger that answers when it is let; else every exchange is given up after a while."""

    def __init__(self, ledger: Any) -> None:
        super().__init__(ledger)
        self.may_answer = threading.Event()
        self.given_up_by: list[int] = []

    is_open = True

    def exchange(self, exchange: Exchange) -> Reply:
        if not self.may_answer.wait(0.05):
            self.given_up_by.append(threading.get_ident())
            raise TimeoutError
        return self.ledger.exchange(exchange)


async def test_an_event_loop_goes_on_while_the_store_is_stuck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One call finds out that the store does not answer. Of the next two hundred that the loop makes none waits for it,
    though it answers only when the loop's own task has let it; then what was spent meanwhile is there.
    """
    waited: list[int] = []
    wait = Request.wait

    def counted(request: Request, timeout: float) -> bool:
        waited.append(threading.get_ident())
        return wait(request, timeout)

    monkeypatch.setattr(Request, "wait", counted)
    ledger = Stuck(open_ledger("shared", tmp_path / "budgets.sqlite3", 10.0))
    manager = BudgetManager(ledger=ledger, store_timeout_s=0.1, when_away="allow")
    manager.set_budget("all", 1000, "total", [], on_exceed="stop")
    manager.reserve(1.0).settle(1.0)
    waited.clear()
    ledger.given_up_by.clear()
    turns = 0

    def beat() -> None:
        nonlocal turns
        turns += 1

    for _ in range(200):
        asyncio.get_running_loop().call_soon(beat)
        reservation = manager.reserve(0.01)
        await asyncio.sleep(0)
        reservation.settle(0.01)
    assert turns == 200
    assert threading.get_ident() not in {*waited, *ledger.given_up_by}

    ledger.may_answer.set()
    while not await asyncio.to_thread(manager.flush):
        pass
    again = opened("shared", tmp_path / "budgets.sqlite3")
    again.set_budget("all", 1000, "total", [], on_exceed="stop")
    assert spent(again) == {"all": 3.0}
    manager.close()
    again.close()

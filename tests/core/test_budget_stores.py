"""What every budget store promises: a file, a ledger shared on one machine, and one in Redis."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ai_dev_squad.attribution import Attribution
from ai_dev_squad.costs.budgets import BudgetExceeded, BudgetManager
from ai_dev_squad.costs.ledger import CostEntry
from ai_dev_squad.costs.stores import open_ledger
from ai_dev_squad.schema import EventType

sys.path.insert(0, str(Path(__file__).parent))

import redis_server

# Leases that run out, and stores that do not answer in time; the periods' clocks are given to each test.
pytestmark = pytest.mark.timeouts

NOON = datetime(2026, 3, 18, 12, 0, tzinfo=timezone.utc)
STORES = ("file", "shared", "redis")
LEDGERS = ("shared", "redis")


class Clock:
    def __init__(self) -> None:
        self.moment = NOON

    def __call__(self) -> float:
        return self.moment.timestamp()


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Place:
    """One store, and any number of managers on it, as if each were a process."""

    def __init__(self, kind: str, directory: Path, url: str | None, clock: Clock) -> None:
        self.kind, self.clock = kind, clock
        self.path = directory / ("budgets.json" if kind == "file" else "budgets.sqlite3")
        self.setting = url or kind
        self.managers: list[BudgetManager] = []

    def open(self, **more: Any) -> BudgetManager:
        settings: dict[str, Any] = {"clock": self.clock, "save_interval": 3600, "store_timeout_s": 10.0, **more}
        ledger = open_ledger(self.setting, self.path, settings["store_timeout_s"])
        manager = BudgetManager(state_path=self.path if ledger is None else None, ledger=ledger, **settings)
        self.managers.append(manager)
        return manager


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Place]:
    server = redis_server.RedisServer(tmp_path / "redis") if request.param == "redis" else None
    one = Place(request.param, tmp_path, server and server.url, clock)
    yield one
    for manager in one.managers:
        manager.close()
    if server is not None:
        server.kill()


every_store = pytest.mark.parametrize("place", STORES, indirect=True)
every_ledger = pytest.mark.parametrize("place", LEDGERS, indirect=True)


def entry(usd: float | None, at: datetime = NOON, **fields: Any) -> CostEntry:
    return CostEntry(at, "gpt-4o", "openai", 1, 1, usd, 1, **fields)


def spent(manager: BudgetManager) -> dict[tuple[str, str | None], float]:
    return {(status.name, status.key): status.spent_usd for status in manager.status()}


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


# --- every store ------------------------------------------------------------------------------------------------------


@every_store
def test_a_reservation_is_set_aside_settled_and_given_back(place: Place) -> None:
    """What is reserved counts until it is settled with the cost or released, and a limit is never exceeded by both."""
    manager = place.open()
    manager.set_budget("d", 10, "daily", [], on_exceed="stop")
    first, second = manager.reserve(6.0), manager.reserve(4.0)
    with pytest.raises(BudgetExceeded, match=r"\$0\.00 spent \+ \$10\.00 reserved \+ \$0\.01 estimated"):
        manager.reserve(0.01)
    first.settle(5.0)
    second.release()
    assert manager.flush()

    (status,) = manager.status()
    assert (status.spent_usd, status.reserved_usd, status.refused_calls) == (5.0, 0.0, 1)
    manager.reserve(5.0).release()


@every_store
def test_what_was_given_back_makes_room_at_once(place: Place) -> None:
    """Of a limit of 10 one call after the other may set aside 6, with no flush between."""
    manager = place.open()
    manager.set_budget("d", 10, "daily", [], on_exceed="stop")
    for number in range(100):
        reservation = manager.reserve(6.0)
        reservation.settle(0.01) if number % 2 else reservation.release()

    assert manager.flush()
    assert spent(manager) == {("d", None): 0.5}


@every_store
def test_spend_of_before_is_found_after_a_restart(place: Place) -> None:
    """A new manager goes on where the last one stopped, for each value of per, and alerts for nothing twice."""
    alerts: list[tuple[str, float]] = []
    for _ in range(3):
        manager = place.open()
        manager.alert_callbacks.append(lambda alert: alerts.append((alert["budget_name"], alert["threshold"])))
        manager.set_budget("d", 10, "daily", [0.2, 0.5, 0.9], on_exceed="stop")
        manager.set_budget("each", 10, "total", [], per="session")
        manager.check_budgets(entry(2.0, session_id="s"))
        manager.check_budgets(entry(None, session_id="s"))
        manager.close()

    again = place.open()
    again.set_budget("d", 10, "daily", [0.2, 0.5, 0.9], on_exceed="stop")
    again.set_budget("each", 10, "total", [], per="session")
    assert spent(again) == {("d", None): 6.0, ("each", "s"): 6.0}
    assert [status.unpriced_calls for status in again.status()] == [3, 3]
    assert alerts == [("d", 0.2), ("d", 0.5)]
    with pytest.raises(BudgetExceeded, match=r"\$6\.00 spent"):
        again.reserve(4.01)


@every_store
def test_several_processes_add_up_and_alert_once(place: Place) -> None:
    """Managers on one store see one another's spend after a flush; a threshold of the sum is told once."""
    alerts: list[float] = []
    managers = [place.open() for _ in range(3)]
    for manager in managers:
        manager.set_budget("d", 10, "daily", [0.5, 0.9])
        manager.alert_callbacks.append(lambda alert: alerts.append(alert["threshold"]))
    for _ in range(3):
        for manager in managers:
            manager.status()  # a file is only read now and then
            manager.check_budgets(entry(1.0))
            assert manager.flush()

    assert [spent(manager)["d", None] for manager in managers] == [9.0, 9.0, 9.0]
    assert alerts == [0.5, 0.9]


@every_store
def test_unknown_prices_pass_while_there_is_room(place: Place) -> None:
    """A call of unknown price is let through until the limit is reached, counted, and refused where asked so."""
    manager = place.open()
    manager.set_budget("lax", 1, "daily", [], on_exceed="stop")
    manager.reserve(None).settle(None)
    manager.reserve(1.0).settle(1.0)
    assert manager.flush()
    with pytest.raises(BudgetExceeded, match="unknown price"):
        manager.reserve(None)
    manager.reserve(0.0).release()
    (status,) = manager.status()
    assert (status.spent_usd, status.unpriced_calls) == (1.0, 1)


@every_store
def test_huge_amounts_are_counted_and_stop(place: Place) -> None:
    """A cost beyond all reason is kept, also over a restart, and stops; one picodollar is exact beside a million."""
    manager = place.open()
    manager.set_budget("huge", 1e14, "total", [], on_exceed="stop", agent_id="huge")
    manager.set_budget("fine", 1e9, "total", [], on_exceed="stop", agent_id="fine")
    manager.check_budgets(entry(1e300, agent_id="huge"))
    manager.check_budgets(entry(1_000_000.0, agent_id="fine"))
    manager.check_budgets(entry(1e-12, agent_id="fine"))
    manager.close()

    again = place.open()
    again.set_budget("huge", 1e14, "total", [], on_exceed="stop", agent_id="huge")
    again.set_budget("fine", 1_000_000.0001, "total", [], on_exceed="stop", agent_id="fine")
    assert spent(again) == {("huge", None): 1e15, ("fine", None): 1_000_000.000000000001}
    with pytest.raises(BudgetExceeded):
        again.reserve(0.01, Attribution(agent_id="huge"))
    again.reserve(0.0000999, Attribution(agent_id="fine")).release()
    with pytest.raises(BudgetExceeded, match=r"\$1000000\.000000000001 spent"):
        again.reserve(0.0001001, Attribution(agent_id="fine"))


@every_store
@pytest.mark.parametrize("ahead", [timedelta(days=1), timedelta(days=365)])
def test_a_clock_that_was_ahead_takes_no_spend_with_it(place: Place, clock: Clock, ahead: timedelta) -> None:
    """Spend of today is kept when a process with a wrong clock has written, and counts again when the clock is right."""
    first = place.open()
    first.set_budget("d", 10, "daily", [], on_exceed="stop")
    first.check_budgets(entry(4.0))
    assert first.flush()
    clock.moment = NOON + ahead
    wrong = place.open()
    wrong.set_budget("d", 10, "daily", [], on_exceed="stop")
    wrong.reserve(9.0).settle(9.0)
    first.reserve(0.5).settle(0.5)
    assert wrong.flush()
    assert first.flush()
    clock.moment = NOON + timedelta(minutes=1)

    later = place.open()
    later.set_budget("d", 10, "daily", [], on_exceed="stop")
    assert [spent(manager) for manager in (first, wrong, later)] == [{("d", None): 4.0}] * 3
    for manager in (first, wrong, later):
        with pytest.raises(BudgetExceeded, match=r"\$4\.00 spent"):
            manager.reserve(6.01)
    later.reserve(6.0).settle(6.0)
    assert later.flush()
    assert [spent(manager) for manager in (first, later)] == [{("d", None): 10.0}] * 2


@every_store
def test_a_signal_in_any_line_of_flush_counts_once(place: Place) -> None:
    """A handler that raises, at whichever line of ours, neither loses nor doubles what was spent."""
    manager = place.open()
    manager.set_budget("d", 1_000_000, "daily", [])
    number, is_through = 0, False
    while not is_through:
        number += 1
        manager.check_budgets(entry(1.0))
        is_through = _interrupted_at(number, manager.flush)
    manager.close()

    again = place.open()
    again.set_budget("d", 1_000_000, "daily", [])
    assert number > 10
    assert spent(again) == {("d", None): float(number)}


class _Signal(BaseException):
    """What the handler raises."""


def _interrupted_at(line: int, function: Callable[[], object]) -> bool:
    """Raise at this line of our code, counted from the call; whether it ended before."""
    seen = 0

    def trace(frame: Any, event: str, _: object) -> Any:
        nonlocal seen
        if "ai_dev_squad" not in frame.f_code.co_filename:
            return None
        if event == "line":
            seen += 1
            if seen == line:
                raise _Signal
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    except _Signal:
        return False
    finally:
        sys.settrace(before)
    return True


# --- those that several processes share -------------------------------------------------------------------------------


@every_ledger
def test_reservations_of_others_count_at_once(place: Place) -> None:
    """Three processes that each ask for 9 of 10 get it once, before anything is spent or flushed."""
    managers = [place.open() for _ in range(3)]
    for manager in managers:
        manager.set_budget("d", 10, "daily", [], on_exceed="stop")
    held = managers[0].reserve(9.0)
    for manager in managers:
        with pytest.raises(BudgetExceeded, match=r"\$0\.00 spent \+ \$9\.00 reserved"):
            manager.reserve(9.0)
    held.release()
    assert managers[0].flush()
    managers[2].reserve(9.0).release()


@every_ledger
def test_what_is_settled_again_and_again_is_told_without_being_asked_for(place: Place) -> None:
    """Calls that end one right after the other are told together, and the last of them too, though nothing follows it."""
    manager, other = place.open(), place.open()
    for each in (manager, other):
        each.set_budget("d", 10_000, "daily", [], on_exceed="stop")
    for number in range(1, 21):
        manager.reserve(1.0).settle(1.0)
        manager.reserve(1.0).release()
        held = [manager.reserve(1.0) for _ in range(number)]
        for reservation in held:
            reservation.settle(0.5)
        until(
            lambda: (
                (status := other.status()[0]).reserved_usd == 0 and status.spent_usd == manager.status()[0].spent_usd
            )
        )
    assert spent(other) == {("d", None): 20 + 0.5 * 210}


@every_ledger
def test_a_thousand_reservations_are_given_back_at_once(place: Place) -> None:
    """More than one statement of the ledger takes: the amounts are free again, and what was spent is counted."""
    manager, other = place.open(), place.open()
    for each in (manager, other):
        each.set_budget("d", 1100, "daily", [], on_exceed="stop")
    held = [manager.reserve(1.0) for _ in range(1100)]
    with pytest.raises(BudgetExceeded):
        other.reserve(1.0)
    for reservation in held:
        reservation.settle(0.5)
    assert manager.flush()
    other.reserve(550.0).release()
    assert (spent(other), spent(manager)) == ({("d", None): 550.0}, {("d", None): 550.0})


@every_ledger
def test_all_limits_hold_or_nothing_is_set_aside(place: Place) -> None:
    """A call under two budgets of which one has no room leaves no reservation in the other."""
    manager = place.open()
    manager.set_budget("all", 10, "daily", [], on_exceed="stop")
    manager.set_budget("coder", 1, "daily", [], on_exceed="stop", agent_id="coder")
    other = place.open()
    other.set_budget("all", 10, "daily", [], on_exceed="stop")
    other.set_budget("coder", 1, "daily", [], on_exceed="stop", agent_id="coder")
    kept = manager.reserve(0.9, Attribution(agent_id="coder"))
    with pytest.raises(BudgetExceeded) as refusal:
        other.reserve(0.2, Attribution(agent_id="coder"))
    assert refusal.value.budget == "coder"
    assert [(status.name, status.reserved_usd) for status in other.status()] == [("all", 0.9), ("coder", 0.9)]
    kept.release()


_HOLDER = """
import sys, time
from pathlib import Path
from ai_dev_squad.costs.budgets import BudgetManager
from ai_dev_squad.costs.stores import open_ledger

store, path, lease = sys.argv[1:]
manager = BudgetManager(ledger=open_ledger(store, Path(path), 10.0), lease_s=float(lease), store_timeout_s=10.0)
manager.set_budget("d", 10, "total", [], on_exceed="stop")
manager.reserve(0.25).settle(0.25)
assert manager.flush()
held = manager.reserve(9.0)
print("held", flush=True)
time.sleep(600)
"""


def _holder(place: Place, lease_s: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _HOLDER, place.setting, str(place.path), str(lease_s)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def _kill(holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    assert holder.stdout is not None
    holder.stdout.close()


@every_ledger
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_killed_holders_reservation_comes_back_after_its_lease(place: Place) -> None:
    """While its holder lives a reservation outlasts its lease; after kill -9 it comes back, and what was spent stays."""
    holder = _holder(place, 1.0)
    manager = place.open()
    manager.set_budget("d", 10, "total", [], on_exceed="stop")
    time.sleep(2.5)
    with pytest.raises(BudgetExceeded, match=r"\$0\.25 spent \+ \$9\.00 reserved"):
        manager.reserve(9.0)
    _kill(holder)
    until(lambda: manager.status()[0].reserved_usd == 0.0)

    manager.reserve(9.0).release()
    assert spent(manager) == {("d", None): 0.25}


@every_ledger
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_speaks_for_itself(place: Place) -> None:
    """A child charges its own spend on a connection of its own, and leaves what its parent holds."""
    manager = place.open()
    manager.set_budget("d", 10, "daily", [], on_exceed="stop")
    held = manager.reserve(4.0)
    child = os.fork()
    if child == 0:
        held.release()
        manager.reserve(2.0).settle(2.0)
        os._exit(0 if manager.flush() else 1)
    assert os.waitpid(child, 0)[1] == 0

    (status,) = manager.status()
    assert (status.spent_usd, status.reserved_usd) == (2.0, 4.0)
    held.settle(3.0)
    assert manager.flush()
    assert spent(manager) == {("d", None): 5.0}


# --- away -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Any]:
    with redis_server.RedisServer(tmp_path / "redis") as one:
        yield one


def _manager(url: str, tmp_path: Path, **more: Any) -> tuple[BudgetManager, list[str]]:
    states: list[str] = []

    def hear(kind: EventType, level: str, message: str, facts: dict[str, Any]) -> None:
        if kind is EventType.BUDGET_STORE:
            states.append(f"{level} {facts['state']}")

    ledger = open_ledger(url, tmp_path, more.get("store_timeout_s", 2.0))
    manager = BudgetManager(ledger=ledger, on_event=hear, **{"store_timeout_s": 2.0, **more})
    manager.set_budget("d", 10, "total", [], on_exceed="stop")
    return manager, states


def test_while_redis_is_away_calls_are_held_against_what_is_known(server: Any, tmp_path: Path) -> None:
    """Killed: calls go on within this process's own sums, told once; a server that forgot everything learns it again."""
    manager, states = _manager(server.url, tmp_path)
    other, _ = _manager(server.url, tmp_path)
    manager.reserve(2.0).settle(2.0)
    assert manager.flush()
    held = manager.reserve(1.0)
    server.kill()
    manager.reserve(3.0).settle(3.0)
    with pytest.raises(BudgetExceeded, match=r"\$5\.00 spent \+ \$1\.00 reserved"):
        manager.reserve(4.01)
    assert not manager.flush()
    server.start()
    until(manager.flush)
    until(lambda: states == ["WARNING away", "INFO back"])

    until(lambda: other.status()[0].reserved_usd == 1.0)
    assert spent(other) == {("d", None): 5.0}
    held.settle(0.5)
    assert manager.flush()
    assert spent(other) == {("d", None): 5.5}
    manager.close()
    other.close()


def test_while_redis_is_away_calls_are_refused_if_asked(server: Any, tmp_path: Path) -> None:
    """With when_away="refuse" a call under a stop budget is refused with the cure, and passes when Redis is back."""
    manager, states = _manager(server.url, tmp_path, when_away="refuse")
    manager.reserve(2.0).settle(2.0)
    assert manager.flush()
    server.kill()
    with pytest.raises(BudgetExceeded, match=rf"its store redis://127.0.0.1:{server.port}/0 does not answer"):
        manager.reserve(1.0)
    server.start()
    until(lambda: states == ["WARNING away", "INFO back"])

    manager.reserve(1.0).settle(1.0)
    assert manager.flush()
    assert spent(manager) == {("d", None): 3.0}
    manager.close()


def test_a_cut_cable_holds_up_one_call_and_counts_nothing_twice(server: Any, tmp_path: Path) -> None:
    """Connections that stay and say nothing: one call waits for its time-out, the next do not, and all is told once."""
    cable = redis_server.Cable(server.port)
    manager, states = _manager(f"redis://127.0.0.1:{cable.port}/0", tmp_path, store_timeout_s=0.5)
    until(lambda: manager.flush() and manager.status()[0].spent_usd == 0.0)
    manager.reserve(1.0).settle(1.0)
    assert manager.flush()
    states.clear()
    cable.cut()
    for _ in range(50):
        manager.reserve(0.01).settle(0.01)
    assert states == ["WARNING away"]
    cable.mend()
    until(manager.flush)

    direct, _ = _manager(server.url, tmp_path)
    assert spent(direct) == {("d", None): 1.5}
    manager.close()
    direct.close()
    cable.close()


def test_one_reservation_is_one_round_trip(server: Any, tmp_path: Path) -> None:
    """A hundred reservations are a hundred scripts and no other command."""
    import redis

    manager, _ = _manager(server.url, tmp_path)
    manager.reserve(0.01).release()
    assert manager.flush()
    client = redis.Redis.from_url(server.url)
    client.config_resetstat()
    held = [manager.reserve(0.01) for _ in range(100)]
    calls = {name: facts["calls"] for name, facts in client.info("commandstats").items()}

    assert len(held) == 100
    assert calls["cmdstat_evalsha"] == 100
    assert "cmdstat_eval" not in calls
    manager.close()
    client.close()


# --- many at once -----------------------------------------------------------------------------------------------------

_SPENDER = """
import random, sys, threading, time
from pathlib import Path
from ai_dev_squad.costs.budgets import BudgetExceeded, BudgetManager
from ai_dev_squad.costs.stores import open_ledger

store, path, threads, seed = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
manager = BudgetManager(ledger=open_ledger(store, path, 60.0), store_timeout_s=60.0, when_away="refuse")
manager.set_budget("d", 2, "total", [], on_exceed="stop")
spent = []

def work(number):
    random_ = random.Random(seed * 1000 + number)
    while True:
        try:
            reservation = manager.reserve(0.02)
        except BudgetExceeded as refusal:
            if refusal.reserved_usd == 0:
                return
            time.sleep(random_.uniform(0.001, 0.02))  # what others hold may come back
            continue
        cost = random_.randint(5, 20) / 1000
        reservation.settle(cost)
        spent.append(round(cost * 1000))

workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
for worker in workers: worker.start()
for worker in workers: worker.join()
assert manager.flush()
manager.close()
print(sum(spent))
"""


def _spend(store: str, path: Path, processes: int, threads: int, *prefix: str) -> list[subprocess.Popen[str]]:
    return [
        subprocess.Popen(
            [*prefix, sys.executable, "-c", _SPENDER, store, str(path), str(threads), str(seed)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in range(processes)
    ]


@every_ledger
@pytest.mark.parametrize("processes, threads", [(3, 4), pytest.param(8, 32, marks=pytest.mark.once)])
def test_processes_and_threads_never_oversell(place: Place, processes: int, threads: int) -> None:
    """However many reserve at once, the sum stays within the limit, and the ledger has what they say they spent."""
    spenders = _spend(place.setting, place.path, processes, threads)
    total = sum(int(spender.communicate(timeout=300)[0]) for spender in spenders)
    manager = place.open()
    manager.set_budget("d", 2, "total", [], on_exceed="stop")

    assert [spender.returncode for spender in spenders] == [0] * processes
    assert spent(manager) == {("d", None): total / 1000}
    assert 1980 < total <= 2000
    assert manager.status()[0].reserved_usd == 0.0


_BRIDGE = "adsq-bridge"
_HOST = "10.213.77.1"


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@pytest.fixture
def namespaces() -> Iterator[list[str]]:
    """Two network namespaces of the kernel, which reach this one at ``_HOST``, and nothing else."""
    names = ["adsq-near", "adsq-far"]
    try:
        _ip("link", "add", _BRIDGE, "type", "bridge")
        _ip("addr", "add", f"{_HOST}/24", "dev", _BRIDGE)
        _ip("link", "set", _BRIDGE, "up")
        for number, name in enumerate(names, 2):
            _ip("netns", "add", name)
            _ip("link", "add", f"{name}-v", "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("link", "set", f"{name}-v", "master", _BRIDGE, "up")
            _ip("-n", name, "addr", "add", f"10.213.77.{number}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no network namespaces can be made here, which takes root and iproute2 ({error})")
    else:
        yield names
    finally:
        if shutil.which("ip") is not None:
            for undo in (*(["netns", "del", name] for name in names), ["link", "del", _BRIDGE]):
                subprocess.run(["ip", *undo], check=False, capture_output=True)


@pytest.mark.once
@pytest.mark.dials(_HOST)
def test_hosts_never_oversell(namespaces: list[str], tmp_path: Path) -> None:
    """The same from two network namespaces, as from two hosts, with 32 threads in each."""
    with redis_server.RedisServer(tmp_path / "redis", host=_HOST) as server:
        spenders = [_spend(server.url, tmp_path, 1, 32, "ip", "netns", "exec", name)[0] for name in namespaces]
        total = sum(int(spender.communicate(timeout=300)[0]) for spender in spenders)
        manager, _ = _manager(server.url, tmp_path)

        assert [spender.returncode for spender in spenders] == [0, 0]
        assert spent(manager) == {("d", None): total / 1000}
        assert 1980 < total <= 2000
        assert manager.status()[0].reserved_usd == 0.0
        manager.close()


def test_a_setting_that_names_no_store_is_refused_without_its_password() -> None:
    """The message says what is allowed, and repeats no password."""
    with pytest.raises(ValueError, match="budget_store='…@host/0' is not allowed") as refusal:
        open_ledger("http://user:hunter2@host/0", None, 1.0)
    assert "hunter2" not in str(refusal.value)


def test_the_settings_choose_the_store(tmp_path: Path) -> None:
    """``configure(budget_store="shared")`` keeps spend in budgets.sqlite3 beside the journal, for the next process too."""
    program = (
        "import ai_dev_squad as a\n"
        "t = a.get_cost_tracker()\n"
        "t.budget_manager.set_budget('d', 10, 'daily', on_exceed='stop')\n"
        "t.track_llm_usage('gpt-4o', 'openai', 1_000_000, 0, 1)\n"
        "a.flush(); print(json.dumps([s.spent_usd for s in t.budget_manager.status()]))"
    )
    environ = {**os.environ, "AI_DEV_SQUAD_BUDGET_STORE": "shared", "AI_DEV_SQUAD_LOG_DIR": str(tmp_path)}
    found = [
        json.loads(
            subprocess.run(
                [sys.executable, "-c", "import json\n" + program], env=environ, stdout=subprocess.PIPE, check=True
            ).stdout
        )
        for _ in range(2)
    ]

    assert found == [[2.5], [5.0]]
    assert (tmp_path / "budgets.sqlite3").is_file()

"""Spend survives: restarts, kill -9, several processes, forks, full disks and spoilt files."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad import guard
from ai_dev_squad.costs.budgets import BudgetExceeded, BudgetManager
from ai_dev_squad.costs.budgets.state_file import StateFile
from ai_dev_squad.costs.ledger.entry import CostEntry

NOON = datetime(2026, 3, 18, 12, 0, tzinfo=timezone.utc)


class Clock:
    def __init__(self) -> None:
        self.moment = NOON

    def __call__(self) -> float:
        return self.moment.timestamp()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "budgets.json"


def entry(usd: float | None, at: datetime = NOON, **fields: Any) -> CostEntry:
    return CostEntry(at, "gpt-4o", "openai", 1, 1, usd, 1, **fields)


def manager_at(path: Path, clock: Clock, **settings: Any) -> BudgetManager:
    """A manager that writes only when told to, so that a test decides the order of things."""
    return BudgetManager(clock=clock, state_path=path, save_interval=3600, **settings)


def spent(manager: BudgetManager) -> dict[tuple[str, str | None], float]:
    return {(status.name, status.key): status.spent_usd for status in manager.status()}


def budget_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "ai-dev-squad-budgets"]


# --- one process after another ----------------------------------------------------------------------------------------


def test_spend_alerts_and_unpriced_calls_survive_a_restart(path: Path, clock: Clock) -> None:
    """A new manager on the same file goes on where the last one stopped and alerts for nothing twice."""
    alerts: list[float] = []
    for _ in range(3):
        manager = manager_at(path, clock)
        manager.alert_callbacks.append(lambda alert: alerts.append(alert["threshold"]))
        manager.set_budget("d", 10, "daily", [0.2, 0.5, 0.9], on_exceed="stop")
        manager.set_budget("each", 10, "total", [], per="session")
        manager.check_budgets(entry(2.0, session_id="s"))
        manager.check_budgets(entry(None, session_id="s"))
        manager.close()

    assert spent(manager) == {("d", None): 6.0, ("each", "s"): 6.0}
    assert [status.unpriced_calls for status in manager.status()] == [3, 3]
    assert alerts == [0.2, 0.5]
    with pytest.raises(BudgetExceeded, match=r"\$6.00 spent"):
        manager.reserve(4.01)


def test_the_file_is_readable_by_people(path: Path, clock: Clock) -> None:
    """The state file is JSON with exact decimal amounts and nothing else lies beside it but its lock."""
    manager = manager_at(path, clock)
    manager.set_budget("d", 10, "daily", [0.01], agent_id="coder")
    manager.check_budgets(entry(0.123456789012, agent_id="coder"))
    manager.close()

    assert json.loads(path.read_text()) == {
        "format": 1,
        "budgets": [
            {
                "name": "d",
                "period": "daily",
                "timezone": "UTC",
                "scope": {"agent_id": "coder"},
                "accounts": [
                    {
                        "period_start": (NOON - timedelta(hours=12)).timestamp(),
                        "period_end": (NOON + timedelta(hours=12)).timestamp(),
                        "spent_usd": "0.123456789012",
                        "alerts_sent": [0.01],
                        "updated": NOON.timestamp(),
                    }
                ],
            }
        ],
    }
    assert sorted(item.name for item in path.parent.iterdir()) == ["budgets.json", "budgets.json.lock"]


def test_a_new_period_begins_at_nothing_after_a_restart(path: Path, clock: Clock) -> None:
    """Yesterday's spend does not count today; its record stays for a clock that was ahead, and leaves the file later."""
    first = manager_at(path, clock)
    first.set_budget("d", 10, "daily")
    first.check_budgets(entry(2.0))
    first.close()

    clock.moment += timedelta(days=1)
    second = manager_at(path, clock)
    second.set_budget("d", 10, "daily")
    assert spent(second) == {("d", None): 0.0}
    for _ in range(3):
        second.check_budgets(entry(1.0, clock.moment))
        second.flush()
        clock.moment += timedelta(days=1)
    second.close()

    (budget,) = json.loads(path.read_text())["budgets"]
    assert [account["spent_usd"] for account in budget["accounts"]] == ["1.000000000000"] * 3


def test_a_budget_of_another_scope_does_not_take_spend_over(path: Path, clock: Clock) -> None:
    """Spend is taken over by a budget that counts the same, whatever its limit, and kept for others."""
    first = manager_at(path, clock)
    first.set_budget("d", 10, "daily")
    first.check_budgets(entry(2.0))
    first.close()
    other = manager_at(path, clock)
    other.set_budget("d", 10, "daily", agent_id="coder")
    other.check_budgets(entry(1.0, agent_id="coder"))
    other.close()
    assert spent(other) == {("d", None): 1.0}

    third = manager_at(path, clock)
    third.set_budget("d", 99, "daily")

    assert spent(third) == {("d", None): 2.0}


def test_a_lower_limit_after_a_restart_alerts_at_once_and_once(path: Path, clock: Clock) -> None:
    """A threshold that earlier spend has reached under a new limit alerts without waiting for an entry, one time."""
    first = manager_at(path, clock)
    first.set_budget("d", 10, "monthly", [0.5])
    first.check_budgets(entry(2.0))
    first.close()
    alerts: list[float] = []
    for _ in range(2):
        later = manager_at(path, clock)
        later.alert_callbacks.append(lambda alert: alerts.append(alert["spend_ratio"]))
        later.set_budget("d", 4, "monthly", [0.5])
        later.close()

    assert alerts == [0.5]


def test_nothing_is_written_and_no_thread_runs_before_the_first_spend(path: Path, clock: Clock) -> None:
    """Setting budgets, reading the status and closing touch no file and start no thread."""
    before = len(budget_threads())
    manager = manager_at(path, clock)
    manager.set_budget("d", 10, "daily", on_exceed="stop")
    manager.status()
    assert manager.flush()
    manager.close()

    assert not path.parent.exists()
    assert len(budget_threads()) == before


def test_the_background_thread_writes_by_itself(path: Path, clock: Clock) -> None:
    """Without any flush, spend reaches the file, and the thread ends with close."""
    manager = BudgetManager(clock=clock, state_path=path, save_interval=0.01)
    manager.set_budget("d", 10, "daily")
    manager.check_budgets(entry(2.0))
    thread = manager._store._worker._thread  # type: ignore[union-attr]
    assert thread is not None
    _wait_for(path.exists)

    manager.check_budgets(entry(2.0))
    _wait_for(lambda: "4.000000000000" in path.read_text())
    manager.close()

    thread.join(10)
    assert not thread.is_alive()
    manager.check_budgets(entry(2.0))  # using it again starts it again
    _wait_for(lambda: "6.000000000000" in path.read_text())
    manager.close()


def test_a_manager_that_is_dropped_is_written_and_its_thread_ends(path: Path, clock: Clock) -> None:
    """The thread keeps no manager alive for ever, and the last entries of a dropped one are written."""
    manager = BudgetManager(clock=clock, state_path=path, save_interval=0.01)
    manager.set_budget("d", 10, "daily")
    manager.check_budgets(entry(2.0))
    thread, gone = manager._store._worker._thread, weakref.ref(manager)  # type: ignore[union-attr]
    assert thread is not None
    _wait_for(path.exists)

    del manager
    _wait_for(lambda: gc.collect() >= 0 and gone() is None)

    thread.join(10)
    assert not thread.is_alive()


# --- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"format": 99, "budgets": []}',
        b'{"format": 1, "budgets": [{"name": "d", "period": "daily", "timezone": "UTC", "accounts": [{"spent_usd": "lots"}]}]}',
        b'{"format": 1, "budgets": [{"name": "d", "period": "daily", "timezone": "UTC", "accounts": [{"spent_usd": "-1"}]}]}',
        b'{"format": 1, "budgets": [{"name": "d", "period": "daily", "timezone": "UTC", "accounts": [{"spent_usd": "Infinity"}]}]}',
        b"\xff\xfe" * 50,
    ],
)
def test_a_spoilt_file_is_reported_kept_aside_and_started_anew(path: Path, clock: Clock, content: bytes) -> None:
    """A state file nobody can read is kept under another name, reported, and counting goes on."""
    path.parent.mkdir()
    path.write_bytes(content)
    manager = manager_at(path, clock)
    with pytest.raises((ValueError, TypeError)):  # strict: the report itself
        manager.set_budget("d", 10, "daily")
    guard.set_strict(False)
    path.write_bytes(content)

    manager.check_budgets(entry(2.0))
    assert manager.flush()

    assert spent(manager) == {("d", None): 2.0}
    assert {kept.read_bytes() for kept in path.parent.glob("budgets.json.unreadable-*")} == {content}
    assert "2.000000000000" in path.read_text()
    manager.close()


def test_a_directory_that_cannot_be_written_loses_nothing(path: Path, clock: Clock) -> None:
    """While the file can't be written, callers notice nothing and spend waits; then it is written in full."""
    guard.set_strict(False)
    path.parent.write_text("a file where the directory should be")
    manager = manager_at(path, clock)
    manager.set_budget("d", 10, "daily")
    manager.check_budgets(entry(2.0))
    assert not manager.flush()
    manager.check_budgets(entry(1.0))

    path.parent.unlink()
    assert manager.flush()

    assert "3.000000000000" in path.read_text()
    manager.close()


def test_a_full_disk_leaves_the_old_file_whole(path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails half-way changes nothing on disk, leaves no temporary file, and is made up for."""
    manager = manager_at(path, clock)
    manager.set_budget("d", 10, "daily")
    manager.check_budgets(entry(2.0))
    assert manager.flush()
    before = path.read_bytes()
    guard.set_strict(False)
    with monkeypatch.context() as broken:

        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        broken.setattr(os, "fsync", full)
        manager.check_budgets(entry(1.0))
        assert not manager.flush()
        assert path.read_bytes() == before

    assert manager.flush()
    assert "3.000000000000" in path.read_text()
    assert sorted(item.name for item in path.parent.iterdir()) == ["budgets.json", "budgets.json.lock"]
    manager.close()


def test_a_file_that_was_deleted_is_written_again_in_full(path: Path, clock: Clock) -> None:
    """Deleting the file while a program runs costs nothing that the program knows of."""
    manager = manager_at(path, clock)
    manager.set_budget("d", 10, "daily")
    manager.check_budgets(entry(2.0))
    manager.flush()
    path.unlink()
    manager.check_budgets(entry(1.0))
    manager.close()

    assert "3.000000000000" in path.read_text()


def test_a_flush_inside_a_flush_gives_way(path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal handler that flushes while its own thread is writing returns at once and spoils nothing."""
    manager = manager_at(path, clock)
    manager.set_budget("d", 10, "daily")
    manager.check_budgets(entry(2.0))
    inner: list[bool] = []
    write = StateFile.write

    def interrupted(file: StateFile, budgets: Any) -> None:
        inner.append(manager.flush())
        manager.check_budgets(entry(1.0))
        write(file, budgets)

    monkeypatch.setattr(StateFile, "write", interrupted)
    assert manager.flush()
    monkeypatch.undo()
    manager.close()

    assert inner == [False]
    assert "3.000000000000" in path.read_text()


# --- several processes ------------------------------------------------------------------------------------------------


def test_several_managers_add_up_and_alert_once(path: Path, clock: Clock) -> None:
    """Managers on one file see one another's spend after a flush; the threshold of the sum alerts once."""
    alerts: list[str] = []
    managers = [manager_at(path, clock) for _ in range(3)]
    for number, manager in enumerate(managers):
        manager.set_budget("d", 10, "daily", [0.5])
        manager.alert_callbacks.append(lambda alert, number=number: alerts.append(f"{number}: {alert['spend_ratio']}"))
    for _ in range(2):
        for manager in managers:
            manager.check_budgets(entry(1.0))
            manager.flush()

    assert [spent(manager)["d", None] for manager in managers] == [6.0, 6.0, 6.0]
    assert alerts == ["1: 0.5"]
    for manager in managers:
        manager.close()


@given(steps=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 10**13), st.booleans()), max_size=25))
def test_any_order_of_spending_and_flushing_adds_up(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, bool]]
) -> None:
    """However three processes take turns, the file ends with the exact sum of all entries, for each key."""
    path, clock = tmp_path_factory.mktemp("state") / "budgets.json", Clock()
    managers = [manager_at(path, clock, max_keys=2) for _ in range(3)]
    for manager in managers:
        manager.set_budget("d", 10, "daily")
        manager.set_budget("each", 10, "total", per="session")
    for number, pico, flush in steps:
        managers[number].check_budgets(entry(pico / 10**12, session_id=f"s{pico % 2}"))
        if flush:
            managers[number].flush()
    for manager in managers:
        manager.close()

    reader = manager_at(path, clock)
    reader.set_budget("d", 10, "daily")
    reader.set_budget("each", 10, "total", per="session")
    expected = {("d", None): sum(pico for _, pico, _ in steps) / 10**12}
    for key in (0, 1):
        total = sum(pico for _, pico, _ in steps if pico % 2 == key)
        if total:
            expected["each", f"s{key}"] = total / 10**12
    assert spent(reader) == expected


def test_a_process_whose_clock_is_behind_spoils_no_new_period(path: Path, clock: Clock) -> None:
    """A process in the next day and one that is still in the last one keep what they spend, each in its own day."""
    ahead = manager_at(path, clock)
    ahead.set_budget("d", 10, "daily")
    behind = manager_at(path, Clock())
    behind.set_budget("d", 10, "daily")
    clock.moment += timedelta(days=1)
    ahead.check_budgets(entry(1.0, clock.moment))
    ahead.flush()
    behind.check_budgets(entry(2.0))
    behind.flush()
    ahead.check_budgets(entry(1.0, clock.moment))
    ahead.close()
    behind.close()

    (budget,) = json.loads(path.read_text())["budgets"]
    assert [account["spent_usd"] for account in budget["accounts"]] == ["2.000000000000", "2.000000000000"]
    assert spent(ahead) == {("d", None): 2.0}
    assert spent(behind) == {("d", None): 2.0}


def test_the_file_is_bounded_like_the_memory(path: Path, clock: Clock) -> None:
    """Of many sessions the file keeps the max_keys that were used last."""
    manager = manager_at(path, clock, max_keys=3)
    manager.set_budget("each", 10, "total", per="session")
    for number in range(10):
        manager.check_budgets(entry(1.0, NOON + timedelta(seconds=number), session_id=f"s{number}"))
        manager.flush()
    manager.close()

    (budget,) = json.loads(path.read_text())["budgets"]
    assert [account["key"] for account in budget["accounts"]] == ["s9", "s8", "s7"]


WORKER = """
import sys
from datetime import datetime, timezone
from ai_dev_squad.costs.budgets import BudgetManager
from ai_dev_squad.costs.ledger.entry import CostEntry

manager = BudgetManager(state_path=sys.argv[1], save_interval=0.01)
manager.set_budget("t", 1000, "total", [], on_exceed="stop")
for number in range(int(sys.argv[2])):
    manager.check_budgets(CostEntry(datetime.now(timezone.utc), "m", "p", 1, 1, 0.001, 1))
    if number == int(sys.argv[3]):
        manager.flush()
        print("flushed", flush=True)
"""


def _start(path: Path, entries: int, flush_at: int = -1) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(path), str(entries), str(flush_at)], stdout=subprocess.PIPE, text=True
    )


def test_real_processes_add_up_without_a_flush(path: Path) -> None:
    """Programs that end normally at the same time leave the exact sum, though none of them flushes."""
    workers = [_start(path, 500) for _ in range(3)]
    for worker in workers:
        worker.communicate(timeout=60)

    reader = BudgetManager(state_path=path)
    reader.set_budget("t", 1000, "total", [], on_exceed="stop")

    assert [worker.returncode for worker in workers] == [0, 0, 0]
    assert spent(reader) == {("t", None): 1.5}


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_kill_9_loses_nothing_that_was_flushed(path: Path) -> None:
    """A process killed in the middle of spending leaves a whole file with at least what flush() acknowledged."""
    worker = _start(path, 10_000_000, flush_at=1000)
    assert worker.stdout is not None
    assert worker.stdout.readline() == "flushed\n"
    worker.send_signal(signal.SIGKILL)
    worker.communicate(timeout=60)

    reader = BudgetManager(state_path=path)
    reader.set_budget("t", 1000, "total", [], on_exceed="stop")
    after = spent(reader)["t", None]
    assert after >= 1.001

    # The lock of the killed process holds nobody up.
    reader.check_budgets(CostEntry(datetime.now(timezone.utc), "m", "p", 1, 1, 1.0, 1))
    reader.close()
    again = BudgetManager(state_path=path)
    again.set_budget("t", 1000, "total", [], on_exceed="stop")
    assert round(spent(again)["t", None] - after, 9) == 1.0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_adds_its_own_spend_only(path: Path, clock: Clock) -> None:
    """After a fork each process writes what it spent itself; the parent's reservations stay the parent's."""
    manager = manager_at(path, clock)
    manager.set_budget("d", 10, "daily", on_exceed="stop")
    manager.check_budgets(entry(1.0))  # not written yet, and the thread is running
    held = manager.reserve(5.0)
    child = os.fork()
    if child == 0:
        try:
            held.release()
            manager.check_budgets(entry(2.0))
            ok = manager.flush() and manager.status()[0].reserved_usd == 0.0
            os._exit(0 if ok else 1)
        finally:
            os._exit(2)
    _, code = os.waitpid(child, 0)
    held.settle(4.0)
    manager.close()

    assert os.waitstatus_to_exitcode(code) == 0
    assert spent(manager) == {("d", None): 7.0}
    assert "7.000000000000" in path.read_text()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_lock_held_elsewhere_delays_the_file_and_nothing_else(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another process sits on the lock, callers go on, flush says no, and nothing is lost."""
    monkeypatch.setattr("ai_dev_squad.costs.budgets.state_file._LOCK_TIMEOUT_S", 0.05)
    guard.set_strict(False)
    manager = manager_at(path, clock)
    manager.set_budget("d", 10, "daily")
    with StateFile(path).locked():
        manager.check_budgets(entry(1.0))
        assert not manager.flush()

    assert manager.flush()
    assert "1.000000000000" in path.read_text()
    manager.close()


def _wait_for(condition: Any) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)

"""Signal handlers come between any two steps of a budget's code: what was settled is counted once, and nothing is stuck."""

from __future__ import annotations

import inspect
import random
import signal
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from ai_dev_squad.attribution import Attribution
from ai_dev_squad.costs.budgets import BudgetManager, Reservation
from ai_dev_squad.costs.stores import open_ledger

sys.path.insert(0, str(Path(__file__).parent))

import redis_server

pytestmark = [
    pytest.mark.timeouts,
    pytest.mark.once,  # the moments are those of every interpreter
    pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timers"),
]

CALL = Attribution(agent_id="coder")
Open = Callable[[], BudgetManager]


@pytest.fixture(params=["file", "shared", "redis"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens managers of one store, each with two budgets that every call belongs to."""
    server = redis_server.RedisServer(tmp_path / "redis") if request.param == "redis" else None
    managers: list[BudgetManager] = []

    def open_one() -> BudgetManager:
        path = tmp_path / "budgets"
        ledger = open_ledger(server.url if server else request.param, path, 10.0)
        manager = BudgetManager(
            clock=lambda: 1.8e9, state_path=None if ledger else path, ledger=ledger, store_timeout_s=10.0
        )
        managers.append(manager)
        manager.set_budget("all", 1_000_000, "total", [0.5], on_exceed="stop")
        manager.set_budget("coder", 1_000_000, "total", [], on_exceed="stop", agent_id="coder")
        return manager

    yield open_one
    for manager in managers:
        manager.close()
    if server is not None:
        server.kill()


def sums(manager: BudgetManager) -> dict[str, tuple[float, float]]:
    return {status.name: (status.spent_usd, status.reserved_usd) for status in manager.status()}


class _Signal(BaseException):
    """What comes between two steps, and no ``except Exception`` stops."""


class _SoftLimit(Exception):
    """What a signal's handler raises, such as Celery's when a task's time is over."""


class Turns:
    """Calls that are paid for, one after the other; what a handler that raises came between is done again."""

    def __init__(self, manager: BudgetManager) -> None:
        self.manager = manager
        self.settled = 0
        self.interrupted: set[str] = set()
        self.soft_limits = 0

    def once(self, interrupting: Callable[[Callable[[], Any]], Any]) -> None:
        """One call. ``interrupting`` does a step, and may raise in the midst of it."""
        reservation = self.done("reserve", interrupting, lambda: self.manager.reserve(1.0, CALL))
        assert isinstance(reservation, Reservation)
        self.done("settle", interrupting, lambda: reservation.settle(1.0))
        self.settled += 1
        released = self.done("reserve", interrupting, lambda: self.manager.reserve(2.0, CALL))
        self.done("release", interrupting, released.release)
        self.done("flush", interrupting, self.manager.flush)

    def done(self, step: str, interrupting: Callable[[Callable[[], Any]], Any], function: Callable[[], Any]) -> Any:
        """Does a step, and does it again if a handler raised in it."""
        try:
            return interrupting(function)
        except _Signal:
            self.interrupted.add(step)
        except _SoftLimit:
            self.soft_limits += 1
        return function()


def at_moment(number: int) -> Callable[[Callable[[], Any]], Any]:
    """Raises once, at this of the moments, counted over all steps, at which the interpreter runs handlers in code of ours:
    when a function begins, and when one in C has returned.
    """
    left = number

    def profile(frame: Any, event: str, _: object) -> None:
        nonlocal left
        code = frame.f_code
        # What a generator raises when it is thrown away is nobody's to catch.
        is_moment = event == "c_return" or (event == "call" and not code.co_flags & inspect.CO_GENERATOR)
        if is_moment and "ai_dev_squad" in code.co_filename:
            left -= 1
            if left == 0:
                raise _Signal

    def interrupting(function: Callable[[], Any]) -> Any:
        before = sys.getprofile()
        if left > 0:
            sys.setprofile(profile)
        try:
            return function()
        finally:
            sys.setprofile(before)

    return interrupting


def test_a_handler_that_raises_at_any_moment(opened: Open, request: pytest.FixtureRequest) -> None:
    """Whichever moment of reserve, settle, release or flush it is: nothing is lost, doubled, or left set aside."""
    manager = opened()
    turns = Turns(manager)
    steps: set[str] = set()
    is_file = request.node.callspec.params["opened"] == "file"
    # With a ledger a turn has as many moments as its thread leaves to this one: one turn without any is no end yet.
    without = 0
    # Each lost connection costs a new one: with a ledger every fourth of the moments.
    for moment in count(1, 1 if is_file else 4):
        turns.interrupted.clear()
        turns.once(at_moment(moment))
        without = 0 if turns.interrupted else without + 1
        if without == (1 if is_file else 10):
            break
        steps |= turns.interrupted

    assert manager.flush()
    right = {"all": (float(turns.settled), 0.0), "coder": (float(turns.settled), 0.0)}
    assert sums(manager) == right
    manager.close()
    assert sums(opened()) == right
    assert steps >= ({"reserve", "settle", "release", "flush"} if is_file else {"reserve", "settle"})


# What is raised in a finalizer is nobody's to catch, and a client's socket may be dropped half-way.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("handler", ["raises", "flushes", "reserves"])
def test_real_signals_at_random_moments(opened: Open, handler: str) -> None:
    """SIGALRM soon after a step began, some hundred times, and once more in close: what was settled is there once."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    moments = random.Random(seed)
    manager = opened()
    turns = Turns(manager)
    came = settled_by_handler = 0

    def handle(*_: object) -> None:
        nonlocal came, settled_by_handler
        came += 1
        if handler == "raises":
            raise _SoftLimit
        if handler == "flushes":
            manager.flush()
        else:
            manager.reserve(1.0, CALL).settle(1.0)
            settled_by_handler += 1

    def interrupting(function: Callable[[], Any]) -> Any:
        signal.setitimer(signal.ITIMER_REAL, moments.uniform(1e-6, 4e-4))
        try:
            return function()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    before = signal.signal(signal.SIGALRM, handle)
    try:
        for _ in range(40):
            turns.once(interrupting)
        turns.done("close", interrupting, manager.close)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert came > 0
    assert bool(turns.soft_limits) == (handler == "raises")
    manager.close()
    total = float(turns.settled + settled_by_handler)
    assert sums(opened()) == {"all": (total, 0.0), "coder": (total, 0.0)}

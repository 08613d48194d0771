"""Stop budgets under every interleaving: a model-based test, real threads, and asyncio."""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from ai_dev_squad.attribution import Attribution
from ai_dev_squad.costs.budgets import BudgetExceeded, BudgetManager, Reservation
from ai_dev_squad.costs.ledger.entry import CostEntry

pytestmark = pytest.mark.once

PICO = 10**12
AGENTS = st.sampled_from(["coder", "planner", None])


def entry(pico: int, agent: str | None, now: float) -> CostEntry:
    moment = datetime.fromtimestamp(now, timezone.utc)
    return CostEntry(moment, "gpt-4o", "openai", 1, 1, pico / PICO, 1, agent_id=agent)


class StopBudgets(RuleBasedStateMachine):
    """Calls that reserve, settle for no more than they reserved, fail, or are forgotten, over several days."""

    held: Bundle[tuple[Reservation, str | None, int]] = Bundle("held")

    @initialize(wide=st.integers(1, 40), narrow=st.integers(1, 20))
    def begin(self, wide: int, narrow: int) -> None:
        self.now = 1_000_000.0
        self.manager = BudgetManager(clock=lambda: self.now)
        self.manager.set_budget("wide", wide, "daily", on_exceed="stop")
        self.manager.set_budget("narrow", narrow, "total", per="agent", on_exceed="stop")
        self.limits = {"wide": wide * PICO, "narrow": narrow * PICO}
        self.spent: dict[tuple[str, str | None], int] = {}
        self.reserved: dict[tuple[str, str | None], int] = {}
        self.days: dict[Any, int] = {}

    def _accounts(self, agent: str | None) -> list[tuple[str, str | None]]:
        return [("wide", None), ("narrow", agent)]

    @rule(target=held, agent=AGENTS, estimate=st.integers(1, 8 * PICO))
    def reserve(self, agent: str | None, estimate: int) -> Any:
        fits = all(
            self.spent.get(account, 0) + self.reserved.get(account, 0) + estimate <= self.limits[account[0]]
            for account in self._accounts(agent)
        )
        try:
            reservation = self.manager.reserve(estimate / PICO, Attribution(agent_id=agent))
        except BudgetExceeded:
            assert not fits
            return multiple()
        assert fits
        for account in self._accounts(agent):
            self.reserved[account] = self.reserved.get(account, 0) + estimate
        return reservation, agent, estimate

    @rule(call=consumes(held), share=st.floats(0, 1))
    def settle(self, call: tuple[Reservation, str | None, int], share: float) -> None:
        reservation, agent, estimate = call
        cost = round(estimate * share)
        reservation.settle(entry(cost, agent, self.now))
        reservation.settle(entry(cost, agent, self.now))
        for account in self._accounts(agent):
            self.reserved[account] -= estimate
            self.spent[account] = self.spent.get(account, 0) + cost

    @rule(call=consumes(held))
    def release(self, call: tuple[Reservation, str | None, int]) -> None:
        reservation, agent, estimate = call
        reservation.release()
        reservation.release()
        for account in self._accounts(agent):
            self.reserved[account] -= estimate

    @rule(agent=AGENTS, estimate=st.integers(1, 8 * PICO))
    def forget(self, agent: str | None, estimate: int) -> None:
        try:
            self.manager.reserve(estimate / PICO, Attribution(agent_id=agent))
        except BudgetExceeded:
            return
        gc.collect(0)

    @rule(days=st.floats(-0.5, 1.5))
    def pass_time(self, days: float) -> None:
        day = self.manager.status()[0].resets_at
        self.days[day] = self.spent.get(("wide", None), 0)
        self.now += days * 86400
        # A clock that was set back finds what was spent on that day.
        self.spent["wide", None] = self.days.get(self.manager.status()[0].resets_at, 0)

    @invariant()
    def the_sums_are_exact_and_within_the_limits(self) -> None:
        for status in self.manager.status():
            account = (status.name, status.key)
            spent, reserved = self.spent.get(account, 0), self.reserved.get(account, 0)
            assert (status.spent_usd, status.reserved_usd) == (spent / PICO, reserved / PICO)
            assert spent + reserved <= self.limits[status.name]


TestStopBudgets = StopBudgets.TestCase


@pytest.fixture
def _switch_often() -> Any:
    """Make the interpreter change threads about a thousand times as often."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_switch_often")
def test_threads_never_oversell() -> None:
    """Eight threads that reserve, spend and fail at once never pass the limit, and lose no picodollar."""
    limit = 1.0
    manager = BudgetManager(clock=lambda: 1_000_000.0)
    manager.set_budget("d", limit, "daily", [0.25, 0.5, 0.75], on_exceed="stop")
    manager.set_budget("each", limit / 4, "daily", per="agent", on_exceed="stop")
    alerts: list[tuple[str, float]] = []
    manager.alert_callbacks.append(lambda alert: alerts.append((alert["budget_name"], alert["threshold"])))
    paid: list[int] = []
    refused: list[int] = []
    over: list[float] = []

    def work(number: int) -> None:
        chance = random.Random(number)
        agent = f"agent {number % 5}"
        for _ in range(300):
            estimate = chance.randint(1, PICO // 500)
            try:
                held = manager.reserve(estimate / PICO, Attribution(agent_id=agent))
            except BudgetExceeded:
                refused.append(1)
                continue
            if chance.random() < 0.2:
                held.release()
                continue
            cost = chance.randint(0, estimate)
            manager.check_budgets(entry(cost, agent, 1_000_000.0), held)
            paid.append(cost)
            over.extend(s.ratio for s in manager.status() if s.spent_usd + s.reserved_usd > s.limit_usd + 1e-9)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))

    total, *agents = manager.status()
    assert over == []
    assert refused
    assert [status.reserved_usd for status in (total, *agents)] == [0.0] * 6
    assert total.spent_usd == sum(paid) / PICO
    assert round(sum(status.spent_usd for status in agents) * PICO) == sum(paid)
    wide = [threshold for name, threshold in alerts if name == "d"]
    assert sorted(wide) == sorted(set(wide)) == list(total.alerts_sent)


@pytest.mark.usefixtures("_switch_often")
def test_one_threshold_alerts_once_among_threads() -> None:
    """A threshold that many threads reach at the same moment alerts exactly once."""
    alerts: list[float] = []
    manager = BudgetManager(clock=lambda: 1_000_000.0)
    manager.alert_callbacks.append(lambda alert: alerts.append(alert["threshold"]))
    manager.set_budget("d", 1, "daily", [0.5])
    ready = threading.Barrier(8)

    def work(_: int) -> None:
        ready.wait()
        for _ in range(100):
            manager.check_budgets(entry(PICO // 100, None, 1_000_000.0))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))

    assert alerts == [0.5]
    assert manager.status()[0].spent_usd == 8.0


async def test_tasks_never_oversell() -> None:
    """Of twenty tasks that call a model at once, exactly those that fit in the limit are let through."""
    manager = BudgetManager()
    manager.set_budget("d", 1.0, "total", on_exceed="stop")

    async def call() -> float:
        with manager.reserve(0.3) as held:
            await asyncio.sleep(0)
            held.settle(0.25)
            return 0.25

    results = await asyncio.gather(*(call() for _ in range(20)), return_exceptions=True)

    assert [result for result in results if not isinstance(result, BudgetExceeded)] == [0.25] * 3
    assert manager.status()[0].spent_usd == 0.75


async def test_a_cancelled_task_gives_its_money_back() -> None:
    """A task that is cancelled while the model is answering leaves nothing reserved."""
    manager = BudgetManager()
    manager.set_budget("d", 1.0, "total", on_exceed="stop")
    started = asyncio.Event()

    async def call() -> None:
        with manager.reserve(0.9):
            started.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(call())
    await started.wait()
    assert manager.status()[0].reserved_usd == 0.9
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert manager.status()[0].reserved_usd == 0.0


def test_the_collector_inside_the_lock_does_no_harm() -> None:
    """A reservation collected while the manager holds its lock, in the same thread, neither blocks nor is lost."""
    manager = BudgetManager()
    manager.set_budget("d", 1.0, "total", on_exceed="stop")
    cycle: dict[str, Any] = {"held": manager.reserve(0.9)}
    cycle["self"] = cycle
    with manager._book.lock:
        del cycle
        gc.collect()

    assert manager.status()[0].reserved_usd == 0.0

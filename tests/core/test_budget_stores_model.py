"""Any history of reservations on a shared ledger comes out as a simple model of it says."""

from __future__ import annotations

import itertools
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from ai_dev_squad.attribution import Attribution
from ai_dev_squad.costs.budgets import BudgetExceeded, BudgetManager, Reservation
from ai_dev_squad.costs.stores import Exchange, Reply, open_ledger

sys.path.insert(0, str(Path(__file__).parent))

import redis_server
from ledgers import Behind

# Leases that run out.
pytestmark = [pytest.mark.timeouts, pytest.mark.once]

LIMITS = {"all": 100, "coder": 40}
"""Cents; the second is for the agent of its name alone."""
LEASE_S = 0.02
TIMEOUT_S = 30.0

_numbers = itertools.count()
AMOUNTS = st.integers(1, 60)
PROCESSES = st.sampled_from([0, 1])


@dataclass
class Held:
    """A reservation that is open, and what the model knows of it."""

    process: int
    reservation: Reservation
    agent: str
    cents: int


@dataclass
class Model:
    """What is right: all of it in cents, one moment after another."""

    spent: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LIMITS, 0))
    held: list[Held] = field(default_factory=list)

    def reserved(self, budget: str) -> int:
        return sum(one.cents for one in self.held if budget in budgets_of(one.agent))

    def has_room(self, agent: str, cents: int) -> bool:
        return all(self.spent[budget] + self.reserved(budget) + cents <= LIMITS[budget] for budget in budgets_of(agent))

    def spend(self, agent: str, cents: int) -> None:
        for budget in budgets_of(agent):
            self.spent[budget] += cents


def budgets_of(agent: str) -> list[str]:
    """The budgets that a call of this agent belongs to."""
    return ["all", "coder"] if agent == "coder" else ["all"]


class Mortal(Behind):
    """A ledger that can be cut off from its process for good, which is all that others see of a killed one."""

    def __init__(self, ledger: Any) -> None:
        super().__init__(ledger)
        self.is_dead = False
        self._exchanging = threading.Lock()

    @property
    def is_open(self) -> bool:
        return not self.is_dead and self.ledger.is_open

    def exchange(self, exchange: Exchange) -> Reply:
        with self._exchanging:
            if self.is_dead:
                raise ConnectionError("dead")
            return self.ledger.exchange(exchange)

    def die(self) -> None:
        """No exchange is under way any more: one that a slow disk holds up would renew the lease later."""
        with self._exchanging:
            self.is_dead = True


class Histories(RuleBasedStateMachine):
    """Two managers on one ledger, as if each were a process."""

    setting: str
    path: Path

    @initialize()
    def begin(self) -> None:
        self.suffix = f"-{next(_numbers)}"
        self.model = Model()
        self.open_until = ExitStack()
        self.managers = [self.opened(), self.opened()]

    def opened(self) -> BudgetManager:
        ledger = open_ledger(self.setting, self.path, TIMEOUT_S)
        manager = BudgetManager(ledger=ledger, store_timeout_s=TIMEOUT_S, when_away="refuse", clock=lambda: 1.8e9)
        self.open_until.callback(manager.close)
        for name, cents in LIMITS.items():
            scope = {} if name == "all" else {"agent_id": name}
            manager.set_budget(name + self.suffix, cents / 100, "total", [], on_exceed="stop", **scope)
        return manager

    def others_have_spoken(self, process: int) -> None:
        """What a process has spent is told by a thread of its own, milliseconds later; here there are none between."""
        for number, manager in enumerate(self.managers):
            assert number == process or manager.flush()

    @rule(process=PROCESSES, agent=st.sampled_from(["coder", "writer"]), cents=AMOUNTS)
    def reserve(self, process: int, agent: str, cents: int) -> None:
        self.others_have_spoken(process)
        has_room = self.model.has_room(agent, cents)
        try:
            reservation = self.managers[process].reserve(cents / 100, Attribution(agent_id=agent))
        except BudgetExceeded:
            assert not has_room
        else:
            assert has_room
            self.model.held.append(Held(process, reservation, agent, cents))

    @rule(which=st.integers(0, 100), cents=AMOUNTS)
    def settle(self, which: int, cents: int) -> None:
        if self.model.held:
            one = self.model.held.pop(which % len(self.model.held))
            one.reservation.settle(cents / 100)
            one.reservation.settle(cents / 100)  # which does nothing any more
            self.model.spend(one.agent, cents)

    @rule(which=st.integers(0, 100))
    def release(self, which: int) -> None:
        if self.model.held:
            one = self.model.held.pop(which % len(self.model.held))
            one.reservation.release()
            one.reservation.release()

    @rule(cents=AMOUNTS)
    def a_third_dies_with_a_reservation(self, cents: int) -> None:
        """It gets what there is room for, and its lease runs out."""
        self.others_have_spoken(-1)
        ledger = Mortal(open_ledger(self.setting, self.path, TIMEOUT_S))
        third = BudgetManager(ledger=ledger, store_timeout_s=TIMEOUT_S, lease_s=LEASE_S)
        third.set_budget("all" + self.suffix, LIMITS["all"] / 100, "total", [], on_exceed="stop")
        try:
            left = third.reserve(cents / 100)
        except BudgetExceeded:
            assert not self.model.has_room("writer", cents)
        else:
            assert self.model.has_room("writer", cents)
            assert left.hold.open
        ledger.die()
        self.its_lease_runs_out()

    def its_lease_runs_out(self) -> None:
        """An exchange that was given up may reach the server all the same, and renew the lease once more."""
        deadline = time.monotonic() + 60
        while self.told(0)["all"][1] != self.model.reserved("all"):
            assert time.monotonic() < deadline, "what a dead process had set aside never came back"
            time.sleep(LEASE_S)

    @rule(process=PROCESSES)
    def restart(self, process: int) -> None:
        """Another takes its place; what the old one still has open it settles later."""
        self.managers[process].close()
        self.managers[process] = self.opened()

    @rule(process=PROCESSES)
    def look(self, process: int) -> None:
        self.everybody_has_spoken()
        assert self.told(process) == {b: (self.model.spent[b], self.model.reserved(b)) for b in LIMITS}

    def told(self, process: int) -> dict[str, tuple[int, int]]:
        """Budget → what is spent and set aside, in cents, as this process says after it has asked the ledger."""
        assert self.managers[process].flush()
        return {
            status.name.removesuffix(self.suffix): (round(status.spent_usd * 100), round(status.reserved_usd * 100))
            for status in self.managers[process].status()
        }

    def everybody_has_spoken(self) -> None:
        for manager in self.managers:
            assert manager.flush()

    def teardown(self) -> None:
        if hasattr(self, "managers"):
            try:
                for process in (0, 1):
                    self.look(process)
            finally:
                self.open_until.close()


@pytest.fixture(params=["shared", "redis"])
def setting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "shared":
        yield "shared"
        return
    with redis_server.RedisServer(tmp_path / "redis") as server:
        yield server.url


def test_every_history_is_as_the_model_says(setting: str, tmp_path: Path) -> None:
    """Reservations that are made, settled, released and left behind by the dead, over two processes that restart."""
    machine = type("Machine", (Histories,), {"setting": setting, "path": tmp_path / "budgets.sqlite3"})
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=12, stateful_step_count=20, suppress_health_check=list(HealthCheck)),
    )

"""What a ledger that processes share answers to one exchange, said again or said for the first time."""

from __future__ import annotations

import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ai_dev_squad.costs.budgets import BudgetExceeded, BudgetManager
from ai_dev_squad.costs.stores import Ask, Exchange, Held, Line, Reply, ReservationLedger, Sums, open_ledger
from ai_dev_squad.schema import EventType

sys.path.insert(0, str(Path(__file__).parent))

import redis_server
from ledgers import Behind


@pytest.fixture(params=["shared", "redis"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ReservationLedger]:
    server = redis_server.RedisServer(tmp_path / "redis") if request.param == "redis" else None
    opened = open_ledger(server.url if server else "shared", tmp_path / "budgets.sqlite3", 10.0)
    assert opened is not None
    yield opened
    opened.close()
    if server is not None:
        server.kill()


def sums(spent: int, reserved: int = 0, unpriced: int = 0) -> Sums:
    return Sums(spent, reserved, unpriced, (), ())


def ask(hold: str, limit: int, amount: int) -> Ask:
    return Ask(hold, ((0, limit, amount, amount),))


def test_a_charge_that_is_said_again_counts_once(ledger: ReservationLedger) -> None:
    """An answer that was lost on its way: the sender says the same again, and hears what it would have heard."""
    first = Exchange("a", 1, [Line("daily", None, charge=700, unpriced=1)])
    later = Exchange("a", 2, [Line("daily", None, charge=20)])
    other = Exchange("b", 1, [Line("daily", None, charge=3)])

    assert [ledger.exchange(one) for one in (first, first, later, later, first, other)] == [
        Reply([sums(700, unpriced=1)], []),
        Reply([sums(700, unpriced=1)], []),
        Reply([sums(720, unpriced=1)], []),
        Reply([sums(720, unpriced=1)], []),
        Reply([sums(720, unpriced=1)], []),
        Reply([sums(723, unpriced=1)], []),
    ]


def test_a_reservation_that_is_asked_for_again_is_made_once(ledger: ReservationLedger) -> None:
    """What has no room is refused by the number of its claim and sets nothing aside; what is given back makes room."""
    line = Line("daily", "team")
    first = Exchange("a", 1, [line], asks=[ask("h1", 100, 60)])
    second = Exchange("b", 1, [line], asks=[ask("h2", 100, 41), ask("h3", 100, 40)])
    over = Exchange("a", 2, [Line("daily", "team", charge=50)], given_back=[Held("h1", ((0, 0),))])

    assert [ledger.exchange(one) for one in (first, first, second, over, over)] == [
        Reply([sums(0, 60)], [None]),
        Reply([sums(0, 60)], [None]),
        Reply([sums(0, 100)], [0, None]),
        Reply([sums(50, 40)], []),
        Reply([sums(50, 40)], []),
    ]
    assert ledger.keys("daily", 10) == ["team"]
    assert ledger.keys("weekly", 10) == []


def test_a_ledger_that_lost_its_memory_learns_it_anew(ledger: ReservationLedger) -> None:
    """From what its senders know was spent, at least, and from the reservations of calls that are still open."""
    line = Line("daily", None, charge=5, known=900, known_unpriced=2)
    kept = Exchange("a", 7, [line], kept=[Held("h1", ((0, 60),))])

    assert ledger.exchange(kept) == Reply([sums(905, 60, 2)], [])
    assert ledger.exchange(kept) == Reply([sums(905, 60, 2)], [])
    assert ledger.exchange(Exchange("b", 1, [Line("daily", None, known=100)])) == Reply([sums(905, 60, 2)], [])


def test_a_lease_that_ran_out_holds_nothing(ledger: ReservationLedger) -> None:
    """Its holder died; one that is renewed in time stays."""
    line = Line("daily", None)
    ledger.exchange(Exchange("a", 1, [line], asks=[ask("h1", 100, 60)], lease_s=0.001))
    reply = ledger.exchange(Exchange("b", 1, [line], asks=[ask("h2", 100, 60)], lease_s=600))
    while reply.refused != [None]:
        reply = ledger.exchange(Exchange("b", 1, [line], asks=[ask("h2", 100, 60)], lease_s=600))

    assert reply == Reply([sums(0, 60)], [None])


def test_a_threshold_is_told_to_one_process(ledger: ReservationLedger) -> None:
    """To the one that reaches it; again only after the limit was raised above what was spent."""
    thresholds = ((50, "half"), (100, "whole"))
    low = Line("daily", None, charge=60, thresholds=thresholds)
    again = Line("daily", None, thresholds=thresholds)
    raised = Line("daily", None, thresholds=((500, "half"), (1000, "whole")))

    assert [ledger.exchange(Exchange("a", number, [line])).sums[0] for number, line in enumerate((low, again, raised, again))] == [
        Sums(60, 0, 0, ("half",), ("half",)),
        Sums(60, 0, 0, ("half",), ()),
        Sums(60, 0, 0, (), ()),
        Sums(60, 0, 0, ("half",), ("half",)),
    ]  # fmt: skip


# --- the file ---------------------------------------------------------------------------------------------------------


def test_a_file_that_was_deleted_begins_anew(tmp_path: Path) -> None:
    """Whoever deletes it means that; nobody goes on in one that has no name any more."""
    path = tmp_path / "budgets.sqlite3"
    ledger = open_ledger("shared", path, 10.0)
    assert ledger is not None
    ledger.exchange(Exchange("a", 1, [Line("daily", None, charge=5)]))
    for file in tmp_path.iterdir():
        file.unlink()

    assert ledger.exchange(Exchange("a", 2, [Line("daily", None, charge=7)])) == Reply([sums(7)], [])
    assert path.exists()
    ledger.close()


def test_a_file_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    """The error names it and both formats, and nothing stays open."""
    path = tmp_path / "budgets.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    ledger = open_ledger("shared", path, 10.0)
    assert ledger is not None
    with pytest.raises(sqlite3.DatabaseError, match=rf"^format 99 of {path} is unknown; this version writes \d+$"):
        ledger.exchange(Exchange("a", 1, [Line("daily", None, charge=5)]))

    assert (ledger.is_open, path.read_bytes()) == (False, before)


def test_a_file_that_another_process_keeps_is_given_up(tmp_path: Path) -> None:
    """Within the time that was set; what was to be said can be said again."""
    path = tmp_path / "budgets.sqlite3"
    ledger = open_ledger("shared", path, 0.05)
    assert ledger is not None
    exchange = Exchange("a", 1, [Line("daily", None, charge=5)])
    ledger.exchange(Exchange("a", 0, [Line("daily", None)]))
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(TimeoutError, match=rf"^another process has held {path} for over 0\.05 s$"):
        ledger.exchange(exchange)
    released = threading.Thread(target=other.execute, args=("COMMIT",))
    released.start()
    released.join()

    assert ledger.exchange(exchange) == Reply([sums(5)], [])
    other.close()
    ledger.close()


def test_a_process_that_joins_ends_no_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another renews a moment after this one has asked for the time is of this life of the machine."""
    path = tmp_path / "budgets.sqlite3"
    first, joins = (open_ledger("shared", path, 10.0) for _ in range(2))
    assert first is not None
    assert joins is not None
    line = Line("daily", None)
    first.exchange(Exchange("a", 1, [line], asks=[ask("h1", 100, 60)]))
    renewing: list[Exchange] = [Exchange("a", 2, [line], kept=[Held("h1", ((0, 60),))])]

    def monotonic() -> float:
        now = time.monotonic()
        if renewing:
            first.exchange(renewing.pop())
        return now

    clock = SimpleNamespace(monotonic=monotonic, time=time.time, sleep=time.sleep)
    monkeypatch.setattr("ai_dev_squad.costs.stores.sqlite.time", clock)

    assert joins.exchange(Exchange("b", 1, [line])) == Reply([sums(0, 60)], [])
    first.close()
    joins.close()


# --- a manager in front of one that fails -----------------------------------------------------------------------------


class Moody(Behind):
    """A ledger that may be down."""

    error: Exception | None = None

    @property
    def is_open(self) -> bool:
        return bool(self.ledger.is_open)

    def exchange(self, exchange: Exchange) -> Reply:
        if self.error is not None:
            raise self.error
        reply: Reply = self.ledger.exchange(exchange)
        return reply

    def keys(self, budget: str, most: int) -> list[str | None]:
        if self.error is not None:
            raise self.error
        return super().keys(budget, most)


class Stumbling(Moody):
    """A ledger that fails once, at the first charge, as soon as it is let."""

    def __init__(self, ledger: Any) -> None:
        super().__init__(ledger)
        self.said: list[Exchange] = []
        self.is_asked, self.may_fail = threading.Event(), threading.Event()

    def exchange(self, exchange: Exchange) -> Reply:
        self.said.append(exchange)
        if any(line.charge for line in exchange.lines) and not self.is_asked.is_set():
            self.is_asked.set()
            assert self.may_fail.wait(60)
            raise OSError("try again")
        return super().exchange(exchange)


def test_nothing_is_given_back_before_what_took_its_place_is_charged(tmp_path: Path) -> None:
    """Charges that could not be said are said again first; what was settled meanwhile goes with its own charge."""
    ledger = Stumbling(open_ledger("shared", tmp_path / "budgets.sqlite3", 10.0))
    manager = BudgetManager(ledger=ledger, store_timeout_s=60.0, when_away="allow")
    manager.set_budget("d", 10, "total", [], on_exceed="stop")
    first, second = manager.reserve(2.0), manager.reserve(2.0)
    first.settle(2.0)
    assert ledger.is_asked.wait(60)
    second.settle(2.0)
    ledger.may_fail.set()
    while not manager.flush():
        time.sleep(0.01)

    told = [(sum(line.charge for line in one.lines), len(one.given_back)) for one in ledger.said]
    assert [(charge // 10**12, holds) for charge, holds in told if charge or holds] == [(2, 1), (2, 1), (2, 1)]
    assert (manager.status()[0].spent_usd, manager.status()[0].reserved_usd) == (4.0, 0.0)
    manager.close()


@pytest.mark.parametrize(
    "when_away, then",
    [
        ("allow", "calls are held against what this process knows of"),
        ("refuse", "calls under a budget that stops are refused"),
    ],
)
def test_a_ledger_that_goes_and_comes_is_told_of_once(tmp_path: Path, when_away: Any, then: str) -> None:
    """What failed, what happens until it is back, and that it is; all spend of meanwhile is there then."""
    told: list[tuple[str, str, dict[str, Any]]] = []

    def hear(kind: EventType, level: str, message: str, facts: dict[str, Any]) -> None:
        if kind is EventType.BUDGET_STORE:
            told.append((level, message, facts))

    ledger = Moody(open_ledger("shared", tmp_path / "budgets.sqlite3", 10.0))
    manager = BudgetManager(
        ledger=ledger,
        on_event=hear,
        store_timeout_s=10.0,
        when_away=when_away,
    )
    manager.set_budget("d", 10, "total", [], on_exceed="stop")
    manager.reserve(2.0).settle(2.0)
    assert manager.flush()
    ledger.error = OSError("no such host")
    if when_away == "allow":
        manager.reserve(3.0).settle(3.0)
        assert not manager.flush()
    else:
        with pytest.raises(BudgetExceeded, match=f"its store {ledger.place} does not answer"):
            manager.reserve(3.0)
    ledger.error = None
    deadline = time.monotonic() + 30
    while len(told) < 2 or not manager.flush():
        assert time.monotonic() < deadline, "it never came back"
        time.sleep(0.01)

    away, back = told
    why = f"the budget store {ledger.place} does not answer (OSError: no such host)"
    assert away == (
        "WARNING",
        f"{why}; until it does, {then}; what is spent meanwhile is added then",
        {"store": ledger.place, "state": "away", "when_away": when_away, "reason": "no such host"},
    )
    seconds = back[2].pop("away_s")
    assert back == (
        "INFO",
        f"the budget store {ledger.place} answers again after {seconds:.1f} s; all spend of this process is there",
        {"store": ledger.place, "state": "back"},
    )
    assert manager.status()[0].spent_usd == (5.0 if when_away == "allow" else 2.0)
    manager.close()


@pytest.mark.parametrize("kind", ["file", "shared"])
def test_a_call_of_unknown_price_needs_room_for_a_picodollar(tmp_path: Path, kind: str) -> None:
    """It holds nothing; while the smallest amount is left it passes, and no longer."""
    path = tmp_path / "budgets"
    ledger = open_ledger(kind, path, 10.0)
    manager = BudgetManager(state_path=path if ledger is None else None, ledger=ledger, store_timeout_s=10.0)
    manager.set_budget("d", 1, "total", [], on_exceed="stop")
    manager.reserve(0.5).settle(0.999_999_999_999)
    assert manager.flush()
    one, two = manager.reserve(None), manager.reserve(None)
    assert manager.status()[0].reserved_usd == 0.0
    one.settle(0.000_000_000_001)
    two.release()
    assert manager.flush()
    with pytest.raises(BudgetExceeded, match=r"\$1\.00"):
        manager.reserve(None)
    manager.close()

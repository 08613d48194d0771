"""What a process has yet to say to a shared ledger, and the exchanges that say it.

Charges are frozen until the ledger has taken them: sent again after a lost answer they are the same, under the same
number, so that they count once. Used by one thread; the book's lock is held where the book is read or changed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count

from ai_dev_squad.background import Request
from ai_dev_squad.costs.budgets.accounts import Account, BudgetAccounts, Crossing
from ai_dev_squad.costs.budgets.amounts import Hold
from ai_dev_squad.costs.budgets.book import Change, Changes
from ai_dev_squad.costs.stores import Ask, Exchange, Held, Line, Reply

__all__ = ["Draft", "Pending", "Waiting"]

Target = tuple[BudgetAccounts, "Account | None", float]
"""Whose line it is, and the start of the period that it speaks of; leftovers of a past period have no account."""


class Waiting:
    """A reservation that waits for the ledger's verdict."""

    __slots__ = ("blocked", "hold", "is_away", "needed", "request")

    def __init__(self, hold: Hold, needed: int | None) -> None:
        self.hold, self.needed = hold, needed
        self.blocked: int | None = None
        """The position of the limit that has no room."""
        self.is_away = False
        """Whether it was decided without the ledger."""
        self.request = Request()
        """What its caller waits for."""


@dataclass
class Draft:
    """One exchange, and what to do with its answer."""

    exchange: Exchange
    targets: Sequence[Target]
    asks: Sequence[Waiting]


class _Lines:
    """The lines of one exchange, each account once."""

    def __init__(self, changes: Iterable[Change], *, tells: bool = True) -> None:
        """``tells`` whether the ledger is told what is known of it: that may include charges that it has yet to get."""
        self._tells = tells
        self.lines: list[Line] = []
        self.targets: list[Target] = []
        self._positions: dict[tuple[str, str | None], int] = {}
        for change in changes:
            self._add(change)

    def position(self, accounts: BudgetAccounts, account: Account, place: tuple[str, str | None]) -> int:
        """The line of an account in the period that ``place`` names."""
        position = self._positions.get(place)
        if position is None:
            if place == accounts.place(account):
                known = (account.base, account.unpriced_base) if self._tells else (0, 0)
                change = Change(accounts, account, account.start, place, 0, 0, *known)
            else:
                change = Change(accounts, None, math.nan, place, 0, 0, 0, 0)
            position = self._add(change)
        return position

    def _add(self, change: Change) -> int:
        accounts, account = change.accounts, change.account
        is_current = account is not None and account.start == change.start
        self._positions[change.place] = len(self.lines)
        self.targets.append((accounts, account if is_current else None, change.start))
        self.lines.append(
            Line(
                *change.place,
                charge=change.charge,
                unpriced=change.unpriced,
                known=change.known,
                known_unpriced=change.known_unpriced,
                thresholds=accounts.thresholds if is_current else (),
                alerted=account.alerted_names if is_current and account is not None and account.alerted_unsaved else (),
                lasts_s=accounts.lasts_s,
            )
        )
        return len(self.lines) - 1


class Pending:
    """What has to be said: charges, what was given back, and whose lease is to be renewed."""

    def __init__(self, sender: str) -> None:
        self._sender = sender
        self._numbers = count(1)
        self._number = 0
        self._frozen: list[Change] = []
        self._given_back: list[Hold] = []
        self._kept: dict[str, tuple[Hold, float]] = {}
        """Open reservations by their id, with the moment they were told last; the longest ago first."""

    @property
    def unsaid(self) -> bool:
        """Whether the ledger has yet to take anything."""
        return bool(self._frozen or self._given_back)

    @property
    def is_frozen(self) -> bool:
        """Whether charges are under way; others have to wait for their answer."""
        return bool(self._frozen)

    def take(self, changes: Changes) -> None:
        """Take over what the book has to say."""
        if changes.charges:
            self._frozen, self._number = changes.charges, next(self._numbers)
        for hold in changes.enlisted:
            if hold.open and hold.id is not None:
                self._kept[hold.id] = (hold, -math.inf)
        for hold in changes.given_back:
            self._kept.pop(hold.id or "", None)
            self._given_back.append(hold)
        if not changes.charges and not self._frozen:
            # A signal handler may have raised after one was closed and before the book could say so.
            for hold in [hold for hold, _ in self._kept.values() if not hold.open]:
                self._kept.pop(hold.id or "", None)
                self._given_back.append(hold)

    def due(self, every_s: float) -> float:
        """When the next lease is to be renewed."""
        return min((told + every_s for _, told in self._kept.values()), default=math.inf)

    def draft(
        self, waiting: Sequence[Waiting], now: float, lease_s: float, *, most_kept: int, is_probe: bool
    ) -> Draft | None:
        """What to say now; ``None`` when there is nothing."""
        asks = [one for one in waiting if one.hold.open and not one.is_away]
        kept = [hold for hold, told in self._kept.values() if is_probe or told + lease_s / 3 <= now][:most_kept]
        if not (asks or kept or self.unsaid or is_probe):
            return None
        lines = _Lines(self._frozen)
        exchange = Exchange(
            self._sender,
            self._number,
            lines.lines,
            given_back=[_held(lines, hold) for hold in self._given_back],
            kept=[_held(lines, hold) for hold in kept],
            asks=[_ask(lines, one) for one in asks],
            lease_s=lease_s,
        )
        return Draft(exchange, lines.targets, asks)

    def asking(self, waiting: Waiting, lease_s: float) -> Draft:
        """An exchange that asks for one reservation, and leaves charges that are under way alone."""
        lines = _Lines((), tells=not self._frozen)
        ask = _ask(lines, waiting)
        return Draft(
            Exchange(self._sender, self._number, lines.lines, asks=(ask,), lease_s=lease_s), lines.targets, (waiting,)
        )

    def reading(self, accounts: Iterable[tuple[BudgetAccounts, Account]], lease_s: float) -> Draft:
        """An exchange that only asks for sums."""
        lines = _Lines(())
        for budget, account in accounts:
            lines.position(budget, account, budget.place(account))
        return Draft(Exchange(self._sender, self._number, lines.lines, lease_s=lease_s), lines.targets, ())

    def settle(self, draft: Draft, reply: Reply, now: float) -> list[Crossing]:
        """The ledger has taken ``draft``: learn its sums. Returns what has to be told."""
        for one, blocked in zip(draft.asks, reply.refused, strict=True):
            one.blocked = blocked
            hold = one.hold
            if blocked is None and hold.open and hold.id is not None:
                self._kept[hold.id] = (hold, now)
        for held in draft.exchange.kept:
            known = self._kept.pop(held.hold, None)
            if known is not None and known[0].open:
                self._kept[held.hold] = (known[0], now)
        told = {held.hold for held in draft.exchange.given_back}
        self._given_back = [hold for hold in self._given_back if hold.id not in told]
        if draft.exchange.number == self._number and any(line.charge or line.unpriced for line in draft.exchange.lines):
            self._frozen = []
        crossings: list[Crossing] = []
        for (accounts, account, start), sums in zip(draft.targets, reply.sums, strict=True):
            if account is not None and account.start == start:
                crossings += accounts.learn(account, sums)
        return crossings


def _held(lines: _Lines, hold: Hold) -> Held:
    positions = [lines.position(*amount[:2], place) for amount, place in zip(hold.amounts, hold.places, strict=True)]
    return Held(hold.id or "", tuple(zip(positions, [amount for _, _, amount in hold.amounts], strict=True)))


def _ask(lines: _Lines, one: Waiting) -> Ask:
    claims = []
    for (accounts, account, amount), place in zip(one.hold.amounts, one.hold.places, strict=True):
        needed = 1 if one.needed is None else amount
        claims.append((lines.position(accounts, account, place), accounts.limit, needed, amount))
    return Ask(one.hold.id or "", tuple(claims))

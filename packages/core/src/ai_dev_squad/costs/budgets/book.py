"""The sums of all budgets in this process, behind one lock: what is set aside, what was spent, what is given back.

Nothing here does I/O or calls anybody back. Amounts are whole picodollars.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ai_dev_squad.costs.budgets.accounts import Account, BudgetAccounts, Crossing, Index, Labels
from ai_dev_squad.costs.budgets.budget import Budget, BudgetExceeded, BudgetStatus, moment
from ai_dev_squad.costs.money import PICO

__all__ = ["AccountBook", "Amount", "Hold", "Refusal"]

_EVENT_EVERY_S = 1.0

Amount: TypeAlias = tuple[BudgetAccounts, Account, int]
"""So many picodollars set aside in one account."""


class Hold:
    """What one call has set aside, until it is given back, once."""

    __slots__ = ("amounts", "epoch", "open")

    def __init__(self, amounts: tuple[Amount, ...], epoch: int) -> None:
        self.amounts = amounts
        self.epoch = epoch
        """The process, counted by forks, whose call it was made for."""
        self.open = True


@dataclass(frozen=True)
class Refusal:
    """Why a call may not be made, and the status to tell the journal unless it was told a moment ago."""

    error: BudgetExceeded
    status: BudgetStatus | None


class AccountBook:
    """The accounts of every budget. ``clock`` gives seconds since the epoch; ``max_keys`` bounds each budget's values."""

    def __init__(self, clock: Callable[[], float], max_keys: int) -> None:
        self.clock = clock
        # Reentrant: a signal handler that flushes may interrupt the thread that holds it.
        self.lock = threading.RLock()
        self.budgets: dict[str, BudgetAccounts] = {}
        """By the budget's name. To be used with the lock held, but for asking whether there are any."""
        self._max_keys = max_keys
        self._index = Index([])
        self._forgotten: deque[Hold] = deque()
        self._epoch = 0

    def replace(self, wanted: Mapping[str, Budget]) -> bool:
        """Keep the accounts of these budgets from now on; returns whether any of them is new.

        A budget that counts the same calls as the one of its name before keeps what was spent.
        """
        with self.lock:
            before = self.budgets
            self.budgets = {name: self._accounts_for(budget) for name, budget in wanted.items()}
            self._index = Index(list(self.budgets.values()))
            return any(before.get(name) is not accounts for name, accounts in self.budgets.items())

    def hold(self, labels: Labels, estimate: int | None) -> Hold | Refusal:
        """Set ``estimate`` aside in every stop budget that these labels belong to, or nothing anywhere."""
        now = self.clock()
        amounts: list[Amount] = []
        with self.lock:
            if self._forgotten:
                self._collect()
            for accounts in self._index.matching(labels):
                if not accounts.stops:
                    continue
                account = accounts.account(labels, now)
                if account is None:
                    continue
                if not _has_room(accounts, account, estimate):
                    return _refused(accounts, account, estimate, now)
                if estimate:
                    amounts.append((accounts, account, estimate))
            for _, account, amount in amounts:
                account.reserved += amount
            return Hold(tuple(amounts), self._epoch)

    def charge(self, labels: Labels, now: float, cost: int | None, hold: Hold | None) -> list[Crossing]:
        """Add a cost (``None`` is an unknown one) wherever it belongs, in place of what was held. Returns the crossings."""
        crossings: list[Crossing] = []
        with self.lock:
            held = None
            if hold is not None and hold.open:
                held = {accounts: account for accounts, account, _ in hold.amounts}
                self._give_back(hold)
            for accounts in self._index.matching(labels):
                # The answer may name another model than the request; what was set aside decides.
                account = held.pop(accounts, None) if held else None
                account = accounts.account(labels, now) if account is None else accounts.current(account, now)
                if account is not None and (crossed := accounts.charge(account, cost)):
                    crossings += crossed
            for accounts, account in held.items() if held else ():
                if self.budgets.get(accounts.budget.name) is accounts:
                    crossings += accounts.charge(accounts.current(account, now), cost) or ()
        return crossings

    def give_back(self, hold: Hold) -> None:
        """Give back what was set aside; once."""
        with self.lock:
            if hold.open:
                self._give_back(hold)

    def forget(self, hold: Hold) -> None:
        """Give back what was set aside, later: for finalizers, which may run anywhere, also with the lock held."""
        # A deque is safe without a lock.
        self._forgotten.append(hold)

    def statuses(self) -> list[BudgetStatus]:
        """Every limit as it stands now, in the order budgets were set, then by key."""
        now = self.clock()
        with self.lock:
            self._collect()
            return [
                accounts.status(account, now)
                for accounts in self.budgets.values()
                for account in sorted(
                    accounts.refresh(now), key=lambda account: (account.key is None, account.key or "")
                )
            ]

    def after_fork(self, *, saved: bool) -> None:
        """In a forked child: running calls are the parent's. With ``saved``, what it has not saved comes by its file."""
        self.lock = threading.RLock()
        self._epoch += 1
        self._forgotten.clear()
        for account in self._all():
            account.reserved = 0
            if saved:
                account.spent, account.unpriced = account.base, account.unpriced_base

    def _accounts_for(self, budget: Budget) -> BudgetAccounts:
        known = self.budgets.get(budget.name)
        if known is None or known.budget.coverage != budget.coverage:
            known = BudgetAccounts(budget, self._max_keys)
        elif known.budget is not budget:
            known.adopt(budget)
        return known

    def _all(self) -> Iterator[Account]:
        for accounts in self.budgets.values():
            yield from accounts.accounts.values()

    def _collect(self) -> None:
        while self._forgotten:
            self._give_back(self._forgotten.popleft())

    def _give_back(self, hold: Hold) -> None:
        hold.open = False
        if hold.epoch == self._epoch:
            for _, account, amount in hold.amounts:
                account.reserved -= amount


def _has_room(accounts: BudgetAccounts, account: Account, estimate: int | None) -> bool:
    """Whether the limit holds if a call of this estimate is let through."""
    committed = account.spent + account.reserved
    if estimate is None:
        return accounts.budget.unknown_price == "allow" and committed < accounts.limit
    return estimate == 0 or committed + estimate <= accounts.limit


def _refused(accounts: BudgetAccounts, account: Account, estimate: int | None, now: float) -> Refusal:
    account.refused += 1
    error = BudgetExceeded(
        accounts.refusal(account, estimate),
        budget=accounts.budget.name,
        key=account.key,
        limit_usd=accounts.budget.limit_usd,
        spent_usd=account.spent / PICO,
        reserved_usd=account.reserved / PICO,
        estimate_usd=None if estimate is None else estimate / PICO,
        resets_at=moment(account.end),
    )
    # A loop that retries a refused call would fill the journal; the count in the next event covers all of them.
    if account.exceeded_event_at <= now < account.exceeded_event_at + _EVENT_EVERY_S:
        return Refusal(error, None)
    account.exceeded_event_at = now
    return Refusal(error, accounts.status(account, now))

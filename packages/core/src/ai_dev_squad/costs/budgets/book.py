"""The sums of all budgets in this process, behind one lock: what is set aside, what was spent, what is given back.

Nothing here does I/O or calls anybody back. Amounts are whole picodollars.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ai_dev_squad.costs.budgets.accounts import Account, BudgetAccounts, Crossing
from ai_dev_squad.costs.budgets.amounts import Amount, Charge, Hold
from ai_dev_squad.costs.budgets.budget import Budget, BudgetExceeded, BudgetStatus, moment
from ai_dev_squad.costs.budgets.labels import Index, Labels
from ai_dev_squad.costs.money import PICO

__all__ = ["AccountBook", "Change", "Changes", "Refusal"]

_EVENT_EVERY_S = 1.0


class Change(NamedTuple):
    """What was spent in one account and no ledger has yet, with what the ledger knew before."""

    accounts: BudgetAccounts
    account: Account | None
    start: float
    place: tuple[str, str | None]
    charge: int
    unpriced: int
    known: int
    known_unpriced: int


class Changes(NamedTuple):
    """What a shared ledger has to be told."""

    charges: list[Change]
    given_back: list[Hold]
    enlisted: list[Hold]


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
        self.max_keys = max_keys
        self._index = Index([])
        self._forgotten: deque[Hold] = deque()
        self._epoch = 0
        self._is_shared = False
        self._changed: dict[Account, BudgetAccounts] = {}
        self._left: list[Change] = []
        self._given_back: list[Hold] = []
        self._enlisted: deque[Hold] = deque()

    def share(self) -> None:
        """Have a shared ledger decide on reservations and alerts: what changes is remembered for it."""
        self._is_shared = True

    def replace(self, wanted: Mapping[str, Budget]) -> bool:
        """Keep the accounts of these budgets from now on; returns whether any of them is new.

        A budget that counts the same calls as the one of its name before keeps what was spent.
        """
        with self.lock:
            before = self.budgets
            self.budgets = {name: self._accounts_for(budget) for name, budget in wanted.items()}
            self._index = Index(list(self.budgets.values()))
            return any(before.get(name) is not accounts for name, accounts in self.budgets.items())

    def set_aside(self, hold: Hold, labels: Labels, estimate: int | None) -> Refusal | None:
        """Set ``estimate`` aside in every stop budget that these labels belong to, or nothing anywhere.

        Whoever is interrupted here gives ``hold`` back, which knows how much of it was set aside.
        """
        now = self.clock()
        amounts: list[Amount] = []
        with self.lock:
            if self._forgotten:
                self._collect()
            is_shared = self._is_shared
            for accounts in self._index.matching(labels):
                if not accounts.stops:
                    continue
                accounts.follow(now)
                account = accounts.account(labels, now)
                if account is None:
                    continue
                # A ledger knows what is still reserved; what was spent is spent.
                if not _has_room(accounts, account, estimate, 0 if is_shared else account.reserved):
                    return _refused(accounts, account, estimate, now)
                if estimate or (is_shared and estimate is None):
                    amounts.append((accounts, account, estimate or 0))
            hold.epoch = self._epoch
            if is_shared:
                hold.places = tuple(accounts.place(account) for accounts, account, _ in amounts)
            hold.amounts = tuple(amounts)
            for _, account, amount in amounts:
                account.reserved, hold.in_book = account.reserved + amount, hold.in_book + 1
            return None

    def charge(self, labels: Labels, now: float, cost: int | None, hold: Hold | None) -> list[Crossing]:
        """Add a cost (``None`` is an unknown one) wherever it belongs, in place of what was held. Returns the crossings.

        A signal handler that raises meanwhile finds all of it done, or, while ``hold`` is open, nothing.
        """
        with self.lock:
            held = {}
            if hold is not None and hold.open:
                held = {accounts: account for accounts, account, _ in hold.amounts}
            charged: list[tuple[BudgetAccounts, Account]] = []
            for accounts in self._index.matching(labels):
                # The answer may name another model than the request; what was set aside decides.
                account = held.pop(accounts, None) if held else None
                account = accounts.account(labels, now) if account is None else accounts.current(account, now)
                if account is not None:
                    charged.append((accounts, account))
            for accounts, account in held.items():
                if self.budgets.get(accounts.budget.name) is accounts:
                    charged.append((accounts, accounts.current(account, now)))
            if self._is_shared:
                # The ledger tells one process of each crossing, by the sum of all.
                self._changed.update((account, accounts) for accounts, account in charged)
            charge = Charge(tuple(charged), cost)
            try:
                self._make(charge, hold)
            except BaseException:  # a signal handler's
                self._make(charge, hold)
                raise
            if self._is_shared:
                return []
            return [
                crossing
                for accounts, account in charged
                if account.spent >= account.next_alert
                for crossing in accounts.crossed(account)
            ]

    # --- with a shared ledger -----------------------------------------------------------------------------------------

    @property
    def has_changes(self) -> bool:
        """Whether a ledger has to be told of anything."""
        return bool(self._changed or self._left or self._given_back or self._enlisted or self._forgotten)

    def changes(self, *, with_charges: bool) -> Changes:
        """Take what a ledger has to be told; charges only when those taken before have arrived. With the lock held.

        What was given back goes with the charges that took its place: without them there would be room that is spent.
        """
        self._collect()
        charges: list[Change] = []
        given_back: list[Hold] = []
        if with_charges:
            given_back, self._given_back = self._given_back, []
            charges, self._left = self._left, []
            changed, self._changed = self._changed, {}
            charges += [self._taken(accounts, account) for account, accounts in changed.items() if account.unsaved]
        enlisted = [self._enlisted.popleft() for _ in range(len(self._enlisted))]
        return Changes(charges, given_back, enlisted)

    def crossed_alone(self) -> list[Crossing]:
        """The crossings that no ledger has told of, while there is none that answers."""
        with self.lock:
            return [c for account, accounts in self._changed.items() for c in accounts.crossed(account)]

    def keep_alone(self, hold: Hold, estimate: int | None) -> Refusal | None:
        """Whether what was set aside holds by what this process knows; with a refusal it is given back."""
        with self.lock:
            for number, (accounts, account, amount) in enumerate(hold.amounts):
                committed = account.spent + account.reserved
                if committed > accounts.limit or (not amount and committed >= accounts.limit):
                    hold.id = None
                    return self.refuse(hold, number, estimate)
            self._enlisted.append(hold)
        return None

    def refuse(self, hold: Hold, number: int, estimate: int | None) -> Refusal:
        """Give back what was set aside, because the limit at this position has no room."""
        with self.lock:
            if hold.open:
                self._give_back(hold)
            accounts, account, _ = hold.amounts[number]
            return _refused(accounts, account, estimate, self.clock())

    def refuse_unreachable(self, hold: Hold, estimate: int | None, place: str) -> Refusal:
        """Give back what was set aside, because nobody can say whether a limit has room."""
        with self.lock:
            if hold.open:
                self._give_back(hold)
            accounts, account, _ = hold.amounts[0]
            return _refused(accounts, account, estimate, self.clock(), unreachable=place)

    def drop(self, hold: Hold) -> None:
        """Give back what a ledger did not grant. With the lock held."""
        hold.id = None
        if hold.open:
            self._give_back(hold)

    def all_accounts(self, more: Callable[[str], list[str | None]]) -> list[tuple[BudgetAccounts, Account]]:
        """Every account in its current period, those whose keys only a ledger knows included."""
        now = self.clock()
        with self.lock:
            budgets = list(self.budgets.values())
            for accounts in budgets:
                list(accounts.refresh(now))
        for accounts in budgets:
            keys = more(accounts.place_now)
            with self.lock:
                for key in keys:
                    if key in accounts.accounts or len(accounts.accounts) < self.max_keys:
                        accounts.account_of(key)
        with self.lock:
            return [(accounts, account) for accounts in budgets for account in accounts.refresh(now)]

    def is_mine(self) -> bool:
        """Whether this thread holds the lock, as the code below a signal handler may."""
        return self.lock._is_owned()  # type: ignore[attr-defined,no-any-return]

    # ------------------------------------------------------------------------------------------------------------------

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
        self._enlisted.clear()
        self._changed, self._left, self._given_back = {}, [], []
        for account in self._all():
            account.reserved = 0
            if saved:
                account.spent, account.unpriced = account.base, account.unpriced_base

    def _accounts_for(self, budget: Budget) -> BudgetAccounts:
        known = self.budgets.get(budget.name)
        if known is None or known.budget.coverage != budget.coverage:
            known = BudgetAccounts(budget, self.max_keys)
            known.on_leave = self._leave if self._is_shared else None
        elif known.budget is not budget:
            known.adopt(budget)
        return known

    def _all(self) -> Iterator[Account]:
        for accounts in self.budgets.values():
            yield from accounts.accounts.values()

    def _make(self, charge: Charge, hold: Hold | None) -> None:
        charge.make()
        if hold is not None and hold.open:
            self._give_back(hold)

    def _leave(self, accounts: BudgetAccounts, account: Account) -> None:
        """The period of ``account`` is over, and there is spend in it that no ledger has."""
        if account in self._changed:
            change = self._change(accounts, account)
            # One statement without a call, so that a signal handler that raises neither loses nor doubles it.
            self._left, account.base, account.unpriced_base = [*self._left, change], account.spent, account.unpriced
            self._changed.pop(account, None)

    def _taken(self, accounts: BudgetAccounts, account: Account) -> Change:
        change = self._change(accounts, account)
        # Taken is as good as told: it is sent until it has arrived.
        account.base, account.unpriced_base = account.spent, account.unpriced
        return change

    def _change(self, accounts: BudgetAccounts, account: Account) -> Change:
        return Change(
            accounts,
            account,
            account.start,
            accounts.place(account),
            account.spent - account.base,
            account.unpriced - account.unpriced_base,
            account.base,
            account.unpriced_base,
        )

    def _collect(self) -> None:
        while self._forgotten:
            hold = self._forgotten[0]
            if hold.open:
                self._give_back(hold)
            # A signal handler that flushes may have collected it meanwhile.
            if self._forgotten and self._forgotten[0] is hold:
                self._forgotten.popleft()

    def _give_back(self, hold: Hold) -> None:
        """Give back what is left of it. Whoever is interrupted here may do it again."""
        if hold.epoch == self._epoch:
            while hold.in_book:
                last = hold.in_book - 1
                _, account, amount = hold.amounts[last]
                account.reserved, hold.in_book = account.reserved - amount, last
            if hold.id is not None:
                # Before it is closed: to give back twice is harmless, never to do it is not.
                self._given_back.append(hold)
        hold.open = False


def _has_room(accounts: BudgetAccounts, account: Account, estimate: int | None, reserved: int) -> bool:
    """Whether the limit holds if a call of this estimate is let through."""
    committed = account.spent + reserved
    if estimate is None:
        return accounts.budget.unknown_price == "allow" and committed < accounts.limit
    return estimate == 0 or committed + estimate <= accounts.limit


def _refused(
    accounts: BudgetAccounts, account: Account, estimate: int | None, now: float, unreachable: str | None = None
) -> Refusal:
    account.refused += 1
    error = BudgetExceeded(
        accounts.refusal(account, estimate) if unreachable is None else accounts.refusal_unasked(unreachable),
        budget=accounts.budget.name,
        key=account.key,
        limit_usd=accounts.budget.limit_usd,
        spent_usd=account.spent / PICO,
        reserved_usd=(account.reserved + account.elsewhere) / PICO,
        estimate_usd=None if estimate is None else estimate / PICO,
        resets_at=moment(account.end),
    )
    # A loop that retries a refused call would fill the journal; the count in the next event covers all of them.
    if account.exceeded_event_at <= now < account.exceeded_event_at + _EVENT_EVERY_S:
        return Refusal(error, None)
    account.exceeded_event_at = now
    return Refusal(error, accounts.status(account, now))

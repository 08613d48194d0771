"""Spend that survives a restart: one small JSON file that several processes add to.

Each process adds, under a file lock, what it has spent since its last visit, and takes over what the others have
added. The file is replaced in one step, so a reader or a crash never meets half a file.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ai_dev_squad.costs.budgets.accounts import Account, BudgetAccounts, Crossing
from ai_dev_squad.costs.budgets.periods import timezone_name
from ai_dev_squad.costs.money import PICO
from ai_dev_squad.file_locks import lock_file, unlock_file
from ai_dev_squad.guard import report

__all__ = ["StateFile", "StoredBudget", "merge", "settle", "tidy"]

_LOCK_TIMEOUT_S = 5.0
"""How long another process may write, before it is tried again later."""
_FORMAT = 1
_AMOUNT = re.compile(r"([0-9]{1,40})(?:\.([0-9]{1,12}))?")
_PAST_PERIODS = 2
"""Periods that are over and stay in the file: a clock that was ahead for a while may come back to the last of them."""


class StoredAccount(msgspec.Struct, omit_defaults=True):
    """One limit's sums. ``spent_usd`` is decimal text, exact to the picodollar; times are seconds since the epoch."""

    key: str | None = None
    period_start: float | None = None
    period_end: float | None = None
    spent_usd: str = "0"
    unpriced_calls: int = 0
    alerts_sent: list[float] = []
    exceeded: bool = False
    updated: float = 0.0

    def spent(self) -> int:
        """``spent_usd`` in picodollars. Raises ``ValueError`` when it is not an amount."""
        amount = _AMOUNT.fullmatch(self.spent_usd)
        if amount is None:
            raise ValueError(f"spent_usd {self.spent_usd!r} is not an amount; allowed: dollars such as '0.25'")
        return int(amount[1]) * PICO + int((amount[2] or "").ljust(12, "0"))

    @property
    def counts(self) -> bool:
        """Whether it says anything."""
        return self.unpriced_calls > 0 or self.spent() > 0


class StoredBudget(msgspec.Struct, omit_defaults=True):
    """The accounts of one budget, and what they count: a budget of another scope does not take them over."""

    name: str
    period: str
    timezone: str
    per: str | None = None
    scope: dict[str, str] = {}
    accounts: list[StoredAccount] = []

    def expire(self, now: float) -> None:
        """Drop accounts whose period has been over for long: not by the clock alone, which may be wrong."""
        ends = sorted({account.period_end for account in self.accounts if account.period_end is not None})
        over = [end for end in ends if end <= now]
        dropped = set(over[:-_PAST_PERIODS])
        self.accounts = [account for account in self.accounts if account.period_end not in dropped]


class _State(msgspec.Struct):
    format: int = _FORMAT
    budgets: list[StoredBudget] = []


class StateFile:
    """The file at ``path`` and the lock beside it. Nothing is created before the first write."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock_path = path.with_name(path.name + ".lock")

    def read(self) -> list[StoredBudget]:
        """What the file holds; nothing when it does not exist. One that cannot be understood is kept aside."""
        try:
            state = self._decode(self.path.read_bytes())
        except FileNotFoundError:
            return []
        except (msgspec.MsgspecError, ValueError) as error:
            aside = self.path.with_name(f"{self.path.name}.unreadable-{time.time_ns()}")
            with contextlib.suppress(FileNotFoundError):  # another process was first
                self.path.replace(aside)
            report(f"reading the budget state (kept as {aside}; spend is counted anew from here)", error)
            return []
        return state.budgets

    def write(self, budgets: list[StoredBudget]) -> None:
        """Replace the file in one step. When this returns, it is on disk."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f"{self.path.name}.{os.getpid()}.tmp")
        text = msgspec.json.format(msgspec.json.encode(_State(budgets=budgets)), indent=1)
        try:
            with temporary.open("wb") as file:
                file.write(text + b"\n")
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out. Raises ``TimeoutError`` when one of them holds on for more than 5 s."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock_path.open("a+b") as file:
            try:
                held = lock_file(file.fileno(), _LOCK_TIMEOUT_S)
            except TimeoutError as error:
                raise TimeoutError(
                    f"another process has held {self._lock_path} for over {_LOCK_TIMEOUT_S:g} s; it is tried again "
                    f"later and nothing is lost meanwhile"
                ) from error
            try:
                yield
            finally:
                if held:
                    unlock_file(file.fileno())

    def _decode(self, content: bytes) -> _State:
        state = msgspec.json.decode(content, type=_State)
        if state.format != _FORMAT:
            raise ValueError(f"format {state.format} of {self.path} is unknown; this version writes {_FORMAT}")
        for budget in state.budgets:
            for account in budget.accounts:
                account.spent()
        return state


# --- between the file and the accounts --------------------------------------------------------------------------------


def merge(ours: BudgetAccounts, stored: list[StoredBudget], now: float) -> list[Crossing]:
    """Take over what others have added, and put this process's share into ``stored``.

    Returns the alerts that the sum has reached and nobody has sent. Call ``tidy``, and once ``stored`` is on disk
    ``settle``.
    """
    record = _record_of(ours, stored)
    # A period each: a process whose clock is wrong, or was, spends in another one than the others.
    by_place = {(account.key, account.period_start): account for account in record.accounts}
    crossings: list[Crossing] = []
    for account in ours.refresh(now):
        place = (account.key, _finite(account.start))
        theirs = by_place.get(place)
        # The manager's lock is held: of ten thousand sessions the few that changed are worth looking at.
        if not account.unsaved and theirs == account.seen:
            continue
        if theirs is not None:
            crossings += _take_over(ours, account, theirs)
        account.seen = by_place[place] = _stored(account)
    for (key, _), theirs in by_place.items():
        if key not in ours.accounts and len(ours.accounts) < ours.max_keys:
            crossings += _adopt(ours, theirs)
    record.accounts = list(by_place.values())
    return crossings


def tidy(ours: BudgetAccounts, stored: list[StoredBudget]) -> None:
    """Keep the ``max_keys`` accounts of a ours that were used last."""
    record = _record_of(ours, stored)
    accounts = sorted(record.accounts, key=lambda account: (-account.updated, account.key or ""))
    record.accounts = [account for account in accounts if account.counts][: ours.max_keys]


def settle(ours: BudgetAccounts, stored: list[StoredBudget]) -> None:
    """Remember that ``stored`` is on disk, so that it is not added a second time."""
    for theirs in _record_of(ours, stored).accounts:
        account = ours.accounts.get(theirs.key)
        if account is not None and theirs.period_start == _finite(account.start):
            account.base, account.unpriced_base = theirs.spent(), theirs.unpriced_calls
            if (theirs.alerts_sent, theirs.exceeded) == _alerts(account):
                account.alerted_unsaved = False


def _record_of(ours: BudgetAccounts, stored: list[StoredBudget]) -> StoredBudget:
    budget = ours.budget
    mine = StoredBudget(budget.name, budget.period, timezone_name(budget.zone), budget.per, budget.scope)
    for record in stored:
        if msgspec.structs.replace(record, accounts=[]) == mine:
            return record
    stored.append(mine)
    return mine


def _take_over(ours: BudgetAccounts, account: Account, theirs: StoredAccount) -> list[Crossing]:
    spent = theirs.spent()
    unpriced = theirs.unpriced_calls
    # One statement without a call, so that a signal handler that raises finds none of it done, or all.
    account.spent, account.unpriced, account.base, account.unpriced_base = (
        account.spent + spent - account.base,
        account.unpriced + unpriced - account.unpriced_base,
        spent,
        unpriced,
    )
    account.alerted.update(theirs.alerts_sent)
    if theirs.exceeded:
        account.alerted.add(None)
    ours.rearm(account)
    return ours.crossed(account)


def _adopt(ours: BudgetAccounts, theirs: StoredAccount) -> list[Crossing]:
    if theirs.period_start != _finite(ours.start):
        return []
    account = ours.account_of(theirs.key)
    ours.begin(account)
    account.touched = theirs.updated
    account.seen = theirs
    return _take_over(ours, account, theirs)


def _alerts(account: Account) -> tuple[list[float], bool]:
    return sorted(name for name in account.alerted if name is not None), None in account.alerted


def _stored(account: Account) -> StoredAccount:
    alerts_sent, exceeded = _alerts(account)
    return StoredAccount(
        key=account.key,
        period_start=_finite(account.start),
        period_end=_finite(account.end),
        spent_usd=f"{account.spent // PICO}.{account.spent % PICO:012}",
        unpriced_calls=account.unpriced,
        alerts_sent=alerts_sent,
        exceeded=exceeded,
        updated=account.touched,
    )


def _finite(seconds: float) -> float | None:
    return seconds if abs(seconds) != float("inf") else None

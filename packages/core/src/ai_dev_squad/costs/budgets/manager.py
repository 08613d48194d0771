"""Budgets: alert at thresholds, or stop the next model call before money is spent.

A budget in ``stop`` mode works by reservation: before a call its estimated cost is set aside, if spent, set aside and
estimate together stay within the limit; after the call the estimate is replaced by the actual cost. So any number of
calls at the same time can't oversell a limit. Each entry costs one dictionary look-up for each combination of scopes
in use and one addition for each budget it belongs to, however much was spent before.

What a limit can't promise: a call that costs more than its estimate exceeds it by the difference; processes that share
a ``state_path`` learn of one another's spend with a delay of ``save_interval`` and don't share reservations.
"""

from __future__ import annotations

import math
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from datetime import timezone as fixed_zone
from datetime import tzinfo
from pathlib import Path

from ai_dev_squad.attribution import Attribution
from ai_dev_squad.costs.budgets.accounts import Account, BudgetAccounts, Crossing, Index, Labels, labels_of
from ai_dev_squad.costs.budgets.alerts import EventSink, announce_crossing, announce_refusal
from ai_dev_squad.costs.budgets.budget import (
    AlertCallback,
    Budget,
    BudgetExceeded,
    BudgetStatus,
    OnExceed,
    Per,
    UnknownPrice,
    moment,
)
from ai_dev_squad.costs.budgets.periods import parse_timezone
from ai_dev_squad.costs.budgets.reservation import Hold, Reservation
from ai_dev_squad.costs.budgets.saver import Saver
from ai_dev_squad.costs.budgets.table import BudgetTable, check_together
from ai_dev_squad.costs.ledger.entry import CostEntry
from ai_dev_squad.costs.money import PICO, to_pico
from ai_dev_squad.guard import report
from ai_dev_squad.process import ExitOrder, after_fork, at_exit

__all__ = ["Budget", "BudgetExceeded", "BudgetManager", "BudgetStatus", "EventSink", "Reservation"]

_DEFAULT_THRESHOLDS = (0.8, 0.9)
_EVENT_EVERY_S = 1.0
_NOBODY = Attribution()


class BudgetManager:
    """All budgets of a program. Safe under threads and asyncio; nothing here awaits, nothing on the hot path does I/O.

    ``clock`` gives seconds since the epoch. ``state_path`` is a JSON file that keeps spend over restarts and adds up
    several processes; without it spend is kept in memory. It is written in the background ``save_interval`` seconds
    after spend, by ``flush`` and by ``close``. ``timezone`` (IANA name or tzinfo, default UTC) is the calendar that
    periods follow. A budget ``per`` something keeps at most ``max_keys`` values. ``on_event`` receives the events.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        state_path: str | os.PathLike[str] | None = None,
        on_event: EventSink | None = None,
        timezone: str | tzinfo | None = None,
        max_keys: int = 10_000,
        save_interval: float = 0.5,
    ) -> None:
        if max_keys < 1:
            raise ValueError(f"max_keys={max_keys!r}; allowed: a whole number from 1 up, such as 10000")
        if not math.isfinite(save_interval) or save_interval < 0:
            raise ValueError(f"save_interval={save_interval!r}; allowed: seconds from 0 up, such as 0.5")
        self.budgets: dict[str, Budget] = BudgetTable(self._accept)
        self.alert_callbacks: list[AlertCallback] = []
        self.on_event = on_event
        self.may_stop = False
        """Whether any budget may refuse a call, so that reserving is worth the while."""
        self._clock = clock
        self._zone = parse_timezone(timezone)
        self._max_keys = max_keys
        self._ledgers: dict[str, BudgetAccounts] = {}
        self._index = Index([])
        self._abandoned: deque[tuple[int, tuple[Hold, ...]]] = deque()
        self._epoch = 0
        # Reentrant: a signal handler that flushes may interrupt the thread that holds it.
        self._lock = threading.RLock()
        self._saver = None if state_path is None else Saver(self, Path(state_path), save_interval)
        at_exit(weakref.WeakMethod(self.close), ExitOrder.BUDGETS)
        after_fork(weakref.WeakMethod(self._after_fork))

    def set_budget(
        self,
        name: str,
        limit_usd: float,
        period: str,
        alert_thresholds: Sequence[float] | None = None,
        *,
        framework: str | None = None,
        agent_id: str | None = None,
        model: str | None = None,
        session_id: str | None = None,
        user_id: str | None = None,
        per: Per | None = None,
        on_exceed: OnExceed = "alert",
        unknown_price: UnknownPrice = "allow",
        timezone: str | tzinfo | None = None,
        on_alert: AlertCallback | None = None,
    ) -> Budget:
        """Set a limit of ``limit_usd`` US dollars per ``period``: hourly, daily, weekly, monthly, run or total.

        It holds for calls that match every scope given (``model`` covers the model's dated snapshots too). With
        ``per`` it is one limit for each session, agent, user, model, framework or run; calls without the value share
        one, except that calls outside any run are in no run's budget. ``alert_thresholds`` are shares of the limit (default 0.8 and 0.9; ``[]`` for none). Setting a name again
        changes that budget; if it counts the same calls, its spend stays. Raises ``ValueError`` for an impossible one.
        """
        budget = Budget(
            name,
            limit_usd,
            period,
            _DEFAULT_THRESHOLDS if alert_thresholds is None else alert_thresholds,
            framework=framework,
            agent_id=agent_id,
            model=model,
            session_id=session_id,
            user_id=user_id,
            per=per,
            on_exceed=on_exceed,
            unknown_price=unknown_price,
            timezone=self._zone if timezone is None else timezone,
            on_alert=on_alert,
        )
        self.budgets[name] = budget
        return budget

    def remove_budget(self, name: str) -> None:
        """Forget a budget. Raises ``ValueError`` when there is none of that name."""
        if name not in self.budgets:
            raise ValueError(f"no budget {name!r}; there are: {', '.join(map(repr, self.budgets)) or 'none'}")
        del self.budgets[name]

    def check_budgets(self, cost_entry: CostEntry, reservation: Reservation | None = None) -> None:
        """Count an entry in every budget it belongs to, and alert. Call it once for each entry.

        ``reservation``, if it was made for this call, is settled in the same step. An entry belongs to the period of
        its timestamp (naive means UTC), or to the current one if that has begun since: nothing spent is ever left out.
        """
        if not self._ledgers:
            if reservation is not None:
                reservation.release()
            return
        run_id = cost_entry.run_id or (None if reservation is None else reservation.attribution.run_id)
        call = Attribution(
            framework=cost_entry.framework,
            agent_id=cost_entry.agent_id,
            session_id=cost_entry.session_id,
            user_id=cost_entry.user_id,
            run_id=run_id or cost_entry.trace_id,
            model=cost_entry.model_name,
        )
        timestamp = cost_entry.timestamp
        if timestamp.tzinfo is None:
            timestamp = timestamp.replace(tzinfo=fixed_zone.utc)
        self._charge(labels_of(call), timestamp.timestamp(), _pico_or_unknown(cost_entry.cost_usd), reservation)

    def reserve(self, estimate_usd: float | None, attribution: Attribution | None = None) -> Reservation:
        """Set aside ``estimate_usd`` for a call that is about to be made, in every stop budget it belongs to.

        ``attribution`` says whose call it is; without it, it belongs to the budgets that ask for nobody. Raises ``BudgetExceeded``, with nothing set aside anywhere, when one of them would not hold. An estimate of 0
        (a local model) always passes. ``None`` is an unknown price: it passes, and is counted in ``unpriced_calls``
        when settled, unless the budget says ``unknown_price="stop"`` or has nothing left.
        """
        estimate = _pico_or_unknown(estimate_usd)
        call = _NOBODY if attribution is None else attribution
        labels = labels_of(call)
        now = self._clock()
        holds: list[Hold] = []
        refused = None
        with self._lock:
            if self._abandoned:
                self._collect()
            for ledger in self._index.matching(labels):
                if not ledger.stops:
                    continue
                account = ledger.account(labels, now)
                if account is None:
                    continue
                if not _holds(ledger, account, estimate):
                    refused = self._refuse(ledger, account, estimate, now)
                    break
                if estimate:
                    holds.append((ledger, account, estimate))
            else:
                for _, account, amount in holds:
                    account.reserved += amount
        if self._saver is not None:
            self._saver.look()
        if refused is not None:
            error, status = refused
            if status is not None:
                announce_refusal(error, status, self.on_event)
            raise error
        return Reservation(self, call, tuple(holds), None if estimate is None else estimate / PICO)

    def status(self) -> list[BudgetStatus]:
        """Every limit as it stands now, in the order budgets were set, then by key."""
        if self._saver is not None:
            self._saver.take_over()
        now = self._clock()
        with self._lock:
            self._collect()
            return [
                ledger.status(account, now)
                for ledger in self._ledgers.values()
                for account in sorted(ledger.refresh(now), key=lambda account: (account.key is None, account.key or ""))
            ]

    def flush(self) -> bool:
        """Return when all spend so far is on disk; ``False`` if it could not be written (it is tried again later)."""
        return self._saver is None or self._saver.save()

    def close(self) -> None:
        """Write what is unsaved and stop the background thread. Using the manager again starts it again."""
        if self._saver is not None:
            self._saver.close()

    # --- the inside ---------------------------------------------------------------------------------------------------

    def _accept(self, wanted: dict[str, Budget]) -> None:
        check_together(wanted)
        with self._lock:
            ledgers = {name: self._ledger_for(budget) for name, budget in wanted.items()}
            fresh = [ledger for name, ledger in ledgers.items() if self._ledgers.get(name) is not ledger]
            self._ledgers = ledgers
            self._index = Index(list(ledgers.values()))
            self.may_stop = any(ledger.stops for ledger in ledgers.values())
        if fresh and self._saver is not None:
            self._saver.take_over()

    def _ledger_for(self, budget: Budget) -> BudgetAccounts:
        known = self._ledgers.get(budget.name)
        if known is None or known.budget.coverage != budget.coverage:
            known = BudgetAccounts(budget, self._max_keys)
        elif known.budget is not budget:
            known.adopt(budget)
        return known

    def _charge(self, labels: Labels, now: float, cost: int | None, reservation: Reservation | None) -> None:
        crossings: list[Crossing] | None = None
        with self._lock:
            held = None
            if reservation is not None and reservation._open:
                held = {ledger: account for ledger, account, _ in reservation._holds}
                self._give_back(reservation)
            for ledger in self._index.matching(labels):
                # The answer may name another model than the request; what was set aside decides.
                account = held.pop(ledger, None) if held else None
                account = ledger.account(labels, now) if account is None else ledger.current(account, now)
                if account is None:
                    continue
                crossed = ledger.charge(account, cost)
                if crossed:
                    crossings = crossed if crossings is None else crossings + crossed
            for ledger, account in held.items() if held else ():
                if self._ledgers.get(ledger.budget.name) is ledger:
                    crossed = ledger.charge(ledger.current(account, now), cost)
                    crossings = (crossings or []) + (crossed or [])
        if self._saver is not None:
            self._saver.wake()
        if crossings:
            self._announce(crossings)

    def _settle(self, reservation: Reservation, cost: CostEntry | float | None) -> None:
        if isinstance(cost, CostEntry):
            self.check_budgets(cost, reservation)
        else:
            self._charge(labels_of(reservation.attribution), self._clock(), _pico_or_unknown(cost), reservation)

    def _release(self, reservation: Reservation) -> None:
        with self._lock:
            if reservation._open:
                self._give_back(reservation)

    def _give_back(self, reservation: Reservation) -> None:
        reservation._open = False
        if reservation._epoch == self._epoch:
            for _, account, amount in reservation._holds:
                account.reserved -= amount

    def _collect(self) -> None:
        """Give back what forgotten reservations held."""
        while self._abandoned:
            epoch, holds = self._abandoned.popleft()
            if epoch == self._epoch:
                for _, account, amount in holds:
                    account.reserved -= amount

    def _refuse(
        self, ledger: BudgetAccounts, account: Account, estimate: int | None, now: float
    ) -> tuple[BudgetExceeded, BudgetStatus | None]:
        """The refusal, and the status to tell the journal unless it was told a moment ago."""
        account.refused += 1
        error = BudgetExceeded(
            ledger.refusal(account, estimate),
            budget=ledger.budget.name,
            key=account.key,
            limit_usd=ledger.budget.limit_usd,
            spent_usd=account.spent / PICO,
            reserved_usd=account.reserved / PICO,
            estimate_usd=None if estimate is None else estimate / PICO,
            resets_at=moment(account.end),
        )
        # A loop that retries a refused call would fill the journal; the count in the next event covers all of them.
        if account.exceeded_event_at <= now < account.exceeded_event_at + _EVENT_EVERY_S:
            return error, None
        account.exceeded_event_at = now
        return error, ledger.status(account, now)

    def _announce(self, crossings: list[Crossing]) -> None:
        # Without the lock: callbacks may use the manager.
        for crossing in crossings:
            own = crossing.ledger.budget.on_alert
            callbacks = (*self.alert_callbacks, own) if own else tuple(self.alert_callbacks)
            announce_crossing(crossing, callbacks, self.on_event)

    def _after_fork(self) -> None:
        """In a forked child: running calls are the parent's, and what it has not saved comes by way of the file."""
        self._lock = threading.RLock()
        self._epoch += 1
        self._abandoned.clear()
        for ledger in self._ledgers.values():
            for account in ledger.accounts.values():
                account.reserved = 0
                if self._saver is not None:
                    account.spent, account.unpriced = account.base, account.unpriced_base
        if self._saver is not None:
            self._saver.after_fork()


def _holds(ledger: BudgetAccounts, account: Account, estimate: int | None) -> bool:
    """Whether the limit holds if a call of this estimate is let through."""
    committed = account.spent + account.reserved
    if estimate is None:
        return ledger.budget.unknown_price == "allow" and committed < ledger.limit
    return estimate == 0 or committed + estimate <= ledger.limit


def _pico_or_unknown(usd: float | None) -> int | None:
    if usd is None:
        return None
    if not math.isfinite(usd) or usd < 0:
        report("counting a cost", ValueError(f"cost {usd!r} is not an amount of money; counted as unknown"))
        return None
    return to_pico(usd)

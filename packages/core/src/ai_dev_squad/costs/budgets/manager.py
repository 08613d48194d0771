"""Budgets: alert at thresholds, or stop the next model call before money is spent.

A budget in ``stop`` mode works by reservation: before a call its estimated cost is set aside, if spent, set aside and
estimate together stay within the limit; after the call the estimate is replaced by the actual cost. So any number of
calls at the same time can't oversell a limit. Each entry costs one dictionary look-up for each combination of scopes
in use and one addition for each budget it belongs to, however much was spent before.

What a limit can't promise: a call that costs more than its estimate exceeds it by the difference; processes that share
a ``state_path`` learn of one another's spend with a delay of ``save_interval`` and don't share reservations. Those that
share a ``ledger`` do.
"""

from __future__ import annotations

import math
import os
import time
import weakref
from collections.abc import Callable, Sequence
from datetime import timezone as fixed_zone
from datetime import tzinfo
from pathlib import Path
from typing import Any, Literal

from ai_dev_squad.attribution import Attribution
from ai_dev_squad.costs.budgets.accounts import Crossing
from ai_dev_squad.costs.budgets.alerts import EventSink, announce_crossing, announce_refusal
from ai_dev_squad.costs.budgets.amounts import Hold
from ai_dev_squad.costs.budgets.book import AccountBook
from ai_dev_squad.costs.budgets.budget import (
    AlertCallback,
    Budget,
    BudgetExceeded,
    BudgetStatus,
    OnExceed,
    Per,
    UnknownPrice,
)
from ai_dev_squad.costs.budgets.labels import Labels, in_order, labels_of
from ai_dev_squad.costs.budgets.leased import LeasedStore
from ai_dev_squad.costs.budgets.periods import parse_timezone
from ai_dev_squad.costs.budgets.reservation import Reservation
from ai_dev_squad.costs.budgets.saver import Saver
from ai_dev_squad.costs.budgets.store import BudgetStore, WhenAway
from ai_dev_squad.costs.budgets.table import BudgetTable, check_together
from ai_dev_squad.costs.ledger.entry import CostEntry
from ai_dev_squad.costs.money import PICO, to_pico
from ai_dev_squad.costs.stores import ReservationLedger
from ai_dev_squad.guard import report
from ai_dev_squad.process import ExitOrder, after_fork, at_exit
from ai_dev_squad.schema import EventType

__all__ = ["Budget", "BudgetExceeded", "BudgetManager", "BudgetStatus", "EventSink", "Reservation"]

_DEFAULT_THRESHOLDS = (0.8, 0.9)
_NOBODY = Attribution()
_MOST_USD = 1e15


class BudgetManager:
    """All budgets of a program. Safe under threads and asyncio; nothing here awaits, nothing on the hot path does I/O.

    ``clock`` gives seconds since the epoch. ``state_path`` is a JSON file that keeps spend over restarts and adds up
    several processes; without it spend is kept in memory. It is written in the background ``save_interval`` seconds
    after spend, by ``flush`` and by ``close``. A ``ledger`` (``costs.stores.open_ledger``) takes its place: processes
    that share one share reservations, too, which come back ``lease_s`` seconds after their holder has died. A call
    waits for it at most ``store_timeout_s`` seconds, and ``when_away`` says what happens then. ``timezone`` (IANA name
    or tzinfo, default UTC) is the calendar that periods follow. A budget ``per`` something keeps at most ``max_keys``
    values. ``on_event`` receives the events.
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
        ledger: ReservationLedger | None = None,
        lease_s: float = 30.0,
        store_timeout_s: float = 0.25,
        when_away: WhenAway = "allow",
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
        self._zone = parse_timezone(timezone)
        self._book = AccountBook(clock, max_keys)
        self._store: BudgetStore | None = None
        announce: weakref.WeakMethod[Callable[[list[Crossing]], None]] = weakref.WeakMethod(self._announce)
        if ledger is not None:
            self._book.share()
            self._store = LeasedStore(
                self._book,
                announce,
                weakref.WeakMethod(self._tell),
                ledger,
                lease_s=lease_s,
                timeout_s=store_timeout_s,
                when_away=when_away,
            )
        elif state_path is not None:
            self._store = Saver(self._book, announce, Path(state_path), save_interval)
        if self._store is not None:
            weakref.finalize(self, self._store.end_thread)
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

        It holds for calls that match every scope given (``model`` covers the model's dated snapshots too). With ``per``
        it is one limit for each session, agent, user, model, framework or run; calls without the value share one,
        except that calls outside any run are in no run's budget. ``alert_thresholds`` are shares of the limit (default
        0.8 and 0.9; ``[]`` for none). Setting a name again changes that budget; if it counts the same calls, its spend
        stays. Raises ``ValueError`` for an impossible one.
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
        if not self._book.budgets:
            if reservation is not None:
                reservation.release()
            return
        run_id = cost_entry.run_id or (None if reservation is None else reservation.attribution.run_id)
        labels = in_order(
            cost_entry.framework,
            cost_entry.agent_id,
            cost_entry.model_name,
            cost_entry.session_id,
            cost_entry.user_id,
            run_id or cost_entry.trace_id,
        )
        timestamp = cost_entry.timestamp
        if timestamp.tzinfo is None:
            timestamp = timestamp.replace(tzinfo=fixed_zone.utc)
        self._charge(labels, timestamp.timestamp(), _pico_or_unknown(cost_entry.cost_usd), reservation)

    def reserve(self, estimate_usd: float | None, attribution: Attribution | None = None) -> Reservation:
        """Set aside ``estimate_usd`` for a call that is about to be made, in every stop budget it belongs to.

        ``attribution`` says whose call it is; without it, it belongs to the budgets that ask for nobody. Raises
        ``BudgetExceeded``, with nothing set aside anywhere, when one of them would not hold. An estimate of 0 (a local
        model) always passes. ``None`` is an unknown price: it passes, and is counted in ``unpriced_calls`` when
        settled, unless the budget says ``unknown_price="stop"`` or has nothing left.
        """
        estimate = _pico_or_unknown(estimate_usd)
        call = _NOBODY if attribution is None else attribution
        hold = Hold()
        try:
            refusal = self._book.set_aside(hold, labels_of(call), estimate)
            if self._store is not None:
                self._store.look()
                if refusal is None:
                    refusal = self._store.reserve(hold, estimate)
            if refusal is None:
                usd = None if estimate is None else estimate / PICO
                return Reservation(call, usd, hold, self._give_back, self._settle)
        except BaseException:  # a signal handler's
            self._give_back(hold, now=False)
            raise
        if refusal.status is not None:
            announce_refusal(refusal.error, refusal.status, self.on_event)
        raise refusal.error

    def status(self) -> list[BudgetStatus]:
        """Every limit as it stands now, in the order budgets were set, then by key."""
        if self._store is not None:
            self._store.take_over()
        return self._book.statuses()

    def flush(self) -> bool:
        """Return when all spend so far is on disk or in the ledger; ``False`` if it could not be written (it is tried
        again later).
        """
        return self._store is None or self._store.save()

    def close(self) -> None:
        """Write what is unsaved and stop the background thread. Using the manager again starts it again."""
        if self._store is not None:
            self._store.close()

    # --- the inside ---------------------------------------------------------------------------------------------------

    def _accept(self, wanted: dict[str, Budget]) -> None:
        check_together(wanted)
        new = self._book.replace(wanted)
        self.may_stop = any(budget.on_exceed == "stop" for budget in wanted.values())
        if new and self._store is not None:
            self._store.take_over()

    def _charge(self, labels: Labels, now: float, cost: int | None, reservation: Reservation | None) -> None:
        crossings = self._book.charge(labels, now, cost, None if reservation is None else reservation.hold)
        if self._store is not None:
            self._store.wake()
        if crossings:
            self._announce(crossings)

    def _give_back(self, hold: Hold, *, now: bool) -> None:
        if not now:
            self._book.forget(hold)
            return
        self._book.give_back(hold)
        if self._store is not None and hold.id is not None:
            self._store.wake()

    def _settle(self, reservation: Reservation, cost: CostEntry | float | None) -> None:
        if isinstance(cost, CostEntry):
            self.check_budgets(cost, reservation)
        else:
            self._charge(labels_of(reservation.attribution), self._book.clock(), _pico_or_unknown(cost), reservation)

    def _announce(self, crossings: list[Crossing]) -> None:
        # Without the lock: callbacks may use the manager.
        for crossing in crossings:
            own = crossing.accounts.budget.on_alert
            callbacks = (*self.alert_callbacks, own) if own else tuple(self.alert_callbacks)
            announce_crossing(crossing, callbacks, self.on_event)

    def _tell(self, level: Literal["WARNING", "INFO"], message: str, facts: dict[str, Any]) -> None:
        if self.on_event is not None:
            self.on_event(EventType.BUDGET_STORE, level, message, facts)

    def _after_fork(self) -> None:
        self._book.after_fork(saved=self._store is not None)
        if self._store is not None:
            self._store.after_fork()


def _pico_or_unknown(usd: float | None) -> int | None:
    if usd is None:
        return None
    if not math.isfinite(usd) or usd < 0:
        report("counting a cost", ValueError(f"cost {usd!r} is not an amount of money; counted as unknown"))
        return None
    # Sums of this are exact in every store, and no limit is higher.
    return to_pico(min(usd, _MOST_USD))

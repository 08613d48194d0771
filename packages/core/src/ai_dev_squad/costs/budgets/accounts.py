"""The running sums: one account for each limit, found from an entry without looking at any other.

Nothing here locks: ``AccountBook`` holds its lock around every call. Amounts are whole picodollars.
"""

from __future__ import annotations

import json
import logging
import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ai_dev_squad.costs.budgets.budget import Budget, BudgetStatus, moment
from ai_dev_squad.costs.budgets.labels import PER_POSITION, RUN, Labels
from ai_dev_squad.costs.budgets.periods import timezone_name, window
from ai_dev_squad.costs.money import PICO, dollars, to_pico
from ai_dev_squad.costs.stores import Sums

__all__ = ["Account", "BudgetAccounts", "Crossing"]

_log = logging.getLogger("ai_dev_squad")

_NEVER = 1 << 200
_MINIMUM_ELAPSED = 0.01
_STEP_BACK_S = 7200.0
"""A clock that is set back by less stays in the period it was in, so that nobody gets a limit twice by a correction."""
_EARLIER_PERIODS = 3
_DAY_S = 86_400.0
_RUN_LASTS_S, _KEY_LASTS_S = 30 * _DAY_S, 400 * _DAY_S
_EXCEEDED = "exceeded"


@dataclass(frozen=True)
class Crossing:
    """An amount that was reached: ``threshold`` of the limit, or (``None``) the limit was exceeded."""

    accounts: BudgetAccounts
    key: str | None
    spent: int
    threshold: float | None


class _Earlier(NamedTuple):
    """The sums of a period that was left; a clock that was ahead for a while comes back to them."""

    spent: int
    base: int
    unpriced: int
    unpriced_base: int
    alerted: frozenset[float | None]


class Account:
    """One limit's sums in the current period. ``spent - base`` is what no file or ledger has yet."""

    __slots__ = (
        "alerted",
        "alerted_unsaved",
        "base",
        "earlier",
        "elsewhere",
        "end",
        "exceeded_event_at",
        "key",
        "next_alert",
        "refused",
        "reserved",
        "seen",
        "spent",
        "start",
        "touched",
        "unpriced",
        "unpriced_base",
    )

    def __init__(self, key: str | None) -> None:
        self.key = key
        self.start = self.end = math.nan
        self.reserved = self.elsewhere = 0
        """Set aside by this process, and, as a shared ledger has told, by others."""
        self.earlier: dict[float, _Earlier] | None = None
        self.touched = 0.0
        self.seen: object = None
        """What a file last had of it."""
        self.alerted: set[float | None] = set()
        self._begin(math.nan, math.nan, _NOTHING)
        self.next_alert = _NEVER

    def begin(self, start: float, end: float) -> None:
        """Begin a period, at nothing spent unless the clock comes back to one that was left before its end.

        Reservations of running calls stay: they will be spent in this one.
        """
        earlier = self.earlier or {}
        if not math.isnan(self.start):
            left = _Earlier(self.spent, self.base, self.unpriced, self.unpriced_base, frozenset(self.alerted))
            earlier[self.start] = left
            self.earlier = earlier
        self._begin(start, end, earlier.get(start, _NOTHING))
        # Afterwards: a signal handler that raises before takes nothing away.
        earlier.pop(start, None)
        while len(earlier) > _EARLIER_PERIODS:
            del earlier[next(iter(earlier))]

    def _begin(self, start: float, end: float, known: _Earlier) -> None:
        self.start, self.end, self.spent, self.base, self.unpriced, self.unpriced_base = (
            start,
            end,
            known.spent,
            known.base,
            known.unpriced,
            known.unpriced_base,
        )
        self.elsewhere = self.refused = 0
        self.exceeded_event_at = -math.inf
        self.alerted = set(known.alerted)
        self.alerted_unsaved = bool(known.alerted)

    @property
    def unsaved(self) -> bool:
        """Whether it holds anything that no file or ledger has."""
        return self.spent != self.base or self.unpriced != self.unpriced_base or self.alerted_unsaved

    @property
    def alerted_names(self) -> tuple[str, ...]:
        """The alerts of this period as a ledger writes them."""
        return tuple(map(_name, self.alerted))


_NOTHING = _Earlier(0, 0, 0, 0, frozenset())


def _name(threshold: float | None) -> str:
    return _EXCEEDED if threshold is None else repr(threshold)


class BudgetAccounts:
    """One budget's accounts: a single one, or one for each value of ``per`` (the least recently used are let go)."""

    def __init__(self, budget: Budget, max_keys: int) -> None:
        self.accounts: OrderedDict[str | None, Account] = OrderedDict()
        self.max_keys = max_keys
        self.start = self.end = -math.inf
        self.on_leave: Callable[[BudgetAccounts, Account], None] | None = None
        """Called with an account before it leaves its period, if it has anything unsaved."""
        self._position: int | None = None
        self._single: Account | None = None
        self._overflowed = False
        self.adopt(budget)

    def adopt(self, budget: Budget) -> None:
        """Follow ``budget`` from now on; sums stay. An alert that the new limit has not reached yet is armed again."""
        self.budget = budget
        self.limit = to_pico(budget.limit_usd)
        self.stops = budget.on_exceed == "stop"
        self._position = None if budget.per is None else PER_POSITION[budget.per]
        # A limit is exceeded by the first picodollar above it, a threshold is reached exactly.
        self._crossings: list[tuple[int, float | None]] = [
            (round(threshold * self.limit), threshold) for threshold in budget.alert_thresholds
        ]
        self._crossings.append((self.limit + 1, None))
        self._crossings.sort(key=lambda crossing: crossing[0])
        self.thresholds = tuple((at, _name(threshold)) for at, threshold in self._crossings)
        """The amounts that alert, ascending, as a ledger writes them."""
        self._coverage = "|".join(
            (
                budget.name,
                str(budget.period),
                timezone_name(budget.zone),
                budget.per or "",
                json.dumps(budget.scope, sort_keys=True),
            )
        )
        for account in self.accounts.values():
            self.rearm(account)

    def begin(self, account: Account) -> None:
        """Put ``account`` into the current period."""
        if self.on_leave is not None and account.unsaved:
            self.on_leave(self, account)
        account.begin(self.start, self.end)
        self._arm(account)

    def rearm(self, account: Account) -> None:
        """Forget alerts that thresholds and limit no longer justify, and find the amount that alerts next."""
        account.alerted = {name for at, name in self._crossings if name in account.alerted and at <= account.spent}
        self._arm(account)

    def account(self, labels: Labels, now: float) -> Account | None:
        """The account that a call with ``labels`` belongs to, in the period of ``now``; ``None`` if it has none."""
        account = self._single
        if account is None:
            key = None if self._position is None else labels[self._position]
            # Calls without a session or user share a limit; calls outside any run have nothing in common.
            if key is None and self._position == RUN:
                return None
            account = self.account_of(key)
        return self.current(account, now)

    def current(self, account: Account, now: float) -> Account:
        """``account``, brought to the period of ``now``; an entry that is dated back counts in the current one."""
        if now >= self.end:
            self._advance(now)
        if account.start != self.start:
            self.begin(account)
        account.touched = now
        return account

    def follow(self, clock: float) -> None:
        """Leave a period that a clock which was ahead has led to, now that ``clock`` is right again."""
        if clock < self.start - _STEP_BACK_S:
            self._advance(clock)

    def place(self, account: Account) -> tuple[str, str | None]:
        """What a ledger calls ``account`` in its period: the budget with the period's start, and the key."""
        return self._place(account.start), account.key

    @property
    def place_now(self) -> str:
        """What a ledger calls the budget in its current period."""
        return self._place(self.start)

    def _place(self, start: float) -> str:
        return f"{self._coverage}|{start:.0f}" if math.isfinite(start) else self._coverage

    @property
    def lasts_s(self) -> float | None:
        """How long a ledger keeps an account after its last change; ``None`` for ever."""
        if math.isfinite(self.end):
            return 2 * (self.end - self.start) + _DAY_S
        if self.budget.period == "run":
            return _RUN_LASTS_S
        return None if self._position is None else _KEY_LASTS_S

    def account_of(self, key: str | None) -> Account:
        """The account of ``key``, made when there is none; it may still be in an earlier period."""
        if key is not None and type(key) is not str:
            key = str(key)
        account = self.accounts.get(key)
        if account is not None:
            self.accounts.move_to_end(key)
            return account
        account = Account(key)
        self.accounts[key] = account
        if self._position is None:
            self._single = account
        elif len(self.accounts) > self.max_keys:
            self._let_go()
        return account

    @property
    def unsaved(self) -> bool:
        """Whether any account holds what no file has."""
        return any(account.unsaved for account in self.accounts.values())

    def learn(self, account: Account, sums: Sums) -> list[Crossing]:
        """Take over what a ledger says. Returns the crossings that it leaves to this process to tell of."""
        # One statement without a call, so that a signal handler that raises finds none of it done, or all.
        account.spent, account.unpriced, account.base, account.unpriced_base = (
            account.spent + sums.spent - account.base,
            account.unpriced + sums.unpriced - account.unpriced_base,
            sums.spent,
            sums.unpriced,
        )
        account.elsewhere = max(0, sums.reserved - account.reserved)
        account.alerted = {name for _, name in self._crossings if _name(name) in sums.alerted}
        account.alerted_unsaved = False
        self._arm(account)
        return [
            Crossing(self, account.key, sums.spent, name) for _, name in self._crossings if _name(name) in sums.crossed
        ]

    def crossed(self, account: Account) -> list[Crossing]:
        """Take every amount that ``account`` has reached and not alerted for in this period, ascending."""
        reached = [name for at, name in self._crossings if at <= account.spent and name not in account.alerted]
        if reached:
            account.alerted.update(reached)
            account.alerted_unsaved = True
        self._arm(account)
        return [Crossing(self, account.key, account.spent, name) for name in reached]

    def refresh(self, now: float) -> Iterator[Account]:
        """Every account, brought to the period of ``now``; the only one of a budget without ``per`` is made."""
        if self._position is None and self._single is None:
            self.account_of(None)
        self.follow(now)
        if now >= self.end:
            self._advance(now)
        for account in list(self.accounts.values()):
            if account.start != self.start:
                self.begin(account)
            yield account

    def status(self, account: Account, now: float) -> BudgetStatus:
        """What ``account`` amounts to at ``now``."""
        budget = self.budget
        return BudgetStatus(
            name=budget.name,
            scope=budget.scope,
            per=budget.per,
            key=account.key,
            period=budget.period,  # type: ignore[arg-type]  # normalised when the budget was made
            period_start=moment(account.start),
            resets_at=moment(account.end),
            limit_usd=budget.limit_usd,
            spent_usd=account.spent / PICO,
            reserved_usd=(account.reserved + account.elsewhere) / PICO,
            remaining_usd=max(0, self.limit - account.spent - account.reserved - account.elsewhere) / PICO,
            ratio=account.spent / self.limit,
            alerts_sent=tuple(sorted(name for name in account.alerted if name is not None)),
            unpriced_calls=account.unpriced,
            refused_calls=account.refused,
            on_exceed=budget.on_exceed,
            forecast_usd=_forecast(account, now),
        )

    def refusal(self, account: Account, estimate: int | None) -> str:
        """Why a call is refused, and what can be done."""
        budget = self.budget
        of = "" if budget.per is None else f" for {budget.per} {account.key!r}"
        asked = "an unknown price" if estimate is None else f"{dollars(estimate)} estimated for it"
        resets = moment(account.end)
        local = resets and f"{resets.astimezone(budget.zone):%Y-%m-%d %H:%M %Z}"
        again = {"period": budget.period, **budget.scope, **({"per": budget.per} if budget.per else {})}
        arguments = ", ".join(f"{name}={value!r}" for name, value in again.items())
        return (
            f"budget {budget.name!r}{of} refuses this call before it is made: {dollars(account.spent)} spent + "
            f"{dollars(account.reserved + account.elsewhere)} reserved + {asked} would exceed the {budget.period} limit of "
            f"{dollars(self.limit)}; {f'it resets at {local}' if local else 'it never resets by itself'}. To go on now, "
            f"raise it: set_budget({budget.name!r}, limit_usd=<more>, {arguments}, on_exceed='stop'); "
            f"or choose a cheaper model"
        )

    def refusal_unasked(self, place: str) -> str:
        """Why a call is refused while the ledger is away, and what can be done."""
        return (
            f"budget {self.budget.name!r} refuses this call before it is made: its store {place} does not answer, so "
            f"nobody knows what others have spent; to go on by what this process knows, configure"
            f"(budget_store_away='allow'), or bring the store back"
        )

    def _advance(self, now: float) -> None:
        self.start, self.end = window(self.budget.period, self.budget.zone, now)  # type: ignore[arg-type]  # normalised
        if self.budget.alerts_sent:
            self.budget.alerts_sent.clear()

    def _arm(self, account: Account) -> None:
        account.next_alert = next((at for at, name in self._crossings if name not in account.alerted), _NEVER)
        for name in account.alerted:
            if name is not None:
                self.budget.alerts_sent[name] = True

    def _let_go(self) -> None:
        """Let go of the account used longest ago that no running call depends on."""
        key = next((key for key, account in self.accounts.items() if not account.reserved), None)
        if key is None:
            return
        del self.accounts[key]
        if not self._overflowed:
            self._overflowed = True
            _log.warning(
                "budget %r has seen more than %d values of %s; the ones used longest ago are forgotten, and a value "
                "that comes back starts at 0 (raise max_keys to keep more). Said once.",
                self.budget.name,
                self.max_keys,
                self.budget.per,
            )


def _forecast(account: Account, now: float) -> float | None:
    elapsed = (now - account.start) / (account.end - account.start) if math.isfinite(account.end) else 0.0
    if elapsed < _MINIMUM_ELAPSED:
        return None
    return account.spent / PICO / min(elapsed, 1.0)

"""Budgets: those that the dashboard watches itself, and those that programs told about in their journals.

The dashboard's own are settings, ``NAME=LIMIT/PERIOD``, with filters after a question mark where only a part is meant:
``team=50/month``, ``coder=2/day?agent=coder&framework=crewai``. They tell; only a budget inside a program can stop one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timezone
from typing import Any, Final, Literal
from urllib.parse import parse_qsl

from ai_dev_squad.costs.budgets.periods import window

from .query import FILTERS
from .store.base import Selection, Store
from .store.rows import LogRow

__all__ = ["Budget", "BudgetRule", "ReportedBudget", "parse_budget", "reported", "watched"]

WatchedPeriod = Literal["hourly", "daily", "weekly", "monthly"]
State = Literal["ok", "near", "over", "refused"]

_PERIODS: Final[Mapping[str, WatchedPeriod]] = {
    "hour": "hourly",
    "day": "daily",
    "week": "weekly",
    "month": "monthly",
}
_HOUR_S: Final = 3600
_RECENT_S: Final[Mapping[WatchedPeriod, int]] = {
    "hourly": _HOUR_S // 4,
    "daily": 3 * _HOUR_S,
    "weekly": 24 * _HOUR_S,
    "monthly": 7 * 24 * _HOUR_S,
}
"""How far back the rate of spending is looked at: long enough to be no moment's, short enough to be today's."""

_EVENTS: Final = ("budget.alert", "budget.exceeded")


@dataclass(frozen=True)
class BudgetRule:
    """A budget as the settings say."""

    name: str
    limit_usd: float
    period: WatchedPeriod
    filters: tuple[tuple[str, str], ...] = ()
    """Filters of a URL, such as ``("agent", "coder")``; several of one name mean any of them."""


@dataclass(frozen=True)
class Budget:
    """How a budget of the settings stands. Times are microseconds since 1970, money is USD."""

    name: str
    limit_usd: float
    period: WatchedPeriod
    filters: tuple[tuple[str, str], ...]
    start_us: int
    """When the period began; periods are those of the calendar in UTC."""
    end_us: int
    spent_usd: float
    """The known costs of the period so far."""
    unpriced_calls: int
    """Calls of the period whose cost is unknown, hence not in it."""
    estimated_calls: int
    """Calls of the period whose tokens, and so their cost, were estimated."""
    recent_hours: float
    recent_usd_per_hour: float
    """What was spent in the last ``recent_hours``, by the hour."""
    forecast_usd: float
    """Spent so far, and the recent rate for the rest of the period."""
    state: State
    """``over`` the limit; ``near`` when the forecast is; else ``ok``."""


@dataclass(frozen=True)
class ReportedBudget:
    """What a program last said about a budget of its own, in a journal line."""

    name: str
    key: str | None
    """Whose budget it is, where there is one for each session, agent and so on."""
    state: State
    """``refused`` where the program refused a call though less than the limit was spent: the call might have cost too much."""
    limit_usd: float | None
    spent_usd: float | None
    """As the program had counted when it wrote the line."""
    period: str | None
    threshold: float | None
    time_us: int
    times: int
    """How often this budget was told of."""
    framework: str | None
    trace_id: str | None
    message: str
    keys: int = 1
    """Of how many keys this budget was told; the other fields are those of the worst of them."""


def parse_budget(text: str) -> BudgetRule:
    """Understand ``NAME=LIMIT/PERIOD`` with filters. Raises ``ValueError`` naming the value, what is allowed and the cure."""
    name, equals, rest = text.partition("=")
    amount, slash, rest = rest.partition("/")
    word, _, filters = rest.partition("?")
    name = name.strip()
    if not (name and equals and slash):
        raise ValueError(f"budget {text!r} is not NAME=LIMIT/PERIOD; write one like team=50/month")
    try:
        limit = float(amount.strip().removeprefix("$"))
    except ValueError:
        limit = math.nan
    if not 0 < limit < math.inf:
        raise ValueError(f"budget {text!r} has the limit {amount.strip()!r}; use US dollars above 0, such as 50 or 0.5")
    period = _PERIODS.get(word.strip().lower())
    if period is None:
        raise ValueError(f"budget {text!r} has the period {word.strip()!r}; use one of {', '.join(_PERIODS)}")
    try:
        pairs = tuple(parse_qsl(filters, keep_blank_values=True, strict_parsing=True)) if filters else ()
    except ValueError:
        pairs = (("", ""),)
    for key, value in pairs:
        if key not in FILTERS or not value:
            raise ValueError(
                f"budget {text!r} has the filter {filters!r}; use {', '.join(FILTERS)}, as in ?agent=coder&framework=crewai"
            )
    return BudgetRule(name, limit, period, pairs)


def watched(store: Store, rules: Sequence[str], now_us: int) -> tuple[Budget, ...]:
    """How the budgets of the settings stand. Raises ``ValueError`` for one that cannot be understood."""
    return tuple(_stand(store, parse_budget(rule), now_us) for rule in rules)


def _stand(store: Store, rule: BudgetRule, now_us: int) -> Budget:
    start_s, end_s = window(rule.period, timezone.utc, now_us / 1_000_000)
    names: dict[str, Any] = {
        FILTERS[name]: tuple(value for key, value in rule.filters if key == name) for name, _ in rule.filters
    }
    start_us, end_us = round(start_s * 1_000_000), round(end_s * 1_000_000)
    so_far = store.totals(Selection(start_us, now_us + 1, **names))
    recent_s = _RECENT_S[rule.period]
    # The rate looks back beyond the beginning of the period: at its first minute there is no other to go by.
    recent = store.totals(Selection(now_us - recent_s * 1_000_000, now_us + 1, **names))
    rest_s = (end_us - now_us) / 1_000_000
    forecast = so_far.cost_usd + recent.cost_usd / recent_s * rest_s
    return Budget(
        name=rule.name,
        limit_usd=rule.limit_usd,
        period=rule.period,
        filters=rule.filters,
        start_us=start_us,
        end_us=end_us,
        spent_usd=so_far.cost_usd,
        unpriced_calls=so_far.unpriced_calls,
        estimated_calls=so_far.estimated_calls,
        recent_hours=recent_s / _HOUR_S,
        recent_usd_per_hour=recent.cost_usd / recent_s * _HOUR_S,
        forecast_usd=forecast,
        state="over" if so_far.cost_usd > rule.limit_usd else "near" if forecast > rule.limit_usd else "ok",
    )


def reported(store: Store, selection: Selection, limit: int = 500) -> tuple[ReportedBudget, ...]:
    """The budgets that programs told of, each as it stood last, those that were exceeded first.

    One with an own limit for each run, session or agent stands here once.
    """
    last: dict[tuple[str, str | None], ReportedBudget] = {}
    times: dict[tuple[str, str | None], int] = {}
    for row in store.logs(selection, event_types=_EVENTS, limit=limit).rows:
        told = _told(row)
        who = told.name, told.key
        times[who] = times.get(who, 0) + 1
        # Newest first, so the first one stays.
        last.setdefault(who, told)
    by_name: dict[str, list[ReportedBudget]] = {}
    for told in sorted(last.values(), key=_gravest):
        by_name.setdefault(told.name, []).append(told)
    found = [
        replace(all_told[0], times=sum(times[told.name, told.key] for told in all_told), keys=len(all_told))
        for all_told in by_name.values()
    ]
    return tuple(sorted(found, key=_gravest))


def _gravest(told: ReportedBudget) -> tuple[bool, int, str]:
    return (told.state not in {"over", "refused"}, -told.time_us, told.name)


def _told(row: LogRow) -> ReportedBudget:
    facts = _facts(row.details)
    # Lines of the budgets' own and those written with `log_budget_alert` name things differently.
    name = facts.get("budget_name", facts.get("budget"))
    spent = _amount(facts.get("current_spend_usd", facts.get("spent_usd")))
    threshold = _amount(facts.get("threshold"))
    limit = _amount(facts.get("limit_usd"))
    state: State = "over" if row.event_type == "budget.exceeded" or (threshold or 0) >= 1 else "near"
    if row.event_type == "budget.exceeded" and spent is not None and limit is not None and spent < limit:
        state = "refused"
    return ReportedBudget(
        name=str(name) if name else "(unnamed)",
        key=str(facts["key"]) if facts.get("key") is not None else None,
        state=state,
        limit_usd=limit,
        spent_usd=spent,
        period=str(facts["period"]) if facts.get("period") else None,
        threshold=threshold,
        time_us=row.time_us,
        times=1,
        framework=row.framework,
        trace_id=row.trace_id,
        message=row.message,
    )


def _facts(details: bytes | None) -> Mapping[str, Any]:
    try:
        value = json.loads(details or b"{}")
    except ValueError:
        return {}
    found = value.get("metadata", value) if isinstance(value, dict) else {}
    return found if isinstance(found, dict) else {}


def _amount(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)

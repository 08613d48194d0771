"""Telling people: callbacks and journal events of thresholds reached, limits exceeded and calls refused."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from typing import Any, Literal, TypeAlias

from ai_dev_squad.costs.budgets.accounts import Crossing
from ai_dev_squad.costs.budgets.budget import AlertCallback, BudgetExceeded, BudgetStatus
from ai_dev_squad.costs.money import PICO, dollars
from ai_dev_squad.guard import report
from ai_dev_squad.schema import EventType

__all__ = ["EventSink", "announce_crossing", "announce_refusal"]

EventSink: TypeAlias = Callable[[EventType, Literal["INFO", "WARNING", "ERROR"], str, "dict[str, Any]"], object]
"""Receives event type, level name, message and JSON-safe metadata of ``budget.alert``, ``budget.exceeded`` and
``budget.store``.
"""


def announce_crossing(crossing: Crossing, callbacks: Iterable[AlertCallback], sink: EventSink | None) -> None:
    """Tell that a threshold was reached, or (to the journal only) that the limit was exceeded."""
    budget, key = crossing.accounts.budget, crossing.key
    ratio = crossing.spent / crossing.accounts.limit
    facts = {
        "budget_name": budget.name,
        "spend_ratio": ratio,
        "current_spend_usd": crossing.spent / PICO,
        "limit_usd": budget.limit_usd,
        "threshold": crossing.threshold,
        "period": budget.period,
        "scope": budget.scope,
        "key": key,
    }
    of = "" if budget.per is None else f" for {budget.per} {key!r}"
    spent = f"{dollars(crossing.spent)} of {dollars(crossing.accounts.limit)} {budget.period} spent ({ratio:.0%})"
    if crossing.threshold is None:
        _emit(sink, EventType.BUDGET_EXCEEDED, "ERROR", f"budget {budget.name!r}{of} is exceeded: {spent}", facts)
        return
    for callback in callbacks:
        _call(callback, {**facts, "timestamp": datetime.now(timezone.utc)})
    level: Literal["WARNING", "ERROR"] = "WARNING" if crossing.threshold < 1 else "ERROR"
    message = f"budget {budget.name!r}{of} reached {crossing.threshold:.0%}: {spent}"
    _emit(sink, EventType.BUDGET_ALERT, level, message, facts)


def announce_refusal(error: BudgetExceeded, status: BudgetStatus, sink: EventSink | None) -> None:
    """Tell the journal that a call was refused; ``refused_calls`` counts those since the period began."""
    facts = {
        "budget_name": status.name,
        "spend_ratio": status.ratio,
        "current_spend_usd": status.spent_usd,
        "reserved_usd": status.reserved_usd,
        "estimate_usd": error.estimate_usd,
        "limit_usd": status.limit_usd,
        "period": status.period,
        "scope": status.scope,
        "key": status.key,
        "refused_calls": status.refused_calls,
    }
    _emit(sink, EventType.BUDGET_EXCEEDED, "ERROR", str(error), facts)


def _call(callback: AlertCallback, alert: dict[str, Any]) -> None:
    try:
        result = callback(alert)
        if inspect.iscoroutine(result):
            result.close()
            raise TypeError(
                f"alert callback {callback!r} is a coroutine function and was not run; allowed: a plain function, "
                f"which may hand over to a loop with asyncio.run_coroutine_threadsafe"
            )
    except Exception as error:  # noqa: BLE001 - a broken callback costs one alert, never the call that was counted
        report("budget alert callback", error)


def _emit(
    sink: EventSink | None, kind: EventType, level: Literal["WARNING", "ERROR"], message: str, facts: dict[str, Any]
) -> None:
    if sink is None:
        return
    try:
        sink(kind, level, message, facts)
    except Exception as error:  # noqa: BLE001 - a journal that fails must not fail the call that was counted
        report(f"recording {kind.value}", error)

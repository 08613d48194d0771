"""What is counted of log lines and of budgets: loops, budgets of programs, losses, and budgets that the dashboard watches."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ai_dev_squad_dashboard.budgets import Budget
from ai_dev_squad_dashboard.store.figures import Figure, Kind
from ai_dev_squad_dashboard.store.rows import LogRow

__all__ = ["EVENT_TYPES", "dropped", "event", "levels"]

EVENT_TYPES: Final = ("agent.loop", "budget.alert", "budget.exceeded", "telemetry.dropped")
LATE_US: Final = 86_400_000_000
"""An event that is told later than this is history: a journal of last week tells nobody of a budget."""
_MOST: Final = 1_000_000_000


def event(row: LogRow, now_us: int) -> Figure | None:
    """What a log line counts for, at the moment at which it became known; ``None`` for one that is old or of no concern."""
    if row.time_us < now_us - LATE_US:
        return None
    facts = _facts(row.details)
    kind, count = _kind(row.event_type, facts)
    if kind is None:
        return None
    budget = facts.get("budget_name", facts.get("budget"))
    return Figure(
        kind,
        now_us,
        framework=row.framework,
        service=row.service,
        session=row.session_id,
        agent=row.agent or _text(facts.get("agent")),
        budget=_text(budget),
        count=count,
    )


def dropped(count: int, now_us: int) -> Figure:
    """Rows that the dashboard itself lost."""
    return Figure(Kind.DROPPED, now_us, count=count)


def levels(budgets: Iterable[Budget], now_us: int) -> list[Figure]:
    """How the budgets of the settings stand."""
    found: list[Figure] = []
    for budget in budgets:
        for kind, usd in ((Kind.BUDGET_SPENT, budget.spent_usd), (Kind.BUDGET_FORECAST, budget.forecast_usd)):
            found.append(Figure(kind, now_us, budget=budget.name, count=0, level=usd / budget.limit_usd))
    return found


def _kind(event_type: str, facts: Mapping[str, Any]) -> tuple[Kind | None, int]:
    match event_type:
        case "agent.loop":
            return Kind.LOOP, 1
        case "telemetry.dropped":
            return Kind.DROPPED, _whole(facts.get("spans", facts.get("dropped")))
        case "budget.exceeded":
            # Only a refusal says what the call would have cost.
            return (Kind.BUDGET_REFUSED if "refused_calls" in facts else Kind.BUDGET_CROSSED), 1
        case "budget.alert":
            threshold = facts.get("threshold")
            spent = isinstance(threshold, (int, float)) and threshold >= 1
            return (Kind.BUDGET_CROSSED if spent else Kind.BUDGET_WARNING), 1
    return None, 0


def _facts(details: bytes | None) -> Mapping[str, Any]:
    try:
        value = json.loads(details or b"{}")
    except (ValueError, RecursionError):
        return {}
    found = value.get("metadata", value) if isinstance(value, dict) else {}
    return found if isinstance(found, dict) else {}


def _whole(value: Any) -> int:
    """A number of losses as a sender states it: at least the one that it tells of."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return 1
    return int(min(max(1, value), _MOST))


def _text(value: Any) -> str | None:
    return value[:500] if isinstance(value, str) and value else None

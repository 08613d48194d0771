"""Costs: where the money went, what caches saved, how the budgets stand, and what could be saved."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ai_dev_squad.costs.advice import savings_report
from ai_dev_squad_dashboard.budgets import Budget, ReportedBudget, reported, watched
from ai_dev_squad_dashboard.page import Page, Site
from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.store.base import Group, GroupBy, Totals

from .timeline import Chart, chart

__all__ = ["PAGE", "AdviceLine", "AdviceReport", "Costs", "UnknownPrice", "build"]

BY = ("model", "provider", "agent", "framework", "session", "day")
ADVICE_CALLS = 2_000


@dataclass(frozen=True)
class AdviceLine:
    """One way to spend less, with the numbers that it rests on."""

    kind: str
    title: str
    action: str
    amount_usd: float | None
    """What it is worth over these calls; ``None`` when that cannot be told, and ``reason`` says why."""
    confidence: str
    """``high``: counted; ``medium``: counted, but you know whether it can be avoided; ``low``: rests on an assumption."""
    evidence: tuple[tuple[str, Any], ...]
    reason: str | None


@dataclass(frozen=True)
class AdviceReport:
    """What could be saved. Amounts overlap: they do not add up. Unknown prices are no saving and stand by themselves."""

    calls: int
    """The calls that were looked at, the newest of the span of time."""
    complete: bool
    """Whether those are all calls of the span of time."""
    spent_usd: float
    unpriced_calls: int
    first: datetime | None
    last: datetime | None
    advice: tuple[AdviceLine, ...]


@dataclass(frozen=True)
class UnknownPrice:
    """A model without a known price."""

    provider: str | None
    model: str | None
    calls: int
    reason: str | None
    """Why there is none, as whoever looked for it said."""


@dataclass(frozen=True)
class Costs:
    """The costs."""

    totals: Totals
    previous: Totals
    """The same over the span of time of equal length just before."""
    by: str
    """What the chart and the table are split by."""
    chart: Chart
    """USD over time; split by framework where ``by`` is ``session`` or ``day``."""
    groups: tuple[Group, ...]
    """Days come in their order, all others by cost."""
    budgets: tuple[Budget, ...]
    reported_budgets: tuple[ReportedBudget, ...]
    advice: AdviceReport
    unknown_prices: tuple[UnknownPrice, ...]


def build(site: Site, query: Query) -> Costs:
    """The costs of the span of time, split by one name."""
    store, selection = site.store, query.selection
    by: Any = query.choice("by", BY, "model")
    split: GroupBy = "framework" if by in {"session", "day"} else by
    totals = store.totals(selection)
    return Costs(
        totals=totals,
        previous=store.totals(query.previous),
        by=by,
        chart=chart(
            store.timeline(selection, query.step_us, split), selection, query.step_us, lambda point: point.cost_usd
        ),
        groups=tuple(store.groups(selection, by, order="key" if by == "day" else "cost", limit=100)),
        budgets=watched(store, site.settings.budgets, query.now_us),
        reported_budgets=reported(store, selection),
        advice=_advice(site, query, totals.calls),
        unknown_prices=tuple(UnknownPrice(*row) for row in store.unpriced(selection)),
    )


def _advice(site: Site, query: Query, calls: int) -> AdviceReport:
    entries = site.store.entries(query.selection, limit=ADVICE_CALLS)
    report = savings_report(entries)
    return AdviceReport(
        calls=report.calls,
        complete=calls <= len(entries),
        spent_usd=report.spent_usd,
        unpriced_calls=report.unpriced_calls,
        first=report.first,
        last=report.last,
        advice=tuple(
            AdviceLine(
                kind=item.kind,
                title=item.title,
                action=item.action,
                amount_usd=item.amount_usd,
                confidence=item.confidence,
                evidence=tuple((name, _plain(value)) for name, value in item.evidence.items()),
                reason=item.reason,
            )
            for item in report.advice
            if item.kind != "unknown_price"
        ),
    )


def _plain(value: Any) -> Any:
    return value if isinstance(value, (int, float, str, bool)) or value is None else str(value)


PAGE = Page(
    "costs",
    "/costs",
    "/api/costs",
    "Costs",
    build,
    Costs,
    navigation="Costs",
    key="c",
    default_range="7d",
    parameters=("by",),
)

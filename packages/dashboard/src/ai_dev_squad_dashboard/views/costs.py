"""Costs: where the money went, what caches saved, how the budgets stand, and what could be saved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ai_dev_squad_dashboard.budgets import Budget, ReportedBudget, reported, watched
from ai_dev_squad_dashboard.page import Page, Site
from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.store.base import Group, GroupBy, Totals

from .advice import AdviceReport, advice
from .timeline import Chart, chart

__all__ = ["PAGE", "Costs", "UnknownPrice", "build"]

BY = ("model", "provider", "agent", "framework", "session", "day")


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
    totals, previous = store.with_previous(selection)
    return Costs(
        totals=totals,
        previous=previous,
        by=by,
        chart=chart(
            store.timeline(selection, query.step_us, split), selection, query.step_us, lambda point: point.cost_usd
        ),
        groups=tuple(store.groups(selection, by, order="key" if by == "day" else "cost", limit=100)),
        budgets=watched(store, site.settings.budgets, query.now_us),
        reported_budgets=reported(store, selection),
        advice=advice(store, query),
        unknown_prices=tuple(UnknownPrice(*row) for row in store.unpriced(selection)),
    )


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

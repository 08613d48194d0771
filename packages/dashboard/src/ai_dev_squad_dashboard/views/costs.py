"""Costs: where the money went, what caches saved, how the budgets stand, and what could be saved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from ai_dev_squad_dashboard.budgets import Budget, ReportedBudget, reported, watched
from ai_dev_squad_dashboard.page import Page, Site
from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.store.base import DrawnBy, Group, OrderBy, Store, ToolCalls, ToolInput, Totals

from .advice import AdviceReport, advice
from .marked import MarkedRuns, Marks, marks
from .recent_answers import calls_of_tools
from .timeline import Chart, chart

__all__ = ["MOST", "PAGE", "Costs", "ToolCost", "UnknownPrice", "build"]

BY = ("model", "provider", "agent", "tool", "framework", "session", "day")

SHOWN: Final = 100
MOST: Final = 5_000
"""Groups that may be asked for: more names than a store tells apart, and days of thirteen years."""
_ORDER: Final[dict[str, OrderBy]] = {"day": "key", "tool": "calls"}


@dataclass(frozen=True)
class UnknownPrice:
    """A model without a known price."""

    provider: str | None
    model: str | None
    calls: int
    reason: str | None
    """Why there is none, as whoever looked for it said."""


@dataclass(frozen=True)
class ToolCost:
    """What a tool did, what the model calls cost that it made itself, and what its results took in the input of later ones."""

    tool: str
    calls: int
    """Executions of the tool."""
    errors: int
    input: ToolInput | None
    """``None`` where no model call is known to have read a result of it. An estimate."""
    made: ToolCalls | None
    """``None`` where it made no model call."""

    @property
    def cost_usd(self) -> float:
        """Both together."""
        return (self.made.cost_usd if self.made else 0.0) + (self.input.cost_usd if self.input else 0.0)


@dataclass(frozen=True)
class Costs:
    """The costs."""

    totals: Totals
    previous: Totals
    """The same over the span of time of equal length just before."""
    by: str
    """What the chart and the table are split by."""
    chart: Chart
    """USD over time; split by framework, or by service where none is known, where ``by`` is ``tool``, ``session`` or ``day``."""
    groups: tuple[Group, ...]
    """Days come in their order, tools by their calls, all others by cost."""
    limited: bool
    """Whether there may be more of them than are here."""
    tools: tuple[ToolCost, ...]
    """What tools cost, the dearest first; empty unless ``by`` is ``tool``."""
    tools_made_usd: float
    """What model calls beneath tools cost, each counted once, also beneath a tool that another one called."""
    captured: tuple[int, int]
    """Where ``by`` is ``tool``: how many model calls carry captured content, and how many there are."""
    budgets: tuple[Budget, ...]
    reported_budgets: tuple[ReportedBudget, ...]
    advice: AdviceReport
    unknown_prices: tuple[UnknownPrice, ...]
    marked: tuple[MarkedRuns, ...]
    """What was thought of the runs, those of most runs first; by ``day`` in their order."""
    marks: Marks
    """How they are put together."""


def build(site: Site, query: Query) -> Costs:
    """The costs of the span of time, split by one name."""
    store, selection = site.store, query.selection
    by: Any = query.choice("by", BY, "model")
    # The last days are what one looks for, and they come last.
    limit = MOST if by == "day" else query.limit(SHOWN, MOST)
    split: DrawnBy = "program" if by in {"tool", "session", "day"} else by
    totals, previous = store.with_previous(selection, drawn=(query.step_us, split))
    thought, marked = marks(store, query)
    tools, made_usd = _tools(store, query, limit) if by == "tool" else ((), 0.0)
    groups = tuple(store.groups(selection, by, order=_ORDER.get(by, "cost"), limit=limit))
    return Costs(
        totals=totals,
        previous=previous,
        by=by,
        chart=chart(
            store.timeline(selection, query.step_us, split), selection, query.step_us, lambda point: point.cost_usd
        ),
        groups=groups,
        limited=len(groups) >= limit,
        tools=tools,
        tools_made_usd=made_usd,
        captured=store.captured(selection) if by == "tool" else (0, 0),
        budgets=watched(store, site.settings.budgets, query.now_us),
        reported_budgets=reported(store, selection),
        advice=advice(store, query),
        unknown_prices=tuple(UnknownPrice(*row) for row in store.unpriced(selection)),
        marked=marked,
        marks=thought,
    )


def _tools(store: Store, query: Query, limit: int) -> tuple[tuple[ToolCost, ...], float]:
    """The tools, and what the model calls beneath them cost."""
    selection = query.selection
    read = {each.tool: each for each in store.tool_inputs(selection, MOST)}
    made = {each.tool: each for each in calls_of_tools(store, query)}
    called = {group.key: group for group in store.groups(selection, "tool", order="calls", limit=MOST) if group.key}
    tools = [
        ToolCost(
            name,
            called[name].calls if name in called else 0,
            called[name].errors if name in called else 0,
            read.get(name),
            made.get(name),
        )
        for name in dict.fromkeys((*read, *made, *called))
    ]
    dearest = sorted(tools, key=lambda tool: (-tool.cost_usd, -(tool.input.tokens if tool.input else 0)))
    return tuple(dearest[:limit]), sum(each.own_cost_usd for each in made.values())


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
    parameters=("by", "marks_by", "good", "good_score", "limit"),
    whole=(("limit", str(MOST)),),
)

"""The overview: what all runs together cost, how they went, and what runs now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ai_dev_squad_dashboard.budgets import Budget, ReportedBudget, reported, watched
from ai_dev_squad_dashboard.page import Page, Site
from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.store.base import Group, Totals, TraceRow
from ai_dev_squad_dashboard.store.rows import OpenRow

from .timeline import Chart, chart

__all__ = ["PAGE", "Overview", "RunningNow", "build", "running_now"]

RANKS = ("cost", "p95", "calls")
ROWS = 6
FEED = 8


@dataclass(frozen=True)
class RunningNow:
    """An operation that has begun and not ended."""

    trace_id: str
    span_id: str
    name: str
    operation: str
    framework: str | None
    agent: str | None
    session_id: str | None
    start_us: int


@dataclass(frozen=True)
class Overview:
    """The overview."""

    totals: Totals
    previous: Totals
    """The same over the span of time of equal length just before."""
    cost: Chart
    """USD by framework, or by service where none is known."""
    tokens: Chart
    """Input and output tokens, likewise."""
    rank: str
    """What the three tables are ordered by: ``cost``, ``p95`` or ``calls``."""
    agents: tuple[Group, ...]
    tools: tuple[Group, ...]
    """Tools cost no money themselves: by ``cost`` they come in the order of calls."""
    models: tuple[Group, ...]
    budgets: tuple[Budget, ...]
    reported_budgets: tuple[ReportedBudget, ...]
    running: tuple[RunningNow, ...]
    """What has begun and not ended, whenever it began, newest first."""
    recent: tuple[TraceRow, ...]
    """The newest runs of the span of time, other than those that still run."""


def build(site: Site, query: Query) -> Overview:
    """Totals of the span of time and of the one before, and whatever stands out."""
    store, selection = site.store, query.selection
    rank = query.choice("rank", RANKS, "cost")
    totals, previous = store.with_previous(selection, drawn=(query.step_us, "program"))
    points = store.timeline(selection, query.step_us, "program")
    running = running_now(site, query)
    going_on = {row.trace_id for row in running}
    return Overview(
        totals=totals,
        previous=previous,
        cost=chart(points, selection, query.step_us, lambda point: point.cost_usd),
        tokens=chart(points, selection, query.step_us, lambda point: point.input_tokens + point.output_tokens),
        rank=rank,
        agents=_named(store.groups(selection, "agent", order=rank, limit=ROWS + 1)),  # type: ignore[arg-type]
        tools=_named(store.groups(selection, "tool", order="calls" if rank == "cost" else rank, limit=ROWS + 1)),  # type: ignore[arg-type]
        models=tuple(store.groups(selection, "model", order=rank, limit=ROWS)),  # type: ignore[arg-type]
        budgets=watched(store, site.settings.budgets, query.now_us),
        reported_budgets=reported(store, selection),
        running=running,
        recent=tuple(
            row for row in store.traces(selection, limit=FEED, counted=False).rows if row.trace_id not in going_on
        ),
    )


def running_now(site: Site, query: Query, limit: int = FEED) -> tuple[RunningNow, ...]:
    """What runs now and passes the filters. Nothing where the span of time has ended."""
    if not query.live:
        return ()
    rows = (row for row in site.store.running(query.open_since_us, limit=200) if _passes(row, query))
    return tuple(
        RunningNow(
            row.trace_id, row.span_id, row.name, row.operation, row.framework, row.agent, row.session_id, row.start_us
        )
        for row, _ in zip(rows, range(limit), strict=False)
    )


def _passes(row: OpenRow, query: Query) -> bool:
    chosen = query.selection
    return (
        (not chosen.frameworks or row.framework in chosen.frameworks)
        and (not chosen.agents or row.agent in chosen.agents)
        and (not chosen.sessions or row.session_id in chosen.sessions)
    )


def _named(groups: Sequence[Group]) -> tuple[Group, ...]:
    """Calls outside of any agent or tool are no agent and no tool."""
    return tuple(group for group in groups if group.key is not None)[:ROWS]


PAGE = Page(
    "overview",
    "/",
    "/api/overview",
    "Overview",
    build,
    Overview,
    navigation="Overview",
    key="o",
    parameters=("rank",),
)

"""The page where questions are tried: what may be asked of beside it, and examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ai_dev_squad_dashboard.page import Page, Site
from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.store.sql_answers import MAX_ROWS, MAX_SECONDS
from ai_dev_squad_dashboard.store.sql_views import VIEWS

__all__ = ["PAGE", "Asked", "Example", "SqlView", "ViewShown", "build"]


@dataclass(frozen=True)
class Example:
    """A question to begin with."""

    title: str
    sql: str


@dataclass(frozen=True)
class Asked:
    """A column that may be asked of."""

    name: str
    about: str


@dataclass(frozen=True)
class ViewShown:
    """A view that may be asked of."""

    name: str
    about: str
    columns: tuple[Asked, ...]


@dataclass(frozen=True)
class SqlView:
    """What may be asked, and how much of an answer there is."""

    views: tuple[ViewShown, ...]
    examples: tuple[Example, ...]
    max_rows: int
    max_seconds: float


EXAMPLES: Final = (
    Example(
        "What each model cost, week by week",
        "SELECT date_trunc('week', start) AS week, model, count(*) AS calls, sum(cost_usd) AS usd\n"
        "FROM calls GROUP BY ALL ORDER BY week DESC, usd DESC",
    ),
    Example(
        "The slowest tools",
        "SELECT tool, count(*) AS calls, quantile_cont(duration_ms, 0.95) AS p95_ms,\n"
        "       count(*) FILTER (status = 'error') AS failed\nFROM tools GROUP BY tool ORDER BY p95_ms DESC LIMIT 20",
    ),
    Example(
        "Runs that cost most of their session",
        "SELECT r.session_id, r.trace_id, r.cost_usd, r.cost_usd / s.cost_usd AS share\n"
        "FROM runs r JOIN sessions s ON s.session_id = r.session_id\nWHERE s.cost_usd > 0 ORDER BY r.cost_usd DESC LIMIT 20",
    ),
    Example(
        "Scores beside cost, by model",
        "SELECT m.name, c.model, avg(m.score) AS score, count(DISTINCT m.trace_id) AS runs, sum(c.cost_usd) AS usd\n"
        "FROM marks m JOIN calls c ON c.trace_id = m.trace_id GROUP BY ALL ORDER BY score",
    ),
    Example(
        "Errors by kind and agent",
        "SELECT error_type, agent, count(*) AS times, max(start) AS newest\n"
        "FROM spans WHERE status = 'error' GROUP BY ALL ORDER BY times DESC LIMIT 50",
    ),
)


def build(site: Site, query: Query) -> SqlView:
    """What may be asked of."""
    shown = tuple(
        ViewShown(view.name, view.about, tuple(Asked(column.name, column.about) for column in view.columns))
        for view in VIEWS.values()
    )
    return SqlView(shown, EXAMPLES, MAX_ROWS, MAX_SECONDS)


PAGE = Page("sql", "/sql", "/api/sql", "Ask in SQL", build, SqlView, live=False)

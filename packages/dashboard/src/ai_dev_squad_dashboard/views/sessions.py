"""Sessions: conversations, each with what it cost and how its turns went."""

from __future__ import annotations

from dataclasses import dataclass

from ai_dev_squad_dashboard.page import Page, Site
from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.store.base import Facets, Session

__all__ = ["PAGE", "Sessions", "build"]


@dataclass(frozen=True)
class Sessions:
    """A page of sessions, the most recently active first."""

    rows: tuple[Session, ...]
    next: str | None
    """The cursor of the following page."""
    text: str
    facets: Facets


def build(site: Site, query: Query) -> Sessions:
    """Sessions that were active in the span of time."""
    text = query.get("q")
    page = site.store.sessions(query.selection, text=text, cursor=query.get("cursor") or None, limit=query.limit(50))
    return Sessions(page.rows, page.next, text, site.store.facets(query.selection))


PAGE = Page(
    "sessions",
    "/sessions",
    "/api/sessions",
    "Sessions",
    build,
    Sessions,
    navigation="Sessions",
    key="s",
    default_range="7d",
    parameters=("q", "cursor", "limit"),
)

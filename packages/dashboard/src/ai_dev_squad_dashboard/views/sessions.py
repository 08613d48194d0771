"""Sessions: conversations, each with what it cost and how its turns went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, get_args

from ai_dev_squad_dashboard.page import Page, Site
from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.store.base import Facets, Session, SessionOrder

__all__ = ["ORDERS", "PAGE", "Sessions", "build"]

ORDERS: Final[tuple[SessionOrder, ...]] = get_args(SessionOrder)


@dataclass(frozen=True)
class Sessions:
    """A page of sessions, in the order that was asked for."""

    rows: tuple[Session, ...]
    next: str | None
    """The cursor of the following page."""
    total: int | None
    """How many sessions match in all."""
    order: SessionOrder
    text: str
    facets: Facets


def build(site: Site, query: Query) -> Sessions:
    """Sessions that were active in the span of time."""
    text = query.get("q")
    order: SessionOrder = query.choice("order", ORDERS, "newest")  # type: ignore[assignment]
    page = site.store.sessions(
        query.selection, text=text, order=order, cursor=query.get("cursor") or None, limit=query.limit(50)
    )
    return Sessions(page.rows, page.next, page.total, order, text, site.store.facets(query.selection))


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
    parameters=("q", "order", "cursor", "limit"),
)

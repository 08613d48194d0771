"""Whom the runs were for: what each user, or each tenant, cost, did and saw fail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, get_args

from ai_dev_squad_dashboard.page import Page, Site
from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.store.base import User, UserOrder

__all__ = ["ORDERS", "PAGE", "Users", "build"]

ORDERS: Final[tuple[UserOrder, ...]] = get_args(UserOrder)


@dataclass(frozen=True)
class Users:
    """A page of users, or of whatever else runs are told apart by."""

    rows: tuple[User, ...]
    next: str | None
    """The cursor of the following page."""
    total: int
    """Users in all, whoever is named by nobody among them."""
    by: str | None
    """The member of metadata whose values stand here instead of users, such as ``tenant``."""
    keys: tuple[str, ...]
    """The members of metadata there are, most used first."""
    order: UserOrder
    text: str


def build(site: Site, query: Query) -> Users:
    """Users with a run in the span of time."""
    order: UserOrder = query.choice("order", ORDERS, "cost")  # type: ignore[assignment]
    by, text = query.get("by") or None, query.get("q").strip()
    page = site.store.users(
        query.selection, key=by, text=text, order=order, cursor=query.get("cursor") or None, limit=query.limit(50)
    )
    keys = tuple(key for key, _ in site.store.choices(query.selection).labels)
    return Users(page.rows, page.next, page.total, by, keys, order, text)


PAGE = Page(
    "users",
    "/users",
    "/api/users",
    "Users",
    build,
    Users,
    navigation="Users",
    key="u",
    default_range="7d",
    parameters=("by", "order", "q", "cursor", "limit"),
)

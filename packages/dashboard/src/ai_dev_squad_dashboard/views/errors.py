"""What fails: errors by type, place and message, with how often, since when, and runs to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, get_args

from ai_dev_squad_dashboard.page import Page, Site
from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.store.base import ErrorGroup, ErrorOrder

__all__ = ["MOST", "ORDERS", "PAGE", "Errors", "build"]

ORDERS: Final[tuple[ErrorOrder, ...]] = get_args(ErrorOrder)
MOST: Final = 5_000
"""Groups that may be asked for."""


@dataclass(frozen=True)
class Errors:
    """The groups of errors."""

    groups: tuple[ErrorGroup, ...]
    order: ErrorOrder
    most: int
    """The largest number of any step of any trend, against which they are drawn."""
    limited: bool
    """Whether there may be more groups than are shown."""


def build(site: Site, query: Query) -> Errors:
    """What failed in the span of time."""
    order: ErrorOrder = query.choice("order", ORDERS, "count")  # type: ignore[assignment]
    limit = query.limit(100, MOST)
    groups = tuple(site.store.errors(query.selection, order=order, limit=limit))
    return Errors(groups, order, max((max(group.trend) for group in groups), default=0), len(groups) == limit)


PAGE = Page(
    "errors",
    "/errors",
    "/api/errors",
    "Errors",
    build,
    Errors,
    navigation="Errors",
    key="e",
    parameters=("order", "limit"),
    whole=(("limit", str(MOST)),),
)

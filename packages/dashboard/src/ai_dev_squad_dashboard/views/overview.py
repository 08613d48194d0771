"""The overview: what all runs together cost and how they went."""

from __future__ import annotations

from dataclasses import dataclass

from ..page import Page, Site
from ..query import Query
from ..store.base import Totals

__all__ = ["PAGE", "Overview", "build"]


@dataclass(frozen=True)
class Overview:
    """The overview."""

    totals: Totals
    previous: Totals


def build(site: Site, query: Query) -> Overview:
    """Totals of the span of time, and of the one before."""
    return Overview(totals=site.store.totals(query.selection), previous=site.store.totals(query.previous))


PAGE = Page("overview", "/", "/api/overview", "Overview", build, Overview, navigation="Overview", key="o")

"""What the programs' self-checks say: model calls that left them against model calls that were captured."""

from __future__ import annotations

from ai_dev_squad import Coverage
from ai_dev_squad_dashboard.page import Site
from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.views.self_reports import of_a_day

__all__ = ["MOST_LINES", "coverage"]

MOST_LINES = 2_000
"""How many lines of self-checks are read, the newest: a program writes one a minute at most, and one at its end."""


def coverage(site: Site, query: Query) -> Coverage:
    """The sum over all programs whose journals are followed, of the 24 hours before the page's moment."""
    return Coverage.summed(of_a_day(site, query, "wire.coverage", MOST_LINES))

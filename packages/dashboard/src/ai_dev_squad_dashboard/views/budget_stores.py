"""Which ledgers of shared budgets do not answer, by what the programs that ask them say."""

from __future__ import annotations

from collections.abc import Iterator

from ai_dev_squad_dashboard.page import Site
from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.views.self_reports import of_a_day

__all__ = ["stores_away"]

_MOST_LINES = 500


def stores_away(site: Site, query: Query) -> Iterator[tuple[str, str]]:
    """Place of each store that was said to be away last, in the 24 hours before the page's moment, and what is done meanwhile:
    ``"refuse"`` or ``"allow"``.
    """
    heard: set[str] = set()
    for said in of_a_day(site, query, "budget.store", _MOST_LINES):
        place = said.get("store")
        if not isinstance(place, str) or place in heard:
            continue
        heard.add(place)
        if said.get("state") == "away":
            yield place, "refuse" if said.get("when_away") == "refuse" else "allow"

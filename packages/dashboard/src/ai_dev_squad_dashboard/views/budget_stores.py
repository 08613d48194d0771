"""Which ledgers of shared budgets do not answer, by what the programs that ask them say."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ai_dev_squad_dashboard.page import Site
from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.store.selection import Selection

__all__ = ["stores_away"]

_MOST_LINES = 500
_DAY_US = 86_400_000_000


def stores_away(site: Site, query: Query) -> Iterator[tuple[str, str]]:
    """Place of each store that was said to be away last, in the 24 hours before the page's moment, and what is done meanwhile:
    ``"refuse"`` or ``"allow"``.
    """
    day = Selection(query.now_us - _DAY_US, query.now_us + _DAY_US)
    page = site.store.logs(day, event_types=("budget.store",), limit=_MOST_LINES)
    heard: set[str] = set()
    for row in page.rows:  # the newest first
        details = msgspec.json.decode(row.details or b"{}")
        facts = (details.get("metadata") if isinstance(details, dict) else None) or {}
        place = facts.get("store")
        if not isinstance(place, str) or place in heard:
            continue
        heard.add(place)
        if facts.get("state") == "away":
            yield place, "refuse" if facts.get("when_away") == "refuse" else "allow"

"""What the programs' self-checks say: model calls that left them against model calls that were captured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ai_dev_squad import Coverage
from ai_dev_squad_dashboard.page import Site
from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.store.rows import LogRow
from ai_dev_squad_dashboard.store.selection import Selection

__all__ = ["MOST_LINES", "coverage"]

MOST_LINES = 2_000
"""How many lines of self-checks are read, the newest: a program writes one a minute at most, and one at its end."""
_DAY_US = 86_400_000_000


def coverage(site: Site, query: Query) -> Coverage:
    """The sum over all programs whose journals are followed, of the 24 hours before the page's moment."""
    day = Selection(query.now_us - _DAY_US, query.now_us + _DAY_US)
    page = site.store.logs(day, event_types=("wire.coverage",), limit=MOST_LINES)
    return Coverage.summed(_counts(page.rows))


def _counts(rows: tuple[LogRow, ...]) -> Iterator[Mapping[str, Any]]:
    for row in rows:
        details = msgspec.json.decode(row.details or b"{}")
        counts = details.get("metadata") if isinstance(details, dict) else None
        if isinstance(counts, dict):
            yield counts

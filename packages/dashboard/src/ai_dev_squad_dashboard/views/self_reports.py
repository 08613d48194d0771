"""What programs say of themselves in their journals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ai_dev_squad_dashboard.page import Site
from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.store.selection import Selection

__all__ = ["of_a_day"]

_DAY_US = 86_400_000_000


def of_a_day(site: Site, query: Query, event_type: str, most: int) -> Iterator[dict[str, Any]]:
    """The metadata of the newest ``most`` lines of a type, the newest first, of the 24 hours before the page's moment."""
    day = Selection(query.now_us - _DAY_US, query.now_us + _DAY_US)
    for row in site.store.logs(day, event_types=(event_type,), limit=most).rows:
        details = msgspec.json.decode(row.details or b"{}")
        said = details.get("metadata") if isinstance(details, dict) else None
        if isinstance(said, dict):
            yield said

"""Where DuckDB notes second spans of an id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import duckdb

from .duckdb_answers import number
from .duckdb_columns import TEXT, WHOLE, id_columns, registered
from .duckdb_excerpts import TRACE_ID
from .rows import Clash, SpanRow

__all__ = ["write_clashes"]

_NEW: Final = f"""
INSERT INTO clashes SELECT DISTINCT * FROM (SELECT {TRACE_ID} AS trace_id, span_id, start_us, name FROM incoming) i
ANTI JOIN clashes c ON c.trace_id = i.trace_id AND c.span_id = i.span_id AND c.start_us = i.start_us AND c.name = i.name
"""  # noqa: S608


def write_clashes(connection: duckdb.DuckDBPyConnection, spans: Sequence[SpanRow | Clash]) -> int:
    """Note the spans; returns how many were not noted before, as when a batch is sent again."""
    before = number(connection, "SELECT count(*) FROM clashes")
    columns = id_columns([span.trace_id for span in spans], {"span_id": [span.span_id for span in spans]})
    columns |= {
        "start_us": (WHOLE, [span.start_us for span in spans]),
        "name": (TEXT, [span.name for span in spans]),
    }
    with registered(connection, "incoming", columns):
        connection.execute(_NEW)
    return number(connection, "SELECT count(*) FROM clashes") - before

"""Where DuckDB notes second spans of an id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import duckdb

from .duckdb_answers import number
from .duckdb_columns import TEXT, WHOLE, id_columns, registered
from .duckdb_excerpts import TRACE_ID
from .duckdb_together import of_each
from .rows import Clash, SpanRow

__all__ = ["clashes_of", "write_clashes"]

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


def clashes_of(cursor: duckdb.DuckDBPyConnection, trace_id: int, found: dict[Any, Any]) -> int:
    """How many were noted of a trace."""

    def ask(numbers: Sequence[int]) -> dict[int, int]:
        ids = ", ".join("?::UHUGEINT" for _ in numbers)
        counted = f"SELECT trace_id, count(*) FROM clashes WHERE trace_id IN ({ids}) GROUP BY trace_id"  # noqa: S608
        return dict(cursor.execute(counted, numbers).fetchall())

    return of_each("clashes", trace_id, found, ask) or 0

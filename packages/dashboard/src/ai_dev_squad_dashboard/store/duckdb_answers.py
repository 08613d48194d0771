"""Reading whole answers: DuckDB refuses the next question while rows of the last one wait."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb

__all__ = ["number", "one"]


def one(connection: duckdb.DuckDBPyConnection, question: str, values: Sequence[Any] = ()) -> tuple[Any, ...] | None:
    """The first row of an answer, ``None`` where there is none."""
    rows = connection.execute(question, list(values)).fetchall()
    return rows[0] if rows else None


def number(connection: duckdb.DuckDBPyConnection, question: str, values: Sequence[Any] = ()) -> int:
    """The whole number that is the answer, 0 for no row and for NULL."""
    row = one(connection, question, values)
    return int(row[0] or 0) if row else 0

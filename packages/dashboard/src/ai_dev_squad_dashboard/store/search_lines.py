"""The lines of logs that have every word of a question, each line for itself: from the index, or by reading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import duckdb

from .duckdb_facts import Where, windows
from .search_index import IndexReader
from .search_newest import Asked, Row, Shelf, rows_of
from .search_newest import newest as newest_found
from .search_rows import lines_with
from .search_words import Term

__all__ = ["SHELF", "newest"]

SHELF: Final = Shelf("logs", "id", "time_us", "id", "id")


def newest(
    cursor: duckdb.DuckDBPyConnection, index: IndexReader | None, terms: Sequence[Term], asked: Asked
) -> tuple[list[Row], bool]:
    """The newest lines, and whether none may be missing between them because a part of a word stands for too many."""
    if index is None or not index.is_usable:
        return _read(cursor, terms, asked), True
    behind: set[int] = set()
    if index.behind:
        which = Where(["id > ?", "time_us >= ?", "time_us < ?"], [index.done, asked.start_us, asked.end_us])
        behind = set(lines_with(cursor, terms, which))
    return newest_found(cursor, index, terms, behind, asked)


def _read(cursor: duckdb.DuckDBPyConnection, terms: Sequence[Term], asked: Asked) -> list[Row]:
    """The same without an index, in windows of time that grow."""
    rows: list[Row] = []
    for begin, end in windows(cursor, asked.start_us, asked.end_us, "logs", "time_us"):
        which = Where(["time_us >= ?", "time_us < ?", *asked.where.conditions], [begin, end, *asked.where.values])
        within = asked._replace(start_us=begin, end_us=end, limit=asked.limit - len(rows))
        rows += rows_of(cursor, within, lines_with(cursor, terms, which))
        if len(rows) >= asked.limit:
            break
    return [row[2:] for row in rows]

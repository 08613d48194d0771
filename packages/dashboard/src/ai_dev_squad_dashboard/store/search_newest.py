"""The newest of what an index finds, in the order of time: what comes in late may be old, so more is looked for until nothing can be."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import duckdb

from .duckdb_answers import number, one
from .duckdb_columns import WHOLE, registered
from .duckdb_facts import Where
from .search_index import IndexReader
from .search_words import Term

__all__ = ["Asked", "Row", "Shelf", "chosen", "newest", "rows_of"]

Row = tuple[Any, ...]


class Shelf(NamedTuple):
    """A table of what is found."""

    table: str
    number: str
    """The column of what the index calls its rows."""
    time: str
    tie: str
    """What rows of one moment are told apart by."""
    handed: str
    """The same as it is handed over, in the same order."""

    @property
    def found(self) -> str:
        """The condition that a row is one of those ``chosen``."""
        return f"{self.number} IN (SELECT number FROM found)"  # noqa: S608


class Asked(NamedTuple):
    """What is asked besides the words."""

    shelf: Shelf
    columns: str
    where: Where
    inside: Where
    """Of traces: what one of their spans has to be; empty where anything will do."""
    start_us: int
    end_us: int
    limit: int


def newest(
    cursor: duckdb.DuckDBPyConnection, index: IndexReader, terms: Sequence[Term], behind: set[int], asked: Asked
) -> tuple[list[Row], bool]:
    """The newest that have the terms, and whether none may be missing between them because a part of a word stands for too many.

    ``behind``: what is found without the index.
    """
    shelf = asked.shelf
    bounds = one(
        cursor,
        f"SELECT min({shelf.number}), max({shelf.number}) FROM {shelf.table} WHERE {shelf.time} >= ? AND {shelf.time} < ?",  # noqa: S608
        [asked.start_us, asked.end_us],
    )
    if bounds is None or bounds[0] is None:
        return [], True
    low, high = bounds
    question, complete = index.question(terms)
    rows: list[Row] = []
    count = max(200, 4 * asked.limit)
    unread = behind
    while True:
        found = index.newest(question, low, high, count)
        rows += rows_of(cursor, asked, unread | (set(found) - behind))
        unread = set()
        rows.sort(key=lambda row: row[:2], reverse=True)
        if len(found) < count:
            break
        # Numbers are given as rows arrive, which is nearly the order of time. What is left began before this:
        high = found[-1] - 1
        older = number(
            cursor,
            f"SELECT max({shelf.time}) FROM {shelf.table} WHERE {shelf.number} BETWEEN ? AND ? AND {shelf.time} < ?",  # noqa: S608
            [low, high, asked.end_us],
        )
        if len(rows) >= asked.limit and rows[asked.limit - 1][0] > older:
            break
        count *= 4
    return [row[2:] for row in rows[: asked.limit]], complete


def chosen(cursor: duckdb.DuckDBPyConnection, numbers: Iterable[int]) -> registered:
    """Lets ``Shelf.found`` mean these numbers: bound as values, a hundred thousand of them take longer than the question."""
    column = numbers if isinstance(numbers, array) else array("q", numbers)
    return registered(cursor, "found", {"number": (WHOLE, column)})


def rows_of(cursor: duckdb.DuckDBPyConnection, asked: Asked, numbers: Iterable[int]) -> list[Row]:
    """Time, tie and columns of the newest of these that are asked for."""
    column = array("q", numbers)
    if not column:
        return []
    shelf = asked.shelf
    condition = f"{asked.where} AND {shelf.time} >= ? AND {shelf.time} < ? AND {shelf.found}"
    values = [*asked.where.values, asked.start_us, asked.end_us]
    with chosen(cursor, column):
        if asked.inside.conditions:
            span = one(cursor, f"SELECT min(start_us), max(last_start_us) FROM traces WHERE {condition}", values)  # noqa: S608
            if span is None or span[0] is None:
                return []
            condition += (
                f" AND trace_id IN (SELECT trace_id FROM spans WHERE start_us BETWEEN ? AND ? AND {asked.inside})"  # noqa: S608
            )
            values += [*span, *asked.inside.values]
        return cursor.execute(
            f"SELECT {shelf.time}, {shelf.handed}, {asked.columns} FROM {shelf.table} WHERE {condition} "  # noqa: S608
            f"ORDER BY {shelf.time} DESC, {shelf.tie} DESC LIMIT {int(asked.limit)}",
            values,
        ).fetchall()

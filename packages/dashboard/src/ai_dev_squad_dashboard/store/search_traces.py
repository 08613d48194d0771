"""The newest traces that have every word of a question: from the index, from what is not indexed yet, or by reading."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import duckdb

from .duckdb_answers import number, one
from .duckdb_columns import WHOLE, registered
from .duckdb_facts import Where, windows
from .search_index import IndexReader
from .search_rows import masks
from .search_words import Term

__all__ = ["FOUND", "Asked", "chosen", "matching", "newest"]

MOST_READ: Final = 100_000
"""Spans behind the index that are read beside it; with more of them, everything is read."""
MOST_SORTED: Final = 1_000_000
"""Traces that are found, the newest, where they are sorted by something else than time."""
FOUND: Final = "first_seq IN (SELECT number FROM found)"
"""Of traces: those that are ``chosen``."""

Row = tuple[Any, ...]


class Asked(NamedTuple):
    """What is asked of traces besides the words."""

    columns: str
    where: Where
    """Of traces."""
    inside: Where
    """What one of their spans has to be; empty where anything will do."""
    start_us: int
    end_us: int
    limit: int


def newest(
    cursor: duckdb.DuckDBPyConnection, index: IndexReader | None, terms: Sequence[Term], asked: Asked
) -> tuple[list[Row], bool]:
    """The newest traces, and whether none may be missing between them because a part of a word stands for too many."""
    top = number(cursor, "SELECT max(seq) FROM spans")
    if index is None or not index.is_whole or top - index.done > MOST_READ:
        return _read(cursor, terms, asked), True
    bounds = one(
        cursor,
        "SELECT min(first_seq), max(first_seq) FROM traces WHERE start_us >= ? AND start_us < ?",
        [asked.start_us, asked.end_us],
    )
    if bounds is None or bounds[0] is None:
        return [], True
    low, high = bounds
    question, complete = index.question(terms)
    behind = _behind(cursor, index, terms, asked.start_us, asked.end_us) if top > index.done else set()
    rows = _rows(cursor, asked, behind)
    count = max(200, 4 * asked.limit)
    while True:
        found = index.newest(question, low, high, count)
        rows += _rows(cursor, asked, set(found) - behind)
        rows.sort(key=lambda row: row[:2], reverse=True)
        if len(found) < count:
            break
        # Numbers are given as traces arrive, which is nearly the order of time. What is left began before this:
        high = found[-1] - 1
        older = number(
            cursor,
            "SELECT max(start_us) FROM traces WHERE first_seq BETWEEN ? AND ? AND start_us < ?",
            [low, high, asked.end_us],
        )
        if len(rows) >= asked.limit and rows[asked.limit - 1][0] > older:
            break
        count *= 4
    return [row[2:] for row in rows[: asked.limit]], complete


def matching(
    cursor: duckdb.DuckDBPyConnection, index: IndexReader | None, terms: Sequence[Term], start_us: int, end_us: int
) -> tuple[array[int], bool]:
    """The numbers of all traces that have every word, and whether these are all."""
    top = number(cursor, "SELECT max(seq) FROM spans")
    if index is None or not index.is_whole or top - index.done > MOST_READ:
        everything = (1 << len(terms)) - 1
        which = Where(["t.start_us >= ?", "t.start_us < ?"], [start_us, end_us])
        return array("q", [trace for trace, mask in masks(cursor, terms, which).items() if mask == everything]), True
    question, complete = index.question(terms)
    found = index.every(question, MOST_SORTED)
    complete &= len(found) < MOST_SORTED
    if top > index.done:
        found.extend(_behind(cursor, index, terms, start_us, end_us))
    return found, complete


def chosen(cursor: duckdb.DuckDBPyConnection, traces: Iterable[int]) -> registered:
    """Lets ``FOUND`` mean these traces, by number: bound as values, a hundred thousand of them take longer than the question."""
    numbers = traces if isinstance(traces, array) else array("q", traces)
    return registered(cursor, "found", {"number": (WHOLE, numbers)})


def _behind(
    cursor: duckdb.DuckDBPyConnection, index: IndexReader, terms: Sequence[Term], start_us: int, end_us: int
) -> set[int]:
    """Traces that answer with what is not indexed yet; words may stand on either side."""
    which = Where(["s.seq > ?", "t.start_us >= ?", "t.start_us < ?"], [index.done, start_us, end_us])
    everything = (1 << len(terms)) - 1
    answers: set[int] = set()
    lacking: dict[int, set[int]] = {}
    for trace, mask in masks(cursor, terms, which).items():
        if mask == everything:
            answers.add(trace)
        else:
            lacking.setdefault(everything & ~mask, set()).add(trace)
    for mask, traces in lacking.items():
        question, _ = index.question([term for place, term in enumerate(terms) if mask >> place & 1])
        answers |= index.among(question, traces)
    return answers


def _rows(cursor: duckdb.DuckDBPyConnection, asked: Asked, traces: Iterable[int]) -> list[Row]:
    """Start, id and columns of the newest of these traces that are asked for."""
    numbers = array("q", traces)
    if not numbers:
        return []
    condition, values = (
        f"{asked.where} AND start_us >= ? AND start_us < ? AND {FOUND}",
        [*asked.where.values, asked.start_us, asked.end_us],
    )
    with chosen(cursor, numbers):
        if asked.inside.conditions:
            span = one(cursor, f"SELECT min(start_us), max(last_start_us) FROM traces WHERE {condition}", values)  # noqa: S608
            if span is None or span[0] is None:
                return []
            condition += (
                f" AND trace_id IN (SELECT trace_id FROM spans WHERE start_us BETWEEN ? AND ? AND {asked.inside})"  # noqa: S608
            )
            values += [*span, *asked.inside.values]
        return cursor.execute(
            f"SELECT start_us, trace_id, {asked.columns} FROM traces WHERE {condition} "  # noqa: S608
            f"ORDER BY start_us DESC, trace_id DESC LIMIT {int(asked.limit)}",
            values,
        ).fetchall()


def _read(cursor: duckdb.DuckDBPyConnection, terms: Sequence[Term], asked: Asked) -> list[Row]:
    """The same without an index, in windows of time that grow, so that a common word is found at once."""
    everything = (1 << len(terms)) - 1
    rows: list[Row] = []
    for begin, end in windows(cursor, asked.start_us, asked.end_us):
        last = one(cursor, "SELECT max(last_start_us) FROM traces WHERE start_us >= ? AND start_us < ?", [begin, end])
        if last is not None and last[0] is not None:
            which = Where(
                ["s.start_us BETWEEN ? AND ?", "t.start_us >= ?", "t.start_us < ?"], [begin, last[0], begin, end]
            )
            found = [trace for trace, mask in masks(cursor, terms, which).items() if mask == everything]
            within = asked._replace(start_us=begin, end_us=end, limit=asked.limit - len(rows))
            rows += _rows(cursor, within, found)
        if len(rows) >= asked.limit:
            break
    return [row[2:] for row in rows]

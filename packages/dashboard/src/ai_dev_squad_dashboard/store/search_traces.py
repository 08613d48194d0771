"""The traces that have every word of a question: from the index, from what is not indexed yet, or by reading."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Final

import duckdb

from .duckdb_answers import one
from .duckdb_columns import HEXED
from .duckdb_facts import Where, windows
from .search_index import IndexReader
from .search_newest import Asked, Row, Shelf, rows_of
from .search_newest import newest as newest_found
from .search_rows import masks, masks_of_few
from .search_words import Term

__all__ = ["SHELF", "matching", "newest"]

SHELF: Final = Shelf("traces", "first_seq", "start_us", "trace_id", HEXED)
MOST_SORTED: Final = 1_000_000
"""Traces that are found, the newest, where they are sorted by something else than time."""


def newest(
    cursor: duckdb.DuckDBPyConnection, index: IndexReader | None, terms: Sequence[Term], asked: Asked
) -> tuple[list[Row], bool]:
    """The newest traces, and whether none may be missing between them because a part of a word stands for too many."""
    if index is None or not index.is_usable:
        return _read(cursor, terms, asked), True
    behind = _behind(cursor, index, terms, asked.start_us, asked.end_us) if index.behind else set()
    return newest_found(cursor, index, terms, behind, asked)


def matching(
    cursor: duckdb.DuckDBPyConnection, index: IndexReader | None, terms: Sequence[Term], start_us: int, end_us: int
) -> tuple[array[int], bool]:
    """The numbers of all traces that have every word, and whether these are all."""
    if index is None or not index.is_usable:
        everything = (1 << len(terms)) - 1
        which = Where(["t.start_us >= ?", "t.start_us < ?"], [start_us, end_us])
        return array("q", [trace for trace, mask in masks(cursor, terms, which).items() if mask == everything]), True
    question, complete = index.question(terms)
    found = index.every(question, MOST_SORTED)
    complete &= len(found) < MOST_SORTED
    if index.behind:
        found.extend(_behind(cursor, index, terms, start_us, end_us))
    return found, complete


def _behind(
    cursor: duckdb.DuckDBPyConnection, index: IndexReader, terms: Sequence[Term], start_us: int, end_us: int
) -> set[int]:
    """Traces that answer with what is not indexed yet; words may stand on either side."""
    which = Where(["s.seq > ?", "t.start_us >= ?", "t.start_us < ?"], [index.done, start_us, end_us])
    moments = one(cursor, "SELECT min(start_us), max(start_us) FROM spans WHERE seq > ?", [index.done])
    if moments is not None and moments[0] is not None:
        # Their traces are among those that had a span since: the engine skips all that ended before.
        which.add("t.last_start_us >= ? AND t.start_us <= ?", *moments)
    everything = (1 << len(terms)) - 1
    answers: set[int] = set()
    lacking: dict[int, set[int]] = {}
    for trace, mask in masks_of_few(cursor, terms, which).items():
        if mask == everything:
            answers.add(trace)
        else:
            lacking.setdefault(everything & ~mask, set()).add(trace)
    for mask, traces in lacking.items():
        question, _ = index.question([term for place, term in enumerate(terms) if mask >> place & 1])
        answers |= index.among(question, traces)
    return answers


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
            rows += rows_of(cursor, within, found)
        if len(rows) >= asked.limit:
            break
    return [row[2:] for row in rows]

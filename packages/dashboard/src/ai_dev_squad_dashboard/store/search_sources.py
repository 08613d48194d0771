"""What is indexed, read from the store: the spans of a trace, and lines of logs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import duckdb

from .duckdb_answers import number

__all__ = ["LINES", "LINE_WORDS", "SPAN_WORDS", "TRACES", "Source", "Words"]

SPAN_WORDS: Final = "concat_ws(chr(10), s.name, s.error_type, s.error_message, s.text)"
"""Where words of a span are looked for: names, errors, captured content."""
LINE_WORDS: Final = (
    "concat_ws(chr(10), l.event_type, l.message, CASE WHEN l.source <> 'journal' OR l.event_type = 'log' "
    "OR l.level NOT IN ('DEBUG', 'INFO') THEN decode(l.details) END)"
)
"""Where words of a line are looked for: all of it, but for what a journal line of an operation without an error has in common with
its span.
"""
_BLOCK: Final = 500
_MARK: Final = "(xor({}, {}) & 4611686018427387903)::BIGINT"
# The lower half of the trace's id: the engine takes longer to hand over an integer of 128 bits than everything else.
_SPAN_MARK: Final = _MARK.format(f"(s.trace_id & {(1 << 64) - 1}::UHUGEINT)::UBIGINT", "s.span_id")
_LINE_MARK: Final = _MARK.format("l.id", "l.time_us")


class Words(NamedTuple):
    """A row as it is indexed."""

    number: int
    """Numbers ascend as rows come in."""
    entry: int
    """The number of what is found by its words: of its trace, or its own."""
    at_us: int
    mark: int
    """What tells it from the row of another store with its number."""
    text: str


@dataclass(frozen=True)
class Source:
    """Rows whose words are indexed. ``rows`` is asked with a number that is lower than theirs, one that is higher, the first entry
    and the one behind the last.
    """

    rows: str
    newest: str
    marked: str
    left: str
    """How many entries there are from a number to below another."""
    grows: bool
    """Whether rows add to entries there are."""

    def top(self, cursor: duckdb.DuckDBPyConnection, done: int) -> int:
        """The highest number above ``done``; 0 where there is none."""
        return number(cursor, self.newest, [done])

    def mark(self, cursor: duckdb.DuckDBPyConnection, done: int) -> int | None:
        """The mark of the row with this number; ``None`` where it is gone."""
        rows = cursor.execute(self.marked, [done]).fetchall()
        return int(rows[0][0]) if rows else None

    def between(
        self, cursor: duckdb.DuckDBPyConnection, done: int, end: int, entries: tuple[int, int] = (0, 1 << 62)
    ) -> Iterator[Words]:
        """Rows numbered above ``done`` and below ``end``, ascending, of entries from the first to below the second of ``entries``."""
        cursor.execute(self.rows, [done, end, *entries])
        while rows := cursor.fetchmany(_BLOCK):
            yield from map(Words._make, rows)


TRACES: Final = Source(
    rows=f"SELECT s.seq, t.first_seq, s.start_us, {_SPAN_MARK}, {SPAN_WORDS} FROM spans s JOIN traces t ON s.trace_id = t.trace_id "  # noqa: S608
    "WHERE s.seq > ? AND s.seq < ? AND t.first_seq >= ? AND t.first_seq < ? ORDER BY s.seq",
    newest="SELECT max(seq) FROM spans WHERE seq > ?",
    marked=f"SELECT {_SPAN_MARK} FROM spans s WHERE s.seq = ?",  # noqa: S608
    left="SELECT count(*) FROM traces WHERE first_seq >= ? AND first_seq < ?",
    grows=True,
)
LINES: Final = Source(
    rows=f"SELECT l.id, l.id, l.time_us, {_LINE_MARK}, {LINE_WORDS} FROM logs l "  # noqa: S608
    "WHERE l.id > ? AND l.id < ? AND l.id >= ? AND l.id < ? ORDER BY l.id",
    newest="SELECT max(id) FROM logs WHERE id > ?",
    marked=f"SELECT {_LINE_MARK} FROM logs l WHERE l.id = ?",  # noqa: S608
    left="SELECT count(*) FROM logs WHERE id >= ? AND id < ?",
    grows=False,
)

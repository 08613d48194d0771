"""What is searched of a span, read from the store: to be indexed, or to find words in it without an index."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import duckdb

from .duckdb_facts import Where
from .search_words import LONGEST, Term, folded, has

__all__ = ["SpanWords", "masks", "spans_after"]

_SEARCHED: Final = "concat_ws(chr(10), s.name, s.error_type, s.error_message, s.text)"
"""Where words are looked for: names, errors, captured content."""
_BLOCK: Final = 500


_LOW: Final = f"(s.trace_id & {(1 << 64) - 1}::UHUGEINT)::UBIGINT"


class SpanWords(NamedTuple):
    """A span as it is indexed."""

    seq: int
    trace: int
    """The number of its trace."""
    start_us: int
    trace_low: int
    """The lower 64 bits of the trace id: the engine takes longer to hand over an integer of 128 bits than everything else."""
    span_id: int
    text: str


def spans_after(
    cursor: duckdb.DuckDBPyConnection, seq: int, end: int, traces: tuple[int, int] = (0, 1 << 62)
) -> Iterator[SpanWords]:
    """Spans numbered above ``seq`` and below ``end``, ascending, of traces with numbers from the first to below the second of ``traces``."""
    cursor.execute(
        f"SELECT s.seq, t.first_seq, s.start_us, {_LOW}, s.span_id, {_SEARCHED} "  # noqa: S608
        "FROM spans s JOIN traces t ON s.trace_id = t.trace_id "
        "WHERE s.seq > ? AND s.seq < ? AND t.first_seq >= ? AND t.first_seq < ? ORDER BY s.seq",
        [seq, end, *traces],
    )
    while rows := cursor.fetchmany(_BLOCK):
        yield from map(SpanWords._make, rows)


def masks(cursor: duckdb.DuckDBPyConnection, terms: Sequence[Term], which: Where) -> dict[int, int]:
    """Which of ``terms`` (bit by bit) the spans that ``which`` chooses (``s`` spans, ``t`` their traces) have, by the number of their trace;
    traces that have none are left out.

    The engine looks through plain text; what has to be folded is folded here.
    """
    source = (
        f"SELECT t.first_seq AS trace, lower({_SEARCHED}) AS low, {_SEARCHED} AS words FROM spans s "  # noqa: S608
        f"JOIN traces t ON s.trace_id = t.trace_id WHERE {which}"
    )
    looked: list[Any] = []
    for term in terms:
        looked += [term.word, _pattern(term)]
    found: dict[int, int] = {}
    alike = ", ".join("bool_or(contains(low, ?) AND regexp_matches(low, ?))" for _ in terms)
    rows = cursor.execute(
        f"SELECT trace, {alike} FROM ({source}) WHERE {_PLAIN} AND ({' OR '.join('contains(low, ?)' for _ in terms)}) "  # noqa: S608
        "GROUP BY trace",
        [*looked, *which.values, *(term.word for term in terms)],
    ).fetchall()
    for trace, *answers in rows:
        _note(found, trace, answers)
    cursor.execute(f"SELECT trace, words FROM ({source}) WHERE NOT ({_PLAIN})", which.values)  # noqa: S608
    while some := cursor.fetchmany(_BLOCK):
        for trace, words in some:
            text = folded(words)
            _note(found, trace, [has(term, text) for term in terms])
    return found


# Neither other letters than ASCII nor escapes, and no word that is cut.
_PLAIN: Final = f"strlen(words) = length(words) AND NOT contains(words, chr(92)) AND NOT regexp_matches(low, '[0-9a-z]{{{LONGEST + 1}}}')"


def _note(found: dict[int, int], trace: int, answers: Sequence[bool]) -> None:
    mask = sum(bool(answer) << place for place, answer in enumerate(answers))
    if mask:
        found[trace] = found.get(trace, 0) | mask


def _pattern(term: Term) -> str:
    """A regular expression of the engine that tells the words a term stands for in plain text."""
    word = re.escape(term.word)
    if term.is_open:
        return rf"(^|[^0-9a-z]){word}"
    inside = {
        "whole": word,
        "beginning": rf"{word}[a-z]*[0-9]{{0,3}}",
        "part": rf"({word}|[a-z]*{word}[a-z]*[0-9]{{0,3}})",
    }
    return rf"(^|[^0-9a-z]){inside[term.way]}($|[^0-9a-z])"

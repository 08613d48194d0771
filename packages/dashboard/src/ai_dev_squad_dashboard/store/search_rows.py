"""Words found in what is stored by reading it, without an index."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import duckdb

from .duckdb_facts import Where
from .search_sources import LINE_WORDS, SPAN_WORDS
from .search_words import LONGEST, Term, folded, has

__all__ = ["lines_with", "masks", "masks_of_few"]

_BLOCK: Final = 500


def masks(cursor: duckdb.DuckDBPyConnection, terms: Sequence[Term], which: Where) -> dict[int, int]:
    """Which of ``terms`` (bit by bit) the spans that ``which`` chooses (``s`` spans, ``t`` their traces) have, by the number of their trace;
    traces that have none are left out.

    The engine looks through plain text; what has to be folded is folded here.
    """
    source, looked = _source(which), _looked(terms)
    found: dict[int, int] = {}
    alike = ", ".join(f"bool_or({_ALIKE})" for _ in terms)
    rows = cursor.execute(
        f"SELECT trace, {alike} FROM ({source}) WHERE {_PLAIN} AND ({_any_of(terms)}) GROUP BY trace",  # noqa: S608
        [*looked, *which.values, *looked[::2]],
    ).fetchall()
    for trace, *answers in rows:
        _note(found, trace, answers)
    cursor.execute(f"SELECT trace, words FROM ({source}) WHERE NOT ({_PLAIN})", which.values)  # noqa: S608
    while some := cursor.fetchmany(_BLOCK):
        for trace, words in some:
            _note(found, trace, _has_each(terms, words))
    return found


def masks_of_few(cursor: duckdb.DuckDBPyConnection, terms: Sequence[Term], which: Where) -> dict[int, int]:
    """The same, where ``which`` chooses few spans: their answers are put together here, for to plan that takes longer than to do it."""
    source, looked = _source(which), _looked(terms)
    found: dict[int, int] = {}
    cursor.execute(
        f"SELECT trace, CASE WHEN NOT ({_PLAIN}) THEN words END, {', '.join(_ALIKE for _ in terms)} FROM ({source}) "  # noqa: S608
        f"WHERE NOT ({_PLAIN}) OR ({_any_of(terms)})",
        [*looked, *which.values, *looked[::2]],
    )
    while some := cursor.fetchmany(_BLOCK):
        for trace, words, *answers in some:
            _note(found, trace, answers if words is None else _has_each(terms, words))
    return found


def lines_with(cursor: duckdb.DuckDBPyConnection, terms: Sequence[Term], which: Where) -> list[int]:
    """The numbers of the lines of logs that ``which`` chooses and that have every term, each line for itself; ascending."""
    has_all = " AND ".join(_ALIKE for _ in terms)
    source = f"SELECT l.id AS id, lower({LINE_WORDS}) AS low, {LINE_WORDS} AS words FROM logs l WHERE {which}"  # noqa: S608
    cursor.execute(
        f"SELECT id, CASE WHEN NOT ({_PLAIN}) THEN words END FROM ({source}) WHERE NOT ({_PLAIN}) OR ({has_all}) ORDER BY id",  # noqa: S608
        [*which.values, *_looked(terms)],
    )
    found = []
    while some := cursor.fetchmany(_BLOCK):
        for line, words in some:
            if words is None or all(_has_each(terms, words)):
                found.append(line)
    return found


# Neither other letters than ASCII nor escapes, and no word that is cut.
_PLAIN: Final = f"strlen(words) = length(words) AND NOT contains(words, chr(92)) AND NOT regexp_matches(low, '[0-9a-z]{{{LONGEST + 1}}}')"


_ALIKE: Final = "contains(low, ?) AND regexp_matches(low, ?)"
"""That plain text has a term; the engine looks for the word first, which is quick."""


def _source(which: Where) -> str:
    return (
        f"SELECT t.first_seq AS trace, lower({SPAN_WORDS}) AS low, {SPAN_WORDS} AS words FROM spans s "  # noqa: S608
        f"JOIN traces t ON s.trace_id = t.trace_id WHERE {which}"
    )


def _looked(terms: Sequence[Term]) -> list[str]:
    """What ``_ALIKE`` of each term is asked with: its word, and its pattern."""
    return [each for term in terms for each in (term.word, _pattern(term))]


def _any_of(terms: Sequence[Term]) -> str:
    return " OR ".join("contains(low, ?)" for _ in terms)


def _has_each(terms: Sequence[Term], words: str) -> list[bool]:
    text = folded(words)
    return [has(term, text) for term in terms]


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

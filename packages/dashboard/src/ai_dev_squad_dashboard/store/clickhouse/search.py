"""Words, looked for in what was made of names, errors and content when they were stored: words between spaces, folded.

The engine's indexes of words say in which rows a word occurs, also as a part of another. What they cannot tell apart, a regular
expression does, in the rows that they find.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from ai_dev_squad_dashboard.store.search_words import Term

from .client import Client
from .filters import began
from .literals import Where, like, literal
from .words import LISTED, OTHERS, is_other

__all__ = ["FIRST_AMONG", "SEARCHING", "among_traces", "found_within", "has_words", "newest_traces"]

FIRST_AMONG: Final = 500
_MOST: Final = 1_000
"""Traces that are named in one statement."""

SEARCHING: Final[Mapping[str, Any]] = {"text_index_like_min_pattern_length": 3}
"""With it the engine looks through its index for the shortest words, too, that longer ones are found by."""


def has_words(terms: tuple[Term, ...]) -> list[str]:
    """For each term the condition that a row's ``words`` have it."""
    return [_condition(term) for term in terms]


def _condition(term: Term) -> str:
    if term.way == "whole":
        return f"hasAllTokens({OTHERS if is_other(term.word) else LISTED}, [{literal(term.word)}])"
    if not term.word.isascii():  # of which the engine looks for no parts
        return f"words LIKE {like(term.word)} AND match(words, {literal(_pattern(term))})"
    listed, others = (f"{each} LIKE {like(term.word)}" for each in (LISTED, OTHERS))
    if term.way == "part":
        return listed
    either = others if is_other(term.word) else f"({listed} OR {others})"
    return f"{either} AND match(words, {literal(_pattern(term))})"


def _pattern(term: Term) -> str:
    """The words that a part of one stands for."""
    word = re.escape(term.word)
    if term.is_open:
        return f"(^| ){word}"
    beginning = "" if term.way == "beginning" else r"[^ \p{Nd}]*"
    return rf"(^| ){beginning}{word}[^ \p{{Nd}}]*\p{{Nd}}{{0,3}}( |$)"


def among_traces(terms: tuple[Term, ...], within: str) -> Where:
    """The condition that a trace has every term, in any of its spans; ``within``: when these began."""
    return Where(*(f"trace_id IN ({_traces_with(condition, within)})" for condition in has_words(terms)))


def found_within(client: Client, terms: tuple[Term, ...], within: str) -> list[bytes] | None:
    """The traces that have every term, told from the indexes alone; ``None`` where there are too many to name."""
    one, *others = has_words(terms)
    also = "".join(f" AND trace_id IN ({_traces_with(other, within)})" for other in others)
    rows = client.ask(
        f"SELECT DISTINCT trace_id FROM content WHERE {within} AND {one}{also} LIMIT {_MOST + 1}", settings=SEARCHING
    )
    return [trace for (trace,) in rows] if len(rows) <= _MOST else None


def newest_traces(client: Client, start_us: int, end_us: int) -> tuple[int, int, int]:
    """From when on the newest traces of a span of time begin, among which words are looked for first, however close together a burst has
    brought them; when the last of their spans does; and in how long they came.
    """
    ((found, oldest_us, newest_us, last_us),) = client.ask(
        "SELECT count(), min(start_us), max(start_us), max(last_start_us) FROM (SELECT start_us, last_start_us FROM traces "
        f"WHERE {began(start_us, end_us)} ORDER BY start_us DESC LIMIT {FIRST_AMONG})"
    )
    # Of those that began together with the oldest of them some may not be among them.
    return (oldest_us + 1 if found == FIRST_AMONG else start_us), last_us, newest_us + 1 - oldest_us


def _traces_with(condition: str, within: str) -> str:
    return f"SELECT trace_id FROM content WHERE {within} AND {condition}"

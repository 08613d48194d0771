"""Words, looked for in what was made of names, errors and content when they were stored: words between spaces, folded.

The engine finds the rows in which a word occurs through its index of words, also as a part of another; a regular expression then tells
the words that it stands for.
"""

from __future__ import annotations

import re

from ai_dev_squad_dashboard.store.search_words import Term

from .literals import Where, like, literal

__all__ = ["among_traces", "has_words"]


def has_words(terms: tuple[Term, ...]) -> list[str]:
    """For each term the condition that a row's ``words`` have it."""
    return [f"words LIKE {like(term.word)} AND match(words, {literal(_pattern(term))})" for term in terms]


def _pattern(term: Term) -> str:
    word = re.escape(term.word)
    if term.is_open:
        return f"(^| ){word}"
    inside = {
        "whole": word,
        "beginning": rf"{word}[^ \p{{Nd}}]*\p{{Nd}}{{0,3}}",
        "part": rf"({word}|[^ \p{{Nd}}]*{word}[^ \p{{Nd}}]*\p{{Nd}}{{0,3}})",
    }
    return f"(^| ){inside[term.way]}( |$)"


def among_traces(terms: tuple[Term, ...], within: str) -> Where:
    """The condition that a trace has every term, in any of its spans; ``within``: when these began."""
    where = Where()
    for condition in has_words(terms):
        where.add(f"trace_id IN (SELECT trace_id FROM content WHERE {within} AND {condition})")
    return where

"""The words there are, to tell which of them a part of a word stands for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from .search_words import Term

__all__ = ["MOST", "Vocabulary"]

MOST: Final = 300
"""Words that a part of one may stand for in a question; with more, an answer may be incomplete."""
_MOST_BLOCKS: Final = 40


class Vocabulary:
    """Words, each once, kept as a few long texts: looking through a million of them takes some milliseconds."""

    def __init__(self, words: Iterable[str] = ()) -> None:
        self._words = set(words)
        self._blocks: tuple[str, ...] = (_block(self._words),)

    def __contains__(self, word: str) -> bool:
        return word in self._words

    def __len__(self) -> int:
        return len(self._words)

    def add(self, words: Iterable[str]) -> None:
        """Add words. One thread adds; any number may look meanwhile."""
        new = set(words) - self._words
        if not new:
            return
        self._words |= new
        blocks = (*self._blocks, _block(new))
        self._blocks = blocks if len(blocks) <= _MOST_BLOCKS else (_block(self._words),)

    def variants(self, term: Term) -> tuple[list[str], bool]:
        """The words that ``term`` stands for, itself first, then those that begin with it; and whether these are all."""
        if term.way == "whole":
            return [term.word], True
        blocks = self._blocks
        found = dict.fromkeys([term.word])
        _look(blocks, f"\n{term.word}", found)
        if term.way == "part" and len(found) <= MOST:
            _look(blocks, term.word, found)
        return list(found)[:MOST], len(found) <= MOST


def _block(words: Iterable[str]) -> str:
    return "\n" + "".join(f"{word}\n" for word in words)


def _look(blocks: Iterable[str], part: str, found: dict[str, None]) -> None:
    """Add words with ``part`` to ``found``, until there are too many."""
    for block in blocks:
        place = block.find(part)
        while place >= 0 and len(found) <= MOST:
            begin = block.rfind("\n", 0, place + 1) + 1
            end = block.index("\n", begin)
            found[block[begin:end]] = None
            place = block.find(part, end)

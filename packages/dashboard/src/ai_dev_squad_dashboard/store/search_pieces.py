"""Which pieces of a text a trace has not had before: a prompt repeats the conversation, and only what is new has new words."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from collections.abc import Set as AbstractSet
from typing import Final, Generic, TypeVar

__all__ = ["Pieces"]

KNOWN: Final = 300_000
"""Pieces that are remembered, of the traces that had something last. What is forgotten only comes once more."""

_Entry = TypeVar("_Entry", bound=Hashable)


class Pieces(Generic[_Entry]):
    """The pieces that traces have had. A piece is a line: it ends where its content says so, wherever it stands in a text, so it stays
    the same when something is put before or behind it.
    """

    def __init__(self, known: int = KNOWN) -> None:
        self._most = known
        self._count = 0
        self._of: OrderedDict[_Entry, set[int]] = OrderedDict()

    def fresh(self, entry: _Entry, text: str) -> list[str]:
        """The lines of ``text``, each once, that this entry has not had, which from now on it has."""
        lines = text.split("\n")
        by_hash = dict(zip(map(hash, lines), lines, strict=True))
        return [by_hash[number] for number in self._added(entry, by_hash.keys())]

    def rest(self, entry: _Entry, text: str) -> str:
        """``text`` without the lines that this entry has had, which from now on has all of them."""
        lines = text.split("\n")
        hashes = list(map(hash, lines))
        each = set(hashes)
        new = self._added(entry, each)
        if len(new) == len(each):
            return text
        return "\n".join([line for line, number in zip(lines, hashes, strict=True) if number in new])

    def forget(self) -> None:
        """Remember nothing: what was taken for known may not be."""
        self._of.clear()
        self._count = 0

    def _added(self, entry: _Entry, hashes: AbstractSet[int]) -> AbstractSet[int]:
        """Those that are new."""
        known = self._of.get(entry)
        if known is None:
            known = self._of[entry] = set()
        else:
            self._of.move_to_end(entry)
        new = hashes - known
        known |= new
        self._count += len(new)
        while self._count > self._most and len(self._of) > 1:
            self._count -= len(self._of.popitem(last=False)[1])
        return new

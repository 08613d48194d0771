"""Which pieces of a text a trace has not had before: a prompt repeats the conversation, and only what is new has new words."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

__all__ = ["Pieces"]

KNOWN: Final = 300_000
"""Pieces that are remembered, of the traces that had something last. What is forgotten is only indexed once more."""


class Pieces:
    """The pieces that traces have had. A piece is a line: it ends where its content says so, wherever it stands in a text, so it stays
    the same when something is put before or behind it.
    """

    def __init__(self, known: int = KNOWN) -> None:
        self._most = known
        self._count = 0
        self._of: OrderedDict[int, set[int]] = OrderedDict()

    def fresh(self, trace: int, text: str) -> list[str]:
        """The lines of ``text`` that the trace with this number has not had, which from now on it has."""
        known = self._of.get(trace)
        if known is None:
            known = self._of[trace] = set()
        else:
            self._of.move_to_end(trace)
        lines = text.split("\n")
        by_hash = dict(zip(map(hash, lines), lines, strict=True))
        new = by_hash.keys() - known
        known |= new
        self._count += len(new)
        while self._count > self._most and len(self._of) > 1:
            self._count -= len(self._of.popitem(last=False)[1])
        return [by_hash[number] for number in new]

    def forget(self) -> None:
        """Remember nothing: what was indexed is not any more."""
        self._of.clear()
        self._count = 0

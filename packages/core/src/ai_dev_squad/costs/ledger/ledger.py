"""The latest model calls, in memory that does not grow."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

from ai_dev_squad.costs.ledger.entry import CostEntry

__all__ = ["Ledger"]


class Ledger(Sequence[CostEntry]):
    """The latest entries, oldest first: a list that forgets its oldest item when it is full.

    Slices are lists. Reading is safe while other threads append; iteration goes over the entries of one moment.
    """

    def __init__(self, max_entries: int, entries: Iterable[CostEntry] = ()) -> None:
        self._items: deque[CostEntry] = deque(entries, maxlen=max_entries)
        self.append = self._items.append
        """Add an entry. ``CostTracker.record`` also counts it in the totals and budgets; this does not."""

    @property
    def max_entries(self) -> int:
        """How many entries are kept."""
        return self._items.maxlen or 0

    def extend(self, entries: Iterable[CostEntry]) -> None:
        """Add several entries."""
        self._items.extend(entries)

    def clear(self) -> None:
        """Forget the entries. Totals and budgets keep what they counted."""
        self._items.clear()

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[CostEntry]:
        return iter(self._items.copy())

    @overload
    def __getitem__(self, index: int) -> CostEntry: ...
    @overload
    def __getitem__(self, index: slice) -> list[CostEntry]: ...
    def __getitem__(self, index: int | slice) -> CostEntry | list[CostEntry]:
        if isinstance(index, slice):
            return list(self._items.copy())[index]
        return self._items[index]

    def __add__(self, other: Iterable[CostEntry]) -> list[CostEntry]:
        return [*self, *other]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (Ledger, list, tuple)):
            return list(self) == list(other)
        return NotImplemented

    def __repr__(self) -> str:
        return f"<Ledger: {len(self)} of at most {self.max_entries} entries>"

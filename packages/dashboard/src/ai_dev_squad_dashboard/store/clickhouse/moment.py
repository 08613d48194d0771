"""A snapshot: what was told inside it answers further questions of a page, so that its sums agree with one another."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ai_dev_squad_dashboard.store.base import DrawnBy, Selection
from ai_dev_squad_dashboard.store.summary import Summary

from .drawn import Row
from .hours import Sealed
from .summed import Summed

__all__ = ["Moment"]


class Moment(threading.local):
    """What the thread was told that holds the snapshot; nothing is kept while none is held."""

    def __init__(self) -> None:
        self._found: dict[Any, Any] | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep what is told; within another snapshot that one's."""
        outer, self._found = self._found, {} if self._found is None else self._found
        try:
            yield
        finally:
            self._found = outer

    @property
    def is_held(self) -> bool:
        """Whether anything is kept."""
        return self._found is not None

    def keep(self, selection: Selection, told: Summed, drawn: tuple[int, DrawnBy] | None = None) -> None:
        """What was told of a selection, and in what steps and by what it is drawn."""
        if self._found is None:
            return
        self._found[_period(selection)], self._found[selection, Sealed] = told.now, told.sealed
        if drawn is not None and told.drawn is not None:
            self._found.setdefault(selection, {})[drawn] = told.drawn

    def summary(self, selection: Selection) -> Summary | None:
        """The sums of a selection's time and runs."""
        return (self._found or {}).get(_period(selection))

    def drawn(self, selection: Selection) -> dict[tuple[int, DrawnBy], list[Row]]:
        """By step and key what was told of a selection beside its totals."""
        return dict((self._found or {}).get(selection, {}))

    def sealed(self, selection: Selection) -> Sealed | None:
        """How a selection's whole hours were found."""
        return (self._found or {}).get((selection, Sealed))


def _period(selection: Selection) -> tuple[Any, ...]:
    """What a summary is of: names are filtered afterwards."""
    return selection.start_us, selection.end_us, selection.runs

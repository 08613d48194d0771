"""Whole hours are remembered for as long as nothing in them changes: a page that is looked at again asks for the minutes around
them, and for whether they are as they were.

Rows are never changed, only added and deleted. Whether that happened is told by a few sums over the hours, read from what the engine
has added up already. What differs in one of them is asked for anew, and for a while not remembered: somebody sends late.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from math import isclose
from typing import Any, Final

from ai_dev_squad_dashboard.store.base import Selection

from .amounts import Range
from .client import Client, Rows
from .filters import bounded
from .pieces import relation, times_of
from .schema import HOUR_US

__all__ = ["Hours", "Memory", "Sealed", "hours_of", "told_of"]

WORTH_REMEMBERING: Final = 100_000
"""Spans that are read in the time that it takes to ask whether hours are as they were."""
_SEALS: Final = ("spans", "duration_us", "input_tokens", "cost_usd")
"""Sums by which it is known whether something changed, the one of floats last."""
_MOST: Final = 32
PAUSE_S: Final = 30.0
"""How long hours are not remembered that have changed: whoever sends late will do so again."""


@dataclass(frozen=True)
class Hours:
    """A selection's time, and the one before it, taken apart."""

    begin_us: int
    """Of the selection's."""
    whole: tuple[Range, ...]
    edges: tuple[Range, ...]

    @property
    def now(self) -> Hours:
        """Without the time before."""
        whole, edges = (tuple(each for each in of if each[0] >= self.begin_us) for of in (self.whole, self.edges))
        return Hours(self.begin_us, whole, edges)

    def question(self, client: Client, selection: Selection, *, with_before: bool) -> str:
        """The question whether the whole hours are as they were."""
        source = relation(
            *(client, selection, HOUR_US, ["is_now"], _SEALS),
            by_hour_only=True,
            with_before=with_before,
            times=self.whole,
        )
        added = ", ".join(f"sum(a_{name})" for name in _SEALS)
        return f"SELECT is_now, {added} FROM ({source}) GROUP BY is_now ORDER BY is_now{source.settings}"


@dataclass(frozen=True)
class Sealed:
    """How hours were found."""

    hours: Hours
    question: str
    seal: Rows

    def holds(self, client: Client) -> bool:
        """Whether they still are so."""
        return _alike(self.seal, client.ask(self.question))


class Memory:
    """What was told of whole hours, and how they were then."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, tuple[Rows, Any]] = OrderedDict()
        self._paused: dict[Hashable, float] = {}
        self._lock = threading.Lock()

    def pauses(self, key: Hashable) -> bool:
        """Whether it changed a moment ago what is told of these hours."""
        with self._lock:
            return self._paused.get(key, 0.0) > time.monotonic()

    def recall(self, key: Hashable, seal: Rows) -> Any:
        """What is known of these hours, if they are as they were; ``None`` otherwise."""
        with self._lock:
            known = self._known.get(key)
            if known is None:
                return None
            if not _alike(known[0], seal):
                del self._known[key]
                self._paused[key] = time.monotonic() + PAUSE_S
                return None
            self._known.move_to_end(key)
            return known[1]

    def keep(self, key: Hashable, seal: Rows, told: Any) -> None:
        """Remember what was told of hours that were so, before and afterwards."""
        with self._lock:
            self._known[key] = (seal, told)
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
            now_s = time.monotonic()
            self._paused = {each: until_s for each, until_s in self._paused.items() if until_s > now_s}


def hours_of(client: Client, selection: Selection, *, with_before: bool) -> Hours | None:
    """Where there are whole hours with so many spans that they are worth being remembered."""
    if any(selection.runs):
        return None
    whole, edges = [], []
    for start, end in times_of(selection, with_before=with_before):
        first, last = -(-start // HOUR_US) * HOUR_US, end // HOUR_US * HOUR_US
        if first >= last:
            return None
        whole.append((first, last))
        edges += [(start, first), (last, end)]
    if client.amounts.spans(whole) < WORTH_REMEMBERING:
        return None
    return Hours(bounded(selection.start_us), tuple(whole), tuple((start, end) for start, end in edges if start < end))


def told_of(
    client: Client,
    memory: Memory,
    sealed: Sealed | None,
    key: tuple[Hashable, ...],
    question: Callable[[Sequence[Range] | None], str],
) -> Rows:
    """The rows that answer a question, of which some may be for the same: for whole hours from memory, where they are sealed."""
    if sealed is None:
        return client.ask(question(None))
    hours = sealed.hours.now
    key = (*key, hours.whole)
    known: Rows | None = memory.recall(key, sealed.seal)
    if known is not None:
        return [*known, *client.ask(question(hours.edges))]
    around, known = client.ask_all(question(hours.edges), question(hours.whole))
    if sealed.holds(client):
        memory.keep(key, sealed.seal, known)
    return [*known, *around]


def _alike(one: Rows, other: Rows) -> bool:
    return [row[:-1] for row in one] == [row[:-1] for row in other] and all(
        isclose(mine[-1], theirs[-1], rel_tol=1e-9, abs_tol=1e-9) for mine, theirs in zip(one, other, strict=True)
    )

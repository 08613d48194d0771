"""Sums over a window that moves: one for each distinct (which spans, for each of what, how long), whatever number of rules ask.

A window has 60 steps. What a step held is taken off when the step leaves the window, so a span costs the same however long the
window is. All of it is whole numbers: what goes in comes out again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from ai_dev_squad_dashboard.store.figures import Figure, FigureName

from .ladder import Ladder, no_room

if TYPE_CHECKING:
    from .sources import Source

__all__ = ["MAX_GROUPS", "OTHER", "STEPS", "Cell", "Group", "Tally", "getter", "step_of"]

STEPS: Final = 60
MAX_GROUPS: Final = 10_000
"""Of one tally; what comes beyond is put together, so that no sender's names fill the memory."""
OTHER: Final = "(other)"

Group: TypeAlias = tuple[str, ...]


def step_of(over_us: int) -> int:
    """The length of a window's step."""
    return over_us // STEPS


def getter(names: Sequence[FigureName]) -> Callable[[Figure], tuple[Any, ...]]:
    """Takes the values of ``names`` out of a figure, always as a tuple."""
    places = [Figure._fields.index(name) for name in names]
    if not places:
        return lambda _: ()
    if len(places) == 1:
        (place,) = places
        return lambda figure: (figure[place],)
    return itemgetter(*places)


class Cell:
    """The sums of one group."""

    __slots__ = (
        "bins", "group", "held", "latency", "level", "limits", "silent_us", "slow", "sources", "steps", "tally", "total"
    )  # fmt: skip

    def __init__(self, tally: Tally, group: Group) -> None:
        self.tally = tally
        self.group = group
        self.steps: dict[int, list[int]] = {}
        """Step → what it held."""
        self.bins: dict[int, dict[int, int]] = {}
        """Step → bin → count, where latency is asked for."""
        self.total = [0, 0, 0, 0, 0, 0]
        self.latency: dict[int, int] = {}
        """Bin → count."""
        self.level = 0.0
        self.held = [0] * len(tally.ladders)
        """How many rules of each ladder hold."""
        self.silent_us = 0
        """Since when nothing is in the window, where that is looked at; 0 when something is."""
        self.sources: list[Source] = []
        """Where what is counted here comes from."""
        self.limits = no_room()
        """At how much of all that its source ever had it has to be looked at, and above which bin durations are counted."""
        self.slow = -1

    def add(self, step: int, added: Sequence[int], numbers: Iterable[tuple[int, int]]) -> bool:
        """Add sums, and bins of durations. Whether they are the first of their step."""
        sums = self.steps.get(step)
        first = sums is None
        if sums is None:
            sums = self.steps[step] = [0, 0, 0, 0, 0, 0]
            self.silent_us = 0
        total = self.total
        count, errors, cost, given, made, duration = added
        sums[0] += count
        total[0] += count
        if errors:
            sums[1] += errors
            total[1] += errors
        if cost:
            sums[2] += cost
            total[2] += cost
        if given or made:
            sums[3] += given
            sums[4] += made
            total[3] += given
            total[4] += made
        sums[5] += duration
        total[5] += duration
        if numbers and self.tally.latency:
            bins, all_bins = self.bins.setdefault(step, {}), self.latency
            for number, many in numbers:
                bins[number] = bins.get(number, 0) + many
                all_bins[number] = all_bins.get(number, 0) + many
        return first

    def expire(self, step: int) -> None:
        """Take off what a step held."""
        total = self.total
        for place, value in enumerate(self.steps.pop(step)):
            total[place] -= value
        for number, count in self.bins.pop(step, {}).items():
            left = self.latency[number] - count
            if left:
                self.latency[number] = left
            else:
                del self.latency[number]

    @property
    def is_idle(self) -> bool:
        """Whether nothing of it is in the window, and no rule holds."""
        return not self.steps and not any(self.held)


class Tally:
    """The sums of one question, a cell for each group."""

    __slots__ = ("by", "cells", "crowded", "keeps", "ladders", "latency", "over_us", "shared", "step_us", "warm_us")

    def __init__(
        self, by: tuple[FigureName, ...], over_us: int, ladders: Sequence[Ladder], *, shared: bool = False
    ) -> None:
        self.by = by
        self.shared = shared
        """Whether what has different names is counted in the same cell, as a filter takes several values."""
        self.over_us = over_us
        self.step_us = step_of(over_us)
        self.ladders = tuple(ladders)
        self.latency = any(ladder.way == "latency" for ladder in ladders)
        self.keeps = any(not ladder.above for ladder in ladders)
        """Whether a group that is silent is looked at as well."""
        self.warm_us = 0
        """From when on too little means something: before, the window was not watched as a whole."""
        self.cells: dict[Group, Cell] = {}
        self.crowded = False
        """Whether there were more groups than are told apart."""

    def counts(self, time_us: int, now_us: int) -> bool:
        """Whether a moment is in the window."""
        return time_us // self.step_us > now_us // self.step_us - STEPS

    def cell(self, group: tuple[str | None, ...]) -> Cell | None:
        """The cell of a group; ``None`` where one of the names that it is told apart by is unknown."""
        found = self.cells.get(group)  # type: ignore[arg-type] # what has a None is in none
        if found is not None:
            return found
        if None in group:
            return None
        known = cast("Group", group)
        if len(self.cells) >= MAX_GROUPS:
            self.crowded = True
            known = (OTHER,) * len(self.by)
            found = self.cells.get(known)
            if found is not None:
                return found
        found = self.cells[known] = Cell(self, known)
        return found

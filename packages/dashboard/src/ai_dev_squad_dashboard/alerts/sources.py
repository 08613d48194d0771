"""What arrives with the same names: kept in one place for all windows that count it, until one of them has to look.

A cell says how much may come before a rule of it could begin or end to hold. As long as less came, nothing but one addition is
done, whatever number of windows and rules look; what waits is handed to the cells before the oldest of it leaves a window.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from math import ceil, gcd, inf
from typing import Any, Final, TypeAlias, cast

from ai_dev_squad_dashboard.store.figures import SUMS, Figure, FigureName

from .ladder import SLOW, TOKENS, no_room
from .tally import Cell, Group, Tally, getter

__all__ = ["TURN", "Bins", "Lane", "Source", "Sums"]

TURN: Final = 15
"""Steps of the shortest window after which what waits is handed on: a quarter of what a window has."""
_MOST_WAITING: Final = 2 * TURN
"""What came of one source that may wait before it is put together; when half of that is left then, it is handed on."""
_FEW: Final = 5
"""So many are added up one by one, more column by column: that is quicker."""

Bins: TypeAlias = Sequence[tuple[int, int]]
"""Bin of durations, and how many; one bin may come several times."""
Sums: TypeAlias = Sequence[int]
Moment: TypeAlias = tuple[int, Sums, Bins]


class Source:
    """What arrives with the same names, and the cells that count it: one for each window."""

    __slots__ = (
        "_came",
        "_limits",
        "_slow",
        "_step_us",
        "_waiting",
        "at_once",
        "cells",
        "lane",
        "place",
        "shortest_us",
        "turn",
    )

    def __init__(self, lane: Lane, place: tuple[Any, ...], cells: Sequence[Cell]) -> None:
        self.lane = lane
        self.place = place
        self.cells = tuple(cell for cell in cells if not cell.tally.shared)
        self.at_once = tuple(cell for cell in cells if cell.tally.shared)
        """Cells that other sources are counted in as well: nobody could say how much of their room is whose."""
        self.shortest_us = min((cell.tally.step_us for cell in self.cells), default=1)
        self.turn = -1
        """The step of the shortest window with which what waits is handed on; -1 when nothing waits."""
        self._waiting: list[Moment] = []
        self._step_us = gcd(*(cell.tally.step_us for cell in self.cells))
        self._came = [0] * len(no_room())
        """All that ever came, by what rooms are told in."""
        self._limits = no_room()
        """At which of them somebody has to look."""
        self._slow = -1
        for cell in cells:
            cell.sources.append(self)

    def add(self, time_us: int, sums: Sums, bins: Bins) -> bool:
        """Take in what came. Whether the cells have to be looked at."""
        came, limits = self._came, self._limits
        came[0] += sums[0]
        came[1] += sums[1]
        came[2] += sums[2]
        came[3] += sums[3]
        came[4] += sums[4]
        came[5] += sums[5]
        came[TOKENS] += sums[3] + sums[4]
        if bins and max(bins)[0] > self._slow:
            came[SLOW] += sum(many for _, many in bins)
        self._waiting.append((time_us, sums, bins))
        return (
            came[0] >= limits[0]
            or came[1] >= limits[1]
            or came[2] >= limits[2]
            or came[3] >= limits[3]
            or came[4] >= limits[4]
            or came[5] >= limits[5]
            or came[TOKENS] >= limits[TOKENS]
            or came[SLOW] >= limits[SLOW]
            # Rooms are told for what grows; a clock that differs can make a duration negative.
            or sums[5] < 0
            or (len(self._waiting) >= _MOST_WAITING and self._is_crowded())
        )

    def _is_crowded(self) -> bool:
        """Whether too much waits, also when it is put together."""
        self._put_together()
        return len(self._waiting) >= _MOST_WAITING // 2

    def _put_together(self) -> None:
        """Put together what is of the same moment."""
        moments: dict[int, list[Moment]] = {}
        for each in self._waiting:
            moments.setdefault(each[0] // self._step_us, []).append(each)
        self._waiting = [
            (each[0][0], _added([sums for _, sums, _ in each]), [pair for _, _, bins in each for pair in bins])
            for each in moments.values()
        ]

    def take(self) -> Sequence[Moment]:
        """What waits, which is the caller's now."""
        self._put_together()
        waiting, self._waiting, self.turn = self._waiting, [], -1
        return waiting

    def see(self, cell: Cell, room: Sequence[float], slow: int) -> None:
        """How much may come before ``cell`` has to be looked at again: ``room``, where durations of bins above ``slow`` count."""
        cell.limits = [more if more == inf else much + ceil(more) for much, more in zip(self._came, room, strict=True)]
        cell.slow = slow
        if len(self.cells) == 1:
            self._limits, self._slow = cell.limits, slow
        else:
            self._limits = [min(each) for each in zip(*(one.limits for one in self.cells), strict=True)]
            self._slow = min(one.slow for one in self.cells)

    def end(self) -> None:
        """Be known no more, as one of the cells is gone. What waits is the caller's to take first."""
        self.lane.sources.pop(self.place, None)
        for cell in (*self.cells, *self.at_once):
            cell.sources.remove(self)


class Lane:
    """Tallies that look at the same names, be it to filter or to tell apart: what belongs together is added up once for all of
    them.
    """

    __slots__ = ("_tallies", "kind", "latency", "place_of", "sources")

    def __init__(self, kind: int, names: Sequence[FigureName]) -> None:
        self.kind = kind
        self.place_of: Callable[[Figure], tuple[Any, ...]] = getter(names)
        """The names of a figure that matter here: the values of the filters, and then the group."""
        self._tallies: dict[int, dict[tuple[Any, ...], list[Tally]]] = {}
        """How many of the names are filters → their values → who asks for them."""
        self.sources: dict[tuple[Any, ...], Source] = {}
        self.latency = False

    def watch(self, values: tuple[str, ...], tally: Tally) -> None:
        """Have ``tally`` count what has these values of its filters."""
        self._tallies.setdefault(len(values), {}).setdefault(values, []).append(tally)
        self.latency = self.latency or tally.latency

    def together(self, figures: Sequence[Figure]) -> Iterator[tuple[tuple[Any, ...], Sums, Bins]]:
        """Names, sums and bins of all figures with the same names that matter: mostly far fewer than figures."""
        gathered: defaultdict[tuple[Any, ...], list[Figure]] = defaultdict(list)
        for place, figure in zip(map(self.place_of, figures), figures, strict=True):
            gathered[place].append(figure)
        for place, alike in gathered.items():
            if place in self.sources or self._watching(place):
                bins = (
                    [(figure.bin, figure.count) for figure in alike if figure.bin is not None] if self.latency else ()
                )
                yield place, _added([cast("Sums", figure[SUMS]) for figure in alike]), bins

    def _watching(self, place: tuple[Any, ...]) -> list[tuple[Tally, Group]]:
        """The tallies that count what has these names, and in which group."""
        return [
            (tally, place[filters:])
            for filters, asked in self._tallies.items()
            for tally in asked.get(place[:filters], ())
        ]

    def cells(self, place: tuple[Any, ...]) -> Iterator[Cell]:
        """The cells that count what has these names."""
        for tally, group in self._watching(place):
            cell = tally.cell(group)
            if cell is not None:
                yield cell

    def source(self, place: tuple[Any, ...], time_us: int, now_us: int) -> tuple[Source | None, Sequence[Cell]]:
        """The source of these names. ``None`` and the cells that count this moment, where some are put together with those of
        other names, or the moment is too old for others.
        """
        found = self.sources.get(place)
        if found is not None:
            return found, ()
        watching = self._watching(place)
        groups = [(tally.cell(group), group) for tally, group in watching if tally.counts(time_us, now_us)]
        cells = [cell for cell, _ in groups if cell is not None]
        if len(cells) < len(watching) or any(cell is None or cell.group != group for cell, group in groups):
            return None, cells
        found = self.sources[place] = Source(self, place, cells)
        return found, ()


def _added(sums: Sequence[Sums]) -> Sums:
    """All of it put together."""
    if len(sums) == 1:
        return sums[0]
    if len(sums) > _FEW:
        return [sum(column) for column in zip(*sums, strict=True)]
    count, errors, cost, given, made, took = sums[0]
    for more in sums[1:]:
        count += more[0]
        errors += more[1]
        cost += more[2]
        given += more[3]
        made += more[4]
        took += more[5]
    return count, errors, cost, given, made, took

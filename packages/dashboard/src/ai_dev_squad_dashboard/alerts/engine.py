"""Decides who is told of what. Knows no store, no network and no clock: the same figures at the same moments give the same.

A rule holds for a group while its measure is above (or below) its threshold. When it begins to hold it fires, once; when it
ends to hold it is resolved; it fires again at the earliest after ``rearm`` and, while it lasts, every ``repeat``.
"""

from __future__ import annotations

import heapq
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, product
from math import gcd
from typing import Any, Final, Literal, NamedTuple

from ai_dev_squad_dashboard.store.figures import FIGURE_NAMES, Figure, FigureName

from .ladder import Ladder, all_room
from .rules import MEASURES, Rule
from .sources import TURN, Bins, Lane, Source, Sums
from .tally import STEPS, Cell, Group, Tally

__all__ = ["Decision", "Engine", "Told"]

_FORGET_US: Final = 7 * 86_400_000_000
"""How long a group that is silent is remembered, where silence is what is looked for."""


class Decision(NamedTuple):
    """Somebody is to be told."""

    rule: str
    group: Group
    """The values of what the rule looks at apart."""
    what: Literal["fired", "repeated", "resolved"]
    time_us: int
    since_us: int
    """When it began."""
    value: float | None
    """What was measured, in the measure's unit."""


@dataclass
class Told:
    """What was told about a rule and a group: the engine's memory that has to outlive the process."""

    firing: bool
    since_us: int
    last_us: int
    """When it was last told that it is so."""


class Engine:
    """The rules, what they have counted, and what was told. Not for several threads at once.

    ``started_us``: since when what arrives is seen. ``told``: what an earlier engine left.
    """

    def __init__(
        self, rules: Sequence[Rule], started_us: int, told: Mapping[tuple[str, Group], Told] | None = None
    ) -> None:
        self.rules = {rule.name: rule for rule in rules}
        self.told = {key: Told(**vars(each)) for key, each in (told or {}).items() if key[0] in self.rules}
        self.changed: set[tuple[str, Group]] = set()
        """Keys of ``told`` that changed since whoever keeps them looked; theirs to clear."""
        self._now_us = started_us
        self._tallies: list[Tally] = []
        self._place: dict[str, tuple[Tally, int, int]] = {}
        """Rule → its tally, ladder and step of the ladder."""
        self._lanes: dict[tuple[int, tuple[FigureName, ...]], Lane] = {}
        self._leaving: dict[int, dict[int, list[Cell]]] = defaultdict(dict)
        """Length of a step → step → cells that hold something of it."""
        self._turns: dict[int, dict[int, list[Source]]] = defaultdict(dict)
        """Length of a step → step → what is handed on with it."""
        self._touched: dict[int, Cell] = {}
        self._timers: list[tuple[int, int, Callable[[list[Decision]], None]]] = []
        self._order = count()
        self._unsettled = {key for key, each in self.told.items() if each.firing}
        """What an earlier engine told and this one has not seen yet."""
        self._build(rules)
        used = {name for rule in rules for name in (*rule.by, *(name for name, _ in rule.where))}
        self.names: Final = tuple(name for name in FIGURE_NAMES if name in used)
        """The names that figures must have."""
        self.needs_latency: Final = any(tally.latency for tally in self._tallies)
        """Whether figures must have the bins of durations."""
        self.windows: Final = tuple(sorted({tally.over_us for tally in self._tallies}))
        """The lengths of the windows, in microseconds, ascending."""
        self.step_us: Final = max(1_000_000, gcd(*(tally.step_us for tally in self._tallies)))
        """How exact the moments of figures need to be: all that ended within it may be put together."""
        self._resume()

    @property
    def crowded(self) -> tuple[str, ...]:
        """The rules that had more groups than are told apart."""
        return tuple(name for name, (tally, _, _) in self._place.items() if tally.crowded)

    def load(self, figures: Iterable[Figure], now_us: int, over_us: int) -> None:
        """Take in what the windows of this length held before; decides nothing yet."""
        self._now_us = max(self._now_us, now_us)
        self._add(figures, over_us)

    def step(
        self, now_us: int, figures: Iterable[Figure] = (), levels: Sequence[Figure] | None = None
    ) -> list[Decision]:
        """Take in what arrived, and decide as of ``now_us``. ``levels``: all states as they are now, where they were asked for."""
        # A clock that is set back must not bring back what has left the window.
        self._now_us = now_us = max(self._now_us, now_us)
        self._turn()
        self._add(figures, None)
        if levels is not None:
            self._set(levels)
        self._expire()
        decisions: list[Decision] = []
        touched, self._touched = self._touched, {}
        for cell in touched.values():
            self._judge(cell, decisions)
        self._settle(decisions, knows_levels=levels is not None)
        while self._timers and self._timers[0][0] <= now_us:
            heapq.heappop(self._timers)[2](decisions)
        return decisions

    def state_of(self, rule: str) -> Iterable[tuple[Group, float | None, bool]]:
        """The groups of a rule: what is measured, in its unit, and whether it holds."""
        tally, ladder, step = self._place[rule]
        for cell in tally.cells.values():
            yield cell.group, self._said(self.rules[rule], cell), cell.held[ladder] > step

    # --- building -----------------------------------------------------------------------------------------------------

    def _build(self, rules: Sequence[Rule]) -> None:
        questions: dict[Any, dict[Any, list[Rule]]] = {}
        for rule in rules:
            same_sums = (rule.kind, rule.where, rule.by, rule.over_us)
            asked = (rule.measure, rule.above, rule.min_count)
            questions.setdefault(same_sums, {}).setdefault(asked, []).append(rule)
        for (kind, where, by, over_us), asked_by in questions.items():
            shared = any(len(values) > 1 for _, values in where)
            ladders = [Ladder(asked, members) for asked, members in asked_by.items()]
            tally = Tally(by, over_us, ladders, shared=shared)
            self._tallies.append(tally)
            for place, ladder in enumerate(tally.ladders):
                for step, rule in enumerate(ladder.rules):
                    self._place[rule.name] = (tally, place, step)
            names = (*(name for name, _ in where), *by)
            lane = self._lanes.setdefault((int(kind), names), Lane(int(kind), names))
            for values in product(*(values for _, values in where)):
                lane.watch(values, tally)
            if tally.keeps:
                tally.warm_us = self._now_us + over_us
                self._at(tally.warm_us, self._warmed(tally))
                if not by:
                    tally.cells[()] = Cell(tally, ())

    def _resume(self) -> None:
        """Set the clocks of what was told before."""
        for key, told in self.told.items():
            rule = self.rules[key[0]]
            if told.firing and rule.repeat_us is not None:
                self._at(told.last_us + rule.repeat_us, self._due(key))
            elif not told.firing:
                self._at(told.last_us + rule.rearm_us, self._due(key))

    # --- counting -----------------------------------------------------------------------------------------------------

    def _add(self, figures: Iterable[Figure], only_us: int | None) -> None:
        alike: defaultdict[tuple[int, int], list[Figure]] = defaultdict(list)
        for figure in figures:
            alike[min(figure.time_us, self._now_us), figure.kinds].append(figure)
        for (time_us, kinds), given in alike.items():
            for lane in self._lanes.values():
                if kinds & lane.kind:
                    self._count(lane, time_us, lane.together(given), only_us)

    def _count(
        self, lane: Lane, time_us: int, found: Iterable[tuple[tuple[Any, ...], Sums, Bins]], only_us: int | None
    ) -> None:
        for place, sums, bins in found:
            source, cells = lane.source(place, time_us, self._now_us)
            if source is not None:
                if only_us is None:
                    cells = source.at_once
                    self._wait(source, time_us, sums, bins)
                else:
                    cells = (*source.cells, *source.at_once)
            for cell in cells:
                if (only_us is None or cell.tally.over_us == only_us) and self._put(cell, time_us, sums, bins):
                    self._touched[id(cell)] = cell

    def _put(self, cell: Cell, time_us: int, sums: Sums, bins: Bins) -> bool:
        """Add to a cell, unless its window is past that. Whether it was added."""
        if not cell.tally.counts(time_us, self._now_us):
            return False
        step_us = cell.tally.step_us
        if cell.add(time_us // step_us, sums, bins):
            self._leaving[step_us].setdefault(time_us // step_us, []).append(cell)
        return True

    def _wait(self, source: Source, time_us: int, sums: Sums, bins: Bins) -> None:
        """Let it wait, as long as nobody has to look and it leaves no window meanwhile."""
        if not source.cells:
            return
        shortest_us = source.shortest_us
        if source.add(time_us, sums, bins):
            self._hand_on(source)
            for cell in source.cells:
                self._touched[id(cell)] = cell
        elif time_us < self._now_us - 2 * TURN * shortest_us:
            self._hand_on(source)
        elif source.turn < 0:
            # Not all in the same round.
            source.turn = self._now_us // shortest_us + 1 + next(self._order) % TURN
            self._turns[shortest_us].setdefault(source.turn, []).append(source)

    def _hand_on(self, source: Source) -> None:
        """What waits goes into the cells."""
        for time_us, sums, bins in source.take():
            for cell in source.cells:
                self._put(cell, time_us, sums, bins)

    def _settled(self, cell: Cell) -> Cell:
        """The cell with all that has come."""
        if not cell.tally.shared:
            for source in cell.sources:
                self._hand_on(source)
        return cell

    def _turn(self) -> None:
        """Hand on what has waited long enough."""
        for shortest_us, turns in self._turns.items():
            now = self._now_us // shortest_us
            for turn in [turn for turn in turns if turn <= now]:
                for source in turns.pop(turn):
                    if source.turn == turn:
                        self._hand_on(source)

    def _set(self, levels: Sequence[Figure]) -> None:
        for figure in levels:
            for lane in self._lanes.values():
                if figure.kinds & lane.kind:
                    for cell in lane.cells(lane.place_of(figure)):
                        cell.level = max(figure.level, cell.level if id(cell) in self._touched else 0.0)
                        self._touched[id(cell)] = cell

    def _expire(self) -> None:
        for step_us, steps in self._leaving.items():
            last = self._now_us // step_us - STEPS
            for step in [step for step in steps if step <= last]:
                for cell in steps.pop(step):
                    cell.expire(step)
                    self._touched[id(cell)] = cell

    # --- deciding -----------------------------------------------------------------------------------------------------

    def _judge(self, cell: Cell, decisions: list[Decision]) -> None:
        """See which rules began or ended to hold."""
        tally, held = self._settled(cell).tally, cell.held
        total, latency, level = cell.total, cell.latency, cell.level
        for place, ladder in enumerate(tally.ladders):
            above, before = ladder.above, held[place]
            value = ladder.read(total, latency, level)
            if value is not None and ladder.bounds[before] < (value if above else -value) <= ladder.bounds[before + 1]:
                continue
            if not above and self._now_us < tally.warm_us:
                continue
            now = ladder.holding(value)
            if before == now:
                continue
            held[place] = now
            for rule in ladder.rules[before:now]:
                self._begins(rule, cell, decisions)
            for rule in ladder.rules[now:before]:
                self._ends(rule, cell, decisions)
        if not tally.keeps and cell.is_idle and cell.group:
            self._drop(cell)
            return
        if tally.keeps and not cell.steps and cell.group and not cell.silent_us:
            cell.silent_us = self._now_us
            self._at(self._now_us + _FORGET_US, self._forgotten(cell))
        if cell.sources and not tally.shared:
            room, slow = all_room(), sys.maxsize
            for place, ladder in enumerate(tally.ladders):
                slow = ladder.narrow(room, slow, held[place], total, latency)
            cell.sources[0].see(cell, room, slow)

    def _drop(self, cell: Cell) -> None:
        """Forget a group."""
        for source in list(cell.sources):
            self._hand_on(source)
            source.end()
        cell.tally.cells.pop(cell.group, None)

    def _begins(self, rule: Rule, cell: Cell, decisions: list[Decision]) -> None:
        key = (rule.name, cell.group)
        told = self.told.get(key)
        self._unsettled.discard(key)
        if told is None or (not told.firing and self._now_us >= told.last_us + rule.rearm_us):
            self._fire(rule, cell, decisions)
        elif told.firing and rule.repeat_us is not None:
            # An earlier engine told it; the clock that was set for it may have rung before this was known.
            self._at(told.last_us + rule.repeat_us, self._due(key))

    def _fire(self, rule: Rule, cell: Cell, decisions: list[Decision]) -> None:
        key, now_us = (rule.name, cell.group), self._now_us
        self.told[key] = Told(firing=True, since_us=now_us, last_us=now_us)
        self.changed.add(key)
        decisions.append(Decision(rule.name, cell.group, "fired", now_us, now_us, self._said(rule, cell)))
        if rule.repeat_us is not None:
            self._at(now_us + rule.repeat_us, self._due(key))

    def _ends(self, rule: Rule, cell: Cell, decisions: list[Decision]) -> None:
        self._resolve((rule.name, cell.group), self._said(rule, cell), decisions)

    def _resolve(self, key: tuple[str, Group], value: float | None, decisions: list[Decision]) -> None:
        told, rule = self.told.get(key), self.rules[key[0]]
        if told is None or not told.firing:
            return
        told.firing = False
        self.changed.add(key)
        self._at(told.last_us + rule.rearm_us, self._due(key))
        if rule.resolved:
            decisions.append(Decision(rule.name, key[1], "resolved", self._now_us, told.since_us, value))

    def _settle(self, decisions: list[Decision], *, knows_levels: bool) -> None:
        """End what an earlier engine told and what is no longer so."""
        for key in sorted(self._unsettled):
            tally, place, step = self._place[key[0]]
            ladder = tally.ladders[place]
            if (not ladder.above and self._now_us < tally.warm_us) or (ladder.way == "level" and not knows_levels):
                continue
            self._unsettled.discard(key)
            cell = tally.cells.get(key[1])
            if cell is None or cell.held[place] <= step:
                self._resolve(key, self._said(self.rules[key[0]], cell or Cell(tally, key[1])), decisions)

    # --- what is due later --------------------------------------------------------------------------------------------

    def _at(self, time_us: int, act: Callable[[list[Decision]], None]) -> None:
        heapq.heappush(self._timers, (time_us, next(self._order), act))

    def _warmed(self, tally: Tally) -> Callable[[list[Decision]], None]:
        def judge(decisions: list[Decision]) -> None:
            for cell in list(tally.cells.values()):
                self._judge(cell, decisions)

        return judge

    def _forgotten(self, cell: Cell) -> Callable[[list[Decision]], None]:
        def forget(_: list[Decision]) -> None:
            silent = not self._settled(cell).steps and self._now_us >= cell.silent_us + _FORGET_US
            if not silent or cell.tally.cells.get(cell.group) is not cell:
                return
            self._drop(cell)
            for ladder in cell.tally.ladders:
                for rule in ladder.rules:
                    if self.told.pop((rule.name, cell.group), None) is not None:
                        self.changed.add((rule.name, cell.group))

        return forget

    def _due(self, key: tuple[str, Group]) -> Callable[[list[Decision]], None]:
        """Tell again what lasts, or tell what came back too soon, or forget."""

        def look(decisions: list[Decision]) -> None:
            told, rule, now_us = self.told.get(key), self.rules[key[0]], self._now_us
            if told is None:
                return
            tally, place, step = self._place[key[0]]
            cell = tally.cells.get(key[1])
            holds = cell is not None and cell.held[place] > step
            if told.firing:
                if cell is None or not holds or rule.repeat_us is None or now_us < told.last_us + rule.repeat_us:
                    return
                told.last_us = now_us
                self.changed.add(key)
                decisions.append(Decision(rule.name, key[1], "repeated", now_us, told.since_us, self._said(rule, cell)))
                self._at(now_us + rule.repeat_us, look)
            elif now_us >= told.last_us + rule.rearm_us:
                if cell is not None and holds:
                    self._fire(rule, cell, decisions)
                else:
                    del self.told[key]
                    self.changed.add(key)

        return look

    def _said(self, rule: Rule, cell: Cell) -> float | None:
        tally, place, _ = self._place[rule.name]
        self._settled(cell)
        value = tally.ladders[place].read(cell.total, cell.latency, cell.level)
        return None if value is None else value / MEASURES[rule.measure].scale

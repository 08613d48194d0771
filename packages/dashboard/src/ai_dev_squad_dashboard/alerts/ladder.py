"""Thresholds of one measure in order: how many of them a value has passed says which rules hold.

So ten thousand rules about the same sum cost one search when it moves, and work only where one of them begins or ends to hold.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from math import ceil, inf
from typing import Final, TypeAlias

from ai_dev_squad_dashboard.store.percentiles import BINS_PER_OCTAVE, middle_us, percentiles

from .rules import MEASURES, Rule

__all__ = ["SLOW", "TOKENS", "Ladder", "Question", "all_room", "no_room"]

Question: TypeAlias = tuple[str, bool, int]
"""Measure, whether above, and the least count: what the rules of a ladder have in common."""

Read: TypeAlias = Callable[[Sequence[int], Mapping[int, int], float], float | None]

_PLACES: Final = {"errors": 1, "cost_usd": 2, "input_tokens": 3, "output_tokens": 4}
"""Measures that are sums, and where among the sums they stand."""
_RANKS: Final = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}
TOKENS: Final = 6
SLOW: Final = 7
"""Behind the six sums a room has tokens of both sorts together, and how many durations are longer than some."""
_MIDDLES: Final = [middle_us(number) for number in range(64 * BINS_PER_OCTAVE + 1)]
_NEARLY: Final = 1 - 1e-12
"""What is divided is rounded: what comes as near as this is looked at."""


def no_room() -> list[float]:
    """Whatever comes, somebody has to look."""
    return [0.0] * (SLOW + 1)


def all_room() -> list[float]:
    """Whatever comes, nobody has to look."""
    return [inf] * (SLOW + 1)


class Ladder:
    """The rules that ask the same of the same sums, those that hold first at the front."""

    __slots__ = ("_min_count", "above", "bounds", "measure", "read", "rules", "steps", "way")

    def __init__(self, question: Question, rules: Sequence[Rule]) -> None:
        self.measure, self.above, min_count = question
        self.way = MEASURES[self.measure].way
        self.rules = tuple(sorted(rules, key=lambda rule: (rule.scaled if self.above else -rule.scaled, rule.name)))
        self.steps = tuple(rule.scaled if self.above else -rule.scaled for rule in self.rules)
        self.bounds = (-inf, *self.steps, inf)
        """``holding`` is ``n`` while the value, negated where it must not be below, lies between the bounds ``n`` and ``n + 1``."""
        self._min_count = max(1, min_count)
        self.read = _reader(self.measure, self._min_count)
        """What the measure is, in the numbers that are added up; ``None`` where there is too little to tell."""

    def holding(self, value: float | None) -> int:
        """How many rules hold at ``value``: those at the front."""
        if value is None:
            return 0
        return bisect_left(self.steps, value if self.above else -value)

    def narrow(self, room: list[float], slow: int, held: int, total: Sequence[int], latency: Mapping[int, int]) -> int:
        """Leave in ``room`` what may come before another number than ``held`` of the rules could hold; at most what is there.

        ``slow``: above which bin durations are counted. Returns it, or a lower one.
        """
        if self.way == "level":
            return slow
        # The value stays as it is while it is at most ``most`` and above ``least``, or on these edges is looked at.
        least, most = self.bounds[held], self.bounds[held + 1]
        if not self.above:
            least, most = -most, -least
        if self.way == "ratio" or self.measure in _RANKS:
            if total[0] < self._min_count:
                room[0] = min(room[0], self._min_count - total[0])
            elif self.way == "ratio":
                self._narrow_ratio(room, total, least, most)
            else:
                return min(slow, self._narrow_latency(room, latency, least, most))
            return slow
        place = TOKENS if self.measure == "tokens" else _PLACES.get(self.measure, 0)
        now = total[3] + total[4] if place == TOKENS else total[place]
        if most < inf:
            # Whole numbers: a difference of large fractions would be off by what a rule can tell.
            room[place] = min(room[place], int(most) - now)
        return slow

    def _narrow_ratio(self, room: list[float], total: Sequence[int], least: float, most: float) -> None:
        """More of what is divided raises it, and more of what it is divided by lowers it."""
        place = 1 if self.measure == "error_rate" else 5
        room[place] = min(room[place], most * total[0] * _NEARLY - total[place])
        if least > 0:
            room[0] = min(room[0], total[place] / least * _NEARLY - total[0])

    def _narrow_latency(self, room: list[float], latency: Mapping[int, int], least: float, most: float) -> int:
        """A long duration moves the rank by at most one towards the long ones, a short one towards the short ones."""
        durations = sum(latency.values())
        if not durations:
            room[SLOW] = min(room[SLOW], 1)
            return -1
        rank, slow = ceil(_RANKS[self.measure] * durations), len(_MIDDLES)
        if most < inf:
            slow = bisect_left(_MIDDLES, most) - 1
            room[SLOW] = min(room[SLOW], sum(many for number, many in latency.items() if number <= slow) - rank + 1)
        if least > 0:
            short = sum(many for number, many in latency.items() if middle_us(number) <= least)
            room[SLOW] = min(room[SLOW], rank - short)
            slow = -1
        return slow


def _reader(measure: str, min_count: int) -> Read:
    if measure in _PLACES:
        place = _PLACES[measure]
        return lambda total, latency, level: total[place]
    if measure == "tokens":
        return lambda total, latency, level: total[3] + total[4]
    if MEASURES[measure].way == "level":
        return lambda total, latency, level: level
    if measure == "error_rate":
        return lambda total, latency, level: total[1] / total[0] if total[0] >= min_count else None
    if measure == "mean_ms":
        return lambda total, latency, level: total[5] / total[0] if total[0] >= min_count else None
    if measure in _RANKS:
        rank = _RANKS[measure]
        return lambda total, latency, level: percentiles(latency, rank)[0] if total[0] >= min_count else None
    return lambda total, latency, level: total[0]

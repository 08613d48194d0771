"""Thresholds of one measure in order: how many of them a value has passed says which rules hold.

So ten thousand rules about the same sum cost one search when it moves, and work only where one of them begins or ends to hold.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Final, TypeAlias

from ai_dev_squad_dashboard.store.percentiles import percentiles

from .rules import MEASURES, Rule

__all__ = ["Ladder", "Question"]

Question: TypeAlias = tuple[str, bool, int]
"""Measure, whether above, and the least count: what the rules of a ladder have in common."""

Read: TypeAlias = Callable[[Sequence[int], Mapping[int, int], float], float | None]

_PLACES: Final = {"errors": 1, "cost_usd": 2, "input_tokens": 3, "output_tokens": 4}
"""Measures that are sums, and where in ``Sums`` they stand."""
_RANKS: Final = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}


class Ladder:
    """The rules that ask the same of the same sums, those that hold first at the front."""

    __slots__ = ("above", "bounds", "measure", "read", "rules", "steps", "way")

    def __init__(self, question: Question, rules: Sequence[Rule]) -> None:
        self.measure, self.above, min_count = question
        self.way = MEASURES[self.measure].way
        self.rules = tuple(sorted(rules, key=lambda rule: (rule.scaled if self.above else -rule.scaled, rule.name)))
        self.steps = tuple(rule.scaled if self.above else -rule.scaled for rule in self.rules)
        self.bounds = (-inf, *self.steps, inf)
        """``holding`` is ``n`` while the value, negated where it must not be below, lies between the bounds ``n`` and ``n + 1``."""
        self.read = _reader(self.measure, max(1, min_count))
        """What the measure is, in the numbers that are added up; ``None`` where there is too little to tell."""

    def holding(self, value: float | None) -> int:
        """How many rules hold at ``value``: those at the front."""
        if value is None:
            return 0
        return bisect_left(self.steps, value if self.above else -value)


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

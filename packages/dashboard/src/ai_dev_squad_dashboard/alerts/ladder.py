"""Thresholds of one measure in order: how many of them a value has passed says which rules hold.

So ten thousand rules about the same sum cost one search when it moves, and work only where one of them begins or ends to hold.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from ai_dev_squad_dashboard.store.percentiles import percentiles

from .rules import MEASURES, Rule

__all__ = ["Ladder", "Question"]

Question = tuple[str, bool, int]
"""Measure, whether above, and the least count: what the rules of a ladder have in common."""

_RANKS = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}


class Ladder:
    """The rules that ask the same of the same sums, those that hold first at the front."""

    __slots__ = ("above", "measure", "min_count", "rules", "steps", "way")

    def __init__(self, question: Question, rules: Sequence[Rule]) -> None:
        self.measure, self.above, self.min_count = question
        self.way = MEASURES[self.measure].way
        self.rules = tuple(sorted(rules, key=lambda rule: (rule.scaled if self.above else -rule.scaled, rule.name)))
        self.steps = tuple(rule.scaled if self.above else -rule.scaled for rule in self.rules)

    def holding(self, value: float | None) -> int:
        """How many rules hold at ``value``: those at the front."""
        if value is None:
            return 0
        return bisect_left(self.steps, value if self.above else -value)

    def value(self, total: Sequence[int], latency: Mapping[int, int], level: float) -> float | None:
        """What the measure is, in the numbers that are added up; ``None`` where there is too little to tell."""
        count, errors, cost, given, made, duration = total
        if self.way == "level":
            return level
        if self.way in {"ratio", "latency"} and count < max(1, self.min_count):
            return None
        match self.measure:
            case "cost_usd":
                return cost
            case "tokens":
                return given + made
            case "input_tokens":
                return given
            case "output_tokens":
                return made
            case "errors":
                return errors
            case "error_rate":
                return errors / count
            case "mean_ms":
                return duration / count
            case "p50_ms" | "p95_ms" | "p99_ms":
                (found,) = percentiles(latency, _RANKS[self.measure])
                return found
            case _:
                return count

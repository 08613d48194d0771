"""The tests behind the gate: whether one sample's mean lies above another's by more than chance.

Costs of runs are skewed, come in lumps and are few, so nothing is assumed of how they are distributed. The test is a
permutation test of Welch's t: exact where the two samples come from one distribution, whatever that is, and right for
large samples whose spread differs (Janssen 1997, Chung and Romano 2013). It is of means, not of ranks or medians, as
means are what a bill adds up: a program that goes round in one run of twenty is dearer, though its median run is not.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import inf, sqrt
from statistics import fmean

__all__ = ["holm", "permutation_p", "ratio_interval"]

_ENOUGH = 30
"""Permutations that were as extreme, after which a sample is known well enough not to be extreme itself (Besag and
Clifford 1991).
"""


def permutation_p(old: Sequence[float], new: Sequence[float], permutations: int, seed: int = 0) -> float:
    """How likely a mean of ``new`` so far above that of ``old`` is, were both from one distribution; one-sided.

    The same samples give the same answer. The smallest that can come is ``1 / (permutations + 1)``.
    """
    pool = [*old, *new]
    count, size = len(new), len(pool)
    # A permutation's statistic is that of sums alone; subtracting the mean keeps these exact.
    middle = fmean(pool)
    pool = [value - middle for value in pool]
    total, squares = sum(pool), sum(value * value for value in pool)

    def statistic(chosen: Sequence[float]) -> float:
        part, part_squares = sum(chosen), sum(value * value for value in chosen)
        return _welch(total - part, squares - part_squares, size - count, part, part_squares, count)

    seen = statistic(pool[size - count :])
    if seen <= 0:
        return 1.0
    # What differs by rounding alone is equal.
    bound = seen * (1 - 1e-9) if seen < inf else seen
    draw = random.Random(seed)
    extreme = 0
    for drawn in range(1, permutations + 1):
        extreme += statistic(draw.sample(pool, count)) >= bound
        if extreme >= _ENOUGH:
            return extreme / drawn
    return (extreme + 1) / (permutations + 1)


def _welch(old: float, old_squares: float, old_count: int, new: float, new_squares: float, new_count: int) -> float:
    """Welch's t of sums and sums of squares."""
    difference = new / new_count - old / old_count
    variance = _variance(old, old_squares, old_count) / old_count + _variance(new, new_squares, new_count) / new_count
    if variance <= 0:
        return 0.0 if abs(difference) < 1e-300 else inf if difference > 0 else -inf
    return difference / sqrt(variance)


def _variance(total: float, squares: float, count: int) -> float:
    if count < 2:
        return 0.0
    spread = squares - total * total / count
    # Below the rounding of the sums there is no spread.
    return spread / (count - 1) if spread > squares * 1e-12 else 0.0


def holm(values: Sequence[float]) -> list[float]:
    """The p-values adjusted for how many were asked for (Holm 1979): each against one level keeps the chance of any
    false alarm below it.
    """
    order = sorted(range(len(values)), key=values.__getitem__)
    adjusted, highest = [0.0] * len(values), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, values[index] * (len(values) - rank)))
        adjusted[index] = highest
    return adjusted


def ratio_interval(
    old: Sequence[float], new: Sequence[float], resamples: int = 1_000, seed: int = 0
) -> tuple[float, float] | None:
    """The 95 % percentile-bootstrap interval of ``mean(new) / mean(old)``; ``None`` where there are fewer than two of
    either, or nothing to divide by. For a reader: no decision rests on it.
    """
    if resamples < 100 or min(len(old), len(new)) < 2 or min(old) < 0 or fmean(old) <= 0:
        return None
    draw = random.Random(seed)
    ratios = []
    for _ in range(resamples):
        below = sum(draw.choices(old, k=len(old))) / len(old)
        above = sum(draw.choices(new, k=len(new))) / len(new)
        ratios.append(above / below if below > 0 else inf)
    ratios.sort()
    return ratios[int(resamples * 0.025)], ratios[int(resamples * 0.975) - 1]

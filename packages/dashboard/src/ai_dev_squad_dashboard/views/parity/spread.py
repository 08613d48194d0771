"""What a number of runs has in common: quartiles, the interval of the median, the interval of a share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb, sqrt
from statistics import median, quantiles
from typing import Final

__all__ = ["ENOUGH", "Share", "Spread", "lowest", "share_of", "spread_of"]

ENOUGH: Final = 6
"""As many values it takes for a 95 % interval of a median: with five, the smallest and the largest still miss it too often."""
_NORMAL_95: Final = 1.959964


@dataclass(frozen=True)
class Spread:
    """How values are spread."""

    n: int
    lowest: float
    first_quartile: float
    median: float
    third_quartile: float
    highest: float
    low: float | None
    """Where the 95 % interval of the median begins: order statistics by the sign test, which assumes nothing of how values are
    spread. ``null`` for fewer than six values."""
    high: float | None


@dataclass(frozen=True)
class Share:
    """A share of runs with its 95 % interval (Wilson)."""

    n: int
    count: int
    share: float
    low: float
    high: float


def spread_of(values: Sequence[float]) -> Spread | None:
    """The spread of values in any order; ``None`` of none."""
    if not values:
        return None
    ordered = sorted(values)
    n = len(ordered)
    first, middle, third = (ordered[0],) * 3 if n == 1 else quantiles(ordered, n=4, method="inclusive")
    rank = _rank(n)
    return Spread(
        n=n,
        lowest=ordered[0],
        first_quartile=first,
        median=median(ordered) if n > 1 else middle,
        third_quartile=third,
        highest=ordered[-1],
        low=None if rank is None else ordered[rank - 1],
        high=None if rank is None else ordered[n - rank],
    )


def share_of(count: int, n: int) -> Share | None:
    """``count`` of ``n`` runs; ``None`` of none."""
    if n == 0:
        return None
    share, square = count / n, _NORMAL_95**2
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = _NORMAL_95 * sqrt(share * (1 - share) / n + square / (4 * n * n)) / (1 + square / n)
    return Share(n, count, share, max(0.0, centre - half), min(1.0, centre + half))


def lowest(spreads: Mapping[int, Spread]) -> int | None:
    """Whose median is the smallest, if its interval reaches nobody else's; else ``None``."""
    if len(spreads) < 2 or any(spread.high is None for spread in spreads.values()):
        return None
    first, *others = sorted(spreads, key=lambda place: spreads[place].median)
    upper = spreads[first].high
    assert upper is not None
    return first if all(upper < (spreads[other].low or 0.0) for other in others) else None


def _rank(n: int) -> int | None:
    """The rank, from 1, whose order statistic and its mirror enclose the median with at least 95 %."""
    if n > 1000:  # where the binomial is normal
        return int((n - _NORMAL_95 * sqrt(n)) / 2)
    tail, found = 0, None
    for rank in range(1, n // 2 + 1):
        tail += comb(n, rank - 1)
        if 2 * tail > 0.05 * 2**n:
            break
        found = rank
    return found

"""Latency as a histogram that can be added up: eight bins an octave, so a percentile is off by less than 4.4 %."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, log2
from typing import Final

__all__ = ["BINS_PER_OCTAVE", "bin_of", "histogram", "middle_us", "percentiles", "upper_us"]

BINS_PER_OCTAVE: Final = 8
"""Bin ``k`` holds durations above ``2 ** ((k - 1) / 8)`` and up to ``2 ** (k / 8)`` microseconds; bin 0 holds 0 and 1."""


def bin_of(duration_us: int) -> int:
    """The bin of a duration in microseconds."""
    return ceil(BINS_PER_OCTAVE * log2(duration_us)) if duration_us > 1 else 0


def upper_us(number: int) -> int:
    """The longest duration, in microseconds, that bin ``number`` holds."""
    return round(2 ** (number / BINS_PER_OCTAVE))


def percentiles(bins: Mapping[int, int], *ranks: float) -> tuple[int | None, ...]:
    """The percentiles (``ranks`` from 0 to 1, ascending) of a histogram, in microseconds; ``None`` where it is empty.

    Nearest rank: the smallest duration which that share of all durations does not exceed, told by the middle of its bin.
    """
    total = sum(bins.values())
    if not total:
        return (None,) * len(ranks)
    answers: list[int | None] = []
    ordered = sorted(bins)
    seen, position = bins[ordered[0]], 0
    for rank in ranks:
        wanted = max(1, ceil(rank * total))
        while seen < wanted:
            position += 1
            seen += bins[ordered[position]]
        answers.append(middle_us(ordered[position]))
    return tuple(answers)


def histogram(bins: Mapping[int, int]) -> Sequence[tuple[int, int]]:
    """(longest duration in microseconds, count) of each bin that is not empty, ascending."""
    return tuple((upper_us(number), bins[number]) for number in sorted(bins) if bins[number])


def middle_us(number: int) -> int:
    """The duration that stands for bin ``number``: where the relative error is the same at both of its ends."""
    ratio = 2 ** (1 / BINS_PER_OCTAVE)
    return round(2 * 2 ** (number / BINS_PER_OCTAVE) / (ratio + 1)) if number else 1

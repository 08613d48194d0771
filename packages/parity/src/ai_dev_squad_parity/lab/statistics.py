"""Medians with their uncertainty."""

from __future__ import annotations

import random
from collections.abc import Sequence
from statistics import median

from ai_dev_squad_dashboard.lab_results import LabInterval, LabMeasure

__all__ = ["interval", "measure"]

_RESAMPLES = 2000


def interval(values: Sequence[float], *, resamples: int = _RESAMPLES) -> LabInterval | None:
    """The 95 % percentile-bootstrap interval of the median (Efron 1979); ``None`` where all values are equal or there are
    fewer than three. The same values give the same interval.
    """
    if len(values) < 3 or min(values) == max(values):
        return None
    draw = random.Random(0)
    medians = sorted(median(draw.choices(values, k=len(values))) for _ in range(resamples))
    return LabInterval(low=medians[int(resamples * 0.025)], high=medians[int(resamples * 0.975) - 1])


def measure(values: Sequence[float], unit: str) -> LabMeasure | None:
    """The median of ``values`` with its interval; ``None`` without values."""
    if not values:
        return None
    return LabMeasure(median=median(values), values=tuple(values), unit=unit, interval=interval(values))

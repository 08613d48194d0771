"""Medians with their uncertainty, and comparisons that name no winner where there is none."""

from __future__ import annotations

import random
from collections.abc import Sequence
from statistics import median

from ai_dev_squad_dashboard.lab_results import LabInterval, LabMeasure

__all__ = ["interval", "measure", "winner"]

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


def winner(measures: dict[str, LabMeasure]) -> str | None:
    """Whose median is the smallest, if its interval overlaps with nobody else's; else ``None``.

    A measure without an interval counts as exact only if its values are equal; a single run of something that varies decides
    nothing, so two measures with one value each have no winner unless they count things (calls, tokens).
    """
    if len(measures) < 2:
        return None
    ordered = sorted(measures, key=lambda name: measures[name].median)
    best, second = measures[ordered[0]], [measures[name] for name in ordered[1:]]
    if best.unit in {"ms", "MiB", "ratio"} and any(len(m.values) < 3 for m in measures.values()):
        return None
    return ordered[0] if all(_high(best) < _low(other) for other in second) else None


def _high(measured: LabMeasure) -> float:
    return measured.median if measured.interval is None else measured.interval.high


def _low(measured: LabMeasure) -> float:
    return measured.median if measured.interval is None else measured.interval.low

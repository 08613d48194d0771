"""Measured quantities as pages show them: with their uncertainty, and a lowest one only where it is beyond doubt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ai_dev_squad_dashboard.formats import quantity
from ai_dev_squad_dashboard.lab_results import LabMeasure, LabOutcome

__all__ = [
    "NAMES",
    "SHOWS",
    "VARIES",
    "Figure",
    "enough",
    "figures",
    "interval_high",
    "interval_low",
    "lowest",
    "shifted",
]

SHOWS: Final[Mapping[str, tuple[str, ...]]] = {
    "capture": (),
    "tokens": ("tokens", "calls"),
    "cost": ("cost",),
    "latency": ("wall",),
    "overhead": ("framework", "observation", "memory", "import"),
}
"""What a cell shows in each view: measures of the lab, the main one first."""

NAMES: Final[Mapping[str, str]] = {
    "wall": "Wall time",
    "framework": "Framework overhead",
    "observation": "Observed, against unobserved",
    "calls": "Model calls",
    "tokens": "Tokens",
    "cost": "Cost",
    "memory": "Peak memory",
    "import": "Import time",
    "quality": "Quality",
}
"""The lab's measures in the order of tables."""

VARIES: Final = frozenset({"ms", "MiB", "ratio"})
"""Units of what varies from run to run."""
_ENOUGH: Final = 3
_NO_LOWEST: Final = frozenset({"observation", "quality"})
"""A ratio below 1 is chance, and of quality less is not better."""


@dataclass(frozen=True)
class Figure:
    """A measured quantity of a cell."""

    median: float
    low: float
    """Where the 95 % interval of the median begins; the median where the repeats do not vary or are too few."""
    high: float
    unit: str
    """``ms``, ``tokens``, ``USD``, ``calls``, ``MiB`` or ``ratio``."""
    repeats: int
    lowest: bool
    """Whether no other framework's interval reaches down to this one's."""
    left: float
    """Where the bar's interval begins, in percent of the row's largest."""
    length: float
    """How long the bar is, in percent of the row's largest."""
    right: float

    @property
    def words(self) -> str:
        """The median with its unit."""
        return quantity(self.median, self.unit)

    @property
    def spread(self) -> str:
        """The interval with its unit; empty where there is none."""
        return "" if self.low == self.high else f"{quantity(self.low, self.unit)} to {quantity(self.high, self.unit)}"


def figures(cells: Sequence[LabOutcome | None]) -> tuple[dict[str, Figure], ...]:
    """The measures of one scenario's cells, side by side. Cells that do not pass are measured and never lowest."""
    made: tuple[dict[str, Figure], ...] = tuple({} for _ in cells)
    for name in NAMES:
        found = {at: cell.measures[name] for at, cell in enumerate(cells) if cell is not None and name in cell.measures}
        if not found:
            continue
        passing = {at: value for at, value in found.items() if _passes(cells[at])}
        best = None if name in _NO_LOWEST else lowest(passing)
        top = max(interval_high(value) for value in found.values())
        for at, value in found.items():
            made[at][name] = Figure(
                median=value.median,
                low=interval_low(value),
                high=interval_high(value),
                unit=value.unit,
                repeats=len(value.values),
                lowest=at == best,
                left=_percent(interval_low(value), top),
                length=_percent(value.median, top),
                right=_percent(interval_high(value), top),
            )
    return made


def lowest(measures: Mapping[int, LabMeasure]) -> int | None:
    """Whose median is the smallest, if its interval reaches nobody else's; else ``None``.

    What varies from run to run decides nothing with fewer than three repeats on every side.
    """
    if len(measures) < 2:
        return None
    ordered = sorted(measures, key=lambda at: measures[at].median)
    first, others = measures[ordered[0]], [measures[at] for at in ordered[1:]]
    if not enough(first.unit, *measures.values()):
        return None
    return ordered[0] if all(interval_high(first) < interval_low(other) for other in others) else None


def shifted(before: LabMeasure, after: LabMeasure) -> bool:
    """Whether a measure changed between two runs beyond doubt: by more than a tenth, and no interval reaches the other's."""
    if before.unit != after.unit or before.median == after.median:
        return False
    if before.unit not in VARIES:
        return True
    if not enough(before.unit, before, after):
        return False
    apart = interval_high(before) < interval_low(after) or interval_high(after) < interval_low(before)
    return apart and abs(after.median - before.median) > 0.1 * abs(before.median)


def enough(unit: str, *measures: LabMeasure) -> bool:
    """Whether measures say anything of one another: what varies from run to run says nothing with fewer than three repeats."""
    return unit not in VARIES or all(len(one.values) >= _ENOUGH for one in measures)


def _passes(cell: LabOutcome | None) -> bool:
    return cell is not None and cell.verdict == "passes"


def interval_high(measured: LabMeasure) -> float:
    """Where the interval ends; the median where there is none."""
    return measured.median if measured.interval is None else measured.interval.high


def interval_low(measured: LabMeasure) -> float:
    """Where the interval begins; the median where there is none."""
    return measured.median if measured.interval is None else measured.interval.low


def _percent(value: float, top: float) -> float:
    return round(min(100.0, max(0.0, 100 * value / top)), 2) if top > 0 else 0.0

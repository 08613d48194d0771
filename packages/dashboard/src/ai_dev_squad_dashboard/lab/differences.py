"""What the same tasks took on each framework, measure by measure: what is left to tell when every cell passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

from ai_dev_squad_dashboard.formats import quantity

from .figures import NAMES

if TYPE_CHECKING:
    from .table import LabEntry, LabRow

__all__ = ["LabDifference", "LabShare", "differences", "measured"]

_ADDED: Final = frozenset({"tokens", "calls", "cost", "wall", "framework"})
"""Measures whose sum over scenarios means something; of the others there is a median."""
_LEFT_OUT: Final = frozenset({"quality"})


@dataclass(frozen=True)
class LabShare:
    """What one column took of one measure."""

    value: float
    """The sum, or the median, over the scenarios."""
    words: str
    """The same with its unit."""
    length: float
    """How long the bar is, in percent of the row's largest."""
    lowest_in: int
    """In how many of the scenarios no other column's interval reaches down to this one's."""


@dataclass(frozen=True)
class LabDifference:
    """A measure in which the columns differ."""

    name: str
    """The lab's name of it."""
    title: str
    added: bool
    """Whether it is a sum over the scenarios; else their median."""
    scenarios: int
    """How many scenarios are in it: those that every column passes, and that were measured on each."""
    shares: tuple[LabShare, ...]
    """One for each column."""


def differences(rows: Sequence[LabRow]) -> tuple[LabDifference, ...]:
    """The measures in which columns differ over the scenarios that all of them pass."""
    found = []
    for name, title in NAMES.items():
        counted = [row for row in rows if len(row.cells) > 1 and all(measured(cell, name) for cell in row.cells)]
        if name in _LEFT_OUT or not counted:
            continue
        columns = [
            [cell.figures[name] for cell in cells if cell]
            for cells in zip(*(row.cells for row in counted), strict=True)
        ]
        values = [(sum if name in _ADDED else median)(figure.median for figure in column) for column in columns]
        # What reads the same does not differ, whatever the last digits of floating point say.
        words = [quantity(value, column[0].unit) for value, column in zip(values, columns, strict=True)]
        if len(set(words)) == 1:
            continue
        top = max(values)
        shares = tuple(
            LabShare(
                value=float(value),
                words=said,
                length=round(100 * max(0.0, value) / top, 2) if top > 0 else 0.0,
                lowest_in=sum(figure.lowest for figure in column),
            )
            for value, said, column in zip(values, words, columns, strict=True)
        )
        found.append(LabDifference(name, title, name in _ADDED, len(counted), shares))
    return tuple(found)


def measured(cell: LabEntry | None, name: str) -> bool:
    """Whether a cell passes and has this measure."""
    return cell is not None and cell.verdict == "passes" and name in cell.figures

"""How what has one name went over time: which series are its, and what a step of it comes to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .base import NamedBy, Selection, Step
from .percentiles import percentiles
from .series import FIELDS, Key
from .summary import COUNTED, wanted_places

__all__ = ["COUNTS", "MONEY", "series_of", "step_of"]

COUNTS: Final = ("spans", "errors")
"""The sums of what is counted."""
MONEY: Final = ("cost_usd", "unpriced", "input_tokens", "output_tokens")
"""The sums of model calls."""
_CALL: Final = FIELDS.index("call")
_OPERATION: Final = FIELDS.index("operation")


def series_of(
    selection: Selection, by: NamedBy, key: str | None, names: Mapping[int, Key]
) -> tuple[frozenset[int], frozenset[int]]:
    """The series of that name whose spans are counted, and those that are model calls with money."""
    place, operation, filters = FIELDS.index(by), COUNTED.get(by), wanted_places(selection)
    named = {
        number: own
        for number, own in list(names.items())
        if own[place] == key and all(own[at] in wanted for at, wanted in filters.items())
    }
    calls = frozenset(number for number, own in named.items() if own[_CALL])
    if operation is None:
        return calls, calls
    counted = frozenset(number for number, own in named.items() if own[_OPERATION] == operation)
    return counted, frozenset() if by == "tool" else calls


def step_of(start_us: int, spread: Mapping[int, int], calls: int, errors: int, *money: Any) -> Step:
    """A step, from the histogram of what is counted and the sums."""
    p50, p95 = percentiles(spread, 0.5, 0.95)
    return Step(start_us, calls, errors, p50, p95, *money)

"""How what has one name went over time: read by the numbers of its series, which are few of many."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import duckdb

from .base import NamedBy, Selection, Step
from .duckdb_facts import bins_of, sums_of
from .duckdb_series import FIELDS, Key
from .duckdb_summary import COUNTED, wanted_places
from .percentiles import percentiles

__all__ = ["history"]

_CALL: Final = FIELDS.index("call")
_OPERATION: Final = FIELDS.index("operation")
_COUNTS: Final = ("spans", "errors")
_MONEY: Final = ("cost_usd", "unpriced", "input_tokens", "output_tokens")


def history(
    cursor: duckdb.DuckDBPyConnection,
    selection: Selection,
    by: NamedBy,
    key: str | None,
    step_us: int,
    names: Mapping[int, Key],
) -> Sequence[Step]:
    """How what is called ``key`` went in each step. ``names`` are those of the series by their numbers."""
    counted, calls = _series(selection, by, key, names)
    spreads: dict[int, dict[int, int]] = defaultdict(dict)
    for start_us, each, spans in bins_of(cursor, selection, step_us, sorted(counted)):
        spreads[start_us][each] = spans
    steps: dict[int, list[Any]] = defaultdict(lambda: [0] * (len(_COUNTS) + len(_MONEY)))
    for start_us, number, *sums in sums_of(cursor, selection, step_us, sorted(counted | calls), (*_COUNTS, *_MONEY)):
        step = steps[start_us]
        for place, value in enumerate(sums):
            if number in (counted if place < len(_COUNTS) else calls):
                step[place] += value
    return [_step(start_us, spreads[start_us], *steps[start_us]) for start_us in sorted(steps)]


def _series(
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


def _step(start_us: int, spread: Mapping[int, int], calls: int, errors: int, *money: Any) -> Step:
    p50, p95 = percentiles(spread, 0.5, 0.95)
    return Step(start_us, calls, errors, p50, p95, *money)

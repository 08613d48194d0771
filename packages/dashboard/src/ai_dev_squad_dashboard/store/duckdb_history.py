"""How what has one name went over time: read by the numbers of its series, which are few of many."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from .base import NamedBy, Selection, Step
from .duckdb_facts import bins_of, sums_of
from .history import COUNTS, MONEY, series_of, step_of
from .series import Key

__all__ = ["history"]


def history(
    cursor: duckdb.DuckDBPyConnection,
    selection: Selection,
    by: NamedBy,
    key: str | None,
    step_us: int,
    names: Mapping[int, Key],
) -> Sequence[Step]:
    """How what is called ``key`` went in each step. ``names`` are those of the series by their numbers."""
    counted, calls = series_of(selection, by, key, names)
    spreads: dict[int, dict[int, int]] = defaultdict(dict)
    for start_us, each, spans in bins_of(cursor, selection, step_us, sorted(counted)):
        spreads[start_us][each] = spans
    steps: dict[int, list[Any]] = defaultdict(lambda: [0] * (len(COUNTS) + len(MONEY)))
    for start_us, number, *sums in sums_of(cursor, selection, step_us, sorted(counted | calls), (*COUNTS, *MONEY)):
        step = steps[start_us]
        for place, value in enumerate(sums):
            if number in (counted if place < len(COUNTS) else calls):
                step[place] += value
    return [step_of(start_us, spreads[start_us], *steps[start_us]) for start_us in sorted(steps)]

"""The sums and histograms of each series over a span of time: two questions, from whose answers most of a page is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from .base import Selection
from .duckdb_facts import rootless, series_bins, series_sums, watermark
from .series import Key
from .summary import Rootless, Summary

__all__ = ["summarise"]


def summarise(
    cursor: duckdb.DuckDBPyConnection, periods: Sequence[Selection], names: Mapping[int, Key]
) -> list[Summary]:
    """Ask for the sums and histograms of all series over a period, or over one and that before it, ascending.

    ``names`` are those of the series by their numbers.
    """
    newest = watermark(cursor)
    spreads: list[dict[int, dict[int, int]]] = [{} for _ in periods]
    for period, number, each, spans in series_bins(cursor, periods, newest):
        spreads[period].setdefault(number, {})[each] = spans
    sums: list[dict[int, tuple[Any, ...]]] = [{} for _ in periods]
    for period, number, *row in series_sums(cursor, periods, newest):
        sums[period][number] = tuple(row)
    alone: list[list[Rootless]] = [[] for _ in periods]
    for period, *told in rootless(cursor, periods):
        alone[period].append(Rootless(*told))
    return [Summary(names, *found) for found in zip(sums, spreads, alone, strict=True)]

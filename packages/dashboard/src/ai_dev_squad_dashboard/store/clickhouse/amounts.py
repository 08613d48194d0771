"""How many rows there are to read, roughly: where spans are few they are read as they are, because to plan the reading of sums takes the
engine as long as to read many spans.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import date
from typing import Any, Final

from .literals import literal
from .schema import DAY_US, HOUR_US

__all__ = ["WORTH_A_LEVEL", "WORTH_A_SUM", "Amounts", "Range"]

Range = tuple[int, int]
"""From when to when, in microseconds."""

WORTH_A_LEVEL: Final = 100_000
"""Spans that are read in the time that one level of sums takes to be planned."""
WORTH_A_SUM: Final = 2
"""Spans that are read in the time that one sum of a level takes."""
_KNOWN_FOR_S: Final = 30.0
_UNKNOWN_PER_US: Final = 0.002
"""How many spans there may be where the server does not tell: so many that sums are read wherever there are some."""
_EPOCH: Final = date(1970, 1, 1)


class Amounts:
    """The spans of each day, of today those of each hour, and what they are put together by, as they were a moment ago."""

    def __init__(self, ask: Callable[[str], list[tuple[Any, ...]]], database: str) -> None:
        self._ask = ask
        self._question = (
            "SELECT table, partition, sum(rows) FROM system.parts "
            f"WHERE active AND database = {literal(database)} AND table IN ('spans', 'series') GROUP BY table, partition"
        )
        self._times: list[tuple[int, int, int]] = []
        self._series = 0
        self._until_s = -1.0

    def spans(self, ranges: Iterable[Range]) -> float:
        """About how many spans began in these spans of time: those of a day, or of an hour of today, as if they were spread
        evenly over it.
        """
        self._learn()
        if not self._times:
            return _UNKNOWN_PER_US * sum(end - start for start, end in ranges)
        return sum(
            rows * max(0, min(end, until) - max(start, since)) / (until - since)
            for start, end in ranges
            for since, until, rows in self._times
        )

    def sums(self, ranges: Iterable[Range], unit_us: int, of_each: int = 1) -> float:
        """About how many sums there are, so many ``of_each`` series for each ``unit_us``."""
        ranges = list(ranges)
        spans = self.spans(ranges)
        return min(spans, self._series * of_each * sum(end - start for start, end in ranges) / unit_us)

    def _learn(self) -> None:
        if time.monotonic() < self._until_s:
            return
        told = self._ask(self._question)
        self._series = sum(rows for table, _, rows in told if table == "series")
        days = {(date.fromisoformat(day) - _EPOCH).days * DAY_US: rows for table, day, rows in told if table == "spans"}
        now_us = time.time_ns() // 1000
        midnight_us = now_us // DAY_US * DAY_US
        hours = self._hours(midnight_us, now_us) if days.pop(midnight_us, 0) else []
        self._times = [*((day, day + DAY_US, rows) for day, rows in days.items()), *hours]
        self._until_s = time.monotonic() + _KNOWN_FOR_S

    def _hours(self, midnight_us: int, now_us: int) -> list[tuple[int, int, int]]:
        """From when to when each hour of today has lasted, and its spans: a burst may have brought most of a day's in minutes."""
        told = self._ask(
            f"SELECT hour * {HOUR_US}, sum(spans) FROM traces WHERE hour >= {midnight_us // HOUR_US} GROUP BY hour"
        )
        return [(hour, max(hour + 1, min(hour + HOUR_US, now_us)), rows) for hour, rows in told]

"""When a budget's period begins and ends.

Periods are aligned to the calendar of a time zone (UTC unless told otherwise): the hour, the day, the week from
Monday, the month. ``run`` and ``total`` never end. Times are seconds since the epoch; an end is exclusive.
"""

from __future__ import annotations

import math
from calendar import monthrange
from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import Literal

__all__ = ["PERIODS", "Period", "parse_period", "parse_timezone", "timezone_name", "window"]

Period = Literal["hourly", "daily", "weekly", "monthly", "run", "total"]
"""The six periods: four of the calendar, ``run`` (one run's whole life) and ``total`` (for ever)."""

PERIODS: tuple[Period, ...] = ("hourly", "daily", "weekly", "monthly", "run", "total")

_SPELLINGS: dict[str, Period] = {
    **{period: period for period in PERIODS},
    "hour": "hourly",
    "day": "daily",
    "week": "weekly",
    "month": "monthly",
}
_HOUR = 3600
_DAY = 86400


def parse_period(period: object) -> Period:
    """The period meant by ``period``, such as ``"day"`` or ``"daily"``. Raises ``ValueError`` for any other word."""
    known = _SPELLINGS.get(period.strip().lower()) if isinstance(period, str) else None
    if known is None:
        raise ValueError(
            f"unknown budget period {period!r}; allowed: {', '.join(PERIODS)} (or hour, day, week, month); "
            f"for example period='daily'"
        )
    return known


def parse_timezone(zone: str | tzinfo | None) -> tzinfo:
    """The time zone meant by ``zone``: an IANA name, a ``tzinfo``, or ``None`` for UTC. Raises ``ValueError``."""
    if zone is None or zone == "UTC":
        return timezone.utc
    if isinstance(zone, tzinfo):
        return zone
    # zoneinfo reads files when a zone is asked for; a process that stays in UTC never pays for it.
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(zone)
    except Exception as error:
        raise ValueError(
            f"unknown time zone {zone!r}; allowed: an IANA name such as 'Europe/Berlin', or a tzinfo; "
            f"where the system has no zone data, `pip install tzdata`"
        ) from error


def timezone_name(zone: tzinfo) -> str:
    """A stable name for ``zone``, used to recognise the same budget after a restart."""
    return getattr(zone, "key", None) or str(zone)


def window(period: Period, zone: tzinfo, moment: float) -> tuple[float, float]:
    """Start and exclusive end of the period that holds ``moment``; minus and plus infinity when it never ends."""
    if period in {"run", "total"}:
        return -math.inf, math.inf
    if period == "hourly":
        return _hour(zone, moment)
    first = datetime.fromtimestamp(moment, zone).date()
    if period == "daily":
        last = first + timedelta(days=1)
    elif period == "weekly":
        first -= timedelta(days=first.weekday())
        last = first + timedelta(days=7)
    else:
        first = first.replace(day=1)
        last = first + timedelta(days=monthrange(first.year, first.month)[1])
    return _midnight(first, zone), _midnight(last, zone)


def _hour(zone: tzinfo, moment: float) -> tuple[float, float]:
    """The hour by the clock on the wall; an hour that a clock change repeats is two periods."""
    whole = math.floor(moment)
    local = datetime.fromtimestamp(whole, zone)
    start = float(whole - local.minute * 60 - local.second)
    return start, start + _HOUR


def _midnight(day: date, zone: tzinfo) -> float:
    """The first instant of ``day``. Where a clock change skips midnight, the instant of the change."""
    if zone is timezone.utc:
        return float((day.toordinal() - _EPOCH_ORDINAL) * _DAY)
    return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()


_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()

"""How numbers and times are written on pages: one filter for each kind, with the unit in it."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from .addresses import session_url

__all__ = ["attach", "count", "day_time", "duration", "iso", "moment", "money", "percent", "program", "quantity"]

NONE = "\N{EN DASH}"
_DAY_TIME = "%d %b %H:%M:%S"
_EXACT = frozenset({"exact", "time"})
"""Styles for what follows closely upon one another."""
TIMES = "\N{MULTIPLICATION SIGN}"


def attach(environment: Environment) -> None:
    """Add the filters, and ``moment``, to templates."""
    environment.globals["moment"] = moment
    environment.filters["session_url"] = session_url
    for filter_ in (count, day_time, duration, iso, money, percent, program, quantity):
        environment.filters[filter_.__name__] = filter_
    environment.trim_blocks = True
    environment.lstrip_blocks = True


def count(value: float | None) -> str:
    """A number: ``812``, ``12,345``, ``1.23 M``."""
    if value is None:
        return NONE
    for factor, unit in ((1_000_000_000, "G"), (1_000_000, "M")):
        if abs(value) >= factor:
            return f"{value / factor:.2f} {unit}"
    return f"{value:,.0f}"


def money(value: float | None) -> str:
    """US dollars with as many digits as there is money: ``$1,234.50``, ``$0.0042``, ``$0``; a dash when unknown."""
    if value is None:
        return NONE
    if value == 0:
        return "$0"
    size = abs(value)
    digits = 2 if size >= 1 else 3 if size >= 0.1 else 4 if size >= 0.001 else 6
    return f"{'-' if value < 0 else ''}${size:,.{digits}f}" if size >= 0.000001 else "<$0.000001"


def duration(us: float | None) -> str:
    """A duration given in microseconds: ``850 µs``, ``12.3 ms``, ``4.56 s``, ``3 m 07 s``, ``2 h 05 m``."""
    if us is None:
        return NONE
    if us < 1000:
        return f"{us:.0f} µs"
    if us < 999_950:
        return f"{us / 1000:.1f} ms"
    seconds = us / 1_000_000
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} m {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} m"


def percent(part: float, whole: float | None = 1) -> str:
    """A share: ``12.5 %``; a dash of nothing."""
    if not whole:
        return NONE
    share = 100 * part / whole
    return f"{share:.0f} %" if share == round(share) else f"{share:.1f} %"


def quantity(value: float | None, unit: str | None) -> str:
    """A measure of the parity lab with its unit: ``12.3 ms``, ``130 MiB``, ``$0.0042``, ``1,234``."""
    if value is None:
        return NONE
    if unit == "ms":
        return duration(value * 1000) if value >= 0 else f"-{duration(-value * 1000)}"
    if unit == "USD":
        return money(value)
    if unit == "MiB":
        return f"{value:,.0f} MiB"
    return f"{TIMES}{value:.2f}" if unit == "ratio" else count(value)


def program(row: Any) -> str | None:
    """By what a row of something that ran is known: its framework, or its service where none is."""
    framework: str | None = row.framework
    return framework or getattr(row, "service", None)


def iso(us: int | None) -> str:
    """Microseconds since 1970 as ISO 8601, UTC, for machines; nothing for what is in no calendar."""
    at = _calendar(us)
    return "" if at is None else _iso(at)


def day_time(us: int | None) -> str:
    """A moment for people, UTC: ``22 Nov 10:31:07``. Scripts show it in the reader's own time zone."""
    at = _calendar(us)
    return NONE if at is None else at.strftime(_DAY_TIME)


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _calendar(us: int | None) -> datetime | None:
    try:
        return None if us is None else datetime.fromtimestamp(us / 1_000_000, timezone.utc)
    except (ValueError, OverflowError, OSError):
        # A sender may state any number for a time.
        return None


def moment(us: int | None, style: str = "moment") -> Markup:
    """A moment as HTML: UTC for everybody, the reader's own time with scripts.

    ``style`` says how they write it: ``moment``, ``exact`` and ``time`` with milliseconds, ``short``, ``ago`` or ``since``. Pages have hundreds of moments, so this is
    no macro.
    """
    at = _calendar(us)
    if at is None:
        return Markup("\N{EN DASH}")
    written = at.strftime(_DAY_TIME)
    if style in _EXACT:
        written += f".{at.microsecond // 1000:03d}"
    # Nothing in it is anybody's text but the style, which templates write.
    return Markup(f'<time datetime="{_iso(at)}" data-style="{style}">{written}</time>')  # noqa: S704

"""What one sender may state. Beyond these bounds a number or a time is a mistake or malice, and must not become everybody's sum."""

from __future__ import annotations

from typing import Any, Final

from ai_dev_squad.runs import MOST_TOKENS, MOST_USD

__all__ = ["LONGEST_US", "MOST_TOKENS", "MOST_USD", "Implausible", "moment_us", "time_doubt", "tokens", "usd"]

LONGEST_US: Final = 366 * 86_400_000_000
"""How long one operation may last: a year, for those that wait for a person."""
_FIRST_US: Final = 946_684_800_000_000
"""The beginning of the year 2000. A clock that was never set is before it."""
_AHEAD_US: Final = 86_400_000_000


class Implausible(ValueError):
    """A number that no model call has. The message says which."""


def tokens(value: Any) -> int | None:
    """A number of tokens, stated as integer, whole float or digits; ``None`` for what is none. Raises ``Implausible``."""
    if type(value) is int:
        number = value
    elif value is None:
        return None
    elif type(value) is str and value.isascii() and value.isdigit():
        number = int(value) if len(value) < 20 else MOST_TOKENS + 1
    elif type(value) is float and value.is_integer():
        number = int(value)
    else:
        return None
    if number > MOST_TOKENS:
        raise Implausible(f"the sender states {str(value)[:20]} tokens; no model call has more than {MOST_TOKENS:,}")
    return number if number >= 0 else None


def usd(value: Any) -> float | None:
    """An amount of money, stated as number or text; ``None`` for what is none, or what no call costs."""
    try:
        amount = float(value) if type(value) in (int, float, str) else -1.0
    except (ValueError, OverflowError):
        return None
    return amount if 0 <= amount <= MOST_USD else None


def time_doubt(start_us: int, end_us: int, now_us: int) -> str | None:
    """Why an operation cannot have been then; ``None`` when it can."""
    if start_us < _FIRST_US or end_us < _FIRST_US:
        return "a span's times are before the year 2000; set the sender's clock"
    if start_us > now_us + _AHEAD_US or end_us > now_us + _AHEAD_US:
        return "a span's times are more than a day ahead of this machine's clock"
    if end_us - start_us > LONGEST_US:
        return "a span lasts more than a year"
    return None


def moment_us(time_us: int, now_us: int) -> int:
    """``time_us`` if it can have been then, else that of arrival."""
    return time_us if _FIRST_US <= time_us <= now_us + _AHEAD_US else now_us

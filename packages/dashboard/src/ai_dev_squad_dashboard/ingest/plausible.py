"""What one sender may state. Beyond these bounds a number or a time is a mistake or malice, and must not become everybody's sum."""

from __future__ import annotations

from typing import Final

from ai_dev_squad.genai.stated import Implausible, tokens, usd
from ai_dev_squad.runs import MOST_TOKENS, MOST_USD

__all__ = ["LONGEST_US", "MOST_TOKENS", "MOST_USD", "Implausible", "moment_us", "time_doubt", "tokens", "usd"]

LONGEST_US: Final = 366 * 86_400_000_000
"""How long one operation may last: a year, for those that wait for a person."""
_FIRST_US: Final = 946_684_800_000_000
"""The beginning of the year 2000. A clock that was never set is before it."""
_AHEAD_US: Final = 86_400_000_000


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

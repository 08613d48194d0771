"""What makes failures alike: their type and place, and their message but for numbers and ids."""

from __future__ import annotations

from typing import Final

__all__ = ["EXAMPLES", "FOLDED_IDS", "FOLDED_NUMBERS", "MESSAGE_LENGTH", "TREND", "trend_of"]

FOLDED_IDS: Final = (
    "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|0x[0-9a-fA-F]+|"
    r"\b[0-9a-fA-F]*[0-9][0-9a-fA-F]{7,}\b"
)
"""What is an id in a message. Each becomes ``#``; as RE2 reads it, which both engines do."""
FOLDED_NUMBERS: Final = "[0-9]+([.,:][0-9]+)*"
"""What is a number, after the ids."""
MESSAGE_LENGTH: Final = 300
"""Characters of a message that are kept."""
TREND: Final = 24
"""Steps of a trend."""
EXAMPLES: Final = 3


def trend_of(steps: list[int]) -> tuple[int, ...]:
    """How many there are in each step."""
    trend = [0] * TREND
    for step in steps:
        trend[min(step, TREND - 1)] += 1
    return tuple(trend)

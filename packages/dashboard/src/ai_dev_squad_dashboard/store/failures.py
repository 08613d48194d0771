"""What makes failures alike: their type and place, and their message but for numbers and ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from .answers import ErrorExample, ErrorGroup

__all__ = ["FOLDED_IDS", "FOLDED_NUMBERS", "MESSAGE_LENGTH", "NEWEST", "ORDERS", "TREND", "group_of"]

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
ORDERS: Final[dict[str, str]] = {
    "count": "failed DESC, last_us DESC, error_group",
    "runs": "runs DESC, last_us DESC, error_group",
    "last": "last_us DESC, error_group",
    "first": "first_us DESC, error_group",
}
"""What the groups are sorted by, as both engines read it."""
NEWEST: Final = 32
"""The newest failures among which examples are looked for."""
_EXAMPLES: Final = 3


def group_of(told: Sequence[Any], steps: Iterable[int], newest: Iterable[ErrorExample]) -> ErrorGroup:
    """A group: its fields as far as the trend, the step of the trend in which each failure was, and the newest failures."""
    examples: dict[str, ErrorExample] = {}
    for each in newest:
        examples.setdefault(each.trace_id, each)
        if len(examples) == _EXAMPLES:
            break
    return ErrorGroup(*(*told, _trend_of(steps), tuple(examples.values())))


def _trend_of(steps: Iterable[int]) -> tuple[int, ...]:
    """How many there are in each step."""
    trend = [0] * TREND
    # Counted by the interpreter itself: a group may have a hundred thousand.
    for step, count in Counter(steps).items():
        trend[min(step, TREND - 1)] += count
    return tuple(trend)

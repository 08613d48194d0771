"""Where in time something is looked for: how far around a trace, and in which steps backwards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

__all__ = ["FIRST_US", "SLACK_US", "growing"]

SLACK_US: Final = 3_600_000_000
"""How far from its trace a log line may lie to be found with it."""
FIRST_US: Final = 5 * 60_000_000
"""How long the first window is."""


def growing(start_us: int, end_us: int, grows: int, first_us: int = FIRST_US) -> Iterator[tuple[int, int]]:
    """A span of time, newest first, in windows of which each is ``grows`` times as long as the one before, so that what is common is
    found at once.
    """
    length = first_us
    while end_us > start_us:
        begin = max(start_us, end_us - length)
        yield begin, end_us
        end_us, length = begin, length * grows

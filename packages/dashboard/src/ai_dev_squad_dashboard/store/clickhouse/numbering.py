"""Numbers of rows in the order in which they arrive, given out by several writers that know nothing of one another.

There is no common counter: a number is the server's clock, which all of them ask, and a few bits that tell writers apart. A row is
stored some moments after it was numbered, so rows of another writer with lower numbers may come later. Who reads on from a number
reads up to what was numbered a while ago.
"""

from __future__ import annotations

import secrets
from typing import Final

from .client import Client

__all__ = ["Numbering", "settled_number"]

_LANES: Final = 1_024
_NOW_US: Final = "toUnixTimestamp64Micro(now64(6))"


class Numbering:
    """Gives out the numbers of one writer."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lane = secrets.randbelow(_LANES)
        self._last_us = 0

    def take(self, many: int) -> range:
        """So many numbers, higher than all that were given out before here."""
        first_us = max(self._client.number(f"SELECT {_NOW_US}"), self._last_us + 1)
        self._last_us = first_us + many - 1
        first = first_us * _LANES + self._lane
        return range(first, first + many * _LANES, _LANES)

    @property
    def newest(self) -> int:
        """The highest number that was given out."""
        return self._last_us * _LANES + self._lane


def settled_number(settled_s: float) -> str:
    """The highest number of that many seconds ago, as SQL."""
    return f"(toUInt64({_NOW_US}) - {round(settled_s * 1_000_000)}) * {_LANES}"

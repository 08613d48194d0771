"""Lengths of time as people write them: ``90s``, ``5m``, ``1h``, ``7d``."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["duration_us", "words"]

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_TEXT: Final = re.compile(r"([0-9]{1,6})([smhd])")


def duration_us(text: str) -> int | None:
    """Microseconds; ``None`` for a text that is no length of time."""
    found = _TEXT.fullmatch(text.strip())
    return int(found[1]) * _SECONDS[found[2]] * 1_000_000 if found else None


def words(length_us: int) -> str:
    """The shortest way to write it."""
    seconds = length_us // 1_000_000
    for unit, length in reversed(_SECONDS.items()):
        if seconds and seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"

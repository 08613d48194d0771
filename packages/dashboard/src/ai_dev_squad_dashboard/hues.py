"""Which colour a framework, a model or an agent has on a page."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

__all__ = ["hues"]

_KNOWN_HUES = {"langgraph": 1, "crewai": 2, "autogen": 3}
_OTHERS = (5, 6, 7, 8)
_NAMELESS = 4


def hues(keys: Sequence[str | None]) -> dict[str | None, int]:
    """A colour, 1 to 8, for each key: a framework has the same one everywhere, and nobody else has it beside that framework.

    Any other key has its colour from its name, so that it is the same from chart to chart; where two would have the same, the
    second by name takes the next that is free. What has no name has a colour of its own.
    """
    found: dict[str | None, int] = {key: _KNOWN_HUES[key] for key in keys if key in _KNOWN_HUES}
    # Where no framework is told apart, its colours are anybody's, once the others are used up.
    free = [*_OTHERS, *(() if found else _KNOWN_HUES.values()), *(() if None in keys else [_NAMELESS])]
    taken: set[int] = set()
    for key in sorted({key for key in keys if key is not None} - _KNOWN_HUES.keys()):
        start = crc32(key.encode("utf-8", "replace")) % len(_OTHERS)
        order = [*free[start : len(_OTHERS)], *free[:start], *free[len(_OTHERS) :]]
        found[key] = next((hue for hue in order if hue not in taken), order[0])
        taken.add(found[key])
    if None in keys:
        found[None] = _NAMELESS
    return found

"""Which colour a framework, a model or an agent has on a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from zlib import crc32

from ai_dev_squad.frameworks import known_frameworks

__all__ = ["hues"]

_OTHERS = (5, 6, 7, 8)
_NAMELESS = 4


def hues(keys: Sequence[str | None]) -> dict[str | None, int]:
    """A colour, 1 to 11, for each key: a framework has the same one everywhere, and nobody else has it beside that framework.

    Any other key has its colour from its name, so that it is the same from chart to chart; where two would have the same, the
    second by name takes the next that is free. What has no name has a colour of its own.
    """
    known = _known_hues()
    found: dict[str | None, int] = {key: known[key] for key in keys if key in known}
    # Where no framework is told apart, its colours are anybody's, once the others are used up.
    free = [*_OTHERS, *(() if found else sorted({*known.values()})), *(() if None in keys else [_NAMELESS])]
    taken: set[int] = set()
    for key in sorted({key for key in keys if key is not None} - known.keys()):
        start = crc32(key.encode("utf-8", "replace")) % len(_OTHERS)
        order = [*free[start : len(_OTHERS)], *free[:start], *free[len(_OTHERS) :]]
        found[key] = next((hue for hue in order if hue not in taken), order[0])
        taken.add(found[key])
    if None in keys:
        found[None] = _NAMELESS
    return found


@cache
def _known_hues() -> Mapping[str | None, int]:
    return {name: info.hue for name, info in known_frameworks().items() if info.hue is not None}

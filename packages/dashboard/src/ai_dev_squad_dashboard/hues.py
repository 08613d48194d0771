"""Which colour a framework, a model or an agent has on a page."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["hues"]

_KNOWN_HUES = {"langgraph": 1, "crewai": 2, "autogen": 3}
_HUES = 8


def hues(keys: Sequence[str | None]) -> dict[str | None, int]:
    """A colour, 1 to 8, for each key: a framework has the same one everywhere, others take what is left in order."""
    taken: dict[str | None, int] = {key: _KNOWN_HUES[key] for key in keys if key in _KNOWN_HUES}
    free = [hue for hue in range(1, _HUES + 1) if hue not in taken.values()]
    others = [key for key in dict.fromkeys(keys) if key not in taken]
    return {**taken, **{key: free[number % len(free)] for number, key in enumerate(others)}}

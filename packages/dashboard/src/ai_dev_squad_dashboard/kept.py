"""What took long to make and will be asked for again at once: kept while it holds, within a bound."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["Kept"]

T = TypeVar("T")


class Kept(Generic[T]):
    """Things by key, of which those used least recently go first. ``most``: what they may weigh together."""

    def __init__(self, most: int, weigh: Callable[[T], int]) -> None:
        self._most = most
        self._weigh = weigh
        self._things: dict[Hashable, tuple[object, T]] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, version: object, make: Callable[[], T]) -> T:
        """What ``make`` made for this key and version. Whoever asks for it meanwhile waits, so it is made once."""
        with self._lock:
            known, thing = self._things.pop(key, (None, None))
            if thing is None or known != version:
                thing = make()
            self._things[key] = version, thing
            weight = 0
            for other in reversed(list(self._things)):
                weight += self._weigh(self._things[other][1])
                # What is heavier than everything together may be is not kept at all.
                if weight > self._most:
                    del self._things[other]
            return thing

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._things.clear()

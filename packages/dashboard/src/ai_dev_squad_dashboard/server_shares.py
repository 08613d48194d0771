"""How many workers one address may have, so that whoever is slow, or many, leaves some to the others."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

__all__ = ["Shares"]


class Shares:
    """At most ``most`` connections of an address are with workers; further ones wait until one of them is done.

    ``ready`` hands a connection to the workers. Safe under threads.
    """

    def __init__(self, most: int, ready: Callable[[Any], None]) -> None:
        self._most = most
        self._ready = ready
        self._lock = threading.Lock()
        self._with_workers: Counter[str] = Counter()
        self._waiting: dict[str, deque[Any]] = {}

    def hand_over(self, connection: Any) -> None:
        """To the workers, now or when it is its turn."""
        address = connection.remote_addr or ""
        with self._lock:
            if self._with_workers[address] >= self._most:
                self._waiting.setdefault(address, deque()).append(connection)
                return
            self._with_workers[address] += 1
        self._ready(connection)

    def give_back(self, connection: Any) -> None:
        """A worker is done with it."""
        address = connection.remote_addr or ""
        with self._lock:
            waiting = self._waiting.get(address)
            following = waiting.popleft() if waiting else None
            if not waiting:
                self._waiting.pop(address, None)
            if following is None:
                self._with_workers[address] -= 1
                if self._with_workers[address] <= 0:
                    del self._with_workers[address]
        if following is not None:
            self._ready(following)

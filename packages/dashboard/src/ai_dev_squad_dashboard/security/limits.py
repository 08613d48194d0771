"""How much one address may ask for. What is remembered is bounded, so that many addresses cannot fill the memory."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

__all__ = ["Allowance", "neighbourhood"]


class Allowance:
    """A bucket for each key that holds ``burst`` and refills by ``per_s`` a second. Safe across threads."""

    def __init__(
        self, *, per_s: float, burst: float, keys: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_s, self._burst, self._keys, self._clock = per_s, burst, keys, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str) -> float:
        """Take one. The answer is 0, or in how many seconds there will be one to take."""
        now = self._clock()
        with self._lock:
            left = self._refilled(key, now)
            if left < 1:
                self._keep(key, left, now)
                return (1 - left) / self._per_s
            self._keep(key, left - 1, now)
            return 0.0

    def give_back(self, key: str) -> None:
        """One was taken that should not count."""
        now = self._clock()
        with self._lock:
            self._keep(key, min(self._burst, self._refilled(key, now) + 1), now)

    def _refilled(self, key: str, now: float) -> float:
        left, since = self._left.get(key, (self._burst, now))
        return min(self._burst, left + (now - since) * self._per_s)

    def _keep(self, key: str, left: float, now: float) -> None:
        self._left[key] = (left, now)
        self._left.move_to_end(key)
        while len(self._left) > self._keys:
            self._left.popitem(last=False)


def neighbourhood(address: str | None) -> str:
    """What counts as one sender: an IPv4 address, or the /64 of an IPv6 address, in which one host has all it likes."""
    try:
        parsed = ip_address((address or "").partition("%")[0])
    except ValueError:
        return address or ""
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Address(int(parsed) >> 64 << 64)) + "/64"

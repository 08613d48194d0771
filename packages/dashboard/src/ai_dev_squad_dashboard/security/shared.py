"""Sessions that were ended, who is logged in, and how much an address may ask for: the same for all dashboards on one Redis.

While it is away each goes by what it knows itself: nobody is logged out, and a logout holds where it was made, and everywhere
once Redis is back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

from ai_dev_squad_dashboard.shared_state import SharedState

from .limits import Allowance
from .session_list import MAX_LISTED, Listed, SessionList
from .sessions import Session

__all__ = ["SharedAllowance", "SharedEnded", "SharedSessionList"]


class SharedEnded:
    """Which sessions were ended before their time. Each is kept until it would have ended by itself."""

    def __init__(self, state: SharedState, clock: Callable[[], float] = time.time) -> None:
        self._state = state
        self._clock = clock
        self._lock = threading.Lock()
        self._untold: dict[str, int] = {}
        """Ended while Redis was away."""

    def add(self, name: str, expires_s: int) -> None:
        """The session known as ``name`` was ended."""
        with self._lock:
            self._untold[name] = expires_s
        self._tell()

    def has(self, name: str) -> bool:
        """Whether it was ended, by whichever dashboard."""
        if self._untold:
            self._tell()
        return self._state.ask(lambda client: client.exists(self._key(name)) > 0, False)

    def _tell(self) -> None:
        with self._lock:
            for name, expires_s in list(self._untold.items()):
                left_s = int(expires_s - self._clock()) + 1
                if left_s <= 0 or self._state.ask(lambda client: self._keep(client, name, left_s), False):  # noqa: B023
                    del self._untold[name]

    def _keep(self, client: Any, name: str, left_s: int) -> bool:
        client.set(self._key(name), b"", ex=left_s)
        return True

    def _key(self, name: str) -> str:
        return self._state.key("ended", name)


class SharedSessionList(SessionList):
    """Who is logged in at any of the dashboards; while Redis is away, at this one."""

    def __init__(self, state: SharedState) -> None:
        super().__init__(None)
        self._state = state
        self._hash = state.key("sessions")

    def add(self, session: Session, *, now_s: int, address: str, browser: str) -> None:
        """Somebody logged in."""
        super().add(session, now_s=now_s, address=address, browser=browser)
        listed = msgspec.json.encode(self._listed[session.name])
        self._state.ask(lambda client: client.hset(self._hash, session.name, listed), None)
        known = self._all()
        running = sorted((each for each in known if each.expires_s > now_s), key=lambda each: each.opened_s)
        gone = {each.name for each in known} - {each.name for each in running[-MAX_LISTED:]}
        if gone:
            self._state.ask(lambda client: client.hdel(self._hash, *gone), None)

    def remove(self, name: str) -> None:
        """The session known as ``name`` has ended."""
        super().remove(name)
        self._state.ask(lambda client: client.hdel(self._hash, name), None)

    def running(self, now_s: int) -> tuple[Listed, ...]:
        """Sessions that have not ended by themselves, the newest first."""
        known = {each.name: each for each in (*super().running(now_s), *self._all())}
        running = [each for each in known.values() if each.expires_s > now_s]
        return tuple(sorted(running, key=lambda each: each.opened_s, reverse=True))

    def _all(self) -> list[Listed]:
        found: list[bytes] = self._state.ask(lambda client: client.hvals(self._hash), [])
        return [msgspec.json.decode(each, type=Listed) for each in found]


_TAKE: Final = """
local per_s, burst, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local known = redis.call('HMGET', KEYS[1], 'left', 'since')
local left = math.min(burst, (tonumber(known[1]) or burst) + math.max(0, now - (tonumber(known[2]) or now)) * per_s)
local wait = 0
if left < wanted then wait = (wanted - left) / per_s else left = math.min(burst, left - wanted) end
redis.call('HSET', KEYS[1], 'left', string.format('%.9f', left), 'since', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil((burst - left) / per_s * 1000) + 1000)
return string.format('%.6f', wait)
"""


class SharedAllowance(Allowance):
    """A bucket for each key, which all dashboards take from; while Redis is away each has one of its own."""

    def __init__(self, state: SharedState, name: str, *, per_s: float, burst: float) -> None:
        super().__init__(per_s=per_s, burst=burst)
        self._state, self._name = state, name
        self._script = state.client.register_script(_TAKE)

    def take(self, key: str) -> float:
        """Take one. The answer is 0, or in how many seconds there will be one to take."""
        wait = self._asked(key, 1)
        return super().take(key) if wait is None else wait

    def give_back(self, key: str) -> None:
        """One was taken that should not count."""
        if self._asked(key, -1) is None:
            super().give_back(key)

    def _asked(self, key: str, wanted: int) -> float | None:
        arguments = [self._per_s, self._burst, wanted]
        keys = [self._state.key("limits", self._name, key)]
        return self._state.ask(lambda client: float(self._script(keys=keys, args=arguments, client=client)), None)

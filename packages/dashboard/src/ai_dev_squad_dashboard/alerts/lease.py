"""Who of several dashboards watches the alerts: whoever holds a lease that runs out by itself when its holder dies."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from typing import Final

from ai_dev_squad_dashboard.shared_state import SharedState

__all__ = ["LASTS_S", "Lease"]

LASTS_S: Final = 10.0
"""Seconds after which another takes over from a holder that was killed."""

_HOLD: Final = """
local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) return 1 end
if not holder then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 2 end
return 0
"""
_RELEASE: Final = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


class Lease:
    """The lease called ``name``. At no moment two processes believe to hold it, as long as their clocks run as fast as Redis's."""

    def __init__(
        self, state: SharedState, name: str, *, lasts_s: float = LASTS_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._state, self._key = state, state.key("lease", name)
        self._lasts_s, self._clock = lasts_s, clock
        self._me = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(8)}"
        self._until = 0.0
        self._lock = threading.Lock()
        self._hold = state.client.register_script(_HOLD)
        self._release = state.client.register_script(_RELEASE)

    @property
    def is_held(self) -> bool:
        """Whether this process holds it now, as far as it is known without asking."""
        return self._clock() < self._until

    def hold(self) -> bool:
        """Take or keep it. Whether it was taken anew: what was known under an earlier lease may be out of date."""
        with self._lock:
            was_held, now = self.is_held, self._clock()
            arguments = [self._me, round(self._lasts_s * 1000)]
            answer = self._state.ask(lambda client: self._hold(keys=[self._key], args=arguments, client=client), None)
            if answer is not None:
                # Counted from before it was asked for: here it ends no later than there.
                self._until = now + self._lasts_s if answer else 0.0
            return self.is_held and (answer == 2 or not was_held)

    def release(self) -> None:
        """Let another take it at once."""
        with self._lock:
            self._until = 0.0
            self._state.ask(lambda client: self._release(keys=[self._key], args=[self._me], client=client), None)

"""What one dashboard emits over Socket.IO reaches clients that are connected to another, by way of Redis.

A backend of python-socketio's own message queue, as its Redis manager is; but this one waits for nothing without end, is quiet
while Redis is away, and ends with the dashboard.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

import redis
from socketio import PubSubManager  # type: ignore[import-untyped]

from .shared_state import SharedState

__all__ = ["SharedEvents"]

_LOOK_S: Final = 0.5
_PAUSE_S: Final = 1.0


class SharedEvents(PubSubManager):  # type: ignore[misc]
    """The client manager of a dashboard that shares events by ``state``."""

    name = "redis"

    def __init__(self, state: SharedState) -> None:
        super().__init__(channel=state.key("events"))
        self._state = state
        self._stopped = threading.Event()
        self._silent = threading.Event()
        self._silent.set()

    def stop(self, timeout: float = 2.0) -> None:
        """Listen no more; the connection is let go of within ``timeout`` seconds."""
        self._stopped.set()
        self._silent.wait(timeout)

    def _thread(self) -> None:
        with suppress(SystemExit):
            super()._thread()

    def _publish(self, data: Any) -> None:
        message = self.json.dumps(data)
        self._state.ask(lambda client: client.publish(self.channel, message), None)

    def _listen(self) -> Iterator[bytes]:
        self._silent.clear()
        while not self._stopped.is_set():
            try:
                with self._state.client.pubsub(ignore_subscribe_messages=True) as listening:
                    listening.subscribe(self.channel)
                    while not self._stopped.is_set():
                        message = listening.get_message(timeout=_LOOK_S)
                        if message is not None:
                            yield message["data"]
            except redis.RedisError:
                self._stopped.wait(_PAUSE_S)
        self._silent.set()
        raise SystemExit  # the thread that listens ends, which its owner takes for a fault when it just returns

"""What several dashboards on one store know together, in a Redis that may be away for a while.

Nothing of this is loaded where no Redis is named.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from .store_url import without_password

__all__ = ["SharedState"]

log = logging.getLogger("ai_dev_squad.dashboard")

_PREFIX: Final = "{ai-dev-squad}:dashboard:"
"""One hash tag, so that a cluster keeps all of it in one place. Two installations on one Redis take two of its databases."""
_TIMEOUT_S: Final = 1.0
_REST_S: Final = 2.0
"""Seconds for which a Redis that did not answer is not asked again: no page waits for it twice."""
_T = TypeVar("_T")


class SharedState:
    """The Redis at ``url``. Every method may be called from any thread."""

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.place = without_password(url)
        self._clock = clock
        self._rests_until = 0.0
        self._is_away = False
        self.client: Any = redis.Redis.from_url(
            url,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            # A connection that the server has closed meanwhile is worth one more try, at once.
            retry=Retry(NoBackoff(), 1),
            client_name=f"ai-dev-squad-dashboard-{os.getpid()}",
        )
        """For what has to know that it failed: raises ``redis.RedisError``."""

    @staticmethod
    def key(*names: str) -> str:
        """Where something is kept."""
        return _PREFIX + ":".join(names)

    def ask(self, act: Callable[[Any], _T], otherwise: _T) -> _T:
        """What ``act(client)`` gives, or ``otherwise`` while Redis is away, which is logged once."""
        if self._is_away and self._clock() < self._rests_until:
            return otherwise
        try:
            answer = act(self.client)
        except redis.RedisError as error:
            self._rests_until = self._clock() + _REST_S
            if not self._is_away:
                self._is_away = True
                log.warning("%s does not answer, so each dashboard goes by what it knows itself: %s", self.place, error)
            return otherwise
        if self._is_away:
            self._is_away = False
            log.warning("%s answers again", self.place)
        return answer

    def written(self) -> None:
        """Something was written into the store."""
        self.ask(lambda client: client.incr(self.key("writes")), None)

    def writes(self) -> int:
        """A number that changes whenever anybody has written."""
        return int(self.ask(lambda client: client.get(self.key("writes")), None) or 0)

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

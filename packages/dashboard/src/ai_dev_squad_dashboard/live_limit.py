"""How many live clients there may be: decided once, before a request gets a thread, and answered in one way.

A client holds a place from its handshake to its end, however it talks: by polling or by WebSocket. A handshake that is being
answered holds one as well, so that many at once cannot all find the last place free.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.parse import parse_qs

__all__ = ["LiveLimit"]

LIVE_PATH: Final = "/socket.io"
REQUESTS: Final = 4
"""Requests of one client that are under way at a time: it polls, sends and changes to a WebSocket, and no more."""
RETRY_S: Final = 10
_PLACE: Final = "ai_dev_squad_dashboard.live_place"


class _Place:
    """What a request holds until it is answered: a share of its client's place, or a place of its own."""

    __slots__ = ("sid",)

    def __init__(self, sid: str | None) -> None:
        self.sid = sid


class LiveLimit:
    """WSGI middleware before the Socket.IO server ``socketio``: at most ``limit`` clients, the next one is answered 503.

    A server that gives live requests threads of their own calls ``enter`` before it does, and ``leave`` when the request is
    answered. With any other server the middleware does both.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]], socketio: Any, limit: int) -> None:
        self._app = app
        self._limit = limit
        self._lock = threading.Lock()
        self._engine = socketio.server.eio
        self._clients: set[str] = set()
        self._requests: set[_Place] = set()
        handshake = self._engine.handlers["connect"]

        def connected(sid: str, environ: dict[str, Any]) -> Any:
            place = environ.get(_PLACE)
            with self._lock:
                if place is not None:
                    place.sid = sid
                self._clients.add(sid)
            return handshake(sid, environ)

        self._engine.on("connect", connected)

    def enter(self, environ: dict[str, Any]) -> bool:
        """Whether there is room for a request of a live client. What was refused is answered by the middleware, at once."""
        # As Engine.IO reads it: a name that only ends in `sid`, or one without a value, names nobody.
        sid = parse_qs(environ.get("QUERY_STRING", "")).get("sid", [""])[0]
        with self._lock:
            self._clients = {known for known in self._clients if self._is_open(known)}
            if sid in self._clients and sum(place.sid == sid for place in self._requests) < REQUESTS:
                place: _Place | None = _Place(sid)
            elif len(self._there()) < self._limit:
                place = _Place(None)
            else:
                place = None
            if place is not None:
                self._requests.add(place)
        environ[_PLACE] = place
        return place is not None

    def leave(self, environ: dict[str, Any]) -> None:
        """The request was answered."""
        with self._lock:
            self._requests.discard(environ[_PLACE])

    def count(self) -> int:
        """Places that are taken now: by clients, and by requests of others, or of clients that left, until they are answered."""
        with self._lock:
            self._clients = {known for known in self._clients if self._is_open(known)}
            return len(self._there())

    def _there(self) -> set[Any]:
        return self._clients | {place.sid or place for place in self._requests}

    def _is_open(self, sid: str) -> bool:
        connection = self._engine.sockets.get(sid)
        return connection is not None and not connection.closed

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request beyond the limit, and hand everything else on."""
        if not environ.get("PATH_INFO", "").startswith(LIVE_PATH):
            return self._app(environ, start_response)
        if _PLACE in environ:
            return self._refused(start_response) if environ[_PLACE] is None else self._app(environ, start_response)
        if not self.enter(environ):
            return self._refused(start_response)
        try:
            return self._app(environ, start_response)
        finally:
            self.leave(environ)

    def _refused(self, start_response: Callable[..., Any]) -> Iterable[bytes]:
        text = (
            f"{self._limit} live connections are open, and more are not allowed; close a page, or raise max_live_clients "
            "(DASHBOARD_MAX_LIVE_CLIENTS)"
        ).encode()
        start_response(
            "503 Service Unavailable",
            [("Content-Type", "text/plain"), ("Content-Length", str(len(text))), ("Retry-After", str(RETRY_S))],
        )
        return [text]

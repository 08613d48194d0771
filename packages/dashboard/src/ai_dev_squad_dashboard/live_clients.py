"""Who is connected, what each looks at, and how much each may be sent: nobody waits for a slow client."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from flask_socketio import SocketIO  # type: ignore[import-untyped]

from .live_views import Subscription

__all__ = ["Client", "Clients", "Door"]

MAX_QUEUED: Final = 8
"""Packets that may wait for a client before it is left out of what needs no acknowledgement."""
ADMISSION_S: Final = 10.0
"""Seconds that a connection may take to say who it is."""


@dataclass
class Client:
    """One connection."""

    sid: str
    subscription: Subscription | None = None
    sent: str | None = None
    """What it was sent last: the digest of a page, or the cursor of a log's tail."""
    waiting: bool = False
    """Whether it has yet to acknowledge what it was sent."""
    generation: int = 0
    """Counts subscriptions, so that a late acknowledgement of the one before is told apart."""


@dataclass
class Clients:
    """All connections. Every method may be called from any thread."""

    socketio: SocketIO
    limit: int
    _clients: dict[str, Client] = field(default_factory=dict)
    _seen: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def admit(self, sid: str) -> bool:
        """Take a connection in. Returns whether there is room."""
        with self._lock:
            if len(self._clients) >= self.limit:
                return False
            self._clients[sid] = Client(sid)
            return True

    def leave(self, sid: str) -> None:
        """Forget a connection."""
        with self._lock:
            self._clients.pop(sid, None)

    def subscribe(self, sid: str, subscription: Subscription | None) -> None:
        """Let a connection look at something else."""
        with self._lock:
            client = self._clients.get(sid)
            if client is not None:
                client.subscription, client.waiting = subscription, False
                client.sent = subscription.after if subscription is not None and subscription.tails else None
                client.generation += 1

    def all(self) -> list[Client]:
        """Everybody."""
        with self._lock:
            return list(self._clients.values())

    def by_url(self) -> Mapping[str, list[Client]]:
        """Who looks at what: only where something can change."""
        watched: dict[str, list[Client]] = {}
        for client in self.all():
            if client.subscription is not None and client.subscription.live:
                watched.setdefault(client.subscription.url, []).append(client)
        return watched

    def send(self, client: Client, event: str, mark: str | None, message: Callable[[Subscription], Any]) -> bool:
        """Send ``message(subscription)`` and expect an acknowledgement; ``mark`` says what has been sent.

        Returns False, and sends nothing, when the client has that already, or has yet to acknowledge what came before.
        """
        with self._lock:
            subscription = client.subscription
            if subscription is None or client.waiting or client.sent == mark:
                return False
            client.waiting, client.sent = True, mark
            generation = client.generation

        def acknowledged(*_: Any) -> None:
            with self._lock:
                if client.generation == generation:
                    client.waiting = False

        self.socketio.server.emit(event, message(subscription), to=client.sid, callback=acknowledged)
        return True

    def tell(self, client: Client, event: str, message: Any) -> bool:
        """Send without an acknowledgement. Returns False, and sends nothing, when too much waits for the client."""
        if self._queued(client.sid) >= MAX_QUEUED:
            return False
        self.socketio.server.emit(event, message, to=client.sid)
        return True

    def _queued(self, sid: str) -> int:
        server = self.socketio.server
        connection = server.eio.sockets.get(server.manager.eio_sid_from_sid(sid, "/"))
        return 0 if connection is None else connection.queue.qsize()

    def drop_strangers(self) -> None:
        """Close connections that have been open for a while and were not let in."""
        server, now = self.socketio.server, time.monotonic()
        known = {server.manager.eio_sid_from_sid(client.sid, "/") for client in self.all()}
        strangers = set(server.eio.sockets) - known
        self._seen = {sid: self._seen.get(sid, now) for sid in strangers}
        for sid, since in self._seen.items():
            if now - since > ADMISSION_S:
                server.eio.disconnect(sid)

    def close(self) -> None:
        """Disconnect everybody and stop what runs for them."""
        server = self.socketio.server
        for connection in list(server.eio.sockets.values()):
            connection.close(wait=False)
        server.shutdown()
        with self._lock:
            self._clients.clear()


class Door:
    """WSGI middleware that turns new live connections away while there are too many.

    A connection that Socket.IO refuses has a thread already; this one is answered and gone.
    """

    def __init__(self, app: Any, socketio: SocketIO, limit: int) -> None:
        self._app = app
        self._server = socketio.server
        self._limit = limit

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Answer 503 to a handshake beyond the limit, and hand everything else on."""
        if (
            environ.get("PATH_INFO", "").startswith("/socket.io")
            and "sid=" not in environ.get("QUERY_STRING", "")
            and len(self._server.eio.sockets) >= self._limit
        ):
            start_response("503 Service Unavailable", [("Content-Type", "text/plain"), ("Retry-After", "30")])
            return [b"too many live connections (DASHBOARD_MAX_LIVE_CLIENTS); load the page again instead\n"]
        return self._app(environ, start_response)

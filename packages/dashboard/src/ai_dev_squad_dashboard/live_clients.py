"""Who is connected, what each looks at, and how much each may be sent: nobody waits for a slow client."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from flask_socketio import SocketIO  # type: ignore[import-untyped]

from .live_views import Subscription

__all__ = ["Client", "Clients"]

MAX_QUEUED: Final = 8
"""Packets that may wait for a client before it is left out of what needs no acknowledgement."""
ADMISSION_S: Final = 10.0
"""Seconds that a connection may take to say who it is."""


@dataclass
class Client:
    """One connection."""

    sid: str
    is_welcome: Callable[[], bool]
    """Whether whoever it is may still look."""
    subscription: Subscription | None = None
    sent: str | None = None
    """What it was sent last: the digest of a page, or the cursor of a log's tail."""
    waiting: bool = False
    """Whether it has yet to acknowledge what it was sent."""
    told: dict[str, bytes] = field(default_factory=dict)
    """Event → what it was sent last without acknowledgement."""
    generation: int = 0
    """Counts subscriptions, so that a late acknowledgement of the one before is told apart."""


@dataclass
class Clients:
    """All connections. Every method may be called from any thread."""

    socketio: SocketIO
    _clients: dict[str, Client] = field(default_factory=dict)
    _seen: dict[str, float] = field(default_factory=dict)
    _closed: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def admit(self, sid: str, is_welcome: Callable[[], bool]) -> bool:
        """Take a connection in. Returns False when the dashboard is stopping."""
        with self._lock:
            if self._closed:
                return False
            self._clients[sid] = Client(sid, is_welcome)
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

    def by_url(self) -> Mapping[str, tuple[Subscription, list[Client]]]:
        """Who looks at what: only where something can change."""
        watched: dict[str, tuple[Subscription, list[Client]]] = {}
        for client in self.all():
            subscription = client.subscription
            if subscription is not None and subscription.live:
                watched.setdefault(subscription.url, (subscription, []))[1].append(client)
        return watched

    def send(
        self, client: Client, url: str, event: str, mark: str | None, message: Callable[[Subscription], Any]
    ) -> bool:
        """Send ``message(subscription)`` to who still looks at ``url``, and expect an acknowledgement; ``mark`` says what was sent.

        Returns False, and sends nothing, when the client has that already, or has yet to acknowledge what came before.
        """
        with self._lock:
            subscription = client.subscription
            if subscription is None or subscription.url != url or client.waiting or client.sent == mark:
                return False
            client.waiting, client.sent = True, mark
            generation = client.generation

        def acknowledged(*_: Any) -> None:
            with self._lock:
                if client.generation == generation:
                    client.waiting = False

        # Whoever renders a page for somebody has the connection: it goes by no queue between dashboards.
        self.socketio.server.emit(event, message(subscription), to=client.sid, callback=acknowledged, ignore_queue=True)
        return True

    def note(self, client: Client, url: str, mark: str | None) -> None:
        """There was nothing to send to who still looks at ``url``, up to ``mark``."""
        with self._lock:
            if client.subscription is not None and client.subscription.url == url and not client.waiting:
                client.sent = mark

    def tell(self, client: Client, event: str, message: Any) -> bool:
        """Send without an acknowledgement. Returns False, and sends nothing, when too much waits for the client."""
        if self._queued(client.sid) >= MAX_QUEUED:
            return False
        self.socketio.server.emit(event, message, to=client.sid, ignore_queue=True)
        return True

    def _queued(self, sid: str) -> int:
        server = self.socketio.server
        connection = server.eio.sockets.get(server.manager.eio_sid_from_sid(sid, "/"))
        return 0 if connection is None else connection.queue.qsize()

    def drop_strangers(self) -> None:
        """Close connections that have been open for a while and were not let in."""
        server, now = self.socketio.server, time.monotonic()
        known = {server.manager.eio_sid_from_sid(client.sid, "/") for client in self.all()}
        strangers = {sid for sid, connection in list(server.eio.sockets.items()) if not connection.closed} - known
        self._seen = {sid: self._seen.get(sid, now) for sid in strangers}
        for sid, since in self._seen.items():
            connection = server.eio.sockets.get(sid)
            if connection is not None and now - since > ADMISSION_S:
                connection.close(wait=False)  # whoever reads nothing would let us wait for ever

    def drop_unwelcome(self) -> None:
        """Disconnect those who have logged out, or whose login has expired."""
        for client in self.all():
            if not client.is_welcome():
                self.leave(client.sid)
                self.socketio.server.disconnect(client.sid)

    def close(self) -> None:
        """Disconnect everybody and stop what runs for them. Twice is harmless."""
        server = self.socketio.server
        with self._lock:
            self._clients.clear()
            closed, self._closed = self._closed, True
        for connection in list(server.eio.sockets.values()):
            connection.close(wait=False)
        if not closed:
            server.shutdown()

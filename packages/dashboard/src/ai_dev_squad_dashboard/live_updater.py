"""The threads that send: the guide's ``RealTimeUpdater``, and the one that renders what people look at."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from .live_clients import Client, Clients
from .live_views import Rendered, Subscription, Views
from .page import Site
from .query import OPEN_FOR_US

__all__ = ["PageUpdater", "RealTimeUpdater"]

log = logging.getLogger("ai_dev_squad.dashboard")

SHOWN_RUNNING: Final = 20
"""Running operations that a message names."""
REST: Final = 2.0
"""How long to rest after an update, as a multiple of what it took: looking never takes more than a third of a core from
what comes in."""


class RealTimeUpdater:
    """The guide's updater: sends ``dashboard._get_real_time_metrics()`` to everybody as ``metrics_update``.

    ``dashboard`` has that method and a ``socketio``. An error is logged once, and the next update is tried all the same.
    """

    def __init__(self, dashboard: Any) -> None:
        self.dashboard = dashboard
        self.running = False
        self.update_thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._told: dict[str, str] = {}

    def start(self, interval: float = 5) -> None:
        """Update every ``interval`` seconds from a thread. Harmless while it runs. Raises ``ValueError`` unless positive."""
        if not interval > 0:
            raise ValueError(f"interval {interval!r} is not positive; use seconds, such as 5")
        if self.running:
            return
        self.running = True
        self._stopped.clear()
        self.update_thread = threading.Thread(
            target=self._update_loop, args=(interval,), name="ai-dev-squad-live", daemon=True
        )
        self.update_thread.start()

    def stop(self) -> None:
        """Stop, and wait for the update that is being sent. Twice is harmless."""
        self.running = False
        self._stopped.set()
        if self.update_thread is not None and self.update_thread is not threading.current_thread():
            self.update_thread.join()

    def _update_loop(self, interval: float) -> None:
        while True:
            began = time.monotonic()
            self._attempt("metrics_update", self._update)
            if self._stopped.wait(max(interval, REST * (time.monotonic() - began))):
                return

    def _update(self) -> None:
        self.dashboard.socketio.emit("metrics_update", self.dashboard._get_real_time_metrics())

    def _attempt(self, what: str, act: Any, *args: Any) -> Any:
        """``act(*args)``, or ``None`` when it fails, which is logged once until it works again."""
        try:
            result = act(*args)
        except Exception as error:  # the thread outlives whatever one page or one client does
            text = f"{type(error).__name__}: {error}"
            if self._told.get(what) != text:
                self._told[what] = text
                log.warning("live update of %s failed and is tried again: %s", what, text, exc_info=error)
            return None
        self._told.pop(what, None)
        return result


class PageUpdater(RealTimeUpdater):
    """Renders each page that somebody looks at, once for all who do, when something has been written since.

    A page's span of time moves on as well, so each is rendered once a minute in any case.
    """

    def __init__(self, dashboard: Any, site: Site, clients: Clients, views: Views) -> None:
        super().__init__(dashboard)
        self._site = site
        self._clients = clients
        self._views = views
        self._minute = 0
        self._rendered: dict[str, tuple[object, Rendered | None]] = {}
        """URL → version of what was rendered last."""
        self._tailed: dict[str, tuple[object, str | None]] = {}
        """URL → version, and where the tail has come to."""
        self._common: tuple[object, bytes, bytes] = (None, b"", b"")
        """Version, metrics, running operations."""

    def stop(self) -> None:
        """Stop and disconnect everybody, so that no server's thread waits for a client."""
        super().stop()
        self._clients.close()

    def _update(self) -> None:
        self._clients.drop_strangers()
        minute = int(time.time()) // 60
        if minute != self._minute:
            self._minute = minute
            self._clients.drop_unwelcome()
        version = (self._site.queue.state().commits, self._site.changes(), minute)
        watched = self._clients.by_url()
        self._rendered = {url: known for url, known in self._rendered.items() if url in watched}
        self._tailed = {url: known for url, known in self._tailed.items() if url in watched}
        for subscription, clients in watched.values():
            if self._stopped.is_set():
                return
            send = self._send_lines if subscription.tails else self._send_page
            self._attempt(subscription.url, send, version, subscription, clients)
        everybody = self._clients.all()
        if everybody:
            self._attempt("metrics_update", self._send_common, version, everybody)

    def _send_page(self, version: object, subscription: Subscription, clients: Iterable[Client]) -> None:
        known, rendered = self._rendered.get(subscription.url, (None, None))
        if known != version:
            # Noted before it is tried: a page that fails is tried again when something has changed, not at once.
            self._rendered[subscription.url] = (version, rendered)
            rendered = self._views.render(subscription)
            self._rendered[subscription.url] = (version, rendered)
        if rendered is not None:
            for client in clients:
                self._clients.send(client, subscription.url, "view_update", rendered.digest, rendered.message)

    def _send_lines(self, version: object, subscription: Subscription, clients: Iterable[Client]) -> None:
        known, reached = self._tailed.get(subscription.url, (None, None))
        behind: dict[str | None, list[Client]] = {}
        for client in clients:
            if not client.waiting and (known != version or client.sent is None or client.sent != reached):
                behind.setdefault(client.sent, []).append(client)
        for after, group in behind.items():
            lines = self._views.tail(subscription, after)
            reached = lines.tail.newest
            for client in group:
                if lines.tail.lines:
                    self._clients.send(client, subscription.url, "log_lines", reached, lines.message)
                else:
                    self._clients.note(client, subscription.url, reached)
        self._tailed[subscription.url] = (version, reached)

    def _send_common(self, version: object, everybody: Iterable[Client]) -> None:
        known, figures, running = self._common
        if known != version:
            operations = self._site.store.running(int(time.time() * 1e6) - OPEN_FOR_US, limit=1000)
            shown = [operation._asdict() for operation in operations[:SHOWN_RUNNING]]
            running = msgspec.json.encode({"count": len(operations), "operations": shown})
            if any(client.subscription is None for client in everybody):
                figures = msgspec.json.encode(self.dashboard._get_real_time_metrics())
            self._common = (version, figures, running)
        for client in everybody:
            event, message = ("metrics_update", figures) if client.subscription is None else ("running", running)
            if (
                message
                and client.told.get(event) != message
                and self._clients.tell(client, event, msgspec.Raw(message))
            ):
                client.told[event] = message

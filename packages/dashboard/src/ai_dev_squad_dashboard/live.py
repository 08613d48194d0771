"""Live updates over Socket.IO: a client says which page it looks at, and is sent that page whenever it has changed.

| event | from | what |
|---|---|---|
| `connect` | client | answered with `metrics_update` |
| `metrics_update` | server | the last hour as `/api/metrics` answers it, to clients that look at no page |
| `subscribe` | client | `{path, parts?, after?}`: a page's URL; answered with `{ok, live}` or `{ok, error}` |
| `unsubscribe` | client | look at no page any more |
| `view_update` | server | `{path, html, data}`: that page as it stands now; acknowledge it to get the next |
| `log_lines` | server | `{path, html, data, count, skipped, newest}`: new lines for `/logs`; acknowledge likewise |
| `running` | server | `{count, operations}`: what has begun and not ended |
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from flask import Flask, request
from flask_socketio import ConnectionRefusedError as Refused  # type: ignore[import-untyped]
from flask_socketio import SocketIO

from .guide_api import metrics
from .live_clients import Client, Clients, Door
from .live_views import Rendered, Views
from .page import NotFoundError, Site
from .query import Query, QueryError

__all__ = ["RealTimeUpdater", "attach"]

log = logging.getLogger("ai_dev_squad.dashboard")

MAX_MESSAGE: Final = 64 * 1024
"""Bytes of the largest message that a client may send."""
SHOWN_RUNNING: Final = 20
REST: Final = 2.0
"""How long to rest after an update, as a multiple of what it took: what is looked at never takes more than a third of
a core from what comes in."""


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


class _Application:
    """What ``RealTimeUpdater`` needs of a dashboard."""

    def __init__(self, socketio: SocketIO, site: Site) -> None:
        self.socketio = socketio
        self.site = site

    def _get_real_time_metrics(self) -> Mapping[str, Any]:
        return metrics(self.site.store, Query.parse([("range", "1h")]))


class _PageUpdater(RealTimeUpdater):
    """Renders each page that somebody looks at, once for all who do, when something has been written since.

    A page's span of time moves on as well, so each is rendered once a minute in any case.
    """

    def __init__(self, dashboard: _Application, clients: Clients, views: Views) -> None:
        super().__init__(dashboard)
        self._clients = clients
        self._views = views
        self._pipeline = dashboard.site.pipeline
        self._store = dashboard.site.store
        self._rendered: dict[str, tuple[object, Rendered | None]] = {}
        self._common: tuple[object, bytes, bytes] = (None, b"", b"")
        """The version of, and the last, metrics and running operations."""

    def stop(self) -> None:
        """Stop and disconnect everybody, so that no server's thread waits for a client."""
        super().stop()
        self._clients.close()

    def _update(self) -> None:
        self._clients.drop_strangers()
        version = (self._pipeline.state().commits, int(time.time()) // 60)
        watched = self._clients.by_url()
        self._rendered = {url: known for url, known in self._rendered.items() if url in watched}
        for url, clients in watched.items():
            if self._stopped.is_set():
                return
            assert clients[0].subscription is not None
            if clients[0].subscription.tails:
                self._attempt(url, self._send_lines, version, url, clients)
            else:
                self._send_page(version, url, clients)
        everybody = self._clients.all()
        if everybody:
            self._attempt("metrics_update", self._send_common, version, everybody)

    def _send_page(self, version: object, url: str, clients: list[Client]) -> None:
        known_version, rendered = self._rendered.get(url, (None, None))
        if known_version != version:
            # Marked as done before it is tried: a page that fails is tried again when something changes, not at once.
            self._rendered[url] = (version, rendered)
            fresh = self._attempt(url, self._views.render, clients[0].subscription)
            if fresh is not None:
                rendered = fresh
                self._rendered[url] = (version, rendered)
        if rendered is not None:
            for client in clients:
                self._clients.send(client, "view_update", rendered.digest, rendered.message)

    def _send_lines(self, version: object, url: str, clients: list[Client]) -> None:
        known_version, _ = self._rendered.get(url, (None, None))
        ready: dict[str | None, list[Client]] = {}
        for client in clients:
            if not client.waiting:
                ready.setdefault(client.sent, []).append(client)
        if known_version == version and len(ready) <= 1 and None not in ready:
            return
        for after, group in ready.items():
            assert group[0].subscription is not None
            lines = self._views.tail(group[0].subscription, after)
            for client in group:
                if lines.tail.lines:
                    self._clients.send(client, "log_lines", lines.tail.newest, lines.message)
        self._rendered[url] = (version, None)

    def _send_common(self, version: object, everybody: list[Client]) -> None:
        known_version, old_metrics, old_running = self._common
        if known_version == version:
            return
        figures = self.dashboard._get_real_time_metrics() if any(c.subscription is None for c in everybody) else None
        operations = self._store.running(1000)
        running = {
            "count": len(operations),
            "operations": [dict(operation._asdict()) for operation in operations[:SHOWN_RUNNING]],
        }
        new_metrics = msgspec.json.encode(figures) if figures is not None else b""
        new_running = msgspec.json.encode(running)
        for client in everybody:
            if client.subscription is None and figures is not None and new_metrics != old_metrics:
                self._clients.tell(client, "metrics_update", figures)
            if client.subscription is not None and new_running != old_running:
                self._clients.tell(client, "running", running)
        self._common = (version, new_metrics, new_running)


class _Json:
    """JSON for messages: a page is encoded once for each client, so speed counts."""

    loads = staticmethod(json.loads)

    @staticmethod
    def dumps(value: Any, **_: Any) -> str:
        return msgspec.json.encode(value).decode()


def attach(app: Flask, site: Site, guard: Any) -> tuple[SocketIO, RealTimeUpdater]:
    """Socket.IO on ``app``, for clients that ``guard.check_socket(environ, auth)`` lets in, and the updater, not started.

    Only pages of this dashboard may connect from a browser, and at most ``max_live_clients`` at a time.
    """
    limit = site.settings.max_live_clients
    socketio = SocketIO(
        app,
        async_mode="threading",
        async_handlers=False,
        manage_session=False,
        cors_allowed_origins=guard.allows_origin,
        max_http_buffer_size=MAX_MESSAGE,
        json=_Json,
    )
    app.wsgi_app = Door(app.wsgi_app, socketio, limit)  # type: ignore[method-assign]
    clients = Clients(socketio, limit)
    views = Views(app, site)
    application = _Application(socketio, site)

    def connect(auth: Any) -> None:
        if not guard.check_socket(request.environ, auth):
            raise Refused("unauthorized: log in, or send a read token as auth.token")
        if not clients.admit(_sid()):
            raise Refused(f"busy: {limit} live connections are open (DASHBOARD_MAX_LIVE_CLIENTS)")
        socketio.emit("metrics_update", application._get_real_time_metrics(), to=_sid())

    def disconnect(*_: Any) -> None:
        clients.leave(_sid())

    def subscribe(message: Any = None) -> dict[str, Any]:
        try:
            subscription = views.understand(message)
        except (QueryError, NotFoundError) as error:
            return {"ok": False, "error": str(error)}
        clients.subscribe(_sid(), subscription)
        return {"ok": True, "live": subscription.live}

    def unsubscribe(*_: Any) -> dict[str, Any]:
        clients.subscribe(_sid(), None)
        return {"ok": True}

    for handler in (connect, disconnect, subscribe, unsubscribe):
        socketio.on_event(handler.__name__, handler)
    # Socket.IO answers before Flask does, so the guard goes around it.
    guard.enclose(app)
    return socketio, _PageUpdater(application, clients, views)


def _sid() -> str:
    """The connection whose event is being handled."""
    sid: str = request.sid  # type: ignore[attr-defined]
    return sid

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
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from flask import Flask, request
from flask_socketio import ConnectionRefusedError as Refused  # type: ignore[import-untyped]
from flask_socketio import SocketIO

from .guide_api import metrics
from .live_clients import Clients
from .live_limit import LiveLimit
from .live_updater import PageUpdater, RealTimeUpdater
from .live_views import Views
from .page import NotFoundError, Site
from .query import Query, QueryError

__all__ = ["RealTimeUpdater", "attach"]

MAX_MESSAGE: Final = 64 * 1024
"""Bytes of the largest message that a client may send."""
FRESH_S: Final = 0.5
"""How long figures that were just read are new enough."""


class _Application:
    """What ``RealTimeUpdater`` needs of a dashboard."""

    def __init__(self, socketio: SocketIO, site: Site) -> None:
        self.socketio = socketio
        self._site = site
        self._lock = threading.Lock()
        self._figures: Mapping[str, Any] = {}
        self._until = 0.0

    def _get_real_time_metrics(self) -> Mapping[str, Any]:
        # A hundred pages that connect at once share one look.
        with self._lock:
            if time.monotonic() >= self._until:
                self._figures = metrics(self._site.store, Query.parse([("range", "1h")]))
                self._until = time.monotonic() + FRESH_S
            return self._figures


class _Json:
    """JSON for messages: a page is encoded once for each client, so speed counts."""

    loads = staticmethod(json.loads)

    @staticmethod
    def dumps(value: Any, **_: Any) -> str:
        return msgspec.json.encode(value).decode()


def attach(app: Flask, site: Site, guard: Any, queue: Any = None) -> tuple[SocketIO, LiveLimit, RealTimeUpdater]:
    """Socket.IO on ``app``, for clients that ``guard.check_socket(environ, auth)`` lets in; what limits their number; and the
    updater, not started.

    ``queue`` is a client manager that carries events between several dashboards: what any of them emits to a room reaches its
    clients wherever they are connected. Only pages of this dashboard may connect from a browser, and at most ``max_live_clients`` at a time.
    """
    socketio = SocketIO(
        app,
        async_mode="threading",
        async_handlers=False,
        manage_session=False,
        cors_allowed_origins=guard.allows_origin,
        max_http_buffer_size=MAX_MESSAGE,
        json=_Json,
        **({} if queue is None else {"client_manager": queue}),
    )
    limit = LiveLimit(app.wsgi_app, socketio, site.settings.max_live_clients)
    app.wsgi_app = limit  # type: ignore[method-assign]
    clients = Clients(socketio)
    views = Views(app, site)
    application = _Application(socketio, site)

    def connect(auth: Any) -> None:
        environ = request.environ
        if not guard.check_socket(environ, auth):
            raise Refused("unauthorized: log in, or send a read token as auth.token")
        if not clients.admit(_sid(), lambda: bool(guard.check_socket(environ, auth))):
            raise Refused("the dashboard is stopping: load the page again when it is back")
        socketio.emit("metrics_update", application._get_real_time_metrics(), to=_sid(), ignore_queue=True)

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
    return socketio, limit, PageUpdater(application, site, clients, views)


def _sid() -> str:
    """The connection whose event is being handled."""
    sid: str = request.sid  # type: ignore[attr-defined]
    return sid

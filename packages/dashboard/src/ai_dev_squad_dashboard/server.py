"""A production server in this process: threads, WebSockets, a clean end on SIGINT and SIGTERM. Works on Windows as well."""

from __future__ import annotations

import errno
import functools
import logging
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cheroot import wsgi
from flask import Flask

from ai_dev_squad_dashboard.live_limit import LiveLimit
from ai_dev_squad_dashboard.server_connections import Connection, Gateway, LiveSockets
from ai_dev_squad_dashboard.server_shares import Shares
from ai_dev_squad_dashboard.settings import DashboardSettings

__all__ = ["DashboardServer", "ServerError", "check_port", "serve"]

_log = logging.getLogger("ai_dev_squad_dashboard.server")

FIRST_WORKERS = 16
MOST_WORKERS = 128
"""Workers come as they are needed: slow senders may hold many of them, each for a bounded time."""
WORKERS_OF_ADDRESS = 64
"""Of which one address has so many at most; its further requests wait."""
WAITING_CONNECTIONS = 512
"""Connections on which nothing is under way; for a further one the oldest of the address that has most is closed."""
IDLE_S = 20
DRAIN_S = 3
"""Seconds that requests under way have when the server stops."""
CLOSE_S = 8
"""Seconds that the rows which were accepted have to get to disk."""


class ServerError(Exception):
    """The server cannot start. The message says why and what to do."""


class _Server(wsgi.Server):
    """cheroot, with four differences: workers wait for no idle connection, live requests for no worker, what goes wrong
    is logged, and before the end connections are not kept.
    """

    ConnectionClass = Connection
    keep_alive_conn_limit = WAITING_CONNECTIONS
    max_request_header_size = 64 * 1024

    def __init__(self, app: Callable[..., Any], settings: DashboardSettings, limit: LiveLimit | None) -> None:
        super().__init__(
            (settings.host, settings.port),
            app,
            numthreads=FIRST_WORKERS,
            max=MOST_WORKERS,
            server_name="ai-dev-squad",
            request_queue_size=256,
            timeout=IDLE_S,
            shutdown_timeout=DRAIN_S,
        )
        self.gateway = Gateway
        self.draining = False
        # Behind a proxy everybody comes from one address, and the proxy looks after slow ones.
        self.shares = Shares(MOST_WORKERS if settings.behind_tls else WORKERS_OF_ADDRESS, self._to_workers)
        self.live = LiveSockets()
        self.live_limit = limit
        # The application refuses what is too large with an answer that senders understand; this is the wall behind it.
        self.max_request_body_size = (settings.max_request_mib + 1) << 20

    def process_conn(self, conn: Any) -> None:
        if conn.idle:
            conn.idle = False
            connections: Any = self._connections  # type: ignore[attr-defined]
            if connections._num_connections >= WAITING_CONNECTIONS:
                self._make_room(connections._selector)
            connections.put(conn)
            return
        if not conn.needs_worker():
            # Heads are waited for here, where a hundred slow ones cost no more than one.
            connections = self._connections  # type: ignore[attr-defined]
            connections.put(conn)
            conn.await_head()
            return
        self.shares.hand_over(conn)

    def _make_room(self, selector: Any) -> None:
        """Close the oldest connection of the address that has most: who fills all places pays for it, and no newcomer."""
        waiting = [(fd, conn) for fd, conn in selector.connections if conn is not self]
        many = Counter(conn.remote_addr for _, conn in waiting).most_common(1)[0][0]
        fd, oldest = min(
            (each for each in waiting if each[1].remote_addr == many), key=lambda each: float(each[1].last_used)
        )
        selector.unregister(fd)
        oldest.close()

    def _to_workers(self, conn: Any) -> None:
        if not self.requests.idle:
            self.requests.grow(FIRST_WORKERS)
        super().process_conn(conn)

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        _log.log(level, "%s", msg, exc_info=traceback)


class DashboardServer:
    """Serves ``app`` until ``stop``. ``start`` returns when pages can be asked for."""

    def __init__(self, app: Flask, settings: DashboardSettings) -> None:
        self._settings = settings
        self._held = app.extensions.get("ai_dev_squad")
        self._server = _Server(app, settings, getattr(self._held, "live_limit", None))
        self._engine = _Engine(app)
        self._thread: threading.Thread | None = None
        self.failed: BaseException | None = None
        """What ended the server, if that was not ``stop``."""

    @property
    def port(self) -> int:
        """The port that is listened on."""
        port: int = self._server.bind_addr[1]
        return port

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the dashboard."""
        return url(self._settings.host, self.port)

    def start(self) -> None:
        """Listen and serve, in threads. Raises ``ServerError`` when the port cannot be had."""
        check_port(self._settings.host, self._settings.port)
        self._engine.tune()
        started = threading.Event()
        # Workers inherit that they are daemons: a request that hangs must not keep the process alive.
        self._thread = threading.Thread(target=self._run, args=(started,), name="ai-dev-squad-server", daemon=True)
        self._thread.start()
        started.wait()
        if self.failed is not None:
            raise ServerError(
                f"the dashboard cannot listen on {self._settings.host} port {self._settings.port}: {self.failed}"
            ) from self.failed

    @property
    def running(self) -> bool:
        """Whether it serves."""
        return self._thread is not None and self._thread.is_alive()

    def drain(self) -> None:
        """Serve on, but say that the end is near: to who asks at ``/readyz``, and to connections, which are closed after an answer."""
        self._server.draining = True
        if self._held is not None:
            self._held.readiness.drain()

    def stop(self) -> None:
        """Take no more requests, give those under way a moment, end live connections. Twice is harmless."""
        self._engine.stop()
        self._server.live.stop()
        # cheroot waits without end for a worker that hangs; we do not.
        stopping = threading.Thread(target=self._server.stop, name="ai-dev-squad-stopping", daemon=True)
        stopping.start()
        stopping.join(DRAIN_S + 2)

    def _run(self, started: threading.Event) -> None:
        try:
            self._server.prepare()
            started.set()
            self._server.serve()
        except BaseException as error:  # noqa: BLE001 - whoever waits for the start has to hear of it
            self.failed = error
        finally:
            started.set()


def serve(app: Flask, settings: DashboardSettings, *, ready: Callable[[str], None] | None = None) -> None:
    """Serve ``app`` until SIGINT or SIGTERM; then finish what is under way, write what was accepted and close the store.

    On SIGTERM it serves on for ``settings.drain_s`` seconds before that: it comes from an orchestrator, which tells others at the
    same time to send nobody here. Who presses Ctrl+C waits for nothing.
    ``ready`` is called with the address once it answers; without it the address is printed. Raises ``ServerError`` when the
    port cannot be had. In another thread than the main one no signal is listened to.
    """
    server = DashboardServer(app, settings)
    stop = _Stop()
    try:
        server.start()
        with _stopped_by_signals(stop):
            if ready is None:
                print(f"Dashboard: {server.url}", flush=True)  # noqa: T201 - it is what whoever started it looks for
            else:
                ready(server.url)
            while not stop.wait(1.0) and server.running:
                pass
            if stop.number == signal.SIGTERM and settings.drain_s:
                server.drain()
                time.sleep(settings.drain_s)
    finally:
        server.stop()
        held = app.extensions.get("ai_dev_squad")
        if held is not None:
            held.close(CLOSE_S)
    if server.failed is not None:
        raise ServerError(f"the server ended: {server.failed}") from server.failed


class _Stop(threading.Event):
    """Set by a signal, and which one it was."""

    number: int | None = None


@contextmanager
def _stopped_by_signals(stop: _Stop) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    names = [signal.SIGINT, signal.SIGTERM, *([signal.SIGBREAK] if hasattr(signal, "SIGBREAK") else [])]
    before = {name: signal.getsignal(name) for name in names}

    def heard(number: int, frame: Any) -> None:
        stop.number = number
        stop.set()
        # A second signal means it.
        for name in names:
            signal.signal(name, signal.SIG_DFL)

    for name in names:
        signal.signal(name, heard)
    try:
        yield
    finally:
        if not stop.is_set():
            for name, handler in before.items():
                signal.signal(name, handler)


def check_port(host: str, port: int) -> None:
    """Raise ``ServerError``, with the cure, when ``port`` of ``host`` cannot be listened on."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise ServerError(
            f"host {host!r} is no address of this machine ({error}); use 127.0.0.1, or 0.0.0.0 for all addresses"
        ) from None
    with socket.socket(family, kind, protocol) as probe:
        if os.name == "posix" and port:  # elsewhere this option lets two programs share a port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise ServerError(_refused(host, port, error)) from None


def _refused(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} of {host} is in use, maybe by a dashboard that is running already ({url(host, port)}); stop that "
            f"program, or take another port: --port {port + 1 if port < 65535 else 8080}, or --port 0 for any free one"
        )
    if error.errno == errno.EACCES:
        return f"port {port} is reserved for administrators; take one above 1023, such as --port 8080"
    return f"the dashboard cannot listen on {host} port {port} ({error.strerror}); use --host 127.0.0.1"


def url(host: str, port: int) -> str:
    """The address that a browser on this machine uses for ``host``."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host.strip("[]"), host.strip("[]"))  # noqa: S104
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}/"


class _Engine:
    """The part of Socket.IO that holds connections, tuned to this server; nothing at all for an application without it."""

    def __init__(self, app: Flask) -> None:
        held = app.extensions.get("ai_dev_squad")
        self._engine: Any = getattr(getattr(getattr(held, "socketio", None), "server", None), "eio", None)
        self._stopping = threading.Event()

    def tune(self) -> None:
        if self._engine is None:
            return
        parts = dict(self._engine._async)
        websocket = parts.get("websocket")
        if websocket is not None and not isinstance(websocket, functools.partial):
            # Engine.IO looks at a message's size when it is in memory; the WebSocket library refuses it before that.
            limit = self._engine.max_http_buffer_size
            parts["websocket"] = functools.partial(websocket, max_message_size=limit)
        # A thread for each client sleeps until its next ping; the end must not wait for it.
        parts["sleep"] = self._stopping.wait
        self._engine._async = parts

    def stop(self) -> None:
        self._stopping.set()

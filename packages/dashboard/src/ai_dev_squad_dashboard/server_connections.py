"""Connections of the server: slow ones are bounded, live ones leave the workers alone.

Live requests (Socket.IO, by WebSocket or by long polling) last as long as somebody looks. Each that ``LiveLimit`` lets in gets
a thread of its own, so that the workers stay free for pages and for senders.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from cheroot import wsgi
from cheroot.errors import MaxSizeExceeded
from cheroot.makefile import StreamReader, StreamWriter
from cheroot.server import HTTPConnection
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge, RequestTimeout

from ai_dev_squad_dashboard.live_limit import LiveLimit
from ai_dev_squad_dashboard.server_framing import Chunks, Request, head_is_complete

__all__ = ["Connection", "Gateway", "LiveSockets"]

_log = logging.getLogger("ai_dev_squad_dashboard.server")

LIVE_PATH = b"/socket.io/"
GRACE_S = 10.0
"""Seconds that a connection may keep us waiting, whatever it transfers."""
LEAST_RATE = 16 * 1024
"""Bytes a second that a connection has to transfer beyond that."""
LIVE_SEND_S = 20.0
"""Seconds after which a live client that reads nothing is let go of."""


class _Paced(socket.SocketIO):
    """A socket's stream that gives up on a peer who keeps it waiting. Time that the application takes does not count."""

    def __init__(self, sock: socket.socket, mode: Any) -> None:
        super().__init__(sock, mode)
        self._socket = sock
        self._waited_s = 0.0
        self._moved = 0
        self.ahead = bytearray()
        """What was read of a head before a worker was needed."""

    def fresh(self) -> None:
        """Begin to count anew: another request."""
        self._waited_s, self._moved = 0.0, 0

    def readinto(self, buffer: Any) -> int | None:
        if self.ahead:
            size = min(len(buffer), len(self.ahead))
            buffer[:size] = self.ahead[:size]
            del self.ahead[:size]
            return size
        return self._paced(super().readinto, buffer)

    def write(self, data: Any) -> int | None:
        return self._paced(super().write, data)

    def _paced(self, transfer: Callable[[Any], int | None], data: Any) -> int | None:
        left_s = GRACE_S + self._moved / LEAST_RATE - self._waited_s
        if left_s <= 0:
            raise TimeoutError("timed out")
        self._socket.settimeout(min(left_s, GRACE_S))
        began = time.monotonic()
        try:
            moved = transfer(data)
        finally:
            self._waited_s += time.monotonic() - began
        self._moved += moved or 0
        return moved


class Connection(HTTPConnection):
    """A connection that can be handed over from a worker to a thread of its own, between two requests."""

    RequestHandlerClass = Request

    def __init__(self, server: Any, sock: Any, makefile: Any = None) -> None:
        super().__init__(server, sock)
        self.idle = True
        """Nothing has come of it yet, so no worker is needed."""
        self._head_since: float | None = None
        self._takes_over: tuple[Callable[[], None], Callable[[], None]] | None = None
        self._streams = _Paced(sock, "rb"), _Paced(sock, "wb")
        self.rfile = _reader(self._streams[0], self.rbufsize)
        self.wfile = _writer(self._streams[1], self.wbufsize)

    def needs_worker(self) -> bool:
        """Whether a whole head has come, or nothing more will. Reads what is there without waiting; for the selector's thread."""
        ahead, size = self._streams[0].ahead, self.server.max_request_header_size
        try:
            if self.rfile.has_data():
                # The end of the last request brought the beginning of this one along.
                ahead += self.rfile.read(len(self.rfile.peek()))
            self.socket.setblocking(False)
            came = self.socket.recv(size)
        except (BlockingIOError, InterruptedError):
            came = None
        except OSError:
            return True  # the worker finds out what is wrong
        if came:
            ahead += came
        if came == b"" or len(ahead) > size or head_is_complete(ahead):
            self._head_since = None
            return True
        return False

    def await_head(self) -> None:
        """From when on the head may be waited for, as the selector reads ``last_used``."""
        now = time.time()
        self._head_since = self._head_since or now
        self.last_used = self._head_since - self.server.timeout + GRACE_S

    def communicate(self) -> bool:
        for stream in self._streams:
            stream.fresh()
        try:
            return bool(super().communicate())  # type: ignore[no-untyped-call]
        finally:
            self.server.shares.give_back(self)

    def hand_over(self, work: Callable[[], None], otherwise: Callable[[], None]) -> None:
        """Let ``work`` go on with this connection, in a thread of its own, once the worker has let go of it.

        ``otherwise`` is called when there can be no further thread.
        """
        self._takes_over = work, otherwise

    def close(self) -> None:
        # A worker closes what it does not put back; only then nobody else touches the connection.
        takes_over, self._takes_over = self._takes_over, None
        if takes_over is not None:
            work, otherwise = takes_over
            try:
                threading.Thread(target=work, name="ai-dev-squad-live", daemon=True).start()
            except RuntimeError as error:
                _log.warning("a live connection is refused: %s", error)
                otherwise()
            else:
                return
        try:
            super().close()
        except OSError as error:
            _log.debug("a connection was gone already: %s", error)
            self.socket.close()


def _reader(raw: _Paced, size: int) -> Any:
    reader = StreamReader.__new__(StreamReader)
    super(StreamReader, reader).__init__(raw, size)
    reader.bytes_read = 0
    return reader


def _writer(raw: _Paced, size: int) -> Any:
    writer = StreamWriter.__new__(StreamWriter)
    super(StreamWriter, writer).__init__(raw, size)
    writer.bytes_written = 0
    return writer


class _LiveSocket:
    """What the WebSocket library gets for a socket: it sends all or fails, and waits for ever only for the peer's words."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._sending = threading.Lock()
        self.used = False
        """Whether the connection became a WebSocket."""

    def send(self, data: bytes) -> int:
        self.used = True
        try:
            with self._sending:
                self._socket.settimeout(LIVE_SEND_S)
                self._socket.sendall(data)
        except OSError as error:
            # Part of a message may be on its way: nothing can follow it.
            self.stop()
            raise BrokenPipeError(f"the live client is gone ({error})") from error
        return len(data)

    def recv(self, size: int) -> bytes:
        self.used = True
        while True:
            try:
                return self._socket.recv(size)
            except TimeoutError:
                continue  # the time limit is that of sending

    def fileno(self) -> int:
        return self._socket.fileno()

    def stop(self) -> None:
        """End it, from any thread: whoever receives hears that nothing more comes."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self) -> None:
        self.stop()  # the connection closes the socket itself, once nobody uses it


class _Body:
    """A request's body. When it does not come, the application hears of it as it does of any other bad request."""

    def __init__(self, request: Any) -> None:
        self._request = request
        self._stream = request.rfile

    def read(self, size: int | None = None) -> bytes:
        data = self._taken(self._stream.read, size)
        if getattr(self._stream, "remaining", 0) and (size is None or size < 0 or len(data) < size):
            # The sender went away. Half a body must not pass for a whole one.
            self._request.close_connection = True
            raise ClientDisconnected
        return data

    def readline(self, size: int | None = None) -> bytes:
        return self._taken(self._stream.readline, size)

    def readlines(self, hint: int | None = None) -> list[bytes]:
        return list(self)

    def __iter__(self) -> Iterator[bytes]:
        while line := self.readline():
            yield line

    def _taken(self, read: Callable[[int | None], bytes], size: int | None) -> bytes:
        try:
            return read(None if size is None or size < 0 else size)
        except MaxSizeExceeded:
            problem: Exception = RequestEntityTooLarge()
        except TimeoutError:
            problem = RequestTimeout()
        except (OSError, ValueError):
            problem = ClientDisconnected()
        # What was announced and did not come must not be waited for again.
        self._request.close_connection = True
        raise problem


class LiveSockets:
    """The WebSockets that are open, so that the server can end them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: set[_LiveSocket] = set()

    def add(self, live: _LiveSocket) -> None:
        with self._lock:
            self._sockets.add(live)

    def discard(self, live: _LiveSocket) -> None:
        with self._lock:
            self._sockets.discard(live)

    def count(self) -> int:
        """How many are open."""
        with self._lock:
            return len(self._sockets)

    def stop(self) -> None:
        """End all of them."""
        with self._lock:
            sockets = list(self._sockets)
        for live in sockets:
            live.stop()


class Gateway(wsgi.Gateway_10):
    """Runs the application for a request: in the worker, or for live ones in a thread of its own."""

    def __init__(self, req: Any) -> None:
        super().__init__(req)
        self.environ: dict[str, Any] = self.env
        # cheroot keeps %2F as it is, and then nobody can tell it from %252F.
        self.environ["PATH_INFO"] = unquote_to_bytes(urlsplit(req.uri).path).decode("latin-1")
        if req.chunked_read:
            req.rfile = Chunks(req.conn.rfile, req.server.max_request_body_size)
        self.environ["wsgi.input"] = _Body(req)

    def respond(self) -> None:
        request = self.req
        limit: LiveLimit | None = request.server.live_limit
        if limit is None or not request.path.startswith(LIVE_PATH):
            super().respond()
            if request.chunked_read and not request.rfile.closed:
                request.close_connection = True  # what is left of a body is no next request
            return
        upgrade = request.inheaders.get(b"Upgrade", b"").lower() == b"websocket"
        if upgrade and request.conn.rfile.has_data():
            request.close_connection = True
            request.simple_response("400 Bad Request", "a WebSocket client waits for the answer before it goes on")
            request.sent_headers = True
            return
        if not limit.enter(self.environ):
            super().respond()  # the refusal needs no thread
            return
        live = _LiveSocket(request.conn.socket) if upgrade else None
        if live is not None:
            request.server.live.add(live)
        closes = request.close_connection
        # The worker finds an answer that was sent and a connection to close, and does neither.
        request.sent_headers = request.close_connection = True
        request.conn.hand_over(lambda: self._respond_live(live, closes=closes), lambda: self._left(live))

    def _left(self, live: _LiveSocket | None) -> None:
        self.req.server.live_limit.leave(self.environ)
        if live is not None:
            self.req.server.live.discard(live)

    def _respond_live(self, live: _LiveSocket | None, *, closes: bool) -> None:
        request = self.req
        request.sent_headers, request.close_connection = False, closes
        keep = False
        try:
            if live is not None:
                self.environ["werkzeug.socket"] = live
            super().respond()
            if request.chunked_write:
                request.conn.wfile.write(b"0\r\n\r\n")
            keep = not request.close_connection
        except OSError as error:
            _log.debug("a live connection ended: %s", error)
        except Exception:  # noqa: BLE001 - one request that fails is no other's trouble
            _log.exception("a live request failed")
        finally:
            self._left(live)
            if keep and (live is None or not live.used):
                request.server.put_conn(request.conn)
            else:
                request.conn.close()

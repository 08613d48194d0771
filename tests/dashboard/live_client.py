"""A Socket.IO client over one WebSocket, small enough to see what is on the wire, and able to be slow on purpose."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any
from urllib.parse import urlsplit

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Message, RejectConnection, Request, TextMessage

__all__ = ["LiveClient", "RefusedError"]


class RefusedError(Exception):
    """The server does not let the client in."""


class _WebSocket:
    """Text messages over a WebSocket; ``OSError`` when it has ended."""

    def __init__(self, url: str, path: str, headers: dict[str, str]) -> None:
        parts = urlsplit(url)
        self._connection = WSConnection(ConnectionType.CLIENT)
        self._sending = threading.Lock()
        self._came: list[str] = []
        self._partial = ""
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=60)
        extra = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._socket.sendall(self._connection.send(Request(host=parts.netloc, target=path, extra_headers=extra)))
        self._accepted = False
        try:
            while not self._accepted:
                self._more()
        except OSError:
            self._socket.close()
            raise

    def send(self, text: str) -> None:
        with self._sending:
            self._socket.sendall(self._connection.send(Message(text)))

    def receive(self) -> str:
        while not self._came:
            self._more()
        return self._came.pop(0)

    def close(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()

    def _more(self) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionResetError("the server has gone")
        self._connection.receive_data(data)
        for event in self._connection.events():
            if isinstance(event, RejectConnection):
                self._socket.close()
                raise RefusedError(f"status {event.status_code}")
            if isinstance(event, CloseConnection):
                raise ConnectionResetError("the server has closed the connection")
            if isinstance(event, AcceptConnection):
                self._accepted = True
            if isinstance(event, TextMessage):
                self._partial += event.data
                if event.message_finished:
                    self._came.append(self._partial)
                    self._partial = ""


class LiveClient:
    """Connects to ``url`` (``http://host:port/``) and keeps what it is sent. ``acknowledges=False`` makes it a slow client."""

    def __init__(self, url: str, *, acknowledges: bool = True, auth: Any = None, headers: Any = None) -> None:
        self.acknowledges = acknowledges
        self.received: list[tuple[str, Any]] = []
        self._answers: dict[int, Any] = {}
        self._changed = threading.Condition()
        self._closed = False
        self.disconnected = False
        """Whether the server has ended the conversation, though not the connection."""
        self._calls = 0
        self._socket = _WebSocket(url, "/socket.io/?EIO=4&transport=websocket", headers or {})
        assert self._socket.receive()[0] == "0"
        self._socket.send("40" + (json.dumps(auth) if auth else ""))
        answer = self._socket.receive()
        while answer.startswith("42"):  # what is sent while it connects comes before it is told so
            self._take(answer)
            answer = self._socket.receive()
        if answer.startswith("44"):
            self._socket.close()
            raise RefusedError(json.loads(answer[2:])["message"])
        assert answer.startswith("40"), answer
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def call(self, event: str, *arguments: Any) -> Any:
        """Emit and wait for the answer."""
        self._calls += 1
        number = self._calls
        self._socket.send(f"42{number}{json.dumps([event, *arguments])}")
        with self._changed:
            assert self._changed.wait_for(lambda: number in self._answers, 30)
            return self._answers.pop(number)

    def wait(self, event: str, count: int = 1) -> list[Any]:
        """The messages of ``event`` so far, once there are ``count`` of them."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._of(event)) >= count, 30), (event, self._names())
            return self._of(event)

    def _of(self, event: str) -> list[Any]:
        return [message for name, message in self.received if name == event]

    def _names(self) -> list[str]:
        return [name for name, _ in self.received]

    @property
    def closed(self) -> bool:
        """Whether the server has ended the connection."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closed, 30)

    def close(self) -> None:
        """Leave."""
        self._socket.close()
        self._thread.join(10)

    def _read(self) -> None:
        try:
            while True:
                self._take(self._socket.receive())
        except OSError:
            pass
        finally:
            with self._changed:
                self._closed = True
                self._changed.notify_all()

    def _take(self, packet: str) -> None:
        if packet == "2":
            self._socket.send("3")
        elif packet == "41":
            with self._changed:
                self.disconnected = True
                self._changed.notify_all()
        elif packet.startswith(("42", "43")):
            start = packet.index("[")
            number, values = packet[2:start], json.loads(packet[start:])
            with self._changed:
                if packet[1] == "3":
                    self._answers[int(number)] = values[0]
                else:
                    self.received.append((values[0], values[1] if len(values) > 1 else None))
                self._changed.notify_all()
            if packet[1] == "2" and number and self.acknowledges:
                self._socket.send(f"43{number}[]")

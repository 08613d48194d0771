"""A Socket.IO client over one WebSocket, small enough to see what is on the wire, and able to be slow on purpose."""

from __future__ import annotations

import json
import threading
from typing import Any

from simple_websocket import Client, ConnectionClosed

__all__ = ["LiveClient", "RefusedError"]


class RefusedError(Exception):
    """The server does not let the client in."""


class LiveClient:
    """Connects to ``url`` (``http://host:port/``) and keeps what it is sent. ``acknowledges=False`` makes it a slow client."""

    def __init__(self, url: str, *, acknowledges: bool = True, auth: Any = None, headers: Any = None) -> None:
        self.acknowledges = acknowledges
        self.received: list[tuple[str, Any]] = []
        self._answers: dict[int, Any] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._calls = 0
        target = url.replace("http", "ws", 1).rstrip("/") + "/socket.io/?EIO=4&transport=websocket"
        self._socket = Client.connect(target, headers=headers)
        assert self._socket.receive(timeout=30)[0] == "0"
        self._socket.send("40" + (json.dumps(auth) if auth else ""))
        answer = self._socket.receive(timeout=30)
        while answer.startswith("42"):  # what is sent while it connects comes before it is told so
            self._take(answer)
            answer = self._socket.receive(timeout=30)
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
        try:
            self._socket.close()
        except (ConnectionClosed, OSError):
            pass
        self._thread.join(10)

    def _read(self) -> None:
        try:
            while True:
                self._take(self._socket.receive())
        except (ConnectionClosed, OSError):
            pass
        finally:
            with self._changed:
                self._closed = True
                self._changed.notify_all()

    def _take(self, packet: str) -> None:
        if packet == "2":
            self._socket.send("3")
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

"""HTTP/1.1 on one asyncio connection: just enough, and nothing between the bytes and the answer.

Keep-alive, pipelining, chunked request bodies, ``Expect: 100-continue``; a delivery is a list of timed pieces.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal, cast

__all__ = ["Connection", "Delivery", "End", "HttpRequest", "ProtocolError", "read_request", "response", "stream_head"]

MAX_HEAD = 64 * 1024
"""Bytes; a longer head is answered by 431."""
MAX_BODY = 64 * 1024 * 1024
"""Bytes; a longer body is answered by 413."""
WAITED_FOR_OTHERS_S = 10.0
"""How long an answer waits for those that are to go out with it."""
FOR_EVER_S = 365 * 86_400.0

_PHRASES = {status.value: status.phrase for status in HTTPStatus}


class ProtocolError(ValueError):
    """The bytes are not a request we can read. ``status`` is what to answer before closing."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class HttpRequest:
    """A whole request. Header names are lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    keep_alive: bool


End = Literal["completed", "cut", "client_closed", "hung"]
"""How a delivery ended."""


@dataclass
class Delivery:
    """What goes out: ``pieces`` of (seconds to wait first, bytes), then keep the connection, cut it, or hang."""

    pieces: Sequence[tuple[float, bytes]]
    timed: bool = False
    """Whether any piece has to wait; if not, everything is written at once."""
    barrier: asyncio.Barrier | None = None
    """Where this delivery waits for others before its first piece."""
    end: Literal["completed", "cut", "hung"] = "completed"
    hang_seconds: float | None = 0.0
    before_last: Callable[[End, int], None] = field(default=lambda end, sent: None)
    """Told how the delivery ended and how many pieces went out, just before a client could see the end of it."""


def read_request(buffer: bytearray) -> tuple[HttpRequest, int] | None:
    """The first request in the buffer and its length, or ``None`` when it is not there in full yet.

    Raises ``ProtocolError``.
    """
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        if len(buffer) > MAX_HEAD:
            raise ProtocolError(431, f"the request head is longer than {MAX_HEAD} bytes")
        return None
    first, *lines = buffer[:end].decode("latin-1").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise ProtocolError(400, f"{first[:80]!r} is not an HTTP/1.1 request line")
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise ProtocolError(400, f"{line[:80]!r} is not a header line")
        headers[name.strip().lower()] = value.strip()
    body = _read_body(buffer, end + 4, headers)
    if body is None:
        return None
    closing = headers.get("connection", "").lower() == "close" or parts[2] == "HTTP/1.0"
    path, _, query = parts[1].partition("?")
    return HttpRequest(parts[0], path, query, headers, body[0], not closing), body[1]


def _read_body(buffer: bytearray, start: int, headers: Mapping[str, str]) -> tuple[bytes, int] | None:
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return _read_chunks(buffer, start)
    given = headers.get("content-length", "0")
    if not given.isdigit():
        raise ProtocolError(400, f"content-length {given!r} is not a number")
    end = start + int(given)
    if int(given) > MAX_BODY:
        raise ProtocolError(413, f"the body is longer than {MAX_BODY} bytes")
    return (bytes(buffer[start:end]), end) if len(buffer) >= end else None


def _read_chunks(buffer: bytearray, position: int) -> tuple[bytes, int] | None:
    body = bytearray()
    while True:
        line_end = buffer.find(b"\r\n", position)
        if line_end < 0:
            return None
        try:
            size = int(buffer[position:line_end].partition(b";")[0], 16)
        except ValueError:
            raise ProtocolError(400, "a chunk of the body has no readable size") from None
        if size < 0 or len(body) + size > MAX_BODY:
            raise ProtocolError(413, f"the body is longer than {MAX_BODY} bytes")
        position = line_end + 2
        if size == 0:
            trailer_end = buffer.find(b"\r\n", position)
            return None if trailer_end < 0 else (bytes(body), trailer_end + 2)
        if len(buffer) < position + size + 2:
            return None
        body += buffer[position : position + size]
        position += size + 2


def response(
    status: int, body: bytes, *, content_type: str = "application/json", headers: Mapping[str, str] | None = None
) -> bytes:
    """A whole response with a content length."""
    extra = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    head = (
        f"HTTP/1.1 {status} {_PHRASES.get(status, 'Unknown')}\r\n"
        f"content-type: {content_type}\r\ncontent-length: {len(body)}\r\n{extra}\r\n"
    )
    return head.encode("latin-1") + body


def stream_head(content_type: str, headers: Mapping[str, str]) -> bytes:
    """The head of a chunked response."""
    extra = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return (
        f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncache-control: no-store\r\n"
        f"transfer-encoding: chunked\r\n{extra}\r\n"
    ).encode("latin-1")


class Connection(asyncio.Protocol):
    """One client. Requests are answered one after the other."""

    def __init__(self, answer: Callable[[HttpRequest], Delivery], connections: set[Connection]) -> None:
        self._answer = answer
        self._connections = connections
        self._buffer = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._delivery: Delivery | None = None
        self._sent = 0
        self._keep_alive = True
        self._continued = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)
        peer = self._transport.get_extra_info("socket")
        if peer is not None and peer.family in (socket.AF_INET, socket.AF_INET6):
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._delivery is None:
            self._serve()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        if self._task is not None:
            self._task.cancel()
        if self._delivery is not None:
            end: End = "hung" if self._delivery.end == "hung" else "client_closed"
            self._delivery.before_last(end, self._sent)
            self._delivery = None

    def abort(self) -> None:
        """Close now, whatever is under way."""
        self._transport.abort()

    def _serve(self) -> None:
        while self._buffer and not self._transport.is_closing():
            try:
                found = read_request(self._buffer)
            except ProtocolError as error:
                self._transport.write(response(error.status, str(error).encode(), content_type="text/plain"))
                self._transport.close()
                return
            if found is None:
                self._invite_body()
                return
            request, length = found
            del self._buffer[:length]
            self._continued = False
            self._keep_alive = request.keep_alive
            delivery = self._answer(request)
            if delivery.timed or delivery.barrier is not None or delivery.end == "hung":
                self._delivery, self._sent = delivery, 0
                self._task = asyncio.get_running_loop().create_task(self._play(delivery))
                return
            pieces = [data for _, data in delivery.pieces]
            delivery.before_last(delivery.end, len(pieces))
            self._transport.write(b"".join(pieces))
            self._end(delivery)

    def _invite_body(self) -> None:
        """Answer ``Expect: 100-continue`` once, when the head is here and the body is not."""
        head = bytes(self._buffer[:MAX_HEAD]).partition(b"\r\n\r\n")
        if not self._continued and head[1] and b"expect: 100-continue" in head[0].lower():
            self._continued = True
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    async def _play(self, delivery: Delivery) -> None:
        if delivery.barrier is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(delivery.barrier.wait(), WAITED_FOR_OTHERS_S)
        *early, last = delivery.pieces or [(0.0, b"")]
        for seconds, data in early:
            await asyncio.sleep(seconds)
            await self._writable.wait()
            self._transport.write(data)
            self._sent += 1
        await asyncio.sleep(last[0])
        if delivery.end == "hung":
            await asyncio.sleep(FOR_EVER_S if delivery.hang_seconds is None else delivery.hang_seconds)
        self._delivery = self._task = None
        # A hang that comes to its end is the server closing the connection.
        delivery.before_last("cut" if delivery.end == "hung" else delivery.end, len(delivery.pieces))
        self._transport.write(last[1])
        self._end(delivery)
        self._serve()

    def _end(self, delivery: Delivery) -> None:
        if delivery.end != "completed" or not self._keep_alive:
            self._transport.close()

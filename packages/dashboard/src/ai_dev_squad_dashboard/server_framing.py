"""Where a request begins and ends, by the book (RFC 9112): what two programs could read in two ways is refused, and the connection ends.

A proxy in front and we must agree on every byte, or one visitor's request becomes part of another's.
"""

from __future__ import annotations

import re
from typing import Any, Final

from cheroot.errors import MaxSizeExceeded
from cheroot.server import HTTPRequest

__all__ = ["Chunks", "Request", "head_is_complete"]

_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VERSION: Final = re.compile(rb"HTTP/1\.[01]")
_DIGITS: Final = re.compile(rb"[0-9]{1,18}")
_VALUE: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_HEX: Final = re.compile(rb"[0-9A-Fa-f]{1,12}")
_END: Final = re.compile(rb"\n\r?\n")
_JOINED: Final = frozenset(
    {b"Accept", b"Connection", b"Te", b"Via", b"X-Forwarded-For", b"X-Forwarded-Proto", b"Cache-Control"}
)
"""Lists, which may come in several lines. Of all others the first line counts, unless they tell of framing."""
_ONCE: Final = frozenset(
    {b"Content-Length", b"Host", b"Transfer-Encoding", b"Authorization", b"Content-Type", b"Content-Encoding"}
)
_LONGEST_LINE: Final = 8 * 1024
_MOST_TRAILERS: Final = 64


def head_is_complete(head: bytes | bytearray) -> bool:
    """Whether the empty line behind the headers is there."""
    return _END.search(head) is not None


def _read_headers(rfile: Any, hdict: dict[bytes, bytes] | None = None) -> dict[bytes, bytes]:
    """Headers by name. Raises ``ValueError`` for what is none, or is ambiguous."""
    headers: dict[bytes, bytes] = {} if hdict is None else hdict
    while (line := rfile.readline()) != b"\r\n":
        name, colon, value = line[:-2].partition(b":")
        if not line.endswith(b"\r\n") or not colon or not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ValueError("A header is not a name, a colon and a value that end with CRLF.")
        name, value = name.title(), value.strip(b" \t")
        if name not in headers:
            headers[name] = value
        elif name in _ONCE:
            raise ValueError(f"The header {name.decode()} comes twice.")
        elif name in _JOINED:
            headers[name] += b", " + value
        elif name == b"Cookie":
            headers[name] += b"; " + value
    return headers


class Request(HTTPRequest):
    """A request whose framing is not in doubt."""

    header_reader = staticmethod(_read_headers)

    def read_request_line(self) -> bool:
        if not super().read_request_line():  # type: ignore[no-untyped-call]
            return False
        if _VERSION.fullmatch(self.request_protocol) and _TOKEN.fullmatch(self.method):
            return True
        return self._refuse("Malformed Request-Line")

    def read_request_headers(self) -> bool:
        if not super().read_request_headers():  # type: ignore[no-untyped-call]
            return False
        headers = self.inheaders
        coding, length, host = (headers.get(name) for name in (b"Transfer-Encoding", b"Content-Length", b"Host"))
        if length is not None and not _DIGITS.fullmatch(length):
            return self._refuse("Content-Length is not a number of bytes.")
        if coding is not None:
            if length is not None:
                return self._refuse("Content-Length and Transfer-Encoding contradict each other.")
            if coding.lower() != b"chunked" or self.request_protocol == b"HTTP/1.0":
                return self._refuse("Transfer-Encoding is not just chunked, or not of HTTP/1.1.")
        if host is None and self.request_protocol == b"HTTP/1.1":
            return self._refuse("The header Host is missing.")
        wishes = {wish.strip() for wish in headers.get(b"Connection", b"").lower().split(b",")}
        # Who keeps a connection to a server that is about to end would be cut off in the middle of a later request.
        if b"close" in wishes or getattr(self.server, "draining", False):
            self.close_connection = True
        return True

    def _refuse(self, why: str) -> bool:
        self.close_connection = True
        self.simple_response("400 Bad Request", why)
        return False


class Chunks:
    """A body in chunks, each with its size in hex digits and nothing else; trailers are read and dropped.

    Reading raises ``ValueError`` for what is no such body, ``MaxSizeExceeded`` for one of more than ``limit`` bytes.
    """

    def __init__(self, rfile: Any, limit: int) -> None:
        self._rfile = rfile
        self._limit = limit
        self._taken = 0
        self._left = 0
        self.closed = False
        """Whether the end was read."""

    def read(self, size: int | None = None) -> bytes:
        """At most ``size`` bytes, fewer only at the end."""
        pieces: list[bytes] = []
        wanted = float("inf") if size is None else size
        while wanted > 0 and (self._left or self._next()):
            piece = self._rfile.read(int(min(self._left, wanted, 64 * 1024)))
            if not piece:
                raise ValueError("the body ends within a chunk")
            pieces.append(piece)
            self._left -= len(piece)
            wanted -= len(piece)
            if not self._left and self._line() != b"":
                raise ValueError("a chunk is longer than its size")
        return b"".join(pieces)

    def readline(self, size: int | None = None) -> bytes:
        """Up to the next line feed, at most ``size`` bytes."""
        line = bytearray()
        while (size is None or len(line) < size) and not line.endswith(b"\n") and (byte := self.read(1)):
            line += byte
        return bytes(line)

    def _next(self) -> bool:
        if self.closed:
            return False
        digits = self._line().partition(b";")[0].rstrip(b" \t")
        if not _HEX.fullmatch(digits):
            raise ValueError(f"{digits[:20]!r} is not the size of a chunk")
        self._left = int(digits, 16)
        self._taken += self._left
        if self._taken > self._limit:
            raise MaxSizeExceeded
        if not self._left:
            for _ in range(_MOST_TRAILERS):
                if self._line() == b"":
                    self.closed = True
                    break
            else:
                raise ValueError("too many trailers")
        return bool(self._left)

    def _line(self) -> bytes:
        line: bytes = self._rfile.readline(_LONGEST_LINE)
        if not line.endswith(b"\r\n"):
            raise ValueError("a line of a chunked body does not end with CRLF")
        return line[:-2]

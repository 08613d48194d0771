"""The body of a request: how it is packed, and how much of it is taken."""

from __future__ import annotations

import zlib
from typing import Any, Protocol

__all__ = ["BadBody", "TooLarge", "UnknownEncoding", "read_body"]

_CHUNK = 64 * 1024


class BadBody(ValueError):
    """A body that cannot be unpacked."""


class TooLarge(ValueError):
    """A body larger than allowed, packed or unpacked."""


class UnknownEncoding(ValueError):
    """A body that is packed in another way than we understand."""


class _Stream(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


def read_body(stream: _Stream, content_encoding: str, limit: int) -> bytes:
    """The unpacked body, of at most ``limit`` bytes before and after. However much a small body unpacks to, no more than
    ``limit`` bytes of it ever exist.

    Raises ``TooLarge``, ``UnknownEncoding`` and ``BadBody``.
    """
    coding = content_encoding.strip().lower()
    if coding in ("", "identity"):
        return _plain(stream, limit)
    if coding in ("gzip", "x-gzip"):
        return _unpacked(stream, limit, 31)
    if coding == "deflate":
        return _unpacked(stream, limit, 15)
    raise UnknownEncoding(f"Content-Encoding {coding[:40]!r} is not understood; use gzip, deflate or none")


def _plain(stream: _Stream, limit: int) -> bytes:
    chunks, size = [], 0
    while chunk := stream.read(_CHUNK):
        size += len(chunk)
        if size > limit:
            raise TooLarge(_too_large(limit, "is"))
        chunks.append(chunk)
    return b"".join(chunks)


def _unpacked(stream: _Stream, limit: int, window: int) -> bytes:
    unpack = _unpacker(window)
    chunks: list[bytes] = []
    packed = size = 0
    try:
        while chunk := stream.read(_CHUNK):
            if (
                window == 15
                and not packed
                and (chunk[0] & 0x0F != 8 or (len(chunk) > 1 and (chunk[0] << 8 | chunk[1]) % 31))
            ):
                # Some senders leave zlib's own head away.
                unpack = _unpacker(-15)
            packed += len(chunk)
            if packed > limit:
                raise TooLarge(_too_large(limit, "is"))
            while chunk:
                if unpack.eof:
                    # Several packed pieces, one behind the other, are one body.
                    unpack = _unpacker(window)
                piece = unpack.decompress(chunk, limit - size + 1)
                size += len(piece)
                if size > limit:
                    raise TooLarge(_too_large(limit, "unpacks to"))
                chunks.append(piece)
                chunk = unpack.unconsumed_tail or unpack.unused_data
    except zlib.error as error:
        raise BadBody(f"the body cannot be unpacked: {error}") from None
    if packed and not unpack.eof:
        raise BadBody("the packed body ends too early")
    return b"".join(chunks)


def _unpacker(window: int) -> Any:
    return zlib.decompressobj(window)


def _too_large(limit: int, does: str) -> str:
    return (
        f"the body {does} more than {limit >> 20} MiB; send smaller batches, or raise max_request_mib "
        f"(DASHBOARD_MAX_REQUEST_MIB)"
    )

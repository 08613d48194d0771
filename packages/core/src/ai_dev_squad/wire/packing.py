"""Compressed answers, unpacked on their way to a reader; the client gets them as they are."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable
from typing import Any

from ai_dev_squad.wire.readers import Reader

__all__ = ["unpacked"]

_Unpack = Callable[[bytes], bytes]


def unpacked(reader: Reader, encodings: str) -> Reader:
    """``reader`` behind what a ``Content-Encoding`` header asks for. Raises ``ValueError`` for an unknown one."""
    for encoding in encodings.lower().split(","):
        if (name := encoding.strip()) not in {"", "identity"}:
            reader = _Unpacking(reader, name)
    return reader


class _Unpacking:
    def __init__(self, reader: Reader, encoding: str) -> None:
        if encoding not in _UNPACKERS:
            raise ValueError(f"content-encoding {encoding[:20]!r} isn't one of {', '.join(_UNPACKERS)}")
        self._reader, self._unpack = reader, _UNPACKERS[encoding]()

    def feed(self, data: bytes) -> None:
        try:
            plain = self._unpack(data)
        except Exception:  # noqa: BLE001 - each library has errors of its own; the client has the same, and raises it
            self._unpack = _nothing
            return
        if plain:
            self._reader.feed(plain)

    def end(self) -> None:
        self._reader.end()


def _nothing(data: bytes) -> bytes:
    """Of an answer that is not packed as it says."""
    return b""


class _Deflated:
    """gzip, of any number of members, and deflate, with and without the header that it should have."""

    def __init__(self) -> None:
        self._beginning, self._bits = b"", zlib.MAX_WBITS | 32
        self._inflate: Any = None

    def __call__(self, data: bytes) -> bytes:
        if self._inflate is None:
            data = self._beginning + data
            if len(data) < 2:  # two bytes tell whether there is a header
                self._beginning = data
                return b""
            if data[:2] != b"\x1f\x8b" and (data[0] & 0x0F != 8 or int.from_bytes(data[:2], "big") % 31):
                self._bits = -zlib.MAX_WBITS
            self._inflate = zlib.decompressobj(self._bits)
        plain = self._inflate.decompress(data)
        while self._inflate.eof and (more := self._inflate.unused_data):
            self._inflate = zlib.decompressobj(self._bits)
            plain += self._inflate.decompress(more)
        return bytes(plain)


def _brotli() -> _Unpack:
    unpacker: Any = _first_of("brotli", "brotlicffi").Decompressor()
    unpack: _Unpack = unpacker.decompress if hasattr(unpacker, "decompress") else unpacker.process
    return unpack


def _zstd() -> _Unpack:
    unpacker: Any = _first_of("compression.zstd", "backports.zstd", "zstandard").ZstdDecompressor()
    unpack: _Unpack = (unpacker.decompressobj() if hasattr(unpacker, "decompressobj") else unpacker).decompress
    return unpack


def _first_of(*names: str) -> Any:
    """What the client itself unpacks with; it wouldn't have accepted the encoding without one of them."""
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise ValueError(f"an answer is packed, and none of {', '.join(names)} is installed to unpack it")


_UNPACKERS: dict[str, Callable[[], _Unpack]] = {
    "gzip": _Deflated,
    "x-gzip": _Deflated,
    "deflate": _Deflated,
    "br": _brotli,
    "zstd": _zstd,
}

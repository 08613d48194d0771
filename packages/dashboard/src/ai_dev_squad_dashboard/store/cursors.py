"""Where a page of a list ends: an opaque text in a URL, which only the store that gave it out understands."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from .base import BadCursorError

__all__ = ["every_row", "pack", "unpack"]

Row_co = TypeVar("Row_co", covariant=True)


class _Page(Protocol[Row_co]):
    @property
    def rows(self) -> Sequence[Row_co]: ...
    @property
    def next(self) -> str | None: ...


def every_row(ask: Callable[[str | None], _Page[Row_co]]) -> Iterator[Row_co]:
    """The rows of all pages of a list, one page at a time. ``ask`` gives the page behind a cursor, the first one for ``None``."""
    cursor = None
    while True:
        page = ask(cursor)
        yield from page.rows
        cursor = page.next
        if cursor is None:
            return


def pack(kind: str, *key: int | str) -> str:
    """A cursor of the list ``kind`` after the row with ``key``."""
    return base64.urlsafe_b64encode(json.dumps([kind, *key], separators=(",", ":")).encode()).decode().rstrip("=")


def unpack(cursor: str, kind: str, *types: type[int | str]) -> Sequence[int | str]:
    """The key in a cursor. Raises ``BadCursorError`` for one that is not of this list."""
    try:
        key = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        key = None
    if (
        not isinstance(key, list)
        or len(key) != len(types) + 1
        or key[0] != kind
        or any(type(part) is not wanted for part, wanted in zip(key[1:], types, strict=True))
        or any(isinstance(part, int) and abs(part) >= 1 << 63 for part in key[1:])
    ):
        raise BadCursorError(f"cursor {cursor[:80]!r} is not one of the list of {kind}; start from its first page")
    return key[1:]

"""Messages of conversations, each read once: a prompt repeats all that was said before it, so most of it has just been read.

They are told apart by their JSON as it came. What follows from a message alone is kept with it.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from ai_dev_squad.json_depth import is_too_deep

__all__ = ["LONG", "Message", "ToolPart", "read"]

LONG: Final = 2_000
"""Bytes from which on messages are told apart: to read fewer takes no longer."""
_KEPT_BYTES: Final = 4 << 20
"""JSON of messages that are remembered, twice: those of now, and those before them."""

_split: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode: Final = msgspec.json.Decoder().decode


class ToolPart(NamedTuple):
    """A part of a message that is a tool's call, or its result."""

    call_id: Any
    name: Any
    result: int | None
    """The characters of a result; ``None`` for a call."""


class Message(dict[str, Any]):
    """A message as it was read, and nobody changes it: it is that of several spans."""

    __slots__ = ("said", "size", "texts", "tools")
    texts: tuple[str, ...] | None
    """What of it is searched, once somebody has asked for it."""
    size: int | None
    """Its characters, likewise."""
    tools: tuple[ToolPart, ...] | None
    """The calls and results of tools in it, likewise."""
    said: tuple[str, str | None] | None
    """Who says it, and how it begins, likewise."""

    def __init__(self, members: dict[str, Any]) -> None:
        super().__init__(members)
        self.texts = self.size = self.tools = self.said = None


class _Recent:
    """The messages that came last. Used by several threads: each step leaves it whole."""

    def __init__(self) -> None:
        self._now: dict[bytes, Message] = {}
        self._before: dict[bytes, Message] = {}
        self._bytes = 0

    def get(self, raw: bytes) -> Message | None:
        found = self._now.get(raw)
        if found is None and (found := self._before.get(raw)) is not None:
            self.put(raw, found)
        return found

    def put(self, raw: bytes, message: Message) -> None:
        if self._bytes >= _KEPT_BYTES:
            self._before, self._now, self._bytes = self._now, {}, 0
        self._now[raw] = message
        self._bytes += len(raw)


_recent: Final = _Recent()


def read(raw: bytes) -> list[Any] | None:
    """The items of a JSON list; ``None`` where they are nested too deeply. Raises what ``msgspec`` raises for what is no such list."""
    items: list[Any] = []
    for part in _split(raw):
        given = bytes(part)
        item: Any = _recent.get(given)
        if item is None:
            if is_too_deep(given):
                return None
            item = _decode(given)
            if type(item) is dict:
                item = Message(item)
                _recent.put(given, item)
        items.append(item)
    return items

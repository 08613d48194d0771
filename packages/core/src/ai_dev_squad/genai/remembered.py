"""What a message says, as it is hashed, kept for as long as the message lives.

A conversation is sent again with each question, and most of its messages are the very objects of the question before.
"""

from __future__ import annotations

import weakref
from typing import Any

__all__ = ["remember", "said_again"]


class _Said(weakref.ref[Any]):
    __slots__ = ("content", "encoded", "key")

    content: str
    encoded: bytes
    key: int


# By `id`: messages are compared by what is in them, and may not be hashed. What ends with its message leaves nothing behind.
_said: dict[int, _Said] = {}


def said_again(item: Any) -> bytes | None:
    """What was remembered of this message, if it still says the same text."""
    known = _said.get(id(item))
    if known is None or known() is not item or getattr(item, "content", None) is not known.content:
        return None
    return known.encoded


def remember(item: Any, content: str, encoded: bytes) -> None:
    """This message is nothing but a text, the one in its ``content``, and ``encoded`` is what is hashed of it.

    Dictionaries, texts and whatever else takes no weak reference is not remembered.
    """
    try:
        said = _Said(item, _forget)
    except TypeError:
        return
    said.content, said.encoded, said.key = content, encoded, id(item)
    _said[said.key] = said


def _forget(said: _Said) -> None:
    _said.pop(said.key, None)

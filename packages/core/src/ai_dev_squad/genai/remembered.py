"""What was found out about an object, kept for as long as the object lives.

A conversation is sent again with each question, most of its messages are the very objects of the question before, and so are the
tools that a model is offered.
"""

from __future__ import annotations

import weakref
from typing import Any, Generic, TypeVar

__all__ = ["Remembered"]

_T = TypeVar("_T")


class _Kept(weakref.ref[Any]):
    __slots__ = ("key", "value")

    key: int
    value: Any


class Remembered(Generic[_T]):
    """By identity: objects are compared by what is in them, and may not be hashed. What ends with its object leaves nothing behind.

    Dictionaries, texts and whatever else takes no weak reference is not remembered.
    """

    def __init__(self) -> None:
        kept: dict[int, _Kept] = {}
        self._kept, self._forget = kept, lambda gone: kept.pop(gone.key, None)

    def __len__(self) -> int:
        return len(self._kept)

    def of(self, thing: Any) -> _T | None:
        """What is known of it; ``None`` if nothing is."""
        kept = self._kept.get(id(thing))
        return kept.value if kept is not None and kept() is thing else None

    def keep(self, thing: Any, value: _T) -> None:
        """From now on this is known of it."""
        if not type(
            thing
        ).__weakrefoffset__:  # to be told so by an exception would take longer than to read most messages
            return
        kept = _Kept(thing, self._forget)
        kept.key, kept.value = id(thing), value
        self._kept[kept.key] = kept

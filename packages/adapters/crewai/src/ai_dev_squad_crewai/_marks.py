"""Which objects are observed. They are marked here, by identity, and never changed themselves."""

from __future__ import annotations

import weakref
from typing import Any

__all__ = ["given_name", "is_marked", "mark", "unmark"]


class _Mark:
    __slots__ = ("name", "reference")

    def __init__(self, reference: weakref.ref[Any], name: str | None) -> None:
        self.reference, self.name = reference, name


_marks: dict[int, _Mark] = {}
_classes: weakref.WeakKeyDictionary[type, str | None] = weakref.WeakKeyDictionary()


def mark(thing: Any, name: str | None = None) -> None:
    """Observe this object, or all instances of this class."""
    if isinstance(thing, type):
        _classes[thing] = name
        return
    identity = id(thing)

    def forget(reference: weakref.ref[Any]) -> None:
        known = _marks.get(identity)
        if known is not None and known.reference is reference:  # the identity may belong to another object by now
            del _marks[identity]

    _marks[identity] = _Mark(weakref.ref(thing, forget), name)


def unmark(thing: Any) -> None:
    """Stop observing it."""
    if isinstance(thing, type):
        _classes.pop(thing, None)
    else:
        _marks.pop(id(thing), None)


def is_marked(thing: Any) -> bool:
    """Whether this object is observed, for itself or for its class."""
    known = _marks.get(id(thing))
    if known is not None and known.reference() is thing:
        return True
    return bool(_classes) and any(cls in _classes for cls in type(thing).__mro__)


def given_name(thing: Any) -> str | None:
    """The name that the user gave it for observation."""
    known = _marks.get(id(thing))
    if known is not None and known.reference() is thing and known.name is not None:
        return known.name
    return next((_classes[cls] for cls in type(thing).__mro__ if cls in _classes), None) if _classes else None

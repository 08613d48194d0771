"""Which objects are observed. They are marked here, by identity, and never changed themselves."""

from __future__ import annotations

import weakref
from typing import Any

__all__ = ["given_name", "given_task", "is_marked", "mark", "mark_like", "unmark"]


class _Mark:
    __slots__ = ("name", "reference", "task")

    def __init__(self, reference: weakref.ref[Any], name: str | None, task: str | None) -> None:
        self.reference, self.name, self.task = reference, name, task


_marks: dict[int, _Mark] = {}
_classes: weakref.WeakKeyDictionary[type, tuple[str | None, str | None]] = weakref.WeakKeyDictionary()
"""A class whose instances are observed → the name and the task that it was observed with."""


def mark(thing: Any, name: str | None = None, task: str | None = None) -> None:
    """Observe this object, or all instances of this class."""
    if isinstance(thing, type):
        _classes[thing] = name, task
        return
    identity = id(thing)

    def forget(reference: weakref.ref[Any]) -> None:
        known = _marks.get(identity)
        if known is not None and known.reference is reference:  # the identity may belong to another object by now
            del _marks[identity]

    _marks[identity] = _Mark(weakref.ref(thing, forget), name, task)


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


def mark_like(copied: Any, thing: Any) -> None:
    """Observe ``copied`` as ``thing`` is observed."""
    mark(copied, given_name(thing), given_task(thing))


def given_name(thing: Any) -> str | None:
    """The name that the user gave it for observation."""
    known = _marks.get(id(thing))
    if known is not None and known.reference() is thing and known.name is not None:
        return known.name
    return _of_class(thing)[0]


def given_task(thing: Any) -> str | None:
    """What the user says that its runs are asked to do."""
    known = _marks.get(id(thing))
    if known is not None and known.reference() is thing and known.task is not None:
        return known.task
    return _of_class(thing)[1]


def _of_class(thing: Any) -> tuple[str | None, str | None]:
    nothing = None, None
    return next((_classes[cls] for cls in type(thing).__mro__ if cls in _classes), nothing) if _classes else nothing

"""Which objects of a program are observed. They are known here by identity, and never changed themselves.

An adapter that must leave types, dumps and states of its framework's objects as they are keeps one ``Marks``. An object may be
collected as before: its mark goes with it.
"""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

__all__ = ["Mark", "Marks"]


class Mark(NamedTuple):
    """What was said when an object was observed."""

    name: str | None = None
    """How its runs are called; ``None`` for the framework's own name."""
    task: str | None = None
    """What its runs are asked to do; ``None`` for what the session says."""


class Marks:
    """The observed objects of one framework, and the classes whose instances are. Safe under threads."""

    __slots__ = ("_classes", "_has_classes", "_things")

    def __init__(self) -> None:
        self._things: dict[int, tuple[weakref.ref[Any], Mark]] = {}
        self._classes: weakref.WeakKeyDictionary[type, Mark] = weakref.WeakKeyDictionary()
        self._has_classes = False  # whether there ever was one: asking the dictionary takes as long as all else

    def mark(self, thing: Any, mark: Mark = Mark()) -> None:  # noqa: B008 - it is immutable
        """Observe this object, or all instances of this class. A later mark replaces an earlier one.

        Raises ``TypeError`` for an object that cannot be referred to weakly.
        """
        if isinstance(thing, type):
            self._classes[thing] = mark
            self._has_classes = True
            return
        identity, things = id(thing), self._things

        def forget(reference: weakref.ref[Any]) -> None:
            known = things.get(identity)
            if known is not None and known[0] is reference:  # the identity may belong to another object by now
                del things[identity]

        things[identity] = weakref.ref(thing, forget), mark

    def unmark(self, thing: Any) -> None:
        """Stop observing it."""
        if isinstance(thing, type):
            self._classes.pop(thing, None)
        else:
            self._things.pop(id(thing), None)

    def find(self, thing: Any) -> Mark | None:
        """How this object is observed, for itself or for its class; ``None`` if it is not.

        What was said of the object goes before what was said of its class.
        """
        known = self._things.get(id(thing))
        own = None if known is None or known[0]() is not thing else known[1]
        inherited = self._of_class(thing) if self._has_classes else None
        if own is None or inherited is None:
            return own or inherited
        return Mark(own.name or inherited.name, own.task or inherited.task)

    def _of_class(self, thing: Any) -> Mark | None:
        return next((mark for cls in type(thing).__mro__ if (mark := self._classes.get(cls)) is not None), None)

"""Give a living object other methods, without a reference to itself that would keep it alive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Swap"]


class Swap:
    """Turns objects into instances of subclasses, one for each class that comes along, named as that class is.

    ``subclass(owner)`` makes one; it must have empty ``__slots__``, as an object can't change its layout.
    """

    def __init__(self, subclass: Callable[[Any], type]) -> None:
        self._subclass, self._made = subclass, dict[type, type]()

    def __call__(self, target: Any) -> None:
        """Turn ``target``. Raises ``TypeError`` if its class doesn't allow that."""
        owner = type(target)
        made = self._made.get(owner)
        if made is None:
            made = self._made[owner] = self._subclass(owner)
            made.__name__, made.__qualname__, made.__module__ = owner.__name__, owner.__qualname__, owner.__module__
        target.__class__ = made

"""Synchronous functions that AutoGen runs in a thread keep the current span of the call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ai_dev_squad.context import carried
from ai_dev_squad_autogen._invocation import enclosing

__all__ = ["carrying_span"]


def carrying_span(method: Callable[..., Any], attribute: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Shadows ``method``, AutoGen's own, a coroutine method that runs the function ``self.<attribute>`` in a thread.

    The method is given a stand-in for its object, of which that function alone is another: many threads and event loops
    may share the object itself. The method only reads from it; one that somebody has put in its place might do
    anything, and gets the object.
    """

    def shadow(original: Callable[..., Any]) -> Callable[..., Any]:
        async def observed(self: Any, *args: Any, **kwargs: Any) -> Any:
            function = self.__dict__.get(attribute)
            is_own = getattr(type(self), method.__name__, None) is method
            if not is_own or not callable(function) or asyncio.iscoroutinefunction(function) or enclosing() is None:
                return await original(self, *args, **kwargs)
            stand_in = object.__new__(type(self))
            stand_in.__dict__.update(self.__dict__)
            stand_in.__dict__[attribute] = carried(function)
            return await original(stand_in, *args, **kwargs)

        return observed

    return shadow

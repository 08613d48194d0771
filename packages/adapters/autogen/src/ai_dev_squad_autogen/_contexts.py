"""Synchronous functions that AutoGen runs in a thread keep the context of the call, and with it the current span."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import types
from collections.abc import Callable, Generator
from typing import Any

from ai_dev_squad_autogen._invocation import enclosing

__all__ = ["keeping_context"]


def keeping_context(attribute: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Shadows a coroutine method that hands ``self.<attribute>`` to a thread, in which context variables are lost.

    The function is handed over in the method's first step, up to its first ``await``. For that step, in which nothing
    else can run, the attribute is the same function in the current context.
    """

    def shadow(original: Callable[..., Any]) -> Callable[..., Any]:
        async def observed(self: Any, *args: Any, **kwargs: Any) -> Any:
            function = self.__dict__.get(attribute)
            if not callable(function) or asyncio.iscoroutinefunction(function) or enclosing() is None:
                return await original(self, *args, **kwargs)
            in_context = functools.partial(contextvars.copy_context().run, function)
            return await _with_first_step(self, attribute, in_context, original(self, *args, **kwargs))

        return observed

    return shadow


@types.coroutine
def _with_first_step(owner: Any, attribute: str, value: Any, coroutine: Any) -> Generator[Any, Any, Any]:
    before = owner.__dict__[attribute]
    owner.__dict__[attribute] = value
    try:
        waiting_for = coroutine.send(None)
    except StopIteration as done:
        return done.value
    finally:
        owner.__dict__[attribute] = before
    return (yield from _rest(coroutine, waiting_for))


def _rest(coroutine: Any, waiting_for: Any) -> Generator[Any, Any, Any]:
    """What ``await`` would do from the second step on."""
    while True:
        try:
            sent = yield waiting_for
        except GeneratorExit:
            coroutine.close()
            raise
        except BaseException as thrown:  # noqa: BLE001 - into the coroutine with it
            step = functools.partial(coroutine.throw, thrown)
        else:
            step = functools.partial(coroutine.send, sent)
        try:
            waiting_for = step()
        except StopIteration as done:
            return done.value

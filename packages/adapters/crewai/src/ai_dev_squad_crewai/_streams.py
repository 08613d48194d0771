"""Streams: what a kickoff returns at once runs only when it's read, perhaps elsewhere, later, or not to its end.

The run belongs where the kickoff was called. CrewAI copies its reader's context when the first item is asked for, so
for that moment the context of the kickoff is put there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from opentelemetry import context as otel_context

from ai_dev_squad.context import correlation_id_var, session_id_var, user_id_var
from ai_dev_squad_crewai import _records

__all__ = ["Origin", "follow", "origin"]

_origin: ContextVar[Origin | None] = ContextVar("ai_dev_squad_crewai_origin", default=None)
_IDS = (session_id_var, correlation_id_var, user_id_var)


class Origin:
    """Where a stream was asked for, and whether its reader has left."""

    __slots__ = ("context", "ids", "left", "record")

    def __init__(self) -> None:
        self.context = otel_context.get_current()
        self.ids = [var.get() for var in _IDS]
        self.record = _records.innermost()
        self.left = False

    @contextmanager
    def current(self) -> Iterator[None]:
        """Put the origin's context in place for the length of a block."""
        token = otel_context.attach(self.context)
        before = [var.get() for var in _IDS], _origin.get()
        for var, value in zip(_IDS, self.ids, strict=True):
            var.set(value)
        _origin.set(self)
        try:
            yield
        finally:
            _origin.set(before[1])
            for var, value in zip(_IDS, before[0], strict=True):
                var.set(value)
            otel_context.detach(token)


def origin() -> Origin | None:
    """The origin of the stream that this context runs for."""
    return _origin.get()


def follow(result: Any) -> Any:
    """Have what runs behind a streaming result belong to this place. Anything else is returned as it is."""
    for name, proxy in (("_sync_iterator", _Items), ("_async_iterator", _AsyncItems)):
        iterator = getattr(result, name, None)
        if iterator is not None and not isinstance(iterator, (_Items, _AsyncItems)):
            setattr(result, name, proxy(iterator, Origin()))
    return result


class _Items:
    """Stands in for the generator behind a stream."""

    __slots__ = ("_items", "_origin", "_started")

    def __init__(self, items: Any, origin: Origin) -> None:
        self._items, self._origin, self._started = items, origin, False

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._started:
            return next(self._items)
        self._started = True
        with self._origin.current():
            return next(self._items)

    def close(self) -> None:
        self._origin.left = True
        self._items.close()


class _AsyncItems:
    """The same for an asynchronous generator."""

    __slots__ = ("_items", "_origin", "_started")

    def __init__(self, items: Any, origin: Origin) -> None:
        self._items, self._origin, self._started = items, origin, False

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        if self._started:
            return await anext(self._items)
        self._started = True
        with self._origin.current():
            return await anext(self._items)

    async def aclose(self) -> None:
        self._origin.left = True
        await self._items.aclose()

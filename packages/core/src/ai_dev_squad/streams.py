"""Iterator proxies that learn how a stream ended, exactly once, and change nothing for its consumer.

``observe_iterator`` and ``observe_aiterator`` stand in for iterators, generators and the stream objects of client
libraries. What keeps the type: attributes, assignment, ``isinstance`` (also against ``types.GeneratorType``), ``with``
and ``async with`` reach the original; the same items, exceptions and generator return values come out. What doesn't:
``type(proxy)``, C code that insists on an exact generator, and operators (such as ``len`` or indexing).
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Literal

from ai_dev_squad.guard import report

__all__ = ["Outcome", "observe_aiterator", "observe_iterator", "outcome_of"]

Outcome = Literal["ok", "error", "closed_early", "cancelled"]
"""How a stream ended: exhausted, failed, given up by its consumer (or collected), cancelled."""

_OnItem = Callable[[Any], object]
_OnEnd = Callable[[Outcome, "BaseException | None"], object]
_Step = Callable[[], "AbstractContextManager[Any]"]


def observe_iterator(
    it: Any, on_item: _OnItem | None = None, on_end: _OnEnd | None = None, *, step: _Step | None = None
) -> Any:
    """A proxy for the iterator, generator, iterable or stream object ``it``.

    ``on_item(item)`` is called for each item. ``on_end(outcome, error)`` is called exactly once, with the exception that
    ended the stream or ``None``: also when the consumer breaks off, when the proxy is collected, and when nothing was
    ever read. A collected proxy ends on whichever thread collects, so ``on_end`` must not wait for a lock.

    ``step()`` returns a context manager that surrounds each single step into the stream (``next``, ``send``, ``throw``,
    ``close``) and is left before the consumer sees the item. Hooks that fail are reported, never raised.
    """
    return (_Generator if hasattr(it, "send") and hasattr(it, "throw") else _Stream)(it, on_item, on_end, step)


def observe_aiterator(
    it: Any, on_item: _OnItem | None = None, on_end: _OnEnd | None = None, *, step: _Step | None = None
) -> Any:
    """Like ``observe_iterator``, for asynchronous iterators, generators and stream objects.

    Each step runs in the consumer's task: ``step()`` is entered and left there, around one ``await``.
    """
    return (_AsyncGenerator if hasattr(it, "asend") and hasattr(it, "athrow") else _AsyncStream)(
        it, on_item, on_end, step
    )


def outcome_of(error: BaseException | None) -> Outcome:
    """What the exception that left a stream says about its end."""
    if error is None or isinstance(error, (StopIteration, StopAsyncIteration)):
        return "ok"
    if isinstance(error, GeneratorExit):
        return "closed_early"
    # Whoever raises these has imported them; importing asyncio here would cost every program its start-up time.
    for module, name in (("asyncio", "CancelledError"), ("trio", "Cancelled")):
        cancelled = getattr(sys.modules.get(module), name, None)
        if cancelled is not None and isinstance(error, cancelled):
            return "cancelled"
    return "error"


_OWN = frozenset({"_source", "_items", "_on_item", "_on_end", "_step"})


class _Observed:
    """What all proxies share: the source, the hooks, and the end that happens once."""

    __slots__ = ("__weakref__", "_items", "_on_end", "_on_item", "_source", "_step")

    _source: Any
    _items: Any
    _on_item: _OnItem | None
    _on_end: list[_OnEnd | None]
    _step: _Step | None

    def __init__(self, source: Any, on_item: _OnItem | None, on_end: _OnEnd | None, step: _Step | None) -> None:
        keep = object.__setattr__  # ours below sorts out whose attribute it is, which these needn't pay for
        keep(self, "_source", source)
        keep(self, "_items", None)
        keep(self, "_on_item", on_item)
        # Taking the hook out of a list is atomic: two threads that end a stream together end it once.
        keep(self, "_on_end", [on_end])
        keep(self, "_step", step)

    def _finish(self, outcome: Outcome, error: BaseException | None) -> None:
        try:
            on_end = self._on_end.pop()
        except IndexError:
            return
        self._on_item = self._step = None
        if on_end is not None:
            try:
                on_end(outcome, error)
            except Exception as failure:  # noqa: BLE001 - observing never raises into the consumer
                report("ending an observed stream", failure)

    def _failed(self, error: BaseException) -> None:
        if getattr(self._source, "gi_running", False) is True or getattr(self._source, "ag_running", False) is True:
            return  # a second consumer was refused ("already executing"); the stream itself goes on
        outcome = outcome_of(error)
        self._finish(outcome, None if outcome in ("ok", "closed_early") else error)

    def _seen(self, item: Any) -> None:
        on_item = self._on_item
        if on_item is not None:
            try:
                on_item(item)
            except Exception as failure:  # noqa: BLE001 - see _finish
                report("observing a stream's item", failure)

    def _enter(self) -> AbstractContextManager[Any] | None:
        if self._step is None:
            return None
        try:
            step = self._step()
            step.__enter__()
        except Exception as failure:  # noqa: BLE001 - see _finish
            report("entering a stream's step", failure)
            return None
        return step

    def _leave(self, step: AbstractContextManager[Any] | None) -> None:
        if step is not None:
            try:
                step.__exit__(None, None, None)
            except Exception as failure:  # noqa: BLE001 - see _finish
                report("leaving a stream's step", failure)

    def _run(self, call: Callable[..., Any], *args: Any) -> Any:
        """One synchronous step; whatever it raises ends the stream."""
        step = self._enter()
        try:
            return call(*args)
        except BaseException as error:
            self._leave(step)
            step = None
            self._failed(error)
            raise
        finally:
            self._leave(step)

    async def _await(self, call: Callable[..., Any], *args: Any) -> Any:
        """One asynchronous step; whatever it raises ends the stream."""
        step = self._enter()
        try:
            return await call(*args)
        except BaseException as error:
            self._leave(step)
            step = None
            self._failed(error)
            raise
        finally:
            self._leave(step)

    def _special(self, name: str) -> Any:
        """A method that Python looks up on the class."""
        method = getattr(type(self._source), name, None)
        if method is None:
            raise TypeError(f"{type(self._source).__qualname__!r} object has no {name}; it can't be used in `with`")
        return method

    def _left(self, error: BaseException | None) -> None:
        """The consumer's ``with`` block is over. Its own failure isn't the stream's."""
        outcome = "closed_early" if error is None else outcome_of(error)
        self._finish(
            "cancelled" if outcome == "cancelled" else "closed_early", error if outcome == "cancelled" else None
        )

    def __del__(self) -> None:
        if hasattr(self, "_on_end"):
            self._finish("closed_early", None)

    @property
    def __class__(self) -> Any:
        return type(self._source)

    @__class__.setter
    def __class__(self, value: Any) -> None:
        raise TypeError("the class of an observed stream can't be changed; change the stream before observing it")

    def __getattr__(self, name: str) -> Any:
        if name in _OWN:
            raise AttributeError(name)  # half-built or copied: looking at the source would never end
        return getattr(self._source, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _OWN:
            object.__setattr__(self, name, value)
        else:
            setattr(self._source, name, value)

    def __dir__(self) -> list[str]:
        return dir(self._source)

    def __repr__(self) -> str:
        return f"<observed {self._source!r}>"


class _Stream(_Observed):
    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        items = self._items
        if items is None:
            items = self._items = self._run(self._start)
        if self._step is not None:
            item = self._run(next, items)
        else:
            # The same without the detour, because streams are long.
            try:
                item = next(items)
            except BaseException as error:
                self._failed(error)
                raise
        self._seen(item)
        return item

    def _start(self) -> Any:
        return self._source if hasattr(self._source, "__next__") else iter(self._source)

    def close(self) -> Any:
        close = getattr(self._source, "close", None)
        result = self._run(close) if close is not None else None
        self._finish("closed_early", None)
        return result

    def __enter__(self) -> Any:
        entered = self._run(self._special("__enter__"), self._source)
        return self if entered is self._source else entered

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> Any:
        result = self._run(self._special("__exit__"), self._source, kind, error, traceback)
        self._left(error)
        return result


class _Generator(_Stream):
    __slots__ = ()

    def send(self, value: Any) -> Any:
        item = self._run(self._source.send, value)
        self._seen(item)
        return item

    def throw(self, *args: Any) -> Any:
        item = self._run(self._source.throw, *args)
        self._seen(item)
        return item


class _AsyncStream(_Observed):
    __slots__ = ()

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        if self._items is None:
            self._items = self._source if hasattr(self._source, "__anext__") else self._source.__aiter__()
        item = await self._await(self._items.__anext__)
        self._seen(item)
        return item

    def close(self) -> Any:
        """Stream objects of client libraries close by ``close()``, which may be a coroutine function or not."""
        result = self._run(self._source.close)
        if inspect.isawaitable(result):
            return self._closed(result)
        self._finish("closed_early", None)
        return result

    async def aclose(self) -> Any:
        aclose = getattr(self._source, "aclose", None)
        return await self._closed(aclose()) if aclose is not None else self._finish("closed_early", None)

    async def _closed(self, closing: Any) -> Any:
        result = await self._await(lambda: closing)
        self._finish("closed_early", None)
        return result

    async def __aenter__(self) -> Any:
        entered = await self._await(self._special("__aenter__"), self._source)
        return self if entered is self._source else entered

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> Any:
        result = await self._await(self._special("__aexit__"), self._source, kind, error, traceback)
        self._left(error)
        return result


class _AsyncGenerator(_AsyncStream):
    __slots__ = ()

    async def asend(self, value: Any) -> Any:
        item = await self._await(self._source.asend, value)
        self._seen(item)
        return item

    async def athrow(self, *args: Any) -> Any:
        item = await self._await(self._source.athrow, *args)
        self._seen(item)
        return item

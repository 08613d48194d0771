"""Calls of every kind in steps: what is observed works step by step, and ends exactly once.

A function and a coroutine are one step; a generator is one for each item. ``Steps`` says what happens around each step
and at the end; ``observed_call``, ``observed_stream``, ``observed_astream`` and ``observed_context`` make the function that
stands in for the original: the same results, items, values sent in, exceptions and return values, and between two items
the consumer's own context.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Container, Generator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from types import CodeType, FrameType
from typing import Any

from ai_dev_squad.guard import report
from ai_dev_squad.refusal import CallRefused

__all__ = [
    "Open",
    "Steps",
    "argument",
    "astepped",
    "observed",
    "observed_astream",
    "observed_call",
    "observed_context",
    "observed_stream",
    "stepped",
]


class Steps:
    """One call under way, as those who watch it see it. This class itself watches nothing.

    What ``take``, ``returned`` and ``raised`` raise is reported and goes no further.
    """

    __slots__ = ()

    sees_items: bool = True
    """Whether ``take`` wants each item, also of a stream that could be one step; see ``observed_stream``."""

    def enter(self) -> Any:
        """A step begins. What is returned is given to ``leave``."""

    def leave(self, token: Any) -> None:
        """The step is over; the caller or the consumer goes on."""

    def take(self, item: Any) -> object:
        """The call yields ``item``. Return true to keep it from the consumer."""

    def given_up(self) -> None:
        """The consumer had enough; the generator is about to be closed."""

    def returned(self, result: Any) -> None:
        """The only end, if the call went well. ``result`` is what it returned, or its generator did."""

    def raised(self, error: BaseException) -> None:
        """The only end, if ``error`` left the call. ``GeneratorExit``: its consumer had enough."""


Open = Callable[[tuple[Any, ...], Mapping[str, Any]], "Steps | None"]
"""Begins to watch a call with these arguments; ``None``: this call isn't observed. Only ``CallRefused`` leaves it."""

_UNOBSERVED = Steps()


def argument(name: str, position: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """An argument of a watched call, however it was passed; ``None`` when it wasn't."""
    return args[position] if len(args) > position else kwargs.get(name)


def observed(original: Callable[..., Any], open_steps: Open) -> Callable[..., Any]:
    """A function of the same kind as ``original`` that observes it: plain, coroutine, generator or both."""
    if inspect.isasyncgenfunction(original):
        return observed_astream(original, open_steps)
    if inspect.isgeneratorfunction(original):
        return observed_stream(original, open_steps)
    return observed_call(original, open_steps)


def observed_call(
    original: Callable[..., Any], open_steps: Open, *, asynchronous: bool | None = None
) -> Callable[..., Any]:
    """A function that observes ``original``; a coroutine function if that is one.

    ``asynchronous`` says so where the function doesn't show it.
    """
    if inspect.iscoroutinefunction(original) if asynchronous is None else asynchronous:

        @functools.wraps(original)
        async def call_async(*args: Any, **kwargs: Any) -> Any:
            steps = _opened(open_steps, args, kwargs)
            if steps is None:
                return await original(*args, **kwargs)
            token = steps.enter()
            try:
                result = await original(*args, **kwargs)
            except BaseException as error:
                steps.leave(token)
                _tell(steps.raised, error)
                raise
            steps.leave(token)
            _tell(steps.returned, result)
            return result

        return call_async

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        steps = _opened(open_steps, args, kwargs)
        if steps is None:
            return original(*args, **kwargs)
        token = steps.enter()
        try:
            result = original(*args, **kwargs)
        except BaseException as error:
            steps.leave(token)
            _tell(steps.raised, error)
            raise
        steps.leave(token)
        _tell(steps.returned, result)
        return result

    return call


def observed_stream(
    original: Callable[..., Any], open_steps: Open, *, gathered_by: Container[CodeType] = ()
) -> Callable[..., Generator[Any, Any, Any]]:
    """A generator function that observes the iterator or generator that ``original`` returns.

    ``original`` is called in the first step, when the first item is asked for, as a generator function's body is.
    ``gathered_by`` is the code of the framework's own functions that go through such a stream to its end and run nothing
    of anybody's between two items: for them all of it is one step, unless somebody ``sees_items``.
    """

    @functools.wraps(original)
    def stream(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        steps = _opened(open_steps, args, kwargs) or _UNOBSERVED
        result: Any = None
        if not steps.sees_items and _is_gathered(inspect.currentframe(), gathered_by):
            token = steps.enter()
            try:
                result = yield from original(*args, **kwargs)
            except BaseException as error:
                steps.leave(token)
                _tell(steps.raised, error)
                raise
            steps.leave(token)
            _tell(steps.returned, result)
            return result
        items: Any = None
        following = step = None
        take, asking = steps.take, True
        try:
            while True:
                token, asking = steps.enter(), True
                try:
                    if step is None:
                        items = original(*args, **kwargs)
                        items = items if hasattr(items, "__next__") else iter(items)
                        following = step = items.__next__
                    item = step()
                except StopIteration as stop:
                    result = stop.value
                    break
                finally:
                    steps.leave(token)
                step, asking = following, False
                if _tell(take, item):
                    continue
                try:
                    sent = yield item
                except GeneratorExit:
                    steps.given_up()
                    raise
                except BaseException as thrown:  # noqa: BLE001 - into the generator with it
                    step = functools.partial(_thrown_into(items, "throw", thrown), thrown)
                else:
                    if sent is not None:
                        step = functools.partial(items.send, sent)
        except BaseException as error:
            ended_by, token = error, steps.enter()
            try:
                if not asking and hasattr(items, "close"):
                    items.close()
            except BaseException as failure:
                ended_by = failure
                raise
            finally:
                steps.leave(token)
                _tell(steps.raised, ended_by)
            raise
        _tell(steps.returned, result)
        return result

    return stream


def _is_gathered(stream: FrameType | None, gathered_by: Container[CodeType]) -> bool:
    """Whether one of these asks for the next item of the stream that runs in this frame."""
    consumer = None if stream is None else stream.f_back
    return consumer is not None and consumer.f_code in gathered_by


def observed_astream(
    original: Callable[..., Any], open_steps: Open, *, gathered_by: Container[CodeType] = ()
) -> Callable[..., AsyncGenerator[Any, Any]]:
    """An asynchronous generator function that observes the asynchronous iterator that ``original`` returns.

    Every step runs in the task of the consumer that asks for it. ``gathered_by`` as for ``observed_stream``.
    """

    @functools.wraps(original)
    async def stream(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        steps = _opened(open_steps, args, kwargs) or _UNOBSERVED
        if not steps.sees_items and _is_gathered(inspect.currentframe(), gathered_by):
            token = steps.enter()
            try:
                async with aclosing(original(*args, **kwargs)) as whole:
                    async for item in whole:
                        yield item
            except BaseException as error:
                steps.leave(token)
                _tell(steps.raised, error)
                raise
            steps.leave(token)
            _tell(steps.returned, None)
            return
        items: Any = None
        following = step = None
        take, asking = steps.take, True
        try:
            while True:
                token, asking = steps.enter(), True
                try:
                    if step is None:
                        items = original(*args, **kwargs)
                        items = items if hasattr(items, "__anext__") else aiter(items)
                        following = step = items.__anext__
                    item = await step()
                except StopAsyncIteration:
                    break
                finally:
                    steps.leave(token)
                step, asking = following, False
                if _tell(take, item):
                    continue
                try:
                    sent = yield item
                except GeneratorExit:
                    steps.given_up()
                    raise
                except BaseException as thrown:  # noqa: BLE001 - into the generator with it
                    step = functools.partial(_thrown_into(items, "athrow", thrown), thrown)
                else:
                    if sent is not None:
                        step = functools.partial(items.asend, sent)
        except BaseException as error:
            ended_by, token = error, steps.enter()
            try:
                if not asking and hasattr(items, "aclose"):
                    await items.aclose()
            except BaseException as failure:
                ended_by = failure
                raise
            finally:
                steps.leave(token)
                _tell(steps.raised, ended_by)
            raise
        _tell(steps.returned, None)

    return stream


def observed_context(
    original: Callable[..., Any], open_steps: Open, *, inside: bool = False
) -> Callable[..., AbstractAsyncContextManager[Any]]:
    """A function that observes the asynchronous context manager that ``original`` returns.

    Entering it and leaving it are a step each, and the block in between is the caller's own; with ``inside``, all of it
    is one step. ``take`` is given what is entered.
    """

    @functools.wraps(original)
    @asynccontextmanager
    async def context(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        steps = _opened(open_steps, args, kwargs)
        if steps is None:
            async with original(*args, **kwargs) as item:
                yield item
            return
        token = steps.enter()
        is_within = True
        try:
            async with original(*args, **kwargs) as item:
                if not inside:
                    steps.leave(token)
                    is_within = False
                _tell(steps.take, item)
                try:
                    yield item
                finally:
                    if not inside:
                        token = steps.enter()
                        is_within = True
        except BaseException as error:
            if is_within:
                steps.leave(token)
            _tell(steps.raised, error)
            raise
        steps.leave(token)
        _tell(steps.returned, None)

    return context


def stepped(items: Iterator[Any], steps: Steps) -> Generator[Any, Any, Any]:
    """A generator that stands in for ``items``."""
    return observed_stream(lambda: items, lambda *_: steps)()


def astepped(items: AsyncIterator[Any], steps: Steps) -> AsyncGenerator[Any, Any]:
    """An asynchronous generator that stands in for ``items``."""
    return observed_astream(lambda: items, lambda *_: steps)()


def _opened(open_steps: Open, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Steps | None:
    try:
        return open_steps(args, kwargs)
    except CallRefused:
        raise
    except Exception as error:  # noqa: BLE001 - the user's program comes first
        report("observing the start of a call", error)
        return None


def _tell(hook: Callable[[Any], Any], what: Any) -> Any:
    try:
        return hook(what)
    except Exception as error:  # noqa: BLE001 - the user's program comes first
        report("observing a call", error)
        return None


def _thrown_into(items: Any, name: str, error: BaseException) -> Callable[..., Any]:
    """What a consumer throws into a stream goes to its generator; an iterator without ``throw`` is left by it."""
    throw = getattr(items, name, None)
    if throw is None:
        raise error
    return throw  # type: ignore[no-any-return]

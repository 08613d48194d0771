"""A stream's end is learned exactly once, and its consumer notices nothing."""

import asyncio
import contextlib
import gc
import inspect
import logging
import threading
import types
from collections.abc import AsyncGenerator, Generator
from contextvars import ContextVar

import pytest

from ai_dev_squad.guard import set_strict
from ai_dev_squad.streams import observe_aiterator, observe_iterator, outcome_of

current = ContextVar("current", default="outside")


class Watch:
    """Collects what the hooks are told, and a step that marks the context."""

    def __init__(self):
        self.items = []
        self.ends = []

    def end(self, outcome, error):
        self.ends.append((outcome, error))

    @contextlib.contextmanager
    def step(self):
        token = current.set("inside")
        try:
            yield
        finally:
            current.reset(token)

    def observe(self, it):
        return observe_iterator(it, self.items.append, self.end, step=self.step)

    def aobserve(self, it):
        return observe_aiterator(it, self.items.append, self.end, step=self.step)


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture
def lenient():
    """Failures of hooks are logged as in production, whatever the other tests' setting."""
    before = set_strict(False)
    yield
    set_strict(before)


def numbers(*, fail=None):
    """Three steps, each saying in which context it runs."""
    for n in range(3):
        yield n, current.get()
    if fail is not None:
        raise fail
    return "result"


async def anumbers(*, fail=None):
    for n in range(3):
        await asyncio.sleep(0)
        yield n, current.get()
    if fail is not None:
        raise fail


STEPS = [(0, "inside"), (1, "inside"), (2, "inside")]


def test_an_exhausted_stream_is_ok(watch):
    """All items come through in order, each seen once, and the end is told once even if asked again."""
    stream = watch.observe(numbers())

    assert list(stream) == STEPS
    assert next(stream, "over") == "over"
    assert (watch.items, watch.ends) == (STEPS, [("ok", None)])


async def test_an_exhausted_asynchronous_stream_is_ok(watch):
    """The same for asynchronous iteration."""
    stream = watch.aobserve(anumbers())

    assert [item async for item in stream] == STEPS
    assert await anext(stream, "over") == "over"
    assert (watch.items, watch.ends) == (STEPS, [("ok", None)])


def test_the_context_is_attached_only_around_each_step(watch):
    """The producer runs inside, the consumer between two items outside."""
    seen = [current.get() for _ in watch.observe(numbers())]

    assert (seen, current.get()) == (["outside"] * 3, "outside")


async def test_the_context_is_attached_only_around_each_asynchronous_step(watch):
    """The same in a task, with real suspension inside the step."""
    seen = [current.get() async for _ in watch.aobserve(anumbers())]

    assert (seen, current.get()) == (["outside"] * 3, "outside")


def test_a_failing_stream_raises_the_same_exception(watch):
    """The consumer and the hook get the very object that the producer raised."""
    error = RuntimeError("boom")
    stream = watch.observe(numbers(fail=error))

    with pytest.raises(RuntimeError) as caught:
        list(stream)
    assert caught.value is error
    assert watch.ends == [("error", error)]


async def test_a_failing_asynchronous_stream_raises_the_same_exception(watch):
    """The same for asynchronous iteration."""
    error = RuntimeError("boom")

    with pytest.raises(RuntimeError) as caught:
        [item async for item in watch.aobserve(anumbers(fail=error))]
    assert caught.value is error
    assert watch.ends == [("error", error)]


def test_breaking_off_ends_the_stream_early(watch):
    """``break`` drops the iterator, which ends it at once."""
    for item in watch.observe(numbers()):
        assert item == (0, "inside")
        break

    assert watch.ends == [("closed_early", None)]


async def test_breaking_off_ends_the_asynchronous_stream_early(watch):
    """The same for asynchronous iteration."""
    async for item in watch.aobserve(anumbers()):
        assert item == (0, "inside")
        break

    assert watch.ends == [("closed_early", None)]


def test_closing_ends_the_stream_early(watch):
    """``close`` reaches the generator inside the context, and ends once."""
    closed_in = []

    def source():
        try:
            yield 1
        finally:
            closed_in.append(current.get())

    stream = watch.observe(source())
    next(stream)
    stream.close()
    stream.close()

    assert (closed_in, watch.ends) == (["inside"], [("closed_early", None)])


async def test_closing_ends_the_asynchronous_stream_early(watch):
    """``aclose`` reaches the generator inside the context, and ends once."""
    closed_in = []

    async def source():
        try:
            yield 1
        finally:
            closed_in.append(current.get())

    async with contextlib.aclosing(watch.aobserve(source())) as stream:
        assert await anext(stream) == 1
    await stream.aclose()

    assert (closed_in, watch.ends) == (["inside"], [("closed_early", None)])


def test_a_failure_while_closing_is_an_error(watch):
    """What a generator raises from its clean-up reaches the closer and the hook."""
    error = OSError("lost")

    def source():
        try:
            yield 1
        finally:
            raise error

    stream = watch.observe(source())
    next(stream)

    with pytest.raises(OSError, match="lost"):
        stream.close()
    assert watch.ends == [("error", error)]


@pytest.mark.parametrize("started", [False, True])
def test_a_collected_stream_ends_early(watch, started):
    """A proxy that nobody refers to is ended by the collector, also one that was never read and one in a cycle."""
    stream = watch.observe(numbers())
    if started:
        next(stream)
    cycle = [stream]
    cycle.append(cycle)
    del stream, cycle
    gc.collect()

    assert watch.ends == [("closed_early", None)]


async def test_a_collected_asynchronous_stream_ends_early(watch):
    """The same for an asynchronous stream that was never read."""
    watch.aobserve(anumbers())
    gc.collect()

    assert watch.ends == [("closed_early", None)]


async def test_cancelling_the_consumer_cancels_the_stream(watch):
    """A real task, cancelled while the producer waits."""
    waiting = asyncio.Event()

    async def source():
        yield 1
        waiting.set()
        await asyncio.Event().wait()

    async def consume():
        async for _ in watch.aobserve(source()):
            pass

    task = asyncio.create_task(consume())
    await waiting.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert [(outcome, type(error)) for outcome, error in watch.ends] == [("cancelled", asyncio.CancelledError)]


async def test_a_time_out_cancels_the_stream(watch):
    """``wait_for`` around one step ends the stream as cancelled, and the context is left."""

    async def source():
        yield 1
        await asyncio.sleep(60)

    stream = watch.aobserve(source())
    await anext(stream)

    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(anext(stream), timeout=0.01)
    assert ([outcome for outcome, _ in watch.ends], current.get()) == (["cancelled"], "outside")


async def test_cancelling_the_consumer_between_two_items_ends_the_stream_early(watch):
    """The producer isn't running then, so it's given up, not cancelled."""
    started = asyncio.Event()

    async def consume():
        async for _ in watch.aobserve(anumbers()):
            started.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(consume())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    del task
    gc.collect()

    assert watch.ends == [("closed_early", None)]


async def test_concurrent_tasks_keep_their_contexts_apart(watch):
    """Steps of two streams interleave in two tasks; each consumer stays outside."""

    async def consume():
        return [(item, current.get()) async for item in watch.aobserve(anumbers())]

    both = await asyncio.gather(consume(), consume())

    assert both == [[(step, "outside") for step in STEPS]] * 2
    assert watch.ends == [("ok", None)] * 2


def test_values_and_exceptions_can_be_sent_into_a_generator(watch):
    """``send`` and ``throw`` reach the generator, their items are seen, and its return value comes out."""

    def source():
        got = yield "first"
        try:
            yield got, current.get()
        except KeyError:
            yield "caught"
        return "result"

    stream = watch.observe(source())
    assert (next(stream), stream.send("x"), stream.throw(KeyError())) == ("first", ("x", "inside"), "caught")
    with pytest.raises(StopIteration) as stopped:
        next(stream)

    assert stopped.value.value == "result"
    assert (watch.items, watch.ends) == (["first", ("x", "inside"), "caught"], [("ok", None)])


async def test_values_and_exceptions_can_be_sent_into_an_asynchronous_generator(watch):
    """``asend`` and ``athrow`` reach the generator and their items are seen."""

    async def source():
        got = yield "first"
        try:
            yield got, current.get()
        except KeyError:
            yield "caught"

    stream = watch.aobserve(source())
    assert await anext(stream) == "first"
    assert await stream.asend("x") == ("x", "inside")
    assert await stream.athrow(KeyError()) == "caught"
    with pytest.raises(StopAsyncIteration):
        await anext(stream)

    assert (watch.items, watch.ends) == (["first", ("x", "inside"), "caught"], [("ok", None)])


def test_delegating_to_an_observed_generator_works(watch):
    """``yield from`` passes items and the return value through."""

    def outer():
        return (yield from watch.observe(numbers()))

    results = []

    def collect():
        results.append((yield from outer()))

    assert (list(collect()), results, watch.ends) == (STEPS, ["result"], [("ok", None)])


def test_a_generator_still_looks_like_one(watch):
    """``isinstance``, ``inspect`` and attributes see the original."""
    stream = watch.observe(numbers())

    assert (
        isinstance(stream, types.GeneratorType),
        isinstance(stream, Generator),
        inspect.isgenerator(stream),
        inspect.getgeneratorstate(stream),
        stream.__name__,
        hasattr(watch.observe(iter([1])), "send"),
        isinstance(watch.aobserve(anumbers()), AsyncGenerator),
        inspect.isasyncgen(watch.aobserve(anumbers())),
    ) == (True, True, True, "GEN_CREATED", "numbers", False, True, True)


def test_a_second_consumer_that_is_refused_does_not_end_the_stream(watch):
    """A thread that asks a running generator for an item gets Python's error; the stream goes on for the first."""
    entered, go_on = threading.Event(), threading.Event()

    def source():
        entered.set()
        go_on.wait(10)
        yield 1

    stream = watch.observe(source())
    got = []
    first = threading.Thread(target=lambda: got.extend(stream))
    first.start()
    entered.wait(10)
    with pytest.raises(ValueError, match="already executing"):
        next(stream)
    go_on.set()
    first.join()

    assert (got, watch.ends) == ([1], [("ok", None)])


class Sdk:
    """A stream object as client libraries have them: iterable, iterator, context manager, with attributes."""

    def __init__(self):
        self.response = "headers"
        self.closed = False
        self._chunks = iter(["a", "b"])

    def __iter__(self):
        yield from self._chunks

    def __next__(self):
        return next(self._chunks)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.closed = True


class AsyncSdk:
    """The same for asyncio, with ``close`` as a coroutine function."""

    def __init__(self):
        self.closed = False
        self._chunks = iter(["a", "b"])

    async def __anext__(self):
        for chunk in self._chunks:
            return chunk
        raise StopAsyncIteration

    def __aiter__(self):
        return self

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc):
        await self.close()

    async def close(self):
        await asyncio.sleep(0)
        self.closed = True


def test_a_client_librarys_stream_keeps_its_face(watch):
    """Its class, attributes, assignment and context manager work; leaving the block early ends it."""
    original = Sdk()
    with watch.observe(original) as stream:
        assert (isinstance(stream, Sdk), stream.response, next(stream)) == (True, "headers", "a")
        stream.note = "mine"

    assert (original.note, original.closed, "closed" in dir(stream)) == ("mine", True, True)
    assert (watch.items, watch.ends) == (["a"], [("closed_early", None)])


async def test_an_asynchronous_client_librarys_stream_keeps_its_face(watch):
    """The same with ``async with`` and with a ``close`` that must be awaited."""
    original, other = AsyncSdk(), AsyncSdk()
    async with watch.aobserve(original) as stream:
        assert (isinstance(stream, AsyncSdk), await anext(stream)) == (True, "a")
    closing = watch.aobserve(other)
    await closing.close()

    assert (original.closed, other.closed) == (True, True)
    assert (watch.items, watch.ends) == (["a"], [("closed_early", None)] * 2)


def test_the_consumers_own_failure_is_not_the_streams(watch):
    """An exception in the ``with`` block passes, and the stream counts as given up."""
    with pytest.raises(KeyError), watch.observe(Sdk()) as stream:
        next(stream)
        raise KeyError("mine")

    assert watch.ends == [("closed_early", None)]


def test_a_stream_read_to_its_end_in_a_block_is_ok(watch):
    """Leaving the block after the last item changes nothing."""
    with watch.observe(Sdk()) as stream:
        assert list(stream) == ["a", "b"]

    assert watch.ends == [("ok", None)]


def test_a_stream_without_a_block_still_refuses_one(watch):
    """``with`` on something that has no such protocol raises a TypeError and leaves the stream usable."""
    stream = watch.observe(numbers())
    with pytest.raises(TypeError, match="'generator' object has no __enter__"), stream:
        pass

    assert (list(stream), watch.ends) == (STEPS, [("ok", None)])


def test_plain_iterables_can_be_observed(watch):
    """A list, or anything with ``__iter__`` only, becomes an iterator."""
    assert (list(watch.observe([1, 2])), watch.items, watch.ends) == ([1, 2], [1, 2], [("ok", None)])


def test_failing_hooks_never_reach_the_consumer(lenient, caplog):
    """Hooks and steps that raise are reported on our logger, the items arrive unharmed."""

    def broken(*_):
        raise LookupError("hook")

    with caplog.at_level(logging.WARNING, "ai_dev_squad"):
        items = list(observe_iterator([1, 2], broken, broken, step=broken))

    assert items == [1, 2]
    assert sorted({record.args[0] for record in caplog.records}) == [
        "ending an observed stream",
        "entering a stream's step",
        "observing a stream's item",
    ]


def test_two_threads_that_end_a_stream_end_it_once(watch):
    """Closing from many threads at once tells the hook a single time."""
    streams = [watch.observe(iter([1])) for _ in range(50)]
    barrier = threading.Barrier(4)

    def close_all():
        barrier.wait()
        for stream in streams:
            stream.close()

    threads = [threading.Thread(target=close_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert watch.ends == [("closed_early", None)] * 50


@pytest.mark.parametrize(
    "error, outcome",
    [
        (None, "ok"),
        (StopIteration(), "ok"),
        (StopAsyncIteration(), "ok"),
        (GeneratorExit(), "closed_early"),
        (asyncio.CancelledError(), "cancelled"),
        (KeyboardInterrupt(), "error"),
        (ValueError(), "error"),
    ],
    ids=repr,
)
def test_the_exception_says_how_a_stream_ended(error, outcome):
    """One table for all adapters."""
    assert outcome_of(error) == outcome

"""A call is observed step by step, its end is told exactly once, and its caller or consumer notices nothing."""

import asyncio
import gc
import inspect
import logging
from contextlib import aclosing, asynccontextmanager
from contextvars import ContextVar

import pytest

from ai_dev_squad import BudgetExceeded
from ai_dev_squad.guard import set_strict
from ai_dev_squad.steps import (
    Steps,
    astepped,
    observed,
    observed_astream,
    observed_call,
    observed_context,
    observed_stream,
    stepped,
)

current = ContextVar("current", default="outside")


class Watch(Steps):
    """Collects what it is told, and marks the context within each step."""

    def __init__(self, keep=()):
        self.told = []
        self.keep = keep

    def enter(self):
        return current.set("inside")

    def leave(self, token):
        current.reset(token)

    def take(self, item):
        self.told.append(item)
        return item in self.keep

    def given_up(self):
        self.told.append("given up")

    def returned(self, result):
        self.told.append(("returned", result))

    def raised(self, error):
        self.told.append(("raised", type(error).__name__))

    def open(self, args, kwargs):
        return self


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


def test_a_function_is_one_step(watch):
    """It runs inside, and its result and its failure come out as they are."""

    def ask(what):
        if what is None:
            raise KeyError("what")
        return what, current.get()

    asking = observed(ask, watch.open)

    assert asking("name") == ("name", "inside")
    with pytest.raises(KeyError, match="what"):
        asking(None)
    assert watch.told == [("returned", ("name", "inside")), ("raised", "KeyError")]
    assert current.get() == "outside"


async def test_a_coroutine_is_one_step(watch):
    """It runs inside up to its end, also after it waited."""

    async def ask(what):
        await asyncio.sleep(0)
        if what is None:
            raise KeyError("what")
        return what, current.get()

    asking = observed(ask, watch.open)

    assert await asking("name") == ("name", "inside")
    with pytest.raises(KeyError, match="what"):
        await asking(None)
    assert watch.told == [("returned", ("name", "inside")), ("raised", "KeyError")]
    assert current.get() == "outside"


def test_a_generator_runs_inside_and_its_consumer_outside(watch):
    """All items come through in order, each seen once; the result is told once, even if asked again."""
    stream = observed(numbers, watch.open)()
    seen = []
    while True:
        try:
            seen.append((next(stream), current.get()))
        except StopIteration as stop:
            result = stop.value
            break

    assert seen == [(step, "outside") for step in STEPS]
    assert result == "result"
    assert next(stream, None) is None
    assert watch.told == [*STEPS, ("returned", "result")]


async def test_an_asynchronous_generator_runs_inside_and_its_consumer_outside(watch):
    """The same, one task and one ``await`` a step."""
    seen = [(step, current.get()) async for step in observed(anumbers, watch.open)()]

    assert seen == [(step, "outside") for step in STEPS]
    assert watch.told == [*STEPS, ("returned", None)]


def test_a_failing_generator_raises_the_same_exception(watch):
    """The very object, and it is told once."""
    failure = OSError("gone")
    stream = observed(numbers, watch.open)(fail=failure)

    with pytest.raises(OSError, match="gone") as raised:
        list(stream)

    assert raised.value is failure
    assert watch.told == [*STEPS, ("raised", "OSError")]


async def test_a_failing_asynchronous_generator_raises_the_same_exception(watch):
    """The very object, and it is told once."""
    failure = OSError("gone")

    with pytest.raises(OSError, match="gone") as raised:
        async for _ in observed(anumbers, watch.open)(fail=failure):
            pass

    assert raised.value is failure
    assert watch.told == [*STEPS, ("raised", "OSError")]


@pytest.mark.parametrize("how", ["close", "break", "collected"])
def test_a_stream_that_is_left(watch, how):
    """However its consumer leaves, the generator is closed, inside, and then the end is told, once."""
    closed = []

    def body():
        try:
            yield 1
            yield 2
        finally:
            closed.append((current.get(), list(watch.told)))

    stream = observed_stream(body, watch.open)()
    if how == "break":
        for _ in stream:
            break
    else:
        next(stream)
    if how == "close":
        stream.close()
    del stream
    gc.collect()

    assert closed == [("inside", [1, "given up"])]
    assert watch.told == [1, "given up", ("raised", "GeneratorExit")]


async def test_an_asynchronous_stream_that_is_left(watch):
    """The same for ``aclose``."""
    closed = []

    async def body():
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            closed.append((current.get(), list(watch.told)))

    async with aclosing(observed_astream(body, watch.open)()) as stream:
        await anext(stream)

    assert closed == [("inside", [1, "given up"])]
    assert watch.told == [1, "given up", ("raised", "GeneratorExit")]


def test_a_stream_that_is_never_read_never_began(watch):
    """A generator's body doesn't run before its first item is asked for; nor is anything told."""
    opened = []
    stream = observed_stream(numbers, lambda *arguments: opened.append(arguments))("unread")
    stream.close()

    assert opened == []


def test_a_failure_while_closing_is_what_ends_the_stream(watch):
    """The consumer gets it, as unobserved, and it is told."""

    def body():
        try:
            yield 1
        finally:
            raise OSError("gone")

    stream = observed_stream(body, watch.open)()
    next(stream)

    with pytest.raises(OSError, match="gone"):
        stream.close()
    assert watch.told == [1, "given up", ("raised", "OSError")]


async def test_a_cancelled_consumer_cancels_the_stream(watch):
    """Cancelled while it waits for an item, it ends by that; the generator sees it, too."""
    seen, waits = [], asyncio.Event()

    async def body():
        yield 1
        try:
            waits.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append(current.get())
            raise

    async def consume():
        async for _ in observed_astream(body, watch.open)():
            pass

    consumer = asyncio.ensure_future(consume())
    await asyncio.wait_for(waits.wait(), 5)
    consumer.cancel()
    await asyncio.gather(consumer, return_exceptions=True)

    assert consumer.cancelled()
    assert seen == ["inside"]
    assert watch.told == [1, ("raised", "CancelledError")]


def test_values_and_exceptions_are_sent_into_a_generator(watch):
    """``send`` and ``throw`` reach the body, inside; what it answers comes out."""

    def body():
        got = []
        while len(got) < 3:
            try:
                got.append((yield len(got)))
            except KeyError as error:
                got.append((str(error), current.get()))
        return got

    stream = observed_stream(body, watch.open)()

    assert [next(stream), stream.send("a"), stream.throw(KeyError("b"))] == [0, 1, 2]
    with pytest.raises(StopIteration) as stop:
        stream.send("c")
    assert stop.value.value == ["a", ("'b'", "inside"), "c"]


async def test_values_and_exceptions_are_sent_into_an_asynchronous_generator(watch):
    """The same for ``asend`` and ``athrow``."""

    async def body():
        got = []
        while len(got) < 3:
            try:
                got.append((yield len(got)))
            except KeyError as error:
                got.append((str(error), current.get()))
        yield got

    stream = observed_astream(body, watch.open)()

    assert [await anext(stream), await stream.asend("a"), await stream.athrow(KeyError("b"))] == [0, 1, 2]
    assert await stream.asend("c") == ["a", ("'b'", "inside"), "c"]


def test_an_item_can_be_kept_from_the_consumer():
    """What ``take`` answers true for is seen, and not passed on."""
    watch = Watch(keep={2})

    assert list(stepped(iter([1, 2, 3]), watch)) == [1, 3]
    assert watch.told == [1, 2, 3, ("returned", None)]


async def test_plain_iterators_can_be_observed(watch):
    """Whatever iterates will do: a list, an object without ``send``, ``throw`` and ``close``."""

    class Later:
        def __init__(self):
            self.left = [1, 2]

        def __aiter__(self):
            return self

        async def __anext__(self):
            if not self.left:
                raise StopAsyncIteration
            return self.left.pop(0)

    assert list(observed_stream(lambda: [1, 2], watch.open)()) == [1, 2]
    assert [item async for item in astepped(Later(), watch)] == [1, 2]

    stream = stepped(iter([1, 2]), watch)
    next(stream)
    with pytest.raises(KeyError):
        stream.throw(KeyError("thrown"))


def test_an_iterator_that_failed_is_not_closed(watch):
    """A client's stream that raises is left as it is: unobserved, nobody would close it either."""

    class Stream:
        closed = False

        def __iter__(self):
            return self

        def __next__(self):
            raise OSError("gone")

        def close(self):
            self.closed = True

    source = Stream()
    with pytest.raises(OSError, match="gone"):
        next(stepped(source, watch))
    assert not source.closed


def test_kind_name_and_signature_stay(watch):
    """What asks for a function's kind gets the original's answer."""

    def plain(a, *, b=1):
        """Do it."""

    async def coroutine(a):
        pass

    kinds = [inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction]
    for original in (plain, coroutine, numbers, anumbers):
        stand_in = observed(original, watch.open)
        assert [kind(stand_in) for kind in kinds] == [kind(original) for kind in kinds]
        assert (stand_in.__name__, stand_in.__doc__) == (original.__name__, original.__doc__)
        assert inspect.signature(stand_in) == inspect.signature(original)


async def test_a_call_that_is_not_observed(watch):
    """Where nobody wants to watch, all is as without us."""

    async def coroutine():
        return current.get()

    def nobody(args, kwargs):
        return None

    assert observed_call(current.get, nobody)() == "outside"
    assert await observed_call(coroutine, nobody)() == "outside"
    assert list(observed_stream(numbers, nobody)()) == [(n, "outside") for n in range(3)]
    assert [item async for item in observed_astream(anumbers, nobody)()] == [(n, "outside") for n in range(3)]


def test_hooks_that_fail_harm_nobody(lenient, caplog):
    """They are reported, once a kind; the items come through."""

    class Failing(Watch):
        def take(self, item):
            raise RuntimeError("bad hook")

        returned = raised = take

    def cannot_open(args, kwargs):
        raise LookupError("bad opening")

    with caplog.at_level(logging.WARNING):
        assert list(observed_stream(numbers, Failing().open)()) == STEPS
        assert observed_call(lambda: 1, Failing().open)() == 1
        assert observed_call(lambda: 2, cannot_open)() == 2
    assert "bad hook" in caplog.text
    assert "bad opening" in caplog.text


def test_a_budgets_refusal_is_the_only_thing_that_leaves_the_opening():
    """It is what was asked for: the call is not made."""
    made = []

    def refuse(args, kwargs):
        raise BudgetExceeded("no money left")

    with pytest.raises(BudgetExceeded):
        observed_call(lambda: made.append(1), refuse)()
    assert made == []


async def test_streams_at_the_same_time_keep_their_contexts_apart():
    """Each step is inside for its own task only."""

    async def consume():
        return [(step, current.get()) async for step in observed_astream(anumbers, Watch().open)()]

    assert await asyncio.gather(*(consume() for _ in range(20))) == [[(step, "outside") for step in STEPS]] * 20


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("ends", ["well", "by the block", "by the manager", "swallowed", "at once"])
async def test_a_context_manager_is_a_step_where_it_is_entered_and_where_it_is_left(watch, ends, inside):
    """The block is the caller's own unless it is inside; whoever raises, it is told once, and comes out unchanged."""
    where = []

    @asynccontextmanager
    async def connection():
        """A connection."""
        where.append(current.get())
        if ends == "at once":
            raise OSError("refused")
        try:
            yield "connected"
        except ValueError:
            if ends != "swallowed":
                raise
        finally:
            where.append(current.get())
        if ends == "by the manager":
            raise OSError("reset")

    observed_connection = observed_context(connection, watch.open, inside=inside)
    raised = None
    try:
        async with observed_connection() as item:
            where.append((item, current.get()))
            if ends in {"by the block", "swallowed"}:
                raise ValueError
    except (OSError, ValueError) as error:
        raised = type(error).__name__

    told = {
        "well": ("returned", None),
        "by the block": ("raised", "ValueError"),
        "by the manager": ("raised", "OSError"),
        "swallowed": ("returned", None),
        "at once": ("raised", "OSError"),
    }[ends]
    assert watch.told == ([told] if ends == "at once" else ["connected", told])
    assert raised == (told[1] if told[0] == "raised" else None)
    block = ("connected", "inside" if inside else "outside")
    assert where == (["inside"] if ends == "at once" else ["inside", block, "inside"])
    assert current.get() == "outside"
    assert observed_connection.__doc__ == "A connection."


async def test_a_context_manager_that_is_not_observed():
    """Where nothing is opened, the manager is what it is."""

    @asynccontextmanager
    async def connection(name):
        yield name

    async with observed_context(connection, lambda *_: None)("plain") as item:
        assert item == "plain"


# --- streams that the framework itself goes through -------------------------------------------------------------------


class AsOneStep(Watch):
    """Wants to see no item."""

    sees_items = False


async def test_a_stream_that_its_framework_gathers_is_one_step():
    """Between two items of it nobody's code runs, so it is entered once, and left as it ends."""
    watch = AsOneStep()

    def gather(stream):
        return list(stream())

    async def agather(stream):
        return [item async for item in stream()]

    stream = observed_stream(numbers, watch.open, gathered_by={gather.__code__})
    astream = observed_astream(anumbers, watch.open, gathered_by=_codes_of(agather))

    assert gather(stream) == [(n, "inside") for n in range(3)]
    assert await agather(astream) == [(n, "inside") for n in range(3)]
    assert watch.told == [("returned", "result"), ("returned", None)]
    assert list(stream()) == [(n, "inside") for n in range(3)]
    assert watch.told[2:] == [*((n, "inside") for n in range(3)), ("returned", "result")]
    assert current.get() == "outside"


async def test_a_gathered_stream_that_fails_is_told_once():
    """The exception passes, and the context is as it was."""
    watch = AsOneStep()

    def failing():
        yield 1
        raise KeyError("mine")

    async def afailing():
        yield 1
        raise KeyError("mine")

    def gather(stream):
        return list(stream())

    async def agather(stream):
        return [item async for item in stream()]

    with pytest.raises(KeyError):
        gather(observed_stream(failing, watch.open, gathered_by={gather.__code__}))
    with pytest.raises(KeyError):
        await agather(observed_astream(afailing, watch.open, gathered_by=_codes_of(agather)))
    assert watch.told == [("raised", "KeyError")] * 2
    assert current.get() == "outside"


def test_who_wants_to_see_the_items_sees_them(watch):
    """Also where the framework gathers them."""

    def gather(stream):
        return list(stream())

    assert gather(observed_stream(numbers, watch.open, gathered_by={gather.__code__})) == [
        (n, "inside") for n in range(3)
    ]
    assert watch.told == [*((n, "inside") for n in range(3)), ("returned", "result")]


def _codes_of(function):
    """The code of a function and, before Python 3.12, of the comprehension in it."""
    return {function.__code__, *(code for code in function.__code__.co_consts if inspect.iscode(code))}

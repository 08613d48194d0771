"""``trace_function``: every kind of function keeps its kind, and each call has one span."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ai_dev_squad import state
from ai_dev_squad.tracing import TraceManager, trace_function


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The manager in force records; call this for what ended: name, parent's name, attributes, status."""
    memory = InMemorySpanExporter()
    manager = TraceManager("squad", use_global=False)
    manager.add_exporter(memory)
    monkeypatch.setattr(state, "pipeline", lambda: SimpleNamespace(tracing=manager))

    def ended() -> list[tuple[str, str | None, dict[str, Any], str]]:
        assert manager.force_flush(5_000)
        finished = memory.get_finished_spans()
        names = {span.context.span_id: span.name for span in finished}
        return [
            (
                span.name,
                names[span.parent.span_id] if span.parent else None,
                {key: value for key, value in span.attributes.items() if key != "function.module"},
                span.status.status_code.name,
            )
            for span in finished
        ]

    ended.manager = manager
    yield ended
    manager.shutdown()
    assert trace.get_current_span() is trace.INVALID_SPAN


def inside(spans: Any, name: str) -> None:
    """A child span, to see which span is current here."""
    with spans.manager.trace_operation(name):
        pass


def test_with_and_without_parentheses(spans: Any) -> None:
    """Bare, called, with a name and attributes, by position: one span a call, named as asked or after the function."""

    @trace_function
    def bare() -> int:
        return 1

    @trace_function()
    def called() -> str:
        return "x"

    @trace_function(operation_name="data_processing", attributes={"component": "pipeline"})
    def named() -> None:
        return None

    @trace_function("by position")
    def positional() -> dict[str, int]:
        return {}

    assert [bare(), called(), named(), positional()] == [1, "x", None, {}]
    assert spans() == [
        (f"{__name__}.bare", None, {"function.name": "bare", "function.result_type": "int"}, "UNSET"),
        (f"{__name__}.called", None, {"function.name": "called", "function.result_type": "str"}, "UNSET"),
        (
            "data_processing",
            None,
            {"component": "pipeline", "function.name": "named", "function.result_type": "NoneType"},
            "UNSET",
        ),
        ("by position", None, {"function.name": "positional", "function.result_type": "dict"}, "UNSET"),
    ]


def test_the_module_is_an_attribute(spans: Any) -> None:
    """function.module is the module that defines the function."""

    @trace_function
    def work() -> None:
        pass

    work()
    spans.manager.force_flush()
    exporter = spans.manager._deliveries[0].exporter
    assert exporter.get_finished_spans()[0].attributes["function.module"] == __name__


def test_methods_of_every_kind(spans: Any) -> None:
    """Methods, static and class methods work with the decorator on either side."""

    class Squad:
        @trace_function("method")
        def method(self, value: int) -> int:
            return value

        @staticmethod
        @trace_function("inner static")
        def inner_static(value: int) -> int:
            return value

        @trace_function("outer static")
        @staticmethod
        def outer_static(value: int) -> int:
            return value

        @classmethod
        @trace_function("inner class")
        def inner_class(cls, value: int) -> tuple[type, int]:
            return cls, value

        @trace_function("outer class")
        @classmethod
        def outer_class(cls, value: int) -> tuple[type, int]:
            return cls, value

    squad = Squad()
    results = [
        squad.method(1),
        squad.inner_static(2),
        Squad.outer_static(3),
        Squad.inner_class(4),
        squad.outer_class(5),
    ]

    assert results == [1, 2, 3, (Squad, 4), (Squad, 5)]
    assert [name for name, *_ in spans()] == ["method", "inner static", "outer static", "inner class", "outer class"]


def test_signature_and_kind_are_kept() -> None:
    """What inspect says of the function, it says of the traced one."""

    def plain(a: int, *, b: str = "x") -> str: ...
    def generator(a: int) -> Iterator[int]:
        yield a

    async def coroutine(a: int) -> int: ...
    async def agenerator(a: int) -> AsyncIterator[int]:
        yield a

    for function in (plain, generator, coroutine, agenerator):
        traced = trace_function(function)
        assert [
            inspect.signature(traced),
            traced.__name__,
            traced.__wrapped__,
            inspect.isgeneratorfunction(traced),
            inspect.iscoroutinefunction(traced),
            inspect.isasyncgenfunction(traced),
        ] == [
            inspect.signature(function),
            function.__name__,
            function,
            inspect.isgeneratorfunction(function),
            inspect.iscoroutinefunction(function),
            inspect.isasyncgenfunction(function),
        ]


async def test_a_coroutines_span_lasts_until_it_was_awaited(spans: Any) -> None:
    """Concurrent coroutines each have their own span, current in their own task."""

    @trace_function("co")
    async def work(name: str) -> str:
        await asyncio.sleep(0)
        inside(spans, f"in {name}")
        return name

    assert await asyncio.gather(work("a"), work("b")) == ["a", "b"]
    ended = spans()
    assert sorted((name, parent) for name, parent, *_ in ended) == [
        ("co", None),
        ("co", None),
        ("in a", "co"),
        ("in b", "co"),
    ]


async def test_a_cancelled_coroutine_ends_its_span_without_an_error(spans: Any) -> None:
    """Cancellation ends the span, says so, and is no error."""
    started = asyncio.Event()

    @trace_function("co")
    async def work() -> None:
        started.set()
        await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert spans() == [("co", None, {"function.name": "work", "ai_dev_squad.status": "cancelled"}, "UNSET")]


def test_a_coroutine_closed_before_its_end_closes_its_span(spans: Any) -> None:
    """close() on a suspended coroutine ends the span as closed early."""

    @trace_function("co")
    async def work() -> None:
        await asyncio.sleep(60)

    coroutine = work()
    with pytest.raises(RuntimeError, match="no running event loop"):
        coroutine.send(None)
    coroutine.close()

    assert [name for name, *_ in spans()] == ["co"]


def test_failures_pass_unchanged_and_mark_the_span(spans: Any) -> None:
    """The exception is the function's own; the span says ERROR and has no result type."""
    boom = ValueError("x")

    @trace_function("f")
    def work() -> None:
        raise boom

    with pytest.raises(ValueError, match="x") as caught:
        work()

    assert caught.value is boom
    assert spans() == [("f", None, {"function.name": "work", "error.type": "ValueError"}, "ERROR")]


def test_a_generators_span_is_current_only_while_its_body_runs(spans: Any) -> None:
    """Spans of the body are its children, also after a yield; spans of the consumer in between are not."""

    @trace_function("gen")
    def work() -> Iterator[int]:
        inside(spans, "body 1")
        yield 1
        inside(spans, "body 2")

    for _ in work():
        inside(spans, "consumer")

    assert [(name, parent) for name, parent, *_ in spans()] == [
        ("body 1", "gen"),
        ("consumer", None),
        ("body 2", "gen"),
        ("gen", None),
    ]


def test_a_span_that_the_body_holds_over_a_yield_is_current_again(spans: Any) -> None:
    """A block of the body's own around a yield is the parent after the yield too, and not the consumer's."""

    @trace_function("gen")
    def work() -> Iterator[int]:
        with spans.manager.trace_operation("block"):
            yield 1
            inside(spans, "after")
        inside(spans, "last")

    for _ in work():
        inside(spans, "consumer")

    assert [(name, parent) for name, parent, *_ in spans()] == [
        ("consumer", None),
        ("after", "block"),
        ("block", "gen"),
        ("last", "gen"),
        ("gen", None),
    ]


def test_a_generator_keeps_send_throw_and_return(spans: Any) -> None:
    """Values sent, exceptions thrown and the value returned reach the body and its delegator."""

    @trace_function("gen")
    def work() -> Any:
        got = yield "first"
        try:
            yield got
        except KeyError as error:
            yield f"caught {error}"
        return "returned"

    def delegator() -> Any:
        return (yield from work())

    generator = delegator()
    seen = [next(generator), generator.send("sent"), generator.throw(KeyError("k"))]
    with pytest.raises(StopIteration) as stop:
        next(generator)

    assert (seen, stop.value.value) == (["first", "sent", "caught 'k'"], "returned")
    assert [(name, status) for name, _, _, status in spans()] == [("gen", "UNSET")]


@pytest.mark.parametrize("how", ["close", "garbage"])
def test_a_generator_left_early_ends_its_span_once(spans: Any, how: str) -> None:
    """close() and garbage collection run the body's finally and end the span as closed early."""
    cleaned = []

    @trace_function("gen")
    def work() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            cleaned.append(True)

    generator = work()
    next(generator)
    if how == "close":
        generator.close()
        generator.close()
    del generator
    gc.collect()

    assert cleaned == [True]
    assert spans() == [("gen", None, {"function.name": "work", "ai_dev_squad.status": "closed_early"}, "UNSET")]


def test_a_generator_that_is_never_iterated_has_no_span(spans: Any) -> None:
    """Its body never ran."""

    @trace_function("gen")
    def work() -> Iterator[int]:
        yield 1

    work()
    gc.collect()

    assert spans() == []


def test_a_failing_generator_marks_its_span(spans: Any) -> None:
    """An exception of the body reaches the consumer and the span."""

    @trace_function("gen")
    def work() -> Iterator[int]:
        yield 1
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        list(work())

    assert [(name, status) for name, _, _, status in spans()] == [("gen", "ERROR")]


async def test_an_async_generators_span_is_current_only_while_its_body_runs(spans: Any) -> None:
    """Like a generator's: children of the body below it, the consumer's beside it."""

    @trace_function("agen")
    async def work() -> AsyncIterator[int]:
        inside(spans, "body 1")
        yield 1
        await asyncio.sleep(0)
        inside(spans, "body 2")

    async for _ in work():
        inside(spans, "consumer")

    assert [(name, parent) for name, parent, *_ in spans()] == [
        ("body 1", "agen"),
        ("consumer", None),
        ("body 2", "agen"),
        ("agen", None),
    ]


async def test_an_async_generator_keeps_asend_athrow_and_aclose(spans: Any) -> None:
    """Values and exceptions reach the body; aclose runs its finally and ends the span as closed early."""
    cleaned = []

    @trace_function("agen")
    async def work() -> Any:
        try:
            got = yield "first"
            try:
                yield got
            except KeyError as error:
                yield f"caught {error}"
        finally:
            cleaned.append(True)

    generator = work()
    seen = [await generator.asend(None), await generator.asend("sent"), await generator.athrow(KeyError("k"))]
    await generator.aclose()

    assert (seen, cleaned) == (["first", "sent", "caught 'k'"], [True])
    assert spans() == [("agen", None, {"function.name": "work", "ai_dev_squad.status": "closed_early"}, "UNSET")]


async def test_a_cancelled_async_generator_ends_its_span(spans: Any) -> None:
    """Cancelling the consumer while the body waits ends the span as cancelled, once."""
    started = asyncio.Event()

    @trace_function("agen")
    async def work() -> AsyncIterator[int]:
        started.set()
        await asyncio.sleep(60)
        yield 1

    async def consume() -> None:
        async for _ in work():
            pass

    task = asyncio.create_task(consume())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert [(name, attributes["ai_dev_squad.status"]) for name, _, attributes, _ in spans()] == [("agen", "cancelled")]


def test_an_async_generator_left_to_the_loop_ends_its_span(spans: Any) -> None:
    """A consumer that breaks leaves the rest to the event loop, which ends the span too, without a log line."""

    @trace_function("agen")
    async def work() -> AsyncIterator[int]:
        yield 1
        yield 2

    async def consume() -> None:
        async for _ in work():
            break
        await asyncio.sleep(0)

    asyncio.run(consume())

    assert [(name, attributes["ai_dev_squad.status"]) for name, _, attributes, _ in spans()] == [
        ("agen", "closed_early")
    ]


def test_partials_and_callable_objects(spans: Any) -> None:
    """What is callable without a name is traced under its type's name."""

    class Tool:
        def __call__(self, x: int) -> int:
            return x

    assert trace_function(functools.partial(int, "7"))() == 7
    assert trace_function(Tool())(3) == 3
    assert [attributes["function.name"] for _, _, attributes, _ in spans()] == ["partial", "Tool"]


def test_a_class_or_a_value_is_refused_with_a_cure() -> None:
    """Decorating a class would break isinstance; the message says what to do."""
    with pytest.raises(TypeError, match=r"not the class .*Squad; decorate its methods instead"):
        trace_function(type("Squad", (), {}))
    with pytest.raises(TypeError, match="not 42"):
        trace_function(42)


def test_the_manager_is_the_one_in_force_at_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decorating at import time and configuring later works."""

    @trace_function("f")
    def work() -> None:
        pass

    seen = []
    for name in ("first", "second"):
        memory = InMemorySpanExporter()
        manager = TraceManager(name, use_global=False)
        manager.add_exporter(memory)
        monkeypatch.setattr(state, "pipeline", lambda manager=manager: SimpleNamespace(tracing=manager))
        work()
        manager.shutdown()
        seen += [span.resource.attributes["service.name"] for span in memory.get_finished_spans()]

    assert seen == ["first", "second"]


def test_without_a_manager_the_function_just_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """No manager: no span, same result."""
    monkeypatch.setattr(state, "pipeline", lambda: SimpleNamespace(tracing=None))

    assert trace_function(lambda: 7)() == 7


async def test_trace_operation_decorates_too(spans: Any) -> None:
    """trace_operation and the tracer's start_as_current_span are decorators for functions and coroutines."""

    @spans.manager.trace_operation("by operation")
    def plain() -> int:
        return 1

    @spans.manager.tracer.start_as_current_span("by tracer")
    async def coroutine() -> int:
        return plain()

    assert [await coroutine(), plain()] == [1, 1]
    assert [(name, parent) for name, parent, *_ in spans()] == [
        ("by operation", "by tracer"),
        ("by tracer", None),
        ("by operation", None),
    ]

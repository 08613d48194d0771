"""The current operation and the healing current span, in threads, tasks, copied and foreign contexts."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

import ai_dev_squad
from ai_dev_squad import operations
from ai_dev_squad.context import (
    SESSION_VARS,
    Scope,
    attached,
    carried,
    current_operation,
    enter,
    heal,
    parent_context,
    session,
    with_operation,
)
from ai_dev_squad.operations import TASK, WORKFLOW, Operation
from ai_dev_squad_testing import Captured, capture


@pytest.fixture(params=[False, True], ids=["ids only", "recording"])
def captured(request: pytest.FixtureRequest) -> Iterator[Captured]:
    """Everything here holds whether or not somebody receives spans."""
    with capture(spans=request.param) as everything:
        yield everything
        operations.abandon_open_operations()


def start(name: str = "it", **options: Any) -> Operation:
    """An operation of a framework that exists in these tests only."""
    return operations.start(TASK, name, framework="test", **options)


def current_id() -> str | None:
    """The id of the current span."""
    found = trace.get_current_span().get_span_context()
    return f"{found.span_id:016x}" if found.is_valid else None


# --- the scope --------------------------------------------------------------------------------------------------------


def test_entering_and_healing(captured: Captured) -> None:
    """Inside, span and operation are current; after healing it is as it was before, without touching the context."""
    outer = start("outer")
    with attached(outer):
        inner = start("inner")
        scope = enter(inner)
        assert (current_operation(), current_id()) == (inner, inner.span_id)
        heal(scope)
        assert (current_operation(), current_id()) == (outer, outer.span_id)
    assert (current_operation(), current_id()) == (None, None)


def test_a_user_span_around_the_scope_comes_back(captured: Captured) -> None:
    """What was current before the scope, here a span of another tracer, is current after it."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("theirs")
    with tracer.start_as_current_span("theirs") as theirs:
        operation = start()
        scope = enter(operation)
        heal(scope)
        assert trace.get_current_span().get_span_context() == theirs.get_span_context()
        assert current_operation() is None


def test_scopes_heal_in_any_order(captured: Captured) -> None:
    """Operations that overlap instead of nesting leave the right one current at every step."""
    a, b = start("a"), start("b")
    first, second = enter(a), enter(b)
    assert current_operation() is b
    heal(first)
    assert (current_operation(), current_id()) == (b, b.span_id)
    heal(second)
    assert (current_operation(), current_id()) == (None, None)


def test_healing_twice_changes_nothing(captured: Captured) -> None:
    """The second call has no effect."""
    scope = enter(start())
    heal(scope)
    heal(scope)

    assert current_operation() is None


def test_every_copy_of_the_context_heals_at_once(captured: Captured) -> None:
    """A context that was copied inside the scope sees its end, too, wherever it runs."""
    operation = start()
    scope = enter(operation)
    copied = contextvars.copy_context()
    assert copied.run(current_operation) is operation
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(copied.run, current_operation).result() is operation
        heal(scope)
        assert pool.submit(copied.run, current_operation).result() is None
    assert copied.run(current_id) is None


def test_a_thread_that_copies_nothing_has_no_operation(captured: Captured) -> None:
    """A new thread starts with an empty context: nothing leaks into it."""
    enter(start())
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(current_operation).result() is None


async def test_tasks_see_their_own_operation(captured: Captured) -> None:
    """Tasks inherit the operation they were created in, and what one enters is not current in the others."""
    root = start("root")
    reached = asyncio.Barrier(3) if hasattr(asyncio, "Barrier") else None

    async def work(number: int) -> tuple[Operation | None, Operation | None, Operation]:
        inherited = current_operation()
        own = start(str(number), parent=root)
        scope = enter(own)
        if reached is not None:
            await reached.wait()
        await asyncio.sleep(0)
        assert current_operation() is own
        heal(scope)
        return inherited, current_operation(), own

    with attached(root):
        found = await asyncio.gather(*(work(number) for number in range(3)))

    assert [(before, after) for before, after, _ in found] == [(root, root)] * 3
    assert {own.parent_span_id for *_, own in found} == {root.span_id}


async def test_an_end_in_another_task_heals_the_first(captured: Captured) -> None:
    """A framework may report the end in a task with a copied context; the span is no longer current anywhere."""
    operation = start()
    scope = enter(operation)

    async def end() -> None:
        assert current_operation() is operation
        heal(scope)

    await asyncio.create_task(end())

    assert (current_operation(), current_id()) == (None, None)


async def test_callbacks_and_executors_get_what_asyncio_gives_them(captured: Captured) -> None:
    """``call_soon`` and ``to_thread`` copy the context, so the operation is current there."""
    operation = start()
    with attached(operation):
        seen: asyncio.Future[Operation | None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(lambda: seen.set_result(current_operation()))
        in_thread = await asyncio.to_thread(current_operation)

    assert (await seen, in_thread) == (operation, operation)


# --- the scope as a span ----------------------------------------------------------------------------------------------


def test_the_scope_passes_for_the_real_span() -> None:
    """Other instrumentations ask ``isinstance(span, ReadableSpan)`` and read the span; they get the real one's answers."""
    with capture(spans=True):
        operation = start("real")
        with attached(operation):
            span: Any = trace.get_current_span()
            assert type(span) is Scope
            assert isinstance(span, ReadableSpan)
            assert isinstance(span, type(operation.span))
            assert (span.name, span.context, span.is_recording()) == (
                "task real",
                operation.span.get_span_context(),
                True,
            )
        assert not isinstance(span, ReadableSpan)
        assert not span.is_recording()
        operation.stop()


def test_without_a_receiver_the_scope_is_no_readable_span() -> None:
    """Nobody is told that there is a span to read when there is none."""
    with capture(), attached(start()):
        span = trace.get_current_span()
        assert not isinstance(span, ReadableSpan)
        assert isinstance(span, trace.NonRecordingSpan)
        operations.abandon_open_operations()


def test_what_the_program_writes_on_the_current_span_arrives() -> None:
    """Attributes, events, links, errors, status and name that the program sets are the operation's."""
    with capture(spans=True) as captured:
        operation = start()
        elsewhere = trace.SpanContext(1, 2, is_remote=True)
        with attached(operation):
            span = trace.get_current_span()
            span.set_attribute("one", 1)
            span.set_attributes({"two": 2})
            span.add_event("note", {"a": "b"}, 123)
            span.add_link(elsewhere, {"why": "because"})
            span.record_exception(ValueError("seen"), timestamp=456)
            span.set_status(trace.StatusCode.ERROR, "theirs")
            span.update_name("renamed")
            span.end()
            assert span.is_recording()
        operation.stop()

    (span,) = captured.spans
    attributes = dict(span.attributes or {})
    assert (span.name, attributes["one"], attributes["two"]) == ("renamed", 1, 2)
    assert [(event.name, event.timestamp) for event in span.events] == [("note", 123), ("exception", 456)]
    assert [(link.context.span_id, dict(link.attributes or {})) for link in span.links] == [(2, {"why": "because"})]
    assert (span.status.status_code, span.status.description) == (trace.StatusCode.ERROR, "theirs")


def test_an_exception_in_use_span_marks_the_operations_span() -> None:
    """``trace.use_span`` around the current span works with a scope as with any span."""
    with capture(spans=True) as captured:
        operation = start()
        with attached(operation), pytest.raises(ValueError, match="no"):
            with trace.use_span(trace.get_current_span()):
                raise ValueError("no")
        operation.stop()

    assert [event.name for event in captured.spans[0].events] == ["exception"]


# --- memory -----------------------------------------------------------------------------------------------------------


def scopes() -> int:
    """How many scopes are alive. (``type``, because a scope answers ``isinstance`` like its span.)"""
    gc.collect()
    return sum(type(thing) is Scope for thing in gc.get_objects())


@pytest.mark.parametrize("overlapping", [False, True])
def test_a_long_lived_context_keeps_no_chain_of_scopes(captured: Captured, overlapping: bool) -> None:
    """Thousands of operations that enter one context, nested or hand over hand, leave at most a few scopes in it."""
    before = scopes()
    last: tuple[Operation, Scope] | None = None
    for _ in range(2_000):
        operation = start()
        scope = enter(operation)
        if last is not None:
            heal(last[1])
            last[0].stop()
            last = None
        if overlapping:
            last = operation, scope
        else:
            heal(scope)
            operation.stop()
        captured.lines.clear()
        captured.spans.clear()
    del operation, scope

    assert scopes() - before < 5


# --- attached ---------------------------------------------------------------------------------------------------------


def test_attached_puts_the_context_back(captured: Captured) -> None:
    """After the block the very context object of before is current, also when the block raised."""
    before = otel_context.get_current()
    with pytest.raises(ValueError, match="no"), attached(start()):
        raise ValueError("no")

    assert otel_context.get_current() is before


def test_leaving_attached_in_a_foreign_context_is_quiet(captured: Captured, caplog: pytest.LogCaptureFixture) -> None:
    """A generator that is closed in another context detaches nothing there, and its span is current nowhere."""
    operation = start()

    def steps() -> Iterator[Operation | None]:
        with attached(operation):
            yield current_operation()

    generator = steps()
    contextvars.copy_context().run(next, generator)
    generator.close()

    assert caplog.records == []
    assert current_operation() is None


def test_attached_heals_what_the_block_left_in_copies(captured: Captured) -> None:
    """A context that was copied inside the block doesn't hold the operation afterwards."""
    with attached(start()):
        copied = contextvars.copy_context()

    assert copied.run(current_operation) is None


def test_a_context_can_be_prepared_without_being_entered(captured: Captured) -> None:
    """``with_operation`` makes a context to hand on; the one it was made from stays as it is."""
    operation = start()
    base = otel_context.get_current()
    context, scope = with_operation(operation, base)

    assert current_operation() is None
    assert current_operation(context) is operation
    heal(scope)
    assert current_operation(context) is None


# --- parents ----------------------------------------------------------------------------------------------------------


def test_the_parents_context(captured: Captured) -> None:
    """The current context is right while the framework's parent is innermost in it; else the framework's parent counts."""
    root, task = start("root"), start("task")

    def parent_of(operation: Operation | None) -> str | None:
        found = trace.get_current_span(parent_context(operation)).get_span_context()
        return f"{found.span_id:016x}" if found.is_valid else None

    assert parent_of(None) is None
    assert parent_of(root) == root.span_id
    with attached(root):
        here = otel_context.get_current()
        assert parent_context(None) is here
        assert parent_context(root) is here
        with attached(task):
            assert parent_of(root) == root.span_id
            assert parent_of(task) == task.span_id
            assert parent_of(None) == task.span_id


def test_the_parents_context_keeps_other_values(captured: Captured) -> None:
    """Baggage and whatever else the program keeps in the context is there in a foreign context as well."""
    otel_context.attach(otel_context.set_value("theirs", 1))
    root = start("root")

    assert parent_context(root).get("theirs") == 1


# --- sessions ---------------------------------------------------------------------------------------------------------


def session_ids() -> tuple[str | None, str | None, str | None]:
    """What an operation that starts here would carry."""
    with capture() as captured:
        operations.start(WORKFLOW, "it", framework="test").stop()
    (line,) = captured.closing()
    return line.session_id, line.correlation_id, (line.metadata or {}).get("ai_dev_squad.user.id")


def test_sessions_nest() -> None:
    """An inner session changes what it names and keeps the rest; leaving it, by an error too, puts everything back."""
    with ai_dev_squad.session("outer", "correlation", user_id="ada"):
        with pytest.raises(ValueError, match="no"), ai_dev_squad.session("inner"):
            assert session_ids() == ("inner", "correlation", "ada")
            raise ValueError("no")
        assert session_ids() == ("outer", "correlation", "ada")
    assert session_ids() == (None, None, None)


def test_threads_have_sessions_of_their_own() -> None:
    """Sessions of threads that run at the same time don't leak into one another."""
    together = threading.Barrier(8)
    seen: dict[int, tuple[str | None, ...]] = {}

    def work(number: int) -> None:
        with ai_dev_squad.session(f"s{number}", f"c{number}", user_id=f"u{number}"):
            together.wait()
            operation = start()
            together.wait()
            seen[number] = operation.session_id, operation.correlation_id, operation.user_id
            operation.stop()

    with capture():
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
    assert seen == {number: (f"s{number}", f"c{number}", f"u{number}") for number in range(8)}


async def test_tasks_have_sessions_of_their_own(captured: Captured) -> None:
    """Sessions of asyncio tasks don't leak into one another, nor out of them."""

    async def work(number: int) -> str | None:
        with ai_dev_squad.session(f"s{number}"):
            for _ in range(3):
                await asyncio.sleep(0)
            return start().session_id

    assert await asyncio.gather(*(work(number) for number in range(8))) == [f"s{number}" for number in range(8)]
    assert start().session_id is None


def test_a_session_in_a_generator_that_ends_elsewhere(captured: Captured) -> None:
    """A session around a ``yield`` may end in another context; nothing is raised and nothing leaks."""

    def steps() -> Iterator[str | None]:
        with ai_dev_squad.session("inside"):
            yield start().session_id

    generator = steps()
    assert contextvars.copy_context().run(next, generator) == "inside"
    generator.close()

    assert start().session_id is None


async def test_a_session_in_an_asynchronous_generator_that_ends_elsewhere(captured: Captured) -> None:
    """The same for an asynchronous generator that is closed in another task."""

    async def steps() -> AsyncIterator[str | None]:
        with ai_dev_squad.session("inside"):
            yield start().session_id

    generator: Any = steps()
    assert await asyncio.create_task(anext(generator)) == "inside"
    await asyncio.create_task(generator.aclose())

    assert start().session_id is None


def test_what_is_carried_to_another_thread(captured: Captured) -> None:
    """The operation and all of the session are current there while the function runs, and nothing of them afterwards."""

    def here() -> tuple[Any, ...]:
        return current_operation(), *(var.get() for var in SESSION_VARS)

    operation = start()
    with session("desk", "7", user_id="ada", task="refund"), attached(operation):
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(carried(here)).result() == (operation, "desk", "7", "ada", "refund")
            assert pool.submit(here).result() == (None,) * 5

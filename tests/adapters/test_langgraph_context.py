"""The user's own spans nest under the right node, and nothing of ours is left behind in the user's context.

Each test that stands for a defect users of other tools have reported names it.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph
from opentelemetry import context as otel_context
from opentelemetry import trace
from typing_extensions import TypedDict

from ai_dev_squad import session, trace_function
from ai_dev_squad_langgraph import observe
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.model_server import ModelServer, call, reply, tool_calls


class State(TypedDict, total=False):
    """A little state."""

    n: int


def graph_of(*nodes: tuple[str, Any], name: str = "squad") -> Any:
    """An observed graph of nodes in a row."""
    builder: StateGraph[Any] = StateGraph(State)
    previous = START
    for node, run in nodes:
        builder.add_node(node, run)
        builder.add_edge(previous, node)
        previous = node
    return observe(builder.compile(name=name))


def tracer(captured: Captured) -> trace.Tracer:
    """The user's own tracer, of the provider that captures."""
    from ai_dev_squad import get_trace_manager

    assert captured.spans == []
    return get_trace_manager().tracer


def parents(captured: Captured) -> dict[str, str | None]:
    """Each span's name with its parent's; names are unique in these tests."""
    names = {span.context.span_id: span.name for span in captured.spans}
    return {span.name: span.parent and names.get(span.parent.span_id, "outside") for span in captured.spans}


def current_name() -> str:
    """The name of the current span, or ``none``."""
    return getattr(trace.get_current_span(), "name", "none")


def test_user_spans_nest_under_their_node(captured: Captured) -> None:
    """A span that a node opens is a child of that node's span (openllmetry#3203)."""
    own = tracer(captured)

    def work(name: str) -> Callable[[State], State]:
        def node(state: State) -> State:
            with own.start_as_current_span(f"user {name}"):
                return {"n": 1}

        return node

    with own.start_as_current_span("request"):
        graph_of(("first", work("a")), ("second", work("b"))).invoke({"n": 0})

    assert parents(captured) == {
        "request": None,
        "invoke_workflow squad": "request",
        "task first": "invoke_workflow squad",
        "task second": "invoke_workflow squad",
        "user a": "task first",
        "user b": "task second",
    }


async def test_user_spans_nest_under_asynchronous_nodes(captured: Captured) -> None:
    """The same under asyncio, also for tasks that a node starts (opentelemetry-python-genai#528)."""
    own = tracer(captured)

    async def child(name: str) -> None:
        with own.start_as_current_span(name):
            await asyncio.sleep(0)

    async def node(state: State) -> State:
        await asyncio.gather(child("left"), child("right"))
        return {"n": 1}

    await graph_of(("work", node)).ainvoke({"n": 0})

    assert parents(captured) == {
        "invoke_workflow squad": None,
        "task work": "invoke_workflow squad",
        "left": "task work",
        "right": "task work",
    }


def test_threads_of_a_node_that_copy_the_context(captured: Captured) -> None:
    """A worker thread that runs in a copy of the node's context opens its spans under the node."""
    own = tracer(captured)

    def in_thread() -> None:
        with own.start_as_current_span("threaded"):
            pass

    def node(state: State) -> State:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(copy_context().run, in_thread).result()
        return {"n": 1}

    graph_of(("work", node)).invoke({"n": 0})

    assert parents(captured)["threaded"] == "task work"


def test_a_function_called_by_a_tool(
    captured: Captured, serve: Callable[..., ModelServer], chat: Callable[..., Any]
) -> None:
    """A traced function that a tool calls nests under the tool (langfuse#6719)."""
    from langchain.agents import create_agent

    tracer(captured)

    @trace_function(operation_name="helper")
    def helper() -> str:
        return "ok"

    @tool
    def outer() -> str:
        """Call a helper."""
        return helper()

    server = serve(tool_calls(call("outer")), reply("done"))
    observe(create_agent(chat(server), [outer], name="clerk")).invoke({"messages": [("user", "go")]})

    assert parents(captured)["helper"] == "execute_tool outer"


def test_the_consumer_of_a_model_stream_stays_under_the_node(
    captured: Captured, serve: Callable[..., ModelServer], chat: Callable[..., Any]
) -> None:
    """While a node consumes ``model.stream()``, its own spans belong to the node, not to the model call."""
    own = tracer(captured)
    server = serve(reply("one two three"))
    model = chat(server)

    def node(state: MessagesState) -> dict[str, Any]:
        for index, _ in enumerate(model.stream("hi")):
            with own.start_as_current_span(f"chunk {index}"):
                pass
        with own.start_as_current_span("after"):
            pass
        return {"messages": []}

    builder = StateGraph(MessagesState)
    builder.add_node("work", node)
    builder.add_edge(START, "work")
    observe(builder.compile(name="squad")).invoke({"messages": []})

    found = parents(captured)
    assert found["chunk 0"] == found["chunk 1"] == found["after"] == "task work"
    assert found["chat gpt-4o-mini"] == "task work"


def test_the_callers_context_is_as_it_was(captured: Captured) -> None:
    """After a run, and between the chunks of a stream, the caller's current span is the caller's own
    (opentelemetry-python-genai#677).
    """
    own = tracer(captured)
    graph = graph_of(("work", lambda state: {"n": 1}), ("more", lambda state: {"n": 2}))

    with own.start_as_current_span("request"):
        before = otel_context.get_current()
        graph.invoke({"n": 0})
        assert otel_context.get_current() == before
        for _ in graph.stream({"n": 0}):
            assert otel_context.get_current() == before
    assert current_name() == "none"


async def test_the_callers_asynchronous_context_is_as_it_was(captured: Captured) -> None:
    """The same for ``ainvoke`` and ``astream``."""

    async def node(state: State) -> State:
        await asyncio.sleep(0)
        return {"n": 1}

    own = tracer(captured)
    graph = graph_of(("work", node))

    with own.start_as_current_span("request"):
        before = otel_context.get_current()
        await graph.ainvoke({"n": 0})
        assert otel_context.get_current() == before
        async for _ in graph.astream({"n": 0}):
            assert otel_context.get_current() == before


async def test_one_trace_and_no_failed_detach(captured: Captured, caplog: pytest.LogCaptureFixture) -> None:
    """Nested asynchronous streaming gives one trace, and nothing logs "Failed to detach context"
    (langfuse#8780, openlit#861, openinference#1769).
    """
    tracer(captured)
    inner = graph_of(("deep", RunnableLambda(lambda state: {"n": 1})), name="inner")

    async def outer(state: State) -> State:
        async for _ in inner.astream({"n": 0}):
            await asyncio.sleep(0)
        return {"n": 2}

    with caplog.at_level(logging.DEBUG):
        events = [event async for event in graph_of(("outer", outer)).astream_events({"n": 0}, version="v2")]

    assert events
    assert "detach" not in caplog.text
    assert len({span.context.trace_id for span in captured.spans}) == 1


def test_a_stream_that_is_closed_in_another_thread(captured: Captured, caplog: pytest.LogCaptureFixture) -> None:
    """A stream may be begun in one thread and closed in another without an error (openllmetry#3256)."""
    stream = graph_of(("work", lambda state: {"n": 1}), ("more", lambda state: {"n": 2})).stream({"n": 0})
    failures: list[BaseException] = []

    def close() -> None:
        try:
            stream.close()
        except BaseException as error:
            failures.append(error)

    next(stream)
    thread = threading.Thread(target=close)
    thread.start()
    thread.join()

    assert failures == []
    assert "detach" not in caplog.text
    assert captured.closing("invoke_workflow")[0].status == "closed_early"


def test_a_broken_off_stream_ends_its_spans(captured: Captured, caplog: pytest.LogCaptureFixture) -> None:
    """``break`` ends the root span when the generator goes, without an error status
    (dd-trace-py#18860, openllmetry#4385).
    """
    graph = graph_of(("work", lambda state: {"n": 1}), ("more", lambda state: {"n": 2}))

    for _ in graph.stream({"n": 0}):
        break
    gc.collect()

    (root,) = [span for span in captured.spans if span.name == "invoke_workflow squad"]
    assert root.status.status_code.name == "UNSET"
    assert root.attributes is not None
    assert root.attributes["ai_dev_squad.status"] == "closed_early"
    assert "detach" not in caplog.text


async def test_the_current_span_inside_streamed_events(captured: Captured) -> None:
    """Inside a node there is a current span, also under ``astream_events`` (openinference#1304)."""
    seen: list[str] = []

    async def node(state: State) -> State:
        seen.append(current_name())
        return {"n": 1}

    async for _ in graph_of(("work", node)).astream_events({"n": 0}, version="v2"):
        pass

    assert seen == ["task work"]


def test_other_instrumentations_are_not_suppressed(captured: Captured) -> None:
    """Nodes run without OpenTelemetry's suppression keys, so other instrumentations keep working (openllmetry#2271)."""
    seen: list[Any] = []

    def node(state: State) -> State:
        seen.extend(
            otel_context.get_value(key) for key in ("suppress_instrumentation", "suppress_http_instrumentation")
        )
        return {"n": 1}

    graph_of(("work", node)).invoke({"n": 0})

    assert seen == [None, None]


def test_a_session_is_that_of_the_caller(captured: Captured) -> None:
    """``session`` names the session and user of everything inside; it wins over the thread id."""
    graph = graph_of(("work", lambda state: {"n": 1}))

    with session("session-1", "correlation-1", user_id="user-1"):
        graph.invoke({"n": 0}, {"configurable": {"thread_id": "thread-1"}})
    graph.invoke({"n": 0}, {"configurable": {"thread_id": "thread-2"}})

    assert [(line.session_id, line.correlation_id) for line in captured.closing("invoke_workflow")] == [
        ("session-1", "correlation-1"),
        ("thread-2", None),
    ]
    root = next(span for span in captured.spans if span.name == "invoke_workflow squad")
    assert root.attributes is not None
    assert root.attributes["ai_dev_squad.user.id"] == "user-1"
    assert root.attributes["gen_ai.conversation.id"] == "thread-1"

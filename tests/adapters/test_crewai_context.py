"""The user's own spans and requests lie under what runs, and nothing of ours is left in the user's context."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from crewai import Crew, Flow, Task
from crewai.events.stream_context import _stream_sinks
from crewai.flow import listen, start
from crewai.llms.hooks.base import BaseInterceptor
from crewai.tools import tool
from opentelemetry import context as otel_context
from opentelemetry import propagate, trace

from ai_dev_squad import get_trace_manager, session
from ai_dev_squad_crewai import observe
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.model_server import ModelServer, call, reply, tool_calls

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # CrewAI uses what it deprecates
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # and closes no connection
]

Serve = Callable[..., ModelServer]
Make = Callable[..., Any]


def own() -> trace.Tracer:
    """The user's own tracer, of the provider that captures."""
    return get_trace_manager().tracer


def parents(captured: Captured) -> dict[str, str | None]:
    """Each span's name with its parent's; names are unique in these tests."""
    names = {span.context.span_id: span.name for span in captured.spans}
    return {span.name: span.parent and names.get(span.parent.span_id, "outside") for span in captured.spans}


@tool("search")
def search(word: str) -> str:
    """Search for a word."""
    with own().start_as_current_span("user's search"):
        return word


def test_user_spans_nest_under_tools(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """A span that a tool opens is a child of the tool's span; the user's span around the crew is its parent."""
    server = serve(tool_calls(call("search", word="x")), reply("done"))
    agent = crewai_agent(server, tools=[search])
    crew = observe(
        Crew(name="squad", agents=[agent], tasks=[Task(name="t", description="d", expected_output="e", agent=agent)])
    )

    with own().start_as_current_span("request"):
        crew.kickoff()

    assert parents(captured) == {
        "request": None,
        "invoke_workflow squad": "request",
        "task t": "invoke_workflow squad",
        "invoke_agent planner": "task t",
        "chat gpt-4o-mini": "invoke_agent planner",
        "execute_tool search": "invoke_agent planner",
        "user's search": "execute_tool search",
    }


def test_user_spans_nest_in_flows(captured: Captured, serve: Serve, crewai_crew: Make) -> None:
    """A user's span in a step lies between the step and the crew that it runs; steps at once don't mix."""
    server = serve(reply("hi"))

    class Work(Flow[dict[str, Any]]):
        @start()
        def left(self) -> None:
            with own().start_as_current_span("user's left"):
                crewai_crew(server).kickoff()

        @start()
        async def right(self) -> None:
            with own().start_as_current_span("user's right"):
                await asyncio.sleep(0.01)

        @listen(right)
        def after(self) -> None:
            with own().start_as_current_span("user's after"):
                pass

    observe(Work()).kickoff()

    found = parents(captured)
    assert {name: found[name] for name in found if name.startswith(("user", "task ", "invoke_workflow"))} == {
        "invoke_workflow Work": None,
        "task left": "invoke_workflow Work",
        "user's left": "task left",
        "invoke_workflow squad": "user's left",
        "task planner's task": "invoke_workflow squad",
        "task right": "invoke_workflow Work",
        "user's right": "task right",
        "task after": "invoke_workflow Work",
        "user's after": "task after",
    }


class Traced(BaseInterceptor[httpx.Request, httpx.Response]):
    """Does what an instrumentation of HTTP does: it sends the current span along."""

    def on_outbound(self, message: httpx.Request) -> httpx.Request:
        propagate.inject(message.headers)
        return message

    def on_inbound(self, message: httpx.Response) -> httpx.Response:
        return message

    async def aon_outbound(self, message: httpx.Request) -> httpx.Request:
        return self.on_outbound(message)

    async def aon_inbound(self, message: httpx.Response) -> httpx.Response:
        return message


@pytest.mark.parametrize("stream", [False, True])
def test_requests_carry_the_model_call(
    captured: Captured, serve: Serve, crewai_llm: Make, crewai_agent: Make, stream: bool
) -> None:
    """The request to the model is sent while the model call's span is current, also when a stream is asked for."""
    server = serve(reply("hi"))
    agent = crewai_agent(server, llm=crewai_llm(server, interceptor=Traced(), stream=stream))

    observe(agent).kickoff("hello")

    (line,) = captured.closing("chat")
    assert (server.truth.calls[0].traceparent or "").startswith(f"00-{line.trace_id}-{line.span_id}-")


def test_nothing_is_left_behind(
    captured: Captured, serve: Serve, crewai_crew: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """After a run the caller's context is as it was, and OpenTelemetry complains of nothing."""
    server = serve(reply("hi", times=None))
    crew = observe(crewai_crew(server))
    before = otel_context.get_current()

    with caplog.at_level(logging.WARNING, logger="opentelemetry"):
        crew.kickoff()
        asyncio.run(crew.akickoff())

    assert otel_context.get_current() == before
    assert trace.get_current_span() is trace.INVALID_SPAN
    assert _stream_sinks.get() == ()
    assert [record for record in caplog.records if record.name.startswith("opentelemetry")] == []


async def test_between_awaits_the_context_is_the_callers(captured: Captured, serve: Serve, crewai_crew: Make) -> None:
    """While a crew runs in its task, other tasks see nothing of it."""
    server = serve(reply("hi", latency=0.1))
    running = asyncio.create_task(observe(crewai_crew(server)).akickoff())

    while not server.truth.calls:
        await asyncio.sleep(0.01)
        assert trace.get_current_span() is trace.INVALID_SPAN
    await running


def test_crews_that_are_not_observed_stay_invisible(captured: Captured, serve: Serve, crewai_crew: Make) -> None:
    """Beside an observed crew, another one in another thread emits nothing."""
    server = serve(reply("hi", times=None))
    other = threading.Thread(target=crewai_crew(server, "coder").kickoff)

    other.start()
    observe(crewai_crew(server)).kickoff()
    other.join()

    assert {line.agent_id for line in captured.closing()} == {"planner", "squad"}


def test_sessions(captured: Captured, serve: Serve, crewai_crew: Make) -> None:
    """All that a crew does carries the session it was started in, whoever reads its stream."""
    server = serve(reply("hi", times=2))

    with session("s-1", "c-1", user_id="u-1"):
        observe(crewai_crew(server)).kickoff()
        streaming = observe(crewai_crew(server, stream=True)).kickoff()
    with session("other"):
        thread = threading.Thread(target=lambda: list(streaming))
        thread.start()
        thread.join()

    assert {(line.session_id, line.correlation_id) for line in captured.lines} == {("s-1", "c-1")}


def test_a_stream_belongs_where_it_was_asked_for(captured: Captured, serve: Serve, crewai_crew: Make) -> None:
    """Its run is a child of the span around ``kickoff``, and not of the one around the reader."""
    server = serve(reply("hi"))

    with own().start_as_current_span("request"):
        streaming = observe(crewai_crew(server, stream=True)).kickoff()
    with own().start_as_current_span("reader"):
        before = otel_context.get_current()
        list(streaming)
        assert otel_context.get_current() == before

    assert parents(captured)["invoke_workflow squad"] == "request"

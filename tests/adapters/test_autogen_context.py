"""The user's own spans nest under the right operation, and nothing of ours is left behind in the user's context.

Each test that stands for a defect users of other tools have reported names it.
"""

from __future__ import annotations

import asyncio
import decimal
import gc
import logging
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import pytest
import sniffio
from autogen_agentchat.agents import AssistantAgent, BaseChatAgent, UserProxyAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, TextMessage, ToolCallSummaryMessage
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core import CancellationToken, FunctionCall, SingleThreadedAgentRuntime
from autogen_core.models import CreateResult, ModelInfo, RequestUsage
from autogen_core.tools import FunctionTool
from autogen_ext.models.replay import ReplayChatCompletionClient
from opentelemetry import context as otel_context
from opentelemetry import propagate, trace

from ai_dev_squad import get_trace_manager, session
from ai_dev_squad.context import session_id_var
from ai_dev_squad.operations import open_operations
from ai_dev_squad_autogen import observe
from ai_dev_squad_autogen._invocation import RUNS
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.model_server import ModelServer, call, reply, tool_calls

Serve = Callable[..., ModelServer]
Chat = Callable[..., Any]


def own_tracer() -> trace.Tracer:
    """The user's own tracer, of the provider that captures."""
    return get_trace_manager().tracer


def parents(captured: Captured) -> dict[str, str | None]:
    """Each span's name with its parent's; names are unique in these tests."""
    names = {span.context.span_id: span.name for span in captured.spans}
    return {span.name: span.parent and names.get(span.parent.span_id, "outside") for span in captured.spans}


def assistant(name: str, client: Any, **options: Any) -> AssistantAgent:
    """An assistant with this name."""
    return AssistantAgent(name, client, description=name, **options)


def says(*texts: str) -> ReplayChatCompletionClient:
    """A client without a server."""
    return ReplayChatCompletionClient(list(texts))


def calls(arguments: str, times: int, name: str = "add") -> ReplayChatCompletionClient:
    """A client without a server that calls a tool with these arguments, this often."""
    asked = [FunctionCall(id=f"call_{number}", name=name, arguments=arguments) for number in range(times)]
    usage = RequestUsage(prompt_tokens=1, completion_tokens=1)
    answers = [
        CreateResult(finish_reason="function_calls", content=[call], usage=usage, cached=False) for call in asked
    ]
    capable = ModelInfo(
        vision=False, function_calling=True, json_output=False, family="unknown", structured_output=False
    )
    return ReplayChatCompletionClient(answers, model_info=capable)


def failed_detach(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What OpenTelemetry complained about."""
    return [record.message for record in caplog.records if record.name.startswith("opentelemetry")]


@pytest.mark.parametrize("own_runtime", [False, True])
async def test_user_spans_nest_under_tools(
    captured: Captured, serve: Serve, autogen_chat: Chat, own_runtime: bool
) -> None:
    """Synchronous tools, which AutoGen runs in a thread, and asynchronous ones keep their context."""
    own = own_tracer()

    def in_thread(word: str) -> str:
        """A synchronous tool."""
        with own.start_as_current_span("user sync"):
            return word

    async def in_loop(word: str) -> str:
        """An asynchronous tool."""
        with own.start_as_current_span("user async"):
            return word

    runtime = SingleThreadedAgentRuntime() if own_runtime else None
    client = autogen_chat(serve(tool_calls(call("in_thread", word="a"), call("in_loop", word="b"))))
    members = [assistant("ann", client, tools=[in_thread, in_loop])]
    team = observe(RoundRobinGroupChat(members, max_turns=1, runtime=runtime, name="squad"))
    if runtime is not None:
        runtime.start()

    with own.start_as_current_span("request"):
        await team.run(task="go")
    if runtime is not None:
        await runtime.stop()

    assert parents(captured) == {
        "request": None,
        "invoke_workflow squad": "request",
        "invoke_agent ann": "invoke_workflow squad",
        "chat gpt-4o-mini-2024-07-18": "invoke_agent ann",
        "execute_tool in_thread": "invoke_agent ann",
        "user sync": "execute_tool in_thread",
        "execute_tool in_loop": "invoke_agent ann",
        "user async": "execute_tool in_loop",
    }


async def test_user_spans_nest_under_a_persons_input(captured: Captured) -> None:
    """A synchronous ``input_func``, which AutoGen runs in a thread, keeps its context."""
    own = own_tracer()

    def ask(prompt: str) -> str:
        with own.start_as_current_span("user input"):
            return "fine"

    await observe(UserProxyAgent("person", input_func=ask)).run(task="go")

    assert parents(captured) == {"invoke_agent person": None, "user input": "invoke_agent person"}


def test_threads_with_loops_of_their_own_share_a_tool(captured: Captured) -> None:
    """One tool of a module, called at once by agents of many threads, is left as it is and answers each of them.

    https://github.com/erdewit/nest_asyncio/issues/71: ``cannot enter context``.
    """
    own = own_tracer()
    gate = threading.Barrier(4)

    def add(number: int) -> int:
        """Add one."""
        with own.start_as_current_span(f"adding {number}"):
            gate.wait(30)
            return number + 1

    tool = FunctionTool(add, "Add one.")

    def work(number: int) -> list[Any]:
        async def turns() -> list[Any]:
            chat = assistant(
                f"agent_{number}", calls(f'{{"number": {number}}}', 3), tools=[tool], max_tool_iterations=3
            )
            result = await observe(chat).run(task="go")
            return [part.content for part in result.messages if isinstance(part, ToolCallSummaryMessage)]

        return asyncio.run(turns())

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(work, range(4)))

    assert answers == [[str(number + 1)] for number in range(4)]
    assert tool._func is add
    assert parents(captured)["adding 2"] == "execute_tool add"


async def test_a_tool_in_a_thread_finds_the_variables_of_the_thread(captured: Captured) -> None:
    """Nothing of the caller's context goes along but what is ours: precision of ``decimal``, and no running event loop.

    https://github.com/agronholm/anyio/issues/523
    """
    found: list[Any] = []

    def look() -> str:
        """Look."""
        found.append((decimal.getcontext().prec, anyio.run(anyio.sleep, 0), own_tracer() and session_id_var.get()))
        return "seen"

    client = calls("{}", 1, name="look")
    with decimal.localcontext(decimal.Context(prec=5)), session("chat-1"):
        sniffio.current_async_library_cvar.set("asyncio")
        await observe(assistant("ann", client, tools=[look])).run(task="go")

    assert found == [(decimal.getcontext().prec, None, "chat-1")]


class Working(BaseChatAgent):
    """An agent that keeps a span of its own open while it yields."""

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        raise NotImplementedError

    async def on_messages_stream(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | Response, None]:
        own = own_tracer()
        with own.start_as_current_span("user outer"):
            yield TextMessage(content="...", source=self.name)
            with own.start_as_current_span("user inner"):
                yield Response(chat_message=TextMessage(content="x", source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Nothing to forget."""


async def test_a_generators_own_span_stays_its_own(captured: Captured, caplog: pytest.LogCaptureFixture) -> None:
    """A span that an agent holds open across ``yield`` is current for the agent and never for its consumer."""
    stream = observe(Working("ann", "works")).run_stream(task="go")
    seen = [trace.get_current_span() async for _ in stream]

    assert set(seen) == {trace.INVALID_SPAN}
    assert parents(captured) == {
        "invoke_agent ann": None,
        "user outer": "invoke_agent ann",
        "user inner": "user outer",
    }
    assert failed_detach(caplog) == []


@pytest.mark.parametrize("streaming", [False, True])
async def test_http_nests_below_the_model_call(
    captured: Captured, serve: Serve, autogen_chat: Chat, streaming: bool
) -> None:
    """What is sent to the provider carries the chat span's id."""
    import httpx

    async def inject(request: Any) -> None:
        propagate.inject(request.headers)

    server = serve(reply("hi"))
    async with httpx.AsyncClient(event_hooks={"request": [inject]}) as http_client:
        client = autogen_chat(server, http_client=http_client)
        team = observe(RoundRobinGroupChat([assistant("ann", client, model_client_stream=streaming)], max_turns=1))
        await team.run(task="go")

    (line,) = captured.closing("chat")
    assert (server.truth.calls[0].traceparent or "").startswith(f"00-{line.trace_id}-{line.span_id}-")


async def test_the_current_span_after_a_break(captured: Captured, caplog: pytest.LogCaptureFixture) -> None:
    """A consumer that breaks off has its own span current, during the loop and after (seen with OpenInference 0.1.22)."""
    own = own_tracer()
    team = observe(RoundRobinGroupChat([assistant("ann", says("x", "y", "z"))], max_turns=3))

    with own.start_as_current_span("request") as request:
        before = otel_context.get_current()
        stream = team.run_stream(task="go")
        async for _ in stream:
            assert trace.get_current_span() is request
            break
        await stream.aclose()
        assert otel_context.get_current() is before

    (line,) = captured.closing("invoke_workflow")
    assert line.status == "closed_early"
    assert failed_detach(caplog) == []


async def test_a_stream_that_is_collected_in_another_task(captured: Captured, caplog: pytest.LogCaptureFixture) -> None:
    """A generator that the event loop closes later, in another context, complains of nothing (openinference#3078)."""
    caplog.set_level(logging.ERROR)

    async def give_up() -> None:
        async for _ in observe(assistant("ann", says("x"))).run_stream(task="go"):
            break

    await asyncio.create_task(give_up())
    gc.collect()
    await asyncio.sleep(0.01)

    assert open_operations() == []
    assert failed_detach(caplog) == []
    assert {line.status for line in captured.closing("invoke_agent")} == {"closed_early"}


async def test_parallel_runs_never_mix(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """A hundred runs at the same time, each in a session of its own: one trace and one session each."""
    client = autogen_chat(serve(reply("x", times=None)))

    async def run(number: int) -> None:
        team = observe(RoundRobinGroupChat([assistant("ann", client), assistant("bob", client)], max_turns=2))
        with session(f"session-{number}"):
            await team.run(task="go")

    await asyncio.gather(*(run(number) for number in range(100)))

    sessions: dict[str | None, list[str | None]] = {}
    for line in captured.closing():
        sessions.setdefault(line.trace_id, []).append(line.session_id)
    assert sorted(sessions.values()) == sorted([f"session-{number}"] * 5 for number in range(100))


async def test_a_run_leaves_nothing_behind(captured: Captured) -> None:
    """Once the objects of a run are gone, nothing of it is kept."""
    for _ in range(3):
        await observe(RoundRobinGroupChat([assistant("ann", says("x"))], max_turns=1)).run(task="go")

    for _ in range(1_000):  # the runtime's last task ends when it may
        await asyncio.sleep(0.01)
        gc.collect()
        if not RUNS:
            break
    assert dict(RUNS) == {}


async def test_parents_end_after_their_children(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """Every span lies within its parent (autogen#5697)."""

    def look_up(word: str) -> str:
        """Look a word up."""
        return word

    client = autogen_chat(serve(tool_calls(call("look_up", word="a")), reply("y")))
    members = [assistant("ann", client, tools=[look_up]), assistant("bob", client)]

    await observe(RoundRobinGroupChat(members, max_turns=2)).run(task="go")

    spans = {span.context.span_id: span for span in captured.spans}
    within = [(span, spans[span.parent.span_id]) for span in captured.spans if span.parent]
    assert len(within) == len(spans) - 1
    assert all(outer.start_time <= span.start_time <= span.end_time <= outer.end_time for span, outer in within)


@pytest.fixture
def as_global(captured: Captured, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The capturing provider is the global one, to which AutoGen's own spans go."""
    provider: Any = get_trace_manager().provider
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    return provider


def autogens_own(captured: Captured) -> set[str]:
    """The names of AutoGen's own spans, without the parts that differ."""
    return {
        span.name.split("_")[0].split(" ")[0] for span in captured.spans if "autogen" in str(span.instrumentation_scope)
    }


@pytest.mark.parametrize("own_runtime", [False, True])
async def test_autogens_own_spans_are_folded_away(captured: Captured, as_global: Any, own_runtime: bool) -> None:
    """Its runtime's messages, and its own agent spans, don't clog the view (openinference#1381,
    openinference#2167, openinference#2337).
    """
    client = says("x", "y")
    runtime = SingleThreadedAgentRuntime(tracer_provider=as_global) if own_runtime else None
    members = [assistant("ann", client), assistant("bob", client)]
    team = observe(RoundRobinGroupChat(members, max_turns=2, runtime=runtime))
    captured.spans.clear()  # AutoGen notes when an agent is made
    if runtime is not None:
        runtime.start()

    await team.run(task="go")
    if runtime is not None:
        await runtime.stop_when_idle()

    assert sorted(span.name.split(" ")[0] for span in captured.spans) == [
        "chat", "chat", "invoke_agent", "invoke_agent", "invoke_workflow",
    ]  # fmt: skip


async def test_autogens_own_spans_can_be_kept(captured: Captured, as_global: Any) -> None:
    """``keep_runtime_spans=True`` keeps them, in the same trace."""
    team = RoundRobinGroupChat([assistant("ann", says("x"))], max_turns=1)
    observe(team, keep_runtime_spans=True)
    captured.spans.clear()

    await team.run(task="go")

    names = [span.name for span in captured.spans]
    assert any(name.startswith("autogen process") for name in names)
    assert names.count("invoke_agent ann") == 2
    assert len({span.context.trace_id for span in captured.spans}) == 1


async def test_autogens_own_spans_outside_of_observed_runs(captured: Captured, as_global: Any) -> None:
    """What isn't observed has all its spans, also while something else is."""
    plain = RoundRobinGroupChat([assistant("ann", says("x"))], max_turns=1)
    observed = observe(RoundRobinGroupChat([assistant("bob", says("x"))], max_turns=1))
    captured.spans.clear()

    await asyncio.gather(plain.run(task="go"), observed.run(task="go"))

    names = [span.name for span in captured.spans]
    assert any(name.startswith("autogen process") for name in names)
    assert names.count("invoke_agent ann") == names.count("invoke_agent bob") == 1

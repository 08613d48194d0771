"""Where the current operation is, and that the program's own context is never touched."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Never

import pytest
from agent_framework import (
    Agent,
    AgentContext,
    AgentMiddleware,
    ChatContext,
    ChatMiddleware,
    ContextProvider,
    FunctionInvocationContext,
    FunctionMiddleware,
    ResponseStream,
    WorkflowBuilder,
    WorkflowContext,
    executor,
)
from opentelemetry import trace

from ai_dev_squad.context import current_operation
from ai_dev_squad_agent_framework import observe
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.model_server import ModelServer, call, reply, tokens, tool_calls

Serve = Callable[..., ModelServer]
Chat = Callable[..., Any]
Next = Callable[[], Awaitable[None]]
USAGE = tokens(100, 10)
CLOSES = pytest.mark.skipif(
    not hasattr(ResponseStream, "close"),
    reason="this release resets what it set in another context, and closes no stream",
)


def here() -> str:
    """What is current."""
    operation = current_operation()
    return "nothing" if operation is None else f"{operation.kind.operation} {operation.name}"


@pytest.mark.parametrize("stream", [False, True])
async def test_in_everything_that_an_agent_calls(
    captured: Captured, serve: Serve, agent_framework_chat: Chat, stream: bool
) -> None:
    """Tools of both kinds, and middleware around them, are in their tool, all else in the agent, the consumer in nothing."""
    seen: dict[str, set[str]] = {}

    def note(where: str) -> None:
        seen.setdefault(where, set()).add(here())

    class AroundAgent(AgentMiddleware):
        async def process(self, context: AgentContext, call_next: Next) -> None:
            note("agent middleware")
            await call_next()

    class AroundTool(FunctionMiddleware):
        async def process(self, context: FunctionInvocationContext, call_next: Next) -> None:
            note("function middleware")
            await call_next()

    class AroundChat(ChatMiddleware):
        async def process(self, context: ChatContext, call_next: Next) -> None:
            note("chat middleware")
            await call_next()

    class Provider(ContextProvider):
        async def before_run(self, **given: Any) -> None:
            note("provider")

        async def after_run(self, **given: Any) -> None:
            note("provider")

    def plain(word: str) -> str:
        note("plain tool")
        return word

    async def coroutine(word: str) -> str:
        note("coroutine tool")
        return word

    server = serve(
        tool_calls(call("plain", word="a"), call("coroutine", word="b"), usage=USAGE), reply("one two", usage=USAGE)
    )
    more: Any = {
        "middleware": [AroundAgent(), AroundTool(), AroundChat()],
        "context_providers": [Provider("notes")],
        "tools": [plain, coroutine],
    }
    clerk = observe(Agent(agent_framework_chat(server), name="clerk", **more))

    if stream:
        async for _ in clerk.run("hi", stream=True):
            note("consumer")
    else:
        await clerk.run("hi")
    note("after")

    assert seen == {
        "agent middleware": {"invoke_agent clerk"},
        "function middleware": {"execute_tool plain", "execute_tool coroutine"},
        "chat middleware": {"invoke_agent clerk"},
        "provider": {"invoke_agent clerk"},
        "plain tool": {"execute_tool plain"},
        "coroutine tool": {"execute_tool coroutine"},
        **({"consumer": {"nothing"}} if stream else {}),
        "after": {"nothing"},
    }


@pytest.mark.parametrize("stream", [False, True])
async def test_in_executors(captured: Captured, stream: bool) -> None:
    """Synchronous and asynchronous executors are in their task, and who reads the events in nothing."""
    seen: list[str] = []

    @executor(id="first")
    async def first(text: str, context: WorkflowContext[str]) -> None:
        seen.append(here())
        await context.send_message(text)

    @executor(id="second")
    def second(text: str, context: WorkflowContext[Never, str]) -> None:
        seen.append(here())

    squad = observe(WorkflowBuilder(start_executor=first).add_edge(first, second).build())
    outside: set[str] = set()
    if stream:
        async for _ in squad.run("go", stream=True):
            outside.add(here())
    else:
        await squad.run("go")

    assert (seen, outside | {here()}) == (["task first", "task second"], {"nothing"})


@CLOSES
async def test_a_stream_that_is_read_elsewhere(
    captured: Captured, serve: Serve, agent_framework_chat: Chat, caplog: pytest.LogCaptureFixture
) -> None:
    """In another task than the one that made it, each part of it by another: agent-framework#6866's ContextVar reset fails
    there, and agent-framework#5089's and agent-framework#5528's spans lose their parents.
    """
    server = serve(
        tool_calls(call("look_up", word="a"), usage=USAGE), reply("one two three", usage=USAGE, chunk_size=3)
    )
    inside: list[bool] = []

    def look_up(word: str) -> str:
        with trace.get_tracer("own").start_as_current_span("own") as span:
            inside.append(span.get_span_context().trace_id == int(captured.lines[0].trace_id or "", 16))
        return word

    stream = observe(Agent(agent_framework_chat(server), name="clerk", tools=[look_up])).run("hi", stream=True)

    async def some() -> str:
        text = ""
        async for update in stream:
            text += update.text
        return text

    with caplog.at_level(logging.WARNING):
        said = await asyncio.create_task(some(), context=contextvars.Context())

    assert (said, inside) == ("one two three", [True])
    assert captured.tree() == "\n".join(  # noqa: FLY002 - one line each
        ["invoke_agent clerk: ok", "  chat gpt-4o-mini: ok", "  execute_tool look_up: ok", "  chat gpt-4o-mini: ok"]
    )
    assert [record.getMessage() for record in caplog.records] == []


async def test_context_variables_of_the_program(captured: Captured, serve: Serve, agent_framework_chat: Chat) -> None:
    """A coroutine tool has them, and what it sets stays its own, as without us."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    server = serve(tool_calls(call("look_up", word="a"), usage=USAGE), reply("done", usage=USAGE))
    seen: list[str] = []

    async def look_up(word: str) -> str:
        seen.append(variable.get())
        variable.set("inner")
        return word

    variable.set("outer")
    await observe(Agent(agent_framework_chat(server), name="clerk", tools=[look_up])).run("hi")

    assert (seen, variable.get()) == (["outer"], "outer")


@CLOSES
async def test_a_workflow_stream_that_is_left(
    captured: Captured, serve: Serve, agent_framework_chat: Chat, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is detached in a foreign context, as in agent-framework#8397, and no executor's span stays open, as in
    agent-framework#5577: all ends as closed early.
    """
    server = serve(reply("one two three four", usage=USAGE, chunk_size=2, per_chunk=0.02))
    clerk = Agent(agent_framework_chat(server), name="clerk")
    squad = observe(WorkflowBuilder(name="squad", start_executor=clerk).build())

    async def first_words() -> None:
        stream = squad.run("go", stream=True)
        async for event in stream:
            if event.type in {"output", "intermediate", "data"}:
                break
        await stream.close()

    with caplog.at_level(logging.WARNING, logger="opentelemetry"):
        await asyncio.create_task(first_words())
        for _ in range(20):
            await asyncio.sleep(0.01)

    ended = {line.operation: line.status for line in captured.closing()}
    assert set(ended) == {"invoke_workflow", "task", "invoke_agent", "chat"}
    assert ended["invoke_workflow"] == "closed_early"
    assert caplog.records == []


async def test_a_task_that_outlives_its_run(captured: Captured, serve: Serve, agent_framework_chat: Chat) -> None:
    """An agent that a tool has left running belongs to the tool, and its calls are its own (dd-trace-py#13795)."""
    server = serve(tool_calls(call("judge_later")), reply("done"), reply("good"))
    judge = Agent(agent_framework_chat(server), name="judge")
    over, tasks = asyncio.Event(), []

    async def judging() -> None:
        await over.wait()
        await judge.run("Was it good?")

    async def judge_later() -> str:
        tasks.append(asyncio.create_task(judging()))
        return "soon"

    await observe(Agent(agent_framework_chat(server), name="clerk", tools=[judge_later])).run("go")
    over.set()
    await asyncio.gather(*tasks)

    assert captured.tree().replace(" gpt-4o-mini", "").splitlines() == [
        "invoke_agent clerk: ok",
        "  chat: ok",
        "  execute_tool judge_later: ok",
        "    invoke_agent judge: ok",
        "      chat: ok",
        "  chat: ok",
    ]
    assert [line.agent_id for line in captured.closing("chat")] == ["clerk", "clerk", "judge"]
    assert here() == "nothing"

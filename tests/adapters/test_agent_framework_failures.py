"""Whatever goes wrong, the program gets what it would get unobserved, and each operation ends as what happened."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Never

import pytest
from agent_framework import Agent, ResponseStream, WorkflowBuilder, WorkflowContext, executor
from agent_framework.exceptions import ChatClientException

from ai_dev_squad_agent_framework import observe
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.model_server import ModelServer, call, fail, hang, reply, tokens, tool_calls

Serve = Callable[..., ModelServer]
Chat = Callable[..., Any]
USAGE = tokens(100, 10)
CLOSES = pytest.mark.skipif(
    not hasattr(ResponseStream, "close"), reason="this release closes no stream, nor does it clean up after one"
)


def statuses(captured: Captured) -> list[tuple[str | None, str | None]]:
    """How everything has ended, in order."""
    return [(line.operation, line.status) for line in captured.closing()]


@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_of_the_provider(
    captured: Captured, serve: Serve, agent_framework_chat: Chat, stream: bool
) -> None:
    """Through agent, executor and workflow as the framework's own exception, with the client's as its cause."""
    server = serve(fail(400, message="no such parameter", times=None))
    clerk = Agent(agent_framework_chat(server), name="clerk")
    squad = observe(WorkflowBuilder(name="squad", start_executor=clerk).build())

    with pytest.raises(ChatClientException) as caught:
        if stream:
            async for _ in squad.run("go", stream=True):
                pass
        else:
            await squad.run("go")

    assert type(caught.value.__cause__).__name__ == "BadRequestError"
    assert statuses(captured) == [
        ("chat", "error"),
        ("invoke_agent", "error"),
        ("task", "error"),
        ("invoke_workflow", "error"),
    ]
    assert len({line.error.type for line in captured.closing() if line.error}) == 1


async def test_a_tool_that_fails(captured: Captured, serve: Serve, agent_framework_chat: Chat) -> None:
    """Its own exception is the tool's error, as the framework swallows it; the run goes on."""
    server = serve(tool_calls(call("broken", word="fig"), usage=USAGE), reply("sorry", usage=USAGE))

    def broken(word: str) -> str:
        raise LookupError(f"no {word}")

    answer = await observe(Agent(agent_framework_chat(server), name="clerk", tools=[broken])).run("hi")

    (line,) = captured.closing("execute_tool")
    assert line.error is not None
    assert (answer.text, line.status, line.error.type, line.error.message) == (
        "sorry",
        "error",
        "LookupError",
        "no fig",
    )
    assert statuses(captured)[-1] == ("invoke_agent", "ok")


async def test_arguments_that_do_not_fit(captured: Captured, serve: Serve, agent_framework_chat: Chat) -> None:
    """The tool is not run, and its line says that it failed."""
    server = serve(tool_calls(call("add", number="many"), usage=USAGE), reply("sorry", usage=USAGE))
    ran: list[int] = []

    def add(number: int) -> int:
        ran.append(number)
        return number

    await observe(Agent(agent_framework_chat(server), name="clerk", tools=[add])).run("hi")

    assert ran == []
    assert [(line.name, line.status) for line in captured.closing("execute_tool")] == [("add", "error")]


async def test_an_executor_that_fails(captured: Captured) -> None:
    """The very exception, through the workflow."""
    mistake = ZeroDivisionError("no")

    @executor(id="only")
    async def only(text: str, context: WorkflowContext[Never, str]) -> None:
        raise mistake

    with pytest.raises(ZeroDivisionError) as caught:
        await observe(WorkflowBuilder(start_executor=only).build()).run("go")

    assert caught.value is mistake
    assert statuses(captured) == [("task", "error"), ("invoke_workflow", "error")]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_run_that_is_cancelled(
    captured: Captured, serve: Serve, agent_framework_chat: Chat, stream: bool
) -> None:
    """By its task, while the model thinks: all that was open is cancelled."""
    server = serve(hang())
    clerk = observe(Agent(agent_framework_chat(server), name="clerk"))

    async def run() -> None:
        if stream:
            async for _ in clerk.run("hi", stream=True):
                pass
        else:
            await clerk.run("hi")

    task = asyncio.create_task(run())
    async with asyncio.timeout(10):
        while not any(line.operation == "chat" for line in captured.opening()):  # noqa: ASYNC110 - it is not ours to tell
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert statuses(captured) == [("chat", "cancelled"), ("invoke_agent", "cancelled")]


async def test_a_run_that_takes_too_long(captured: Captured, serve: Serve, agent_framework_chat: Chat) -> None:
    """A time-out of the program's cancels the run."""
    clerk = observe(Agent(agent_framework_chat(serve(hang())), name="clerk"))

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await clerk.run("hi")

    assert statuses(captured) == [("chat", "cancelled"), ("invoke_agent", "cancelled")]


@CLOSES
async def test_a_consumer_that_fails(captured: Captured, serve: Serve, agent_framework_chat: Chat) -> None:
    """What it raises is not the run's error: the stream was left early."""
    server = serve(reply("one two three four", usage=USAGE, chunk_size=2, per_chunk=0.02))
    stream = observe(Agent(agent_framework_chat(server), name="clerk")).run("hi", stream=True)
    with pytest.raises(KeyError, match="mine"):
        async with stream:
            async for _ in stream:
                raise KeyError("mine")

    assert statuses(captured) == [("chat", "closed_early"), ("invoke_agent", "closed_early")]


@CLOSES
async def test_a_hook_of_the_programs_own_that_fails(
    captured: Captured, serve: Serve, agent_framework_chat: Chat
) -> None:
    """A transformation of a stream that fails is the run's error."""
    server = serve(reply("one two", usage=USAGE))
    stream = observe(Agent(agent_framework_chat(server), name="clerk")).run("hi", stream=True)

    def transform(update: Any) -> None:
        raise KeyError("mine")

    stream.with_transform_hook(transform)
    with pytest.raises(KeyError, match="mine"):
        async for _ in stream:
            pass
    assert dict(statuses(captured))["invoke_agent"] == "error"

"""Where the current operation is, in each place that Pydantic AI calls a program's code from."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import propagate
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from ai_dev_squad.context import current_operation
from ai_dev_squad_pydantic_ai import observe
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.contract.harness import on_each_request
from ai_dev_squad_testing.model_server import ModelServer, call, reply, tool_calls

Serve = Callable[..., ModelServer]


def here() -> str | None:
    """The current operation's kind and name."""
    operation = current_operation()
    return None if operation is None else f"{operation.kind.operation} {operation.name}"


@pytest.fixture
def seen() -> dict[str, str | None]:
    """What was current where."""
    return {}


@pytest.fixture
def agent(serve: Serve, seen: dict[str, str | None]) -> Agent[None, str]:
    """An observed agent, whose functions say what is current."""
    words = reply("one two three four", chunk_size=3)
    server = serve(tool_calls(call("look_up", word="fig"), call("fetch", word="fig")), words)
    model = OpenAIChatModel("gpt-4o-mini", provider=OpenAIProvider(base_url=server.base_url, api_key="sk-test"))
    clerk = observe(Agent(model, name="clerk"))

    @clerk.instructions
    def instructions() -> str:
        seen["instructions"] = here()
        return "You are the clerk."

    @clerk.tool_plain
    def look_up(word: str) -> str:
        seen["a tool in a thread"] = here()
        return word

    @clerk.tool_plain
    async def fetch(word: str) -> str:
        seen["a tool"] = here()
        return word

    return clerk


TOOLS = {"a tool in a thread": "execute_tool look_up", "a tool": "execute_tool fetch"}
INSIDE = "invoke_agent clerk"


async def test_a_run(captured: Captured, agent: Agent[None, str], seen: dict[str, str | None]) -> None:
    """Tools are in their tool call, what else the program gives in the agent, and after it there is nothing."""

    @agent.output_validator
    def check(output: str) -> str:
        seen["output validator"] = here()
        return output

    before = otel_context.get_current()
    await agent.run("go")

    assert seen == {**TOOLS, "instructions": INSIDE, "output validator": INSIDE}
    assert otel_context.get_current() == before


async def test_a_stream(captured: Captured, agent: Agent[None, str], seen: dict[str, str | None]) -> None:
    """Whoever reads it is inside the run, to which the framework carries its context, and never inside the request."""
    before = otel_context.get_current()
    async with agent.run_stream("go") as result:
        seen["block"] = here()
        async for _ in result.stream_text(delta=True, debounce_by=None):
            seen.setdefault("between pieces", here())
            assert here() == INSIDE

    assert seen == {**TOOLS, "instructions": INSIDE, "block": INSIDE, "between pieces": INSIDE}
    assert otel_context.get_current() == before


async def test_a_handler_of_events(captured: Captured, agent: Agent[None, str]) -> None:
    """It is inside the agent, also while a request streams."""
    heard: list[str | None] = []

    async def handle(ctx: Any, events: Any) -> None:
        heard.extend([here() async for _ in events])

    await agent.run("go", event_stream_handler=handle)

    assert set(heard) == {INSIDE}


async def test_events(captured: Captured, agent: Agent[None, str]) -> None:
    """Whoever reads them is where it was: the run is another task."""
    async with agent.run_stream_events("go") as events:
        assert {here() async for _ in events} == {None}


async def test_an_iteration(captured: Captured, agent: Agent[None, str]) -> None:
    """Whoever drives a run is inside it."""
    async with agent.iter("go") as steps:
        assert {here() async for _ in steps} == {INSIDE}
    assert here() is None


async def test_requests_on_the_wire(captured: Captured, agent: Agent[None, str], serve: Serve) -> None:
    """Streamed or not, what reaches the provider carries the id of its chat span."""
    parents: list[str] = []
    with on_each_request(lambda headers: (propagate.inject(headers), parents.append(headers["traceparent"]))):
        async with agent.run_stream("go") as result:
            await result.get_output()

    assert [parent.split("-")[2] for parent in parents] == [line.span_id for line in captured.closing("chat")]


async def test_a_task_that_outlives_its_run(captured: Captured, serve: Serve) -> None:
    """An agent that a tool has left running belongs to the tool, and its calls are its own (dd-trace-py#13795)."""
    server = serve(tool_calls(call("judge_later")), reply("done"), reply("good"))
    model = OpenAIChatModel("gpt-4o-mini", provider=OpenAIProvider(base_url=server.base_url, api_key="any"))
    judge = Agent(model, name="judge")
    over, tasks = asyncio.Event(), []

    async def judging() -> None:
        await over.wait()
        await judge.run("Was it good?")

    async def judge_later() -> str:
        tasks.append(asyncio.create_task(judging()))
        return "soon"

    await observe(Agent(model, name="clerk", tools=[judge_later])).run("go")
    over.set()
    await asyncio.gather(*tasks)

    assert captured.tree().replace(" gpt-4o-mini-2024-07-18", "").replace(" gpt-4o-mini", "").splitlines() == [
        "invoke_agent clerk: ok",
        "  chat: ok",
        "  execute_tool judge_later: ok",
        "    invoke_agent judge: ok",
        "      chat: ok",
        "  chat: ok",
    ]
    assert [line.agent_id for line in captured.closing("chat")] == ["clerk", "clerk", "judge"]
    assert here() is None

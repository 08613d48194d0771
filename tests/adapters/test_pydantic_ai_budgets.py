"""A budget refuses Pydantic AI's requests before they leave, by our own exception, wherever they are made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from pydantic_ai import Agent, direct
from pydantic_ai.messages import ModelRequest
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from ai_dev_squad import BudgetExceeded, runtime
from ai_dev_squad_pydantic_ai import observe
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.model_server import ModelServer, call, reply, system_contains, tokens, tool_calls

Serve = Callable[..., ModelServer]


def limit_to(usd: float) -> None:
    """From here on no more than this may be spent."""
    runtime.get_cost_tracker().budget_manager.set_budget("tiny", limit_usd=usd, period="total", on_exceed="stop")


def model_at(server: ModelServer) -> OpenAIChatModel:
    """A real model behind OpenAI's client, which talks to the scripted server."""
    return OpenAIChatModel("gpt-4o-mini", provider=OpenAIProvider(base_url=server.base_url, api_key="sk-test"))


async def run(agent: Any) -> None:
    await agent.run("go")


async def run_sync(agent: Any) -> None:
    def sync() -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            agent.run_sync("go")
        finally:
            loop.close()

    await asyncio.to_thread(sync)


async def run_stream(agent: Any) -> None:
    async with agent.run_stream("go") as result:
        await result.get_output()


async def run_stream_events(agent: Any) -> None:
    async with agent.run_stream_events("go") as events:
        async for _ in events:
            pass


async def iterate(agent: Any) -> None:
    async with agent.iter("go") as steps:
        async for _ in steps:
            pass


@pytest.mark.parametrize("way", [run, run_sync, run_stream, run_stream_events, iterate])
async def test_the_first_request_is_refused(captured: Captured, serve: Serve, way: Any) -> None:
    """The provider hears nothing, and the caller gets the very exception."""
    server = serve(reply("done", times=None))
    limit_to(1e-12)

    with pytest.raises(BudgetExceeded) as raised:
        await way(observe(Agent(model_at(server), name="clerk")))

    assert type(raised.value) is BudgetExceeded
    assert server.truth.calls == ()
    assert {(line.operation, line.status) for line in captured.closing()} == {
        ("chat", "error"),
        ("invoke_agent", "error"),
    }


async def test_the_next_turn_is_refused(captured: Captured, serve: Serve) -> None:
    """An agent with a tool has used it up by its first request."""
    server = serve(tool_calls(call("look_up"), usage=tokens(1_000, 500)))
    limit_to(0.0005)
    agent = observe(Agent(model_at(server), name="clerk"))

    @agent.tool_plain
    def look_up() -> str:
        return "found"

    with pytest.raises(BudgetExceeded):
        await agent.run("go")

    assert len(server.truth.calls) == 1


async def test_a_request_inside_of_a_tool_is_refused(captured: Captured, serve: Serve) -> None:
    """An agent that a tool asks, unobserved itself: the exception comes out of the outer run, unchanged."""
    server = serve(tool_calls(call("ask"), usage=tokens(1_000, 500), when=system_contains("you are the boss")))
    limit_to(0.0005)
    inner = Agent(model_at(server), name="inner")
    boss = observe(Agent(model_at(server), name="boss", instructions="You are the boss."))

    @boss.tool_plain
    async def ask() -> str:
        return (await inner.run("go")).output

    with pytest.raises(BudgetExceeded) as raised:
        await boss.run("go")

    assert type(raised.value) is BudgetExceeded
    assert len(server.truth.calls) == 1
    assert [(line.name, line.status) for line in captured.closing("invoke_agent")] == [
        ("inner", "error"),
        ("boss", "error"),
    ]


async def test_a_fallback_is_refused(captured: Captured, serve: Serve) -> None:
    """It doesn't fall back to another model: a refusal is no failure of the first."""
    server = serve(reply("done", times=None))
    limit_to(1e-12)

    with pytest.raises(BudgetExceeded):
        await observe(Agent(FallbackModel(model_at(server), model_at(server)), name="clerk")).run("go")

    assert server.truth.calls == ()
    assert len(captured.closing("chat")) == 1


async def test_a_direct_request_is_refused(captured: Captured, serve: Serve) -> None:
    """Of a model that is observed itself."""
    server = serve(reply("done", times=None))
    limit_to(1e-12)

    with pytest.raises(BudgetExceeded):
        await direct.model_request(observe(model_at(server)), [ModelRequest.user_text_prompt("go")])

    assert server.truth.calls == ()

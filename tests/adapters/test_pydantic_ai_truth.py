"""Tokens of Pydantic AI's requests are those that the server billed, however they come; and its own sums are not believed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from pydantic_ai import Agent, RunContext
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.usage import RunUsage, UsageLimits

from ai_dev_squad_pydantic_ai import observe
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.model_server import (
    ModelServer,
    after_tool_result,
    call,
    fail,
    reply,
    system_contains,
    tokens,
    tool_calls,
)

Serve = Callable[..., ModelServer]
USAGE = tokens(200, 30, cached=64, reasoning=12)


def provider_at(server: ModelServer) -> OpenAIProvider:
    """OpenAI's client, which talks to the scripted server."""
    return OpenAIProvider(base_url=server.base_url, api_key="sk-test")


def agent_at(server: ModelServer, **options: Any) -> Agent[None, Any]:
    """An observed agent."""
    return observe(Agent(OpenAIChatModel("gpt-4o-mini", provider=provider_at(server)), name="clerk", **options))


def counted(captured: Captured) -> list[tuple[int, ...]]:
    """Input, output, cached and reasoning tokens of each request."""
    usages = [line.usage for line in captured.closing("chat") if line.usage is not None]
    names = ("input_tokens", "output_tokens", "cache_read_input_tokens", "reasoning_output_tokens")
    return [tuple(getattr(usage, name) or 0 for name in names) for usage in usages]


@pytest.mark.parametrize("model", [OpenAIChatModel, OpenAIResponsesModel])
@pytest.mark.parametrize("streamed", [False, True])
async def test_cached_and_reasoning_tokens(captured: Captured, serve: Serve, model: Any, streamed: bool) -> None:
    """Part of input and output, in both of OpenAI's interfaces, whole and streamed."""
    agent = observe(
        Agent(model("gpt-4o-mini", provider=provider_at(serve(reply("Paris.", usage=USAGE)))), name="clerk")
    )

    if streamed:
        async with agent.run_stream("go") as result:
            assert await result.get_output() == "Paris."
    else:
        assert (await agent.run("go")).output == "Paris."

    assert counted(captured) == [(200, 30, 64, 12)]


async def test_an_agent_that_asks_another_is_not_billed_for_it(captured: Captured, serve: Serve) -> None:
    """Each request is counted once, where it is made, though the framework adds the inner usage to the outer run's
    (pydantic-ai#3995); and an agent that nobody observes is not credited to its caller (pydantic-ai#8551).
    """
    server = serve(
        reply("a fruit", usage=tokens(60, 6), when=system_contains("you are the botanist")),
        reply("done", usage=tokens(160, 7), when=after_tool_result()),
        tool_calls(call("ask"), usage=tokens(100, 10)),
    )
    botanist = Agent(
        OpenAIChatModel("gpt-4o-mini", provider=provider_at(server)),
        name="botanist",
        instructions="You are the botanist.",
    )
    boss = agent_at(server)

    @boss.tool
    async def ask(ctx: RunContext[None]) -> str:
        return (await botanist.run("fig?", usage=ctx.usage)).output

    usage = RunUsage()
    result = await boss.run("go", usage=usage)

    assert result.output == "done"
    # The framework's sum for the boss holds the botanist's; releases 1 read none of what a newer client of OpenAI tells.
    assert usage.input_tokens in {0, 320}
    assert [(line.agent_id, line.usage and line.usage.input_tokens) for line in captured.closing("chat")] == [
        ("clerk", 100),
        ("botanist", 60),
        ("clerk", 160),
    ]


async def test_usage_that_is_carried_on_counts_once(captured: Captured, serve: Serve) -> None:
    """Runs that are given the usage of the run before hold both in the framework's sum; requests don't (pydantic-ai#8368)."""
    agent = agent_at(serve(reply("one", usage=tokens(100, 10)), reply("two", usage=tokens(150, 20))))
    usage = RunUsage()

    await agent.run("go", usage=usage)
    await agent.run("go", usage=usage)

    assert (usage.input_tokens, usage.output_tokens) in {(0, 0), (250, 30)}  # none in releases 1 with a newer client
    assert counted(captured) == [(100, 10, 0, 0), (150, 20, 0, 0)]


async def test_a_request_that_its_client_makes_again(captured: Captured, serve: Serve) -> None:
    """Is one call of two requests, with one bill."""
    server = serve(fail(429, retry_after=0.01), reply("done", usage=tokens(80, 8)))

    await agent_at(server).run("go")

    assert [request.status for request in server.truth.calls] == [429, 200]
    assert counted(captured) == [(80, 8, 0, 0)]


async def test_a_run_that_its_own_limit_ends(captured: Captured, serve: Serve) -> None:
    """What was made before is billed; the framework's exception is the caller's."""
    from pydantic_ai import UsageLimitExceeded

    agent = agent_at(serve(tool_calls(call("look_up"), usage=tokens(100, 10))))

    @agent.tool_plain
    def look_up() -> str:
        return "found"

    with pytest.raises(UsageLimitExceeded):
        await agent.run("go", usage_limits=UsageLimits(request_limit=1))

    assert counted(captured) == [(100, 10, 0, 0)]
    assert [line.status for line in captured.closing("invoke_agent")] == ["error"]


async def test_twenty_runs_at_the_same_time(captured: Captured, serve: Serve) -> None:
    """Of one agent: each has a trace and a call of its own."""
    agent = agent_at(serve(reply("done", usage=tokens(100, 3), latency=0.05, times=20)))

    await asyncio.gather(*(agent.run(f"question {number}") for number in range(20)))

    assert counted(captured) == [(100, 3, 0, 0)] * 20
    assert len({line.trace_id for line in captured.lines}) == 20
    assert {len([x for x in captured.lines if x.trace_id == line.trace_id]) for line in captured.lines} == {4}


async def test_tools_that_are_asked_for_together(captured: Captured, serve: Serve) -> None:
    """Run side by side, each with its own arguments, and the request that follows counts once."""
    words = ("fig", "oak", "yew")
    server = serve(
        tool_calls(*(call("look_up", word=word) for word in words), usage=tokens(100, 30)),
        reply("done", usage=tokens(190, 5)),
    )
    agent = agent_at(server)
    heard: list[str] = []

    @agent.tool_plain
    async def look_up(word: str) -> str:
        heard.append(word)
        return word

    await agent.run("go")

    assert sorted(heard) == sorted(words)
    assert counted(captured) == [(100, 30, 0, 0), (190, 5, 0, 0)]
    assert len(captured.closing("execute_tool")) == 3

"""Tokens and calls are those that the model server billed, in every way of running."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from agents import Agent, ModelSettings, Runner, function_tool
from agents.retry import ModelRetrySettings, retry_policies
from openai import AsyncOpenAI

from ai_dev_squad_openai_agents import observe
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.model_server import ModelServer, call, fail, reply, tokens, tool_calls

Serve = Callable[..., ModelServer]
Model = Callable[..., Any]

USAGE = tokens(200, 30, cached=64, reasoning=12)


def counted(captured: Captured) -> list[tuple[Any, ...]]:
    """Of each model call: status, and the tokens, with where the numbers are from."""
    return [
        (
            *(line.status, usage.input_tokens, usage.output_tokens, usage.cache_read_input_tokens),
            *(usage.reasoning_output_tokens, usage.source),
        )
        for line in captured.closing("chat")
        if (usage := line.usage)
    ]


@function_tool
def look_up(word: str) -> str:
    """Look a word up."""
    return word.upper()


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("responses", [False, True], ids=["chat completions", "responses"])
async def test_cached_and_reasoning_tokens(
    captured: Captured, serve: Serve, openai_agents_model: Model, responses: bool, streamed: bool
) -> None:
    """They are there in both APIs (openllmetry#4060), and in streams, whose usage the SDK reports as 0 for other providers
    than OpenAI (openai-agents-python#948, openinference#2530).
    """
    server = serve(tool_calls(call("look_up", word="a"), usage=USAGE), reply("done", usage=tokens(100, 5)))
    clerk = observe(Agent(name="clerk", model=openai_agents_model(server, responses=responses), tools=[look_up]))

    if streamed:
        result = Runner.run_streamed(clerk, "go")
        async for _ in result.stream_events():
            pass
    else:
        await Runner.run(clerk, "go")

    assert counted(captured) == [("ok", 200, 30, 64, 12, "provider"), ("ok", 100, 5, 0, 0, "provider")]
    assert (server.truth.totals.calls, len(captured.closing("chat"))) == (2, 2)
    cost = captured.closing("chat")[0].cost
    assert cost is not None
    # gpt-4o-mini: 0.15 USD per million input, 0.075 cached, 0.60 output tokens.
    assert cost.usd == pytest.approx((136 * 0.15 + 64 * 0.075 + 30 * 0.60) / 1e6)


async def test_a_stream_that_is_left_goes_on_and_is_billed(
    captured: Captured, serve: Serve, openai_agents_model: Model
) -> None:
    """The SDK's run goes on in the background after a ``break``: it ends with its task, and counts."""
    clerk = observe(Agent(name="clerk", model=openai_agents_model(serve(reply("one two three", usage=USAGE)))))

    result = Runner.run_streamed(clerk, "go")
    async for event in result.stream_events():
        if event.type == "raw_response_event":
            break
    await asyncio.wait([result.run_loop_task])

    assert counted(captured) == [("ok", 200, 30, 64, 12, "provider")]
    assert {line.status for line in captured.closing()} == {"ok"}


async def test_a_stream_that_is_cancelled_is_estimated(
    captured: Captured, serve: Serve, openai_agents_model: Model
) -> None:
    """``cancel()`` ends all as closed early; what was heard so far is estimated, and says so."""
    server = serve(reply("one two three four five six", usage=USAGE, chunk_size=4, per_chunk=0.05))
    clerk = observe(Agent(name="clerk", model=openai_agents_model(server)))

    result = Runner.run_streamed(clerk, "go")
    async for event in result.stream_events():
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
            result.cancel()
    await asyncio.wait([result.run_loop_task])

    assert [line.status for line in captured.closing()] == ["closed_early"] * 3
    (line,) = captured.closing("chat")
    assert line.usage is not None
    assert line.usage.source == "estimated"
    assert (line.usage.output_tokens or 0) > 0


async def test_a_stream_that_is_cancelled_after_its_turn(
    captured: Captured, serve: Serve, openai_agents_model: Model
) -> None:
    """``cancel(mode="after_turn")`` lets the answer be finished: that is exact."""
    clerk = observe(Agent(name="clerk", model=openai_agents_model(serve(reply("one two three", usage=USAGE)))))

    result = Runner.run_streamed(clerk, "go")
    async for event in result.stream_events():
        if event.type == "raw_response_event":
            result.cancel(mode="after_turn")

    assert counted(captured) == [("ok", 200, 30, 64, 12, "provider")]
    assert {line.status for line in captured.closing()} == {"ok"}


def test_a_loop_that_ends_after_a_break(captured: Captured, serve: Serve) -> None:
    """The event loop cancels what goes on: closed early, and nothing stays open."""
    from agents import OpenAIChatCompletionsModel

    server = serve(reply("one two three four five six", chunk_size=4, per_chunk=0.05))

    async def main() -> None:
        async with AsyncOpenAI(base_url=server.base_url, api_key="sk-test") as client:
            clerk = observe(Agent(name="clerk", model=OpenAIChatCompletionsModel("gpt-4o-mini", client)))
            result = Runner.run_streamed(clerk, "go")
            async for event in result.stream_events():
                if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                    break

    asyncio.run(main())

    assert [(line.operation, line.status) for line in captured.closing()] == [
        ("chat", "closed_early"),
        ("invoke_agent", "closed_early"),
        ("invoke_workflow", "closed_early"),
    ]


async def test_retries(captured: Captured, serve: Serve, openai_agents_model: Model) -> None:
    """The client's are requests of one call; each of the runner's is a call."""
    client_retries = serve(fail(429, retry_after=0.01), reply("x", usage=tokens(10, 1)))
    runner_retries = serve(fail(500), reply("x", usage=tokens(10, 1)))
    settings = ModelSettings(
        retry=ModelRetrySettings(
            max_retries=2, policy=retry_policies.http_status([500]), backoff={"initial_delay": 0.0}
        )
    )

    await Runner.run(observe(Agent(name="one", model=openai_agents_model(client_retries))), "go")
    await Runner.run(
        observe(Agent(name="two", model=openai_agents_model(runner_retries, max_retries=0), model_settings=settings)),
        "go",
    )

    assert [(line.agent_id, line.status) for line in captured.closing("chat")] == [
        *(("one", "ok"), ("two", "error"), ("two", "ok")),
    ]
    assert sum(line.usage.input_tokens or 0 for line in captured.closing("chat") if line.usage) == 20


async def test_twenty_at_once(captured: Captured, serve: Serve, openai_agents_model: Model) -> None:
    """Twenty runs of one agent at the same time are twenty traces, each with its own calls."""
    server = serve(
        tool_calls(call("look_up", word="a"), usage=tokens(100, 10), times=20),
        reply("done", usage=tokens(150, 5), times=20),
    )
    clerk = observe(Agent(name="clerk", model=openai_agents_model(server), tools=[look_up]))

    await asyncio.gather(*(Runner.run(clerk, f"question {number}") for number in range(20)))

    by_trace: dict[str | None, list[str | None]] = {}
    for line in captured.closing():
        by_trace.setdefault(line.trace_id, []).append(line.operation)
    assert len(by_trace) == 20
    assert {tuple(operations) for operations in by_trace.values()} == {
        ("chat", "execute_tool", "chat", "invoke_agent", "invoke_workflow")
    }


async def test_a_call_of_a_tools_own_client(captured: Captured, serve: Serve, openai_agents_model: Model) -> None:
    """A tool that asks a model by itself: the call is below the tool, and counts once."""
    server = serve(
        tool_calls(call("ask", word="a"), usage=tokens(100, 10)),
        reply("inner", usage=tokens(7, 3)),
        reply("done", usage=tokens(150, 5)),
    )
    model = openai_agents_model(server)

    @function_tool
    async def ask(word: str) -> str:
        """Ask."""
        answer = await model._client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": word}]
        )
        return str(answer.choices[0].message.content)

    await Runner.run(observe(Agent(name="clerk", model=model, tools=[ask])), "go")

    (tool,) = captured.closing("execute_tool")
    assert [(usage[1], usage[2]) for usage in counted(captured)] == [(100, 10), (7, 3), (150, 5)]
    assert [line.parent_span_id == tool.span_id for line in captured.closing("chat")] == [False, True, False]

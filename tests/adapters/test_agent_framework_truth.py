"""Captured model calls and tokens equal what the model server billed, in every way of running Agent Framework."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from agent_framework import (
    Agent,
    AgentSession,
    ChatContext,
    Message,
    ResponseStream,
    chat_middleware,
)
from agent_framework_openai import OpenAIChatClient
from agent_framework_orchestrations import ConcurrentBuilder, GroupChatBuilder, SequentialBuilder
from pydantic import BaseModel

from ai_dev_squad_agent_framework import observe, unobserve
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.contract.truth import equals_the_bill
from ai_dev_squad_testing.model_server import (
    ModelServer,
    call,
    fail,
    reply,
    structured,
    system_contains,
    tokens,
    tool_calls,
)

Serve = Callable[..., ModelServer]
Chat = Callable[..., Any]
USAGE = tokens(200, 30, cached=64, reasoning=12)
CLOSES = pytest.mark.skipif(
    not hasattr(ResponseStream, "close"), reason="this release closes no stream, nor does it clean up after one"
)


def look_up(word: str) -> str:
    """Look a word up."""
    return word.upper()


async def drained(stream: Any) -> list[Any]:
    """All that comes of a stream."""
    return [item async for item in stream]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_tool_loop(captured: Captured, serve: Serve, agent_framework_chat: Chat, stream: bool) -> None:
    """Each request once, cached and reasoning tokens too: agent-framework#1320 and agent-framework#4062 saw the last call only,
    agent-framework#2038 and agent-framework#5511 no cached tokens.
    """
    server = serve(
        tool_calls(call("look_up", word="a"), call("look_up", word="b"), call("look_up", word="c"), usage=USAGE),
        reply("fine", usage=tokens(260, 5, cached=128)),
    )
    clerk = observe(Agent(agent_framework_chat(server), name="clerk", tools=[look_up]))

    if stream:
        await drained(clerk.run("a, b and c", stream=True))
    else:
        await clerk.run("a, b and c")

    equals_the_bill(captured, server, traces=1)
    asked = sorted((tool.name, tool.id) for tool in server.truth.calls[0].tool_calls)
    ran = [(line.name, (line.metadata or {})["gen_ai.tool.call.id"]) for line in captured.closing("execute_tool")]
    assert sorted(ran) == asked
    first = captured.closing("chat")[0]
    assert first.usage is not None
    assert (first.usage.cache_read_input_tokens, first.usage.reasoning_output_tokens) == (64, 12)
    assert first.cost is not None
    # gpt-4o-mini: 0.15 USD per million input, 0.075 cached, 0.60 output tokens.
    assert first.cost.usd == pytest.approx((136 * 0.15 + 64 * 0.075 + 30 * 0.60) / 1e6)


@pytest.mark.parametrize("stream", [False, True])
async def test_the_responses_client(captured: Captured, serve: Serve, stream: bool) -> None:
    """OpenAI's other interface counts alike, with agent-framework#5511's cached tokens."""
    server = serve(reply("fine", usage=USAGE))
    client = OpenAIChatClient(model="gpt-4o-mini", base_url=server.base_url, api_key="sk-test")
    clerk = observe(Agent(client, name="clerk"))

    if stream:
        await drained(clerk.run("hi", stream=True))
    else:
        await clerk.run("hi")
    await client.client.close()

    equals_the_bill(captured, server, traces=1)
    (line,) = captured.closing("chat")
    assert line.usage is not None
    assert (line.usage.cache_read_input_tokens, line.usage.reasoning_output_tokens) == (64, 12)


class City(BaseModel):
    """What is asked for."""

    name: str
    country: str


async def test_structured_output(captured: Captured, serve: Serve, agent_framework_chat: Chat) -> None:
    """The result is the value, unchanged; the request says that it wants JSON."""
    server = serve(structured({"name": "Paris", "country": "France"}, usage=USAGE))
    clerk = observe(Agent(agent_framework_chat(server), name="clerk"))

    result = await clerk.run("Which city?", options={"response_format": City})

    assert result.value == City(name="Paris", country="France")
    equals_the_bill(captured, server, traces=1)
    assert (captured.closing("chat")[0].metadata or {})["gen_ai.output.type"] == "json"


async def test_a_session_remembers(captured: Captured, serve: Serve, agent_framework_chat: Chat) -> None:
    """The runs of a session are traces of their own and carry its id."""
    server = serve(reply("hi", usage=tokens(10, 1)), reply("again", usage=tokens(30, 2)))
    clerk = observe(Agent(agent_framework_chat(server), name="clerk"))
    session = AgentSession(session_id="desk-7")

    await clerk.run("one", session=session)
    await clerk.run("two", session=session)

    equals_the_bill(captured, server, traces=2)
    assert {line.session_id for line in captured.lines} == {"desk-7"}


async def test_a_retry_of_the_client(captured: Captured, serve: Serve, agent_framework_chat: Chat) -> None:
    """A refused request and its repetition are one call of two requests, billed once."""
    server = serve(fail(429, retry_after=0.01), reply("at last", usage=USAGE))

    await observe(Agent(agent_framework_chat(server), name="clerk")).run("hi")

    server.settle()
    (line,) = captured.closing("chat")
    assert line.usage is not None
    assert (line.status, line.usage.input_tokens, (line.metadata or {})["ai_dev_squad.requests"]) == ("ok", 200, 2)


async def test_a_fallback_of_the_program(captured: Captured, serve: Serve, agent_framework_chat: Chat) -> None:
    """A chat middleware that asks another client when the first fails: both calls are seen, one of them failed."""
    server = serve(fail(500, times=3), reply("from the other", usage=USAGE))
    first, other = agent_framework_chat(server, model="gpt-4o"), agent_framework_chat(server)

    @chat_middleware
    async def fall_back(context: ChatContext, call_next: Callable[[], Awaitable[None]]) -> None:
        try:
            await call_next()
        except Exception:
            context.result = await other.get_response(context.messages)

    clerk = observe(Agent(first, name="clerk", middleware=[fall_back]))
    answer = await clerk.run("hi")

    assert answer.text == "from the other"
    assert captured.tree() == "invoke_agent clerk: ok\n  chat gpt-4o: error\n  chat gpt-4o-mini: ok"


async def test_a_client_alone(captured: Captured, serve: Serve, agent_framework_chat: Chat) -> None:
    """A client that is observed itself: each request, plain and streamed, and a tool loop of its own."""
    server = serve(
        reply("one", usage=USAGE),
        reply("two", usage=USAGE),
        tool_calls(call("look_up", word="a"), usage=USAGE),
        reply("three", usage=USAGE),
    )
    client = observe(agent_framework_chat(server))

    await client.get_response([Message("user", ["hi"])])
    await drained(client.get_response([Message("user", ["hi"])], stream=True))
    answer = await client.get_response([Message("user", ["hi"])], options={"tools": [look_up]})

    assert answer.text == "three"
    equals_the_bill(captured, server)
    unobserve(client)


async def test_an_unobserved_agent_with_the_same_client(
    captured: Captured, serve: Serve, agent_framework_chat: Chat
) -> None:
    """Ten agents share one client, five of them observed, all at once: exactly those five are seen."""
    server = serve(reply("hi", usage=USAGE, latency=0.05, times=None))
    client = agent_framework_chat(server)
    agents = [Agent(client, name=f"agent-{number}") for number in range(10)]
    for agent in agents[::2]:
        observe(agent)

    async def run(agent: Agent) -> None:
        await agent.run("hi")

    await asyncio.gather(*map(run, agents))

    assert sorted(line.name or "" for line in captured.closing("invoke_agent")) == [
        f"agent-{n}" for n in range(0, 10, 2)
    ]
    assert len(captured.closing("chat")) == 5


async def test_twenty_at_once(captured: Captured, serve: Serve, agent_framework_chat: Chat) -> None:
    """Twenty runs of one agent at the same time are twenty traces."""
    server = serve(reply("hi", usage=USAGE, latency=0.05, times=None))
    clerk = observe(Agent(agent_framework_chat(server), name="clerk"))

    await asyncio.gather(*(clerk.run("hi") for _ in range(20)))

    equals_the_bill(captured, server, traces=20)


@pytest.mark.parametrize("stream", [False, True])
async def test_orchestrations(captured: Captured, serve: Serve, agent_framework_chat: Chat, stream: bool) -> None:
    """Sequential, concurrent and group chat: each run one trace, every call of it counted."""
    server = serve(
        reply("plan", usage=USAGE, when=system_contains("you plan"), times=None),
        reply("code", usage=tokens(50, 5), when=system_contains("you code"), times=None),
    )
    client = agent_framework_chat(server)

    def members() -> list[Agent]:
        return [Agent(client, "you plan", name="planner"), Agent(client, "you code", name="coder")]

    def turn(state: Any) -> str:
        return "planner" if state.current_round % 2 == 0 else "coder"

    for workflow in (
        SequentialBuilder(participants=members()).build(),
        ConcurrentBuilder(participants=members()).build(),
        GroupChatBuilder(participants=members(), selection_func=turn, max_rounds=2).build(),
    ):
        if stream:
            await drained(observe(workflow).run("go", stream=True))
        else:
            await observe(workflow).run("go")

    equals_the_bill(captured, server, traces=3)
    assert len(server.truth.calls) == 6


async def test_a_workflow_as_an_agent(captured: Captured, serve: Serve, agent_framework_chat: Chat) -> None:
    """Its answer carries no usage, as agent-framework#7797 found where workflows are hosted; the journal has all of it."""
    server = serve(reply("plan", usage=USAGE))
    workflow = SequentialBuilder(participants=[Agent(agent_framework_chat(server), name="planner")]).build()

    await observe(workflow.as_agent(name="hosted")).run("go")

    equals_the_bill(captured, server, traces=1)
    assert [line.operation for line in captured.opening()][:2] == ["invoke_agent", "invoke_workflow"]


LONG = reply("one two three four five six seven eight", usage=tokens(150, 9), chunk_size=2, per_chunk=0.02)


@CLOSES
async def test_a_stream_that_is_closed(captured: Captured, serve: Serve, agent_framework_chat: Chat) -> None:
    """What had arrived is estimated, and says so."""
    server = serve(LONG)
    stream = observe(Agent(agent_framework_chat(server), name="clerk")).run("hi", stream=True)
    async for update in stream:
        if update.text:
            break
    await stream.close()

    (chat,) = captured.closing("chat")
    assert chat.usage is not None
    assert (chat.status, chat.usage.source) == ("closed_early", "estimated")
    assert 0 < (chat.usage.output_tokens or 0) < 9
    assert captured.tree() == "invoke_agent clerk: closed_early\n  chat gpt-4o-mini: closed_early"


@CLOSES
async def test_a_stream_that_is_dropped(captured: Captured, serve: Serve, agent_framework_chat: Chat) -> None:
    """``break`` closes nothing: the stream ends when it is collected, its agent not before what it has begun."""
    server = serve(LONG)
    clerk = observe(Agent(agent_framework_chat(server), name="clerk"))

    async def first_words() -> None:
        async for update in clerk.run("hi", stream=True):
            if update.text:
                break

    await first_words()
    for _ in range(10):
        gc.collect()
        await asyncio.sleep(0.01)

    assert [(line.operation, line.status) for line in captured.closing()] == [
        ("chat", "closed_early"),
        ("invoke_agent", "closed_early"),
    ]


async def test_only_the_final_response(captured: Captured, serve: Serve, agent_framework_chat: Chat) -> None:
    """A stream that nobody iterates over counts as one that somebody does."""
    server = serve(reply("one two three", usage=USAGE, chunk_size=3))

    answer = (
        await observe(Agent(agent_framework_chat(server), name="clerk")).run("hi", stream=True).get_final_response()
    )

    assert answer.text == "one two three"
    equals_the_bill(captured, server, traces=1)


async def test_a_run_that_is_never_awaited(captured: Captured, serve: Serve, agent_framework_chat: Chat) -> None:
    """A coroutine that is dropped was never a run."""
    clerk = observe(Agent(agent_framework_chat(serve(reply("no"))), name="clerk"))

    clerk.run("hi").close()

    assert captured.lines == []


@pytest.mark.parametrize("stream", [False, True])
async def test_a_response_in_the_background_is_one_call(captured: Captured, serve: Serve, stream: bool) -> None:
    """The runs that ask how it is going ask no model; what the last one is told is billed to the one that began it."""
    server = serve(reply("A long report.", usage=USAGE))
    client = OpenAIChatClient(model="gpt-4o-mini", base_url=server.base_url, api_key="sk-test")
    writer = observe(Agent(client, name="writer"))
    result = await writer.run("Write a report.", options={"background": True})
    while token := result.continuation_token:
        options = {"background": True, "continuation_token": token}
        if stream:
            running = writer.run(options=options, stream=True)
            await drained(running)
            result = await running.get_final_response()
        else:
            result = await writer.run(options=options)
    await client.client.close()

    assert result.text == "A long report."
    assert captured.calls == 1
    equals_the_bill(captured, server)

"""Budgets stop model calls before money is spent, whatever part of the framework makes them; the model server says so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from agent_framework import (
    Agent,
    AgentContext,
    FunctionInvocationContext,
    Message,
    agent_middleware,
    function_middleware,
)
from agent_framework_orchestrations import SequentialBuilder

from ai_dev_squad import BudgetExceeded, LoopDetected, configure, get_cost_tracker
from ai_dev_squad.costs import BudgetManager
from ai_dev_squad_agent_framework import observe
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.model_server import ModelServer, call, last_message_contains, reply, tokens, tool_calls

Serve = Callable[..., ModelServer]
Chat = Callable[..., Any]

# gpt-4o: 2.50 USD per million input tokens, 10 USD per million output tokens: this answer costs 0.35 USD.
USAGE = tokens(100_000, 10_000)
ANSWER = reply("hi", usage=USAGE, times=None)
PRICE = 0.35
LIMITED: Any = {"max_tokens": 10_000}


@pytest.fixture
def budgets(captured: Captured) -> BudgetManager:
    """The budgets that are in force."""
    return get_cost_tracker().budget_manager


def allow(budgets: BudgetManager, calls: int) -> None:
    """As much money as this many calls cost."""
    budgets.set_budget("stop", limit_usd=PRICE * calls or 1e-9, period="total", on_exceed="stop")


async def result_of(program: Any, *, stream: bool) -> Any:
    """What it gives, in one go or piece by piece."""
    if not stream:
        return await program.run("go")
    running = program.run("go", stream=True)
    async for _ in running:
        pass
    return await running.get_final_response()


@pytest.mark.parametrize("stream", [False, True])
async def test_an_agent_raises_it(
    captured: Captured, serve: Serve, agent_framework_chat: Chat, budgets: BudgetManager, stream: bool
) -> None:
    """The call that would break the limit is never made; the agent raises ``BudgetExceeded`` itself. Wanted by
    agent-framework PR#5073, agent-framework#6397 and agent-framework#6934.
    """
    server = serve(ANSWER)
    allow(budgets, 1)
    ann = observe(Agent(agent_framework_chat(server, model="gpt-4o"), name="ann", default_options=LIMITED))

    await result_of(ann, stream=stream)
    with pytest.raises(BudgetExceeded) as caught:
        await result_of(ann, stream=stream)

    server.settle()
    assert (type(caught.value), server.truth.totals.calls) == (BudgetExceeded, 1)
    assert (caught.value.budget, caught.value.spent_usd) == ("stop", PRICE)
    assert [entry.cost_usd for entry in get_cost_tracker().entries] == [PRICE]
    assert captured.tree().splitlines()[-2:] == ["invoke_agent ann: error", "  chat gpt-4o: error"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_workflow_raises_it(
    captured: Captured, serve: Serve, agent_framework_chat: Chat, budgets: BudgetManager, stream: bool
) -> None:
    """Unchanged, through executor and workflow."""
    server = serve(ANSWER)
    allow(budgets, 1)
    client = agent_framework_chat(server, model="gpt-4o")
    agents = [Agent(client, name=name, default_options=LIMITED) for name in ("ann", "bob")]
    squad = observe(SequentialBuilder(participants=agents).build(), name="squad")

    with pytest.raises(BudgetExceeded) as caught:
        await result_of(squad, stream=stream)

    server.settle()
    assert (type(caught.value), server.truth.totals.calls) == (BudgetExceeded, 1)
    statuses = [(line.name, line.status) for line in captured.closing() if line.operation != "chat"]
    assert statuses == [
        ("input-conversation", "ok"),
        ("ann", "ok"),
        ("ann", "ok"),
        ("bob", "error"),
        ("bob", "error"),
        ("squad", "error"),
    ]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_of_ones_own(
    captured: Captured, serve: Serve, agent_framework_chat: Chat, budgets: BudgetManager, stream: bool
) -> None:
    """A client that is observed itself refuses likewise, outside of any agent."""
    server = serve(ANSWER)
    allow(budgets, 1)
    client = observe(agent_framework_chat(server, model="gpt-4o"))

    async def ask() -> None:
        asked = client.get_response([Message("user", ["go"])], stream=stream, options=LIMITED)
        if stream:
            async for _ in asked:
                pass
        else:
            await asked

    await ask()
    with pytest.raises(BudgetExceeded):
        await ask()

    server.settle()
    assert server.truth.totals.calls == 1
    assert captured.tree() == "chat gpt-4o: ok\nchat gpt-4o: error"


@pytest.mark.parametrize("stream", [False, True])
async def test_an_agent_used_as_a_tool(
    captured: Captured, serve: Serve, agent_framework_chat: Chat, budgets: BudgetManager, stream: bool
) -> None:
    """A tool's exception becomes the tool's answer in Agent Framework, but not this one: the run ends with it at once."""
    server = serve(
        tool_calls(call("writer", task="write"), call("writer", task="write too"), usage=USAGE),
        reply("never", when=last_message_contains("write"), times=None),
    )
    allow(budgets, 1)
    client = agent_framework_chat(server, model="gpt-4o")
    writer = Agent(client, name="writer", default_options=LIMITED)
    boss = observe(Agent(client, name="boss", tools=[writer.as_tool()], default_options=LIMITED))

    with pytest.raises(BudgetExceeded) as caught:
        await result_of(boss, stream=stream)

    server.settle()
    assert (type(caught.value), caught.value.budget, server.truth.totals.calls) == (BudgetExceeded, "stop", 1)
    (boss_run,) = [line for line in captured.closing("invoke_agent") if line.name == "boss"]
    assert boss_run.error is not None
    assert (boss_run.status, boss_run.error.type.rpartition(".")[2]) == ("error", "BudgetExceeded")


async def test_a_tool_that_asks_a_model_itself(
    captured: Captured, serve: Serve, agent_framework_chat: Chat, budgets: BudgetManager
) -> None:
    """By whatever client: the wire refuses, and the refusal gets out of the tool. The tool itself may catch it."""
    import openai

    server = serve(tool_calls(call("look_up", word="fig"), usage=USAGE), reply("never", times=None))
    allow(budgets, 1)
    caught_inside = []

    async def look_up(word: str) -> str:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="sk-test", max_retries=0) as client:
            asked: Any = [{"role": "user", "content": word}]
            try:
                answer = await client.chat.completions.create(model="gpt-4o", messages=asked, max_tokens=10_000)
            except BudgetExceeded as refusal:
                caught_inside.append(refusal)
                raise
        return str(answer)

    client = agent_framework_chat(server, model="gpt-4o")
    with pytest.raises(BudgetExceeded) as caught:
        await observe(Agent(client, name="boss", tools=[look_up], default_options=LIMITED)).run("go")

    server.settle()
    assert server.truth.totals.calls == 1
    assert [caught.value] == caught_inside


@pytest.mark.parametrize("place", ["agent", "function"])
async def test_a_guardrail_that_asks_a_model(
    captured: Captured, serve: Serve, agent_framework_chat: Chat, budgets: BudgetManager, place: str
) -> None:
    """Around an agent or around its tools: the guardrail's own agent is refused, and the run ends with that."""
    server = serve(tool_calls(call("look_up", word="fig"), usage=USAGE), reply("never", times=None))
    allow(budgets, 1 if place == "function" else 0)
    client = agent_framework_chat(server, model="gpt-4o")
    judge = Agent(client, name="judge", default_options=LIMITED)

    @agent_middleware
    async def around_agent(context: AgentContext, call_next: Callable[[], Awaitable[None]]) -> None:
        await judge.run("is this fine?")
        await call_next()

    @function_middleware
    async def around_tool(context: FunctionInvocationContext, call_next: Callable[[], Awaitable[None]]) -> None:
        await judge.run("is this fine?")
        await call_next()

    def look_up(word: str) -> str:
        return word

    guard = around_agent if place == "agent" else around_tool
    boss = observe(Agent(client, name="boss", tools=[look_up], middleware=[guard], default_options=LIMITED))
    with pytest.raises(BudgetExceeded) as caught:
        await boss.run("go")

    server.settle()
    assert (type(caught.value), server.truth.totals.calls) == (BudgetExceeded, 1 if place == "function" else 0)


async def test_a_loop_is_stopped(captured: Captured, serve: Serve, agent_framework_chat: Chat) -> None:
    """An agent that calls the same tool with the same arguments for ever is refused its next step by ``LoopDetected``."""
    configure(journal=False, on_loop="stop", loop_limit=3)
    server = serve(tool_calls(call("look_up", word="fig"), usage=tokens(10, 1), times=None))

    def look_up(word: str) -> str:
        return "nothing"

    with pytest.raises(LoopDetected) as caught:
        await observe(Agent(agent_framework_chat(server), name="boss", tools=[look_up])).run("go")

    server.settle()
    assert (type(caught.value), server.truth.totals.calls < 10) == (LoopDetected, True)


async def test_what_a_program_catches_itself(
    captured: Captured, serve: Serve, agent_framework_chat: Chat, budgets: BudgetManager
) -> None:
    """A tool that asks another agent and copes without its answer goes on, and so does its run."""
    server = serve(
        tool_calls(call("ask_writer", topic="figs"), usage=tokens(10, 1)),
        reply("without the writer", usage=tokens(20, 2)),
    )
    budgets.set_budget("writers", limit_usd=1e-9, period="total", agent_id="writer", on_exceed="stop")
    client = agent_framework_chat(server, model="gpt-4o")
    writer = Agent(client, name="writer")

    async def ask_writer(topic: str) -> str:
        try:
            return (await writer.run(topic)).text
        except BudgetExceeded:
            return "no writer"

    answer = await observe(Agent(client, name="boss", tools=[ask_writer])).run("go")

    server.settle()
    assert (answer.text, server.truth.totals.calls) == ("without the writer", 2)
    assert [(line.name, line.status) for line in captured.closing("execute_tool")] == [("ask_writer", "ok")]

"""Budgets stop an agent's model calls before money is spent; the model server says whether that is true."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from agents import Agent, GuardrailFunctionOutput, ModelSettings, Runner, function_tool, input_guardrail

from ai_dev_squad import BudgetExceeded, LoopDetected, get_cost_tracker
from ai_dev_squad.costs import BudgetManager
from ai_dev_squad_openai_agents import observe
from ai_dev_squad_testing import Captured, capture
from ai_dev_squad_testing.model_server import ModelServer, call, reply, system_contains, tokens, tool_calls

Serve = Callable[..., ModelServer]
Model = Callable[..., Any]

# gpt-4o: 2.50 USD per million input tokens, 10 USD per million output tokens: this answer costs 0.35 USD.
USAGE = tokens(100_000, 10_000)
PRICE = 0.35
SETTINGS = ModelSettings(max_tokens=10_000)


@pytest.fixture
def budgets(captured: Captured) -> BudgetManager:
    """The budgets that are in force."""
    return get_cost_tracker().budget_manager


def agent(name: str, model: Any, **options: Any) -> Agent[Any]:
    """An agent whose calls may cost up to 0.10 USD of output."""
    return Agent(name=name, model=model, instructions=f"you are {name}", model_settings=SETTINGS, **options)


def gpt4o(openai_agents_model: Model, server: ModelServer) -> Any:
    """Dear enough."""
    return openai_agents_model(server, "gpt-4o-2024-08-06")


@function_tool
def look_up(word: str) -> str:
    """Look a word up."""
    return word.upper()


async def run(clerk: Agent[Any], how: str) -> None:
    """Run it in one of the SDK's ways."""
    if how == "run_sync":
        await asyncio.to_thread(Runner.run_sync, clerk, "go")
    elif how == "run":
        await Runner.run(clerk, "go")
    else:
        async for _ in Runner.run_streamed(clerk, "go").stream_events():
            pass


@pytest.mark.filterwarnings("ignore:unclosed event loop:ResourceWarning")
@pytest.mark.parametrize("how", ["run", "run_sync", "run_streamed"])
async def test_the_next_call_of_a_run(
    captured: Captured, serve: Serve, openai_agents_model: Model, budgets: BudgetManager, how: str
) -> None:
    """The call that would break the limit is never made; the run raises ``BudgetExceeded`` itself."""
    server = serve(tool_calls(call("look_up", word="a"), usage=USAGE))
    budgets.set_budget("stop", limit_usd=PRICE, period="total", on_exceed="stop")
    clerk = observe(agent("clerk", gpt4o(openai_agents_model, server), tools=[look_up]))

    with pytest.raises(BudgetExceeded) as caught:
        await run(clerk, how)

    server.settle()
    assert server.truth.totals.calls == 1
    assert (caught.value.budget, caught.value.spent_usd) == ("stop", PRICE)
    assert [(line.operation, line.status) for line in captured.closing()] == [
        ("chat", "ok"),
        ("execute_tool", "ok"),
        ("chat", "error"),
        ("invoke_agent", "error"),
        ("invoke_workflow", "error"),
    ]


@pytest.mark.parametrize("how", ["run", "run_streamed"])
async def test_an_agent_as_a_tool(
    captured: Captured, serve: Serve, openai_agents_model: Model, budgets: BudgetManager, how: str
) -> None:
    """The SDK makes a text for the model of what a tool raises; a refusal leaves the outer run as it is, at once."""
    server = serve(tool_calls(call("ask", input="fig"), usage=USAGE, when=system_contains("you are boss")))
    budgets.set_budget("stop", limit_usd=PRICE, period="total", on_exceed="stop")
    model = gpt4o(openai_agents_model, server)
    boss = observe(agent("boss", model, tools=[agent("botanist", model).as_tool("ask", "asks")]))

    with pytest.raises(BudgetExceeded) as caught:
        await run(boss, how)

    server.settle()
    assert server.truth.totals.calls == 1
    assert type(caught.value) is BudgetExceeded
    assert {(line.operation, line.name, line.status) for line in captured.closing() if line.operation != "chat"} == {
        ("invoke_workflow", "boss", "error"),
        ("invoke_agent", "boss", "error"),
        ("execute_tool", "ask", "error"),
        ("invoke_workflow", "botanist", "error"),
        ("invoke_agent", "botanist", "error"),
    }


@pytest.mark.parametrize("how", ["run", "run_streamed"])
@pytest.mark.parametrize("parallel", [False, True])
async def test_a_guardrail(
    captured: Captured, serve: Serve, openai_agents_model: Model, budgets: BudgetManager, how: str, parallel: bool
) -> None:
    """A refused run in a guardrail is refused as such."""
    server = serve(reply("x", usage=USAGE), reply("late", latency=5))
    budgets.set_budget("stop", limit_usd=PRICE, period="total", on_exceed="stop")
    model = gpt4o(openai_agents_model, server)
    checker = agent("checker", model)
    await Runner.run(observe(agent("first", model)), "go")

    @input_guardrail(run_in_parallel=parallel)
    async def checked(context: Any, _: Any, given: Any) -> GuardrailFunctionOutput:
        await Runner.run(checker, given)
        return GuardrailFunctionOutput(None, tripwire_triggered=False)

    clerk = observe(agent("clerk", model, input_guardrails=[checked]))
    with pytest.raises(BudgetExceeded):
        await run(clerk, how)

    server.settle()
    assert server.truth.totals.calls == 1


async def test_a_call_of_a_tools_own_client(
    captured: Captured, serve: Serve, openai_agents_model: Model, budgets: BudgetManager
) -> None:
    """What the wire refuses in a tool leaves the run, too."""
    server = serve(tool_calls(call("ask", word="a"), usage=USAGE))
    budgets.set_budget("stop", limit_usd=PRICE, period="total", on_exceed="stop")
    model = gpt4o(openai_agents_model, server)

    @function_tool
    async def ask(word: str) -> str:
        """Ask."""
        answer = await model._client.chat.completions.create(
            model="gpt-4o-2024-08-06", messages=[{"role": "user", "content": word}], max_tokens=10_000
        )
        return str(answer)

    with pytest.raises(BudgetExceeded):
        await Runner.run(observe(agent("clerk", model, tools=[ask])), "go")

    server.settle()
    assert server.truth.totals.calls == 1


async def test_a_loop(serve: Serve, openai_agents_model: Model) -> None:
    """An agent that repeats itself is stopped by ``LoopDetected``, which is no text for the model."""
    server = serve(tool_calls(call("look_up", word="a"), usage=tokens(10, 1), times=None))
    clerk = observe(agent("clerk", openai_agents_model(server), tools=[look_up]))

    with capture(on_loop="stop"), pytest.raises(LoopDetected):
        await Runner.run(clerk, "go", max_turns=50)

    assert server.truth.totals.calls < 50

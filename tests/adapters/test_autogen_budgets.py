"""Budgets stop a team's model calls before money is spent; the model server says whether that is true."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_agentchat.tools import AgentTool

from ai_dev_squad import BudgetExceeded, get_cost_tracker
from ai_dev_squad.costs import BudgetManager
from ai_dev_squad_autogen import observe
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.model_server import ModelServer, call, last_message_contains, reply, tokens, tool_calls

Serve = Callable[..., ModelServer]
Chat = Callable[..., Any]

# gpt-4o: 2.50 USD per million input tokens, 10 USD per million output tokens: this answer costs 0.35 USD.
ANSWER = reply("hi", usage=tokens(100_000, 10_000), times=None)
PRICE = 0.35


@pytest.fixture
def budgets(captured: Captured) -> BudgetManager:
    """The budgets that are in force."""
    return get_cost_tracker().budget_manager


def assistant(name: str, client: Any, **options: Any) -> AssistantAgent:
    """An assistant with this name."""
    return AssistantAgent(name, client, description=name, **options)


def client_of(autogen_chat: Chat, server: ModelServer) -> Any:
    """A client whose calls may cost up to 0.10 USD of output."""
    return autogen_chat(server, model="gpt-4o-2024-08-06", max_tokens=10_000)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_agent_raises_it(
    captured: Captured, serve: Serve, autogen_chat: Chat, budgets: BudgetManager, stream: bool
) -> None:
    """The call that would break the limit is never made; the agent raises ``BudgetExceeded`` itself."""
    server = serve(ANSWER)
    budgets.set_budget("stop", limit_usd=PRICE, period="total", on_exceed="stop")
    ann = observe(assistant("ann", client_of(autogen_chat, server), model_client_stream=stream))

    await ann.run(task="go")
    with pytest.raises(BudgetExceeded) as caught:
        await ann.run(task="go")

    server.settle()
    assert server.truth.totals.calls == 1
    assert (caught.value.budget, caught.value.spent_usd) == ("stop", PRICE)
    assert [entry.cost_usd for entry in get_cost_tracker().entries] == [PRICE]
    assert captured.tree().splitlines()[-2:] == ["invoke_agent ann: error", "  chat gpt-4o-2024-08-06: error"]


async def test_a_team_says_it_in_its_own_way(
    captured: Captured, serve: Serve, autogen_chat: Chat, budgets: BudgetManager
) -> None:
    """A team raises its ``RuntimeError`` that begins with ``BudgetExceeded:``; the exception itself is the cause."""
    server = serve(ANSWER)
    budgets.set_budget("stop", limit_usd=PRICE * 2, period="total", on_exceed="stop")
    client = client_of(autogen_chat, server)
    team = observe(RoundRobinGroupChat([assistant("ann", client), assistant("bob", client)], max_turns=9))

    with pytest.raises(RuntimeError, match=r"^BudgetExceeded: ") as caught:
        await team.run(task="go")

    server.settle()
    assert server.truth.totals.calls == 2
    assert type(caught.value) is RuntimeError
    assert isinstance(caught.value.__cause__, BudgetExceeded)
    (run,) = captured.closing("invoke_workflow")
    assert run.error is not None
    assert run.error.type == "BudgetExceeded"


async def test_an_agent_used_as_a_tool(
    captured: Captured, serve: Serve, autogen_chat: Chat, budgets: BudgetManager
) -> None:
    """AutoGen makes a tool's exception the tool's answer: the run goes on until its own next call is refused."""
    server = serve(
        tool_calls(call("writer", task="write"), usage=tokens(100_000, 10_000)),
        reply("never", when=last_message_contains("write")),
    )
    budgets.set_budget("stop", limit_usd=PRICE, period="total", on_exceed="stop")
    client = autogen_chat(server, model="gpt-4o-2024-08-06", max_tokens=10_000, parallel_tool_calls=False)
    boss = observe(assistant("boss", client, tools=[AgentTool(assistant("writer", client))], max_tool_iterations=3))

    with pytest.raises(BudgetExceeded):
        await boss.run(task="go")

    server.settle()
    assert server.truth.totals.calls == 1
    assert captured.tree() == "\n".join(  # noqa: FLY002 - one line each
        [
            "invoke_agent boss: error",
            "  chat gpt-4o-2024-08-06: ok",
            "  execute_tool writer: error",
            "    invoke_agent writer: error",
            "      chat gpt-4o-2024-08-06: error",
            "  chat gpt-4o-2024-08-06: error",
        ]
    )


async def test_a_budget_of_one_agent(
    captured: Captured, serve: Serve, autogen_chat: Chat, budgets: BudgetManager
) -> None:
    """A budget may be one agent's: the other's calls don't count."""
    server = serve(ANSWER)
    budgets.set_budget("bobs", limit_usd=PRICE, period="total", agent_id="bob", on_exceed="stop")
    client = client_of(autogen_chat, server)
    team = observe(RoundRobinGroupChat([assistant("ann", client), assistant("bob", client)], max_turns=9))

    with pytest.raises(RuntimeError, match=r"^BudgetExceeded: "):
        await team.run(task="go")

    server.settle()
    assert [entry.agent_id for entry in get_cost_tracker().entries] == ["ann", "bob", "ann"]
    assert server.truth.totals.calls == 3

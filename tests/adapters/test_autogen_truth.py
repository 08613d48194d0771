"""Captured model calls and tokens equal what the model server billed, in every way of running AutoGen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import RoundRobinGroupChat

from ai_dev_squad.testing import Captured
from ai_dev_squad_autogen import observe
from ai_dev_squad_parity.model_server import ModelServer, call, reply, tokens, tool_calls

USAGE = tokens(200, 30, cached=64, reasoning=8)
Serve = Callable[..., ModelServer]
Chat = Callable[..., Any]


def equals_truth(captured: Captured, server: ModelServer) -> None:
    """Calls and tokens as captured, as billed; one trace."""
    server.settle()
    answered = [line for line in captured.closing("chat") if line.status == "ok"]
    billed = server.truth.totals.billed

    def total(name: str) -> int:
        return sum(getattr(line.usage, name) or 0 for line in answered)

    assert {
        "calls": len(answered),
        "input": total("input_tokens"),
        "cached": total("cache_read_input_tokens"),
        "output": total("output_tokens"),
        "reasoning": total("reasoning_output_tokens"),
        "sources": {line.usage.source for line in answered if line.usage},
        "traces": len({line.trace_id for line in captured.lines}),
    } == {
        "calls": server.truth.totals.successful_calls,
        "input": billed.input_tokens,
        "cached": billed.cache_read_input_tokens,
        "output": billed.output_tokens,
        "reasoning": billed.reasoning_output_tokens,
        "sources": {"provider"},
        "traces": 1,
    }


def look_up(word: str) -> str:
    """Look a word up."""
    return word.upper()


async def test_a_team_with_a_tool(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """Two agents and a tool loop: each call once, cached and reasoning tokens too, at the published price."""
    server = serve(
        tool_calls(call("look_up", word="a"), call("look_up", word="b"), usage=USAGE),
        reply("fine", usage=tokens(100, 5)),
    )
    client = autogen_chat(server)
    clerk = AssistantAgent("clerk", client, tools=[look_up])
    team = observe(RoundRobinGroupChat([clerk, AssistantAgent("critic", client)], max_turns=2))

    result = await team.run(task="a and b")

    assert result.stop_reason == "Maximum number of turns 2 reached."
    equals_truth(captured, server)
    asked = [(tool.name, tool.id) for tool in server.truth.calls[0].tool_calls]
    ran = [(line.name, (line.metadata or {})["gen_ai.tool.call.id"]) for line in captured.closing("execute_tool")]
    assert sorted(ran) == sorted(asked)
    cost = captured.closing("chat")[0].cost
    assert cost is not None
    # gpt-4o-mini: 0.15 USD per million input, 0.075 cached, 0.60 output tokens.
    assert cost.usd == pytest.approx((136 * 0.15 + 64 * 0.075 + 30 * 0.60) / 1e6)

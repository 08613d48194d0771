"""Providers that CrewAI reaches by LiteLLM: each turn counted, as billed, and refused."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest
from crewai import LLM, Crew, Task
from crewai.tools import tool

from ai_dev_squad import BudgetExceeded, ModelPricing, get_cost_tracker
from ai_dev_squad_crewai import observe
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.model_server import ModelServer, after_tool_result, call, reply, tokens, tool_calls

pytestmark = [
    pytest.mark.skipif(find_spec("litellm") is None, reason="LiteLLM is not installed here (pip install litellm)"),
    pytest.mark.once,  # to import LiteLLM takes seconds, and what it sends is the same on every Python
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # CrewAI uses what it deprecates
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # and closes no connection
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings"),  # which LiteLLM causes
]

Serve = Callable[..., ModelServer]
Make = Callable[..., Any]


@pytest.fixture(autouse=True)
def _own_prices(crewai_offline: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """LiteLLM asks a host for its price list when it is imported, unless told otherwise."""
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")


@tool("look_up")
def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word} means something"


def crew_at(server: ModelServer, crewai_agent: Make) -> Any:
    """An observed crew of an agent with a tool, on a model that CrewAI knows no client for."""
    llm = LLM("mistral/mistral-large-latest", base_url=server.base_url, api_key="sk-test")
    agent = crewai_agent(server, llm=llm, tools=[look_up])
    task = Task(name="find", description="find it", expected_output="it", agent=agent)
    return observe(Crew(name="squad", agents=[agent], tasks=[task]))


def counted(captured: Captured) -> list[tuple[Any, ...]]:
    """Each model call, by its tokens: its agent, its model, how it ended and what its numbers come from."""
    return sorted(
        (line.usage.input_tokens, line.usage.output_tokens, line.agent_id, line.name, line.status, line.usage.source)
        for line in captured.closing("chat")
        if line.usage
    )


def test_a_tool_turn(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """The turn that asks for a tool, of which CrewAI tells no end, is one call like the answer after it; both together
    are what CrewAI's own totals say.
    """
    server = serve(
        tool_calls(call("look_up", word="a"), usage=tokens(120, 18)),
        reply("a means something", when=after_tool_result(), usage=tokens(160, 9)),
    )

    result = crew_at(server, crewai_agent).kickoff()

    server.settle()
    assert (result.token_usage.prompt_tokens, result.token_usage.completion_tokens) == (280, 27)
    assert counted(captured) == [
        (120, 18, "planner", "mistral-large-latest", "ok", "provider"),
        (160, 9, "planner", "mistral-large-latest", "ok", "provider"),
    ]
    assert (
        captured.tree()
        == """\
invoke_workflow squad: ok
  task find: ok
    invoke_agent planner: ok
      chat mistral-large-latest: ok
      execute_tool look_up: ok
      chat mistral-large-latest: ok"""
    )


def test_a_budget_holds_for_tool_turns(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """An agent that goes on asking for its tool stops after two calls of $0.075 with a budget of $0.15, and the program
    gets the refusal itself.
    """
    server = serve(tool_calls(call("look_up", word="a"), usage=tokens(15_000, 1), times=None))
    tracker = get_cost_tracker()
    # 5 USD per million input tokens; a turn is expected to cost less than it does.
    tracker.add_pricing_model(ModelPricing("mistral-large-latest", "mistral_ai", 0.005, 0.0))
    tracker.budget_manager.set_budget("daily", limit_usd=0.15, period="daily", on_exceed="stop")

    with pytest.raises(BudgetExceeded) as refused:
        crew_at(server, crewai_agent).kickoff()

    server.settle()
    assert refused.value.spent_usd == 0.15
    assert server.truth.totals.calls == 2
    assert [entry.cost_usd for entry in tracker.entries] == [0.075, 0.075]

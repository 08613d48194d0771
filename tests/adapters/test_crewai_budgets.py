"""Budgets stop a crew's model calls before money is spent; the model server says whether that is true."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from crewai import Crew, Flow, Process, Task
from crewai.flow import start

from ai_dev_squad import BudgetExceeded, get_cost_tracker
from ai_dev_squad.costs import BudgetManager
from ai_dev_squad_crewai import observe
from ai_dev_squad_crewai._refusals import BudgetStop, stop
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.model_server import ModelServer, call, fail, reply, tokens, tool_calls

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # CrewAI uses what it deprecates
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # and closes no connection
]

Serve = Callable[..., ModelServer]
Make = Callable[..., Any]

# gpt-4o: 2.50 USD per million input tokens, 10 USD per million output tokens: this answer costs 0.35 USD.
ANSWER = reply("hi", usage=tokens(100_000, 10_000), times=None)
PRICE = 0.35


@pytest.fixture
def budgets(captured: Captured) -> BudgetManager:
    """The budgets that are in force."""
    return get_cost_tracker().budget_manager


def crew_of(*agents: Any, **options: Any) -> Any:
    """An observed crew of these agents with one task each."""
    tasks = [Task(name=agent.role, description=agent.role, expected_output="it", agent=agent) for agent in agents]
    return observe(Crew(name="squad", agents=list(agents), tasks=tasks, **options))


@pytest.fixture
def priced(crewai_llm: Make, crewai_agent: Make) -> Make:
    """``priced(server, role)`` is an agent whose calls may cost up to 0.10 USD of output."""

    def agent(server: ModelServer, role: str = "planner", **options: Any) -> Any:
        llm = crewai_llm(server, model="gpt-4o-2024-08-06", max_tokens=10_000)
        return crewai_agent(server, role, llm=llm, **options)

    return agent


@pytest.mark.parametrize("way", ["kickoff", "kickoff_async", "akickoff"])
def test_a_crew_stops(captured: Captured, serve: Serve, priced: Make, budgets: BudgetManager, way: str) -> None:
    """The call that would break the limit is never made, tried once, and ``kickoff`` raises ``BudgetExceeded``."""
    server = serve(ANSWER)
    budgets.set_budget("stop", limit_usd=PRICE, period="total", on_exceed="stop")
    crew = crew_of(priced(server), priced(server, "coder"))

    with pytest.raises(BudgetExceeded) as caught:
        crew.kickoff() if way == "kickoff" else asyncio.run(getattr(crew, way)())

    server.settle()
    assert server.truth.totals.calls == 1
    assert (caught.value.budget, caught.value.spent_usd, caught.value.limit_usd) == ("stop", PRICE, PRICE)
    assert caught.value.__cause__ is None
    assert [entry.cost_usd for entry in get_cost_tracker().entries] == [PRICE]
    assert (
        captured.tree()
        == """\
invoke_workflow squad: error
  task planner: ok
    invoke_agent planner: ok
      chat gpt-4o-2024-08-06: ok
  task coder: error
    invoke_agent coder: error
      chat gpt-4o-2024-08-06: error"""
    )
    assert [line.event_type for line in captured.lines].count("budget.exceeded") == 1


@pytest.mark.parametrize("of_coder_only", [False, True])
def test_a_delegating_manager(
    captured: Captured, serve: Serve, priced: Make, budgets: BudgetManager, of_coder_only: bool
) -> None:
    """CrewAI makes what fails in a co-worker a text for the manager, who goes on as far as its own budget allows."""
    delegate = call("delegate_work_to_coworker", task="t", context="c", coworker="coder")
    server = serve(tool_calls(delegate, usage=tokens(100_000, 10_000)), ANSWER)
    if of_coder_only:
        budgets.set_budget("coder", limit_usd=0.01, period="total", agent_id="coder", on_exceed="stop")
    else:
        budgets.set_budget("stop", limit_usd=PRICE, period="total", on_exceed="stop")
    coder, boss = priced(server, "coder"), priced(server, "boss", allow_delegation=True)
    task = Task(name="t", description="t", expected_output="e")
    crew = observe(Crew(name="squad", agents=[coder], tasks=[task], manager_agent=boss, process=Process.hierarchical))

    if of_coder_only:
        assert crew.kickoff().raw == "hi"
    else:
        with pytest.raises(BudgetExceeded):
            crew.kickoff()

    server.settle()
    assert server.truth.totals.calls == (2 if of_coder_only else 1)
    chats = [(line.agent_id, line.status) for line in captured.closing("chat")]
    assert chats == [("boss", "ok"), ("coder", "error"), ("boss", "ok" if of_coder_only else "error")]


def test_a_lone_agent_stops(serve: Serve, priced: Make, budgets: BudgetManager) -> None:
    """``Agent.kickoff`` raises it, too."""
    server = serve(ANSWER)
    budgets.set_budget("stop", limit_usd=0.01, period="total", on_exceed="stop")

    with pytest.raises(BudgetExceeded):
        observe(priced(server)).kickoff("hello")

    assert server.truth.totals.calls == 0


def test_a_flow_stops(captured: Captured, serve: Serve, crewai_llm: Make, budgets: BudgetManager) -> None:
    """A model call of a flow's own step is refused, and the flow raises it."""
    server = serve(ANSWER)
    llm = crewai_llm(server, model="gpt-4o-2024-08-06", max_tokens=10_000)
    budgets.set_budget("stop", limit_usd=0.01, period="total", on_exceed="stop")

    class Asking(Flow[dict[str, Any]]):
        @start()
        def begin(self) -> Any:
            return llm.call("hello")

    with pytest.raises(BudgetExceeded):
        observe(Asking()).kickoff()

    assert server.truth.totals.calls == 0
    assert captured.tree().splitlines()[-1] == "    chat gpt-4o-2024-08-06: error"


def test_a_streaming_crew_stops(serve: Serve, priced: Make, budgets: BudgetManager) -> None:
    """The reader of the stream gets it."""
    server = serve(ANSWER)
    budgets.set_budget("stop", limit_usd=0.01, period="total", on_exceed="stop")

    with pytest.raises(BudgetExceeded):
        list(crew_of(priced(server), stream=True).kickoff())

    assert server.truth.totals.calls == 0


def test_failed_calls_give_their_reservation_back(
    serve: Serve, crewai_llm: Make, crewai_agent: Make, budgets: BudgetManager
) -> None:
    """Attempts that fail cost nothing, so that the next one may be made."""
    server = serve(fail(500, times=2), ANSWER)
    llm = crewai_llm(server, model="gpt-4o-2024-08-06", max_tokens=10_000, max_retries=0)
    budgets.set_budget("stop", limit_usd=PRICE, period="total", on_exceed="stop")

    assert crew_of(crewai_agent(server, llm=llm)).kickoff().raw == "hi"

    assert [entry.cost_usd for entry in get_cost_tracker().entries if entry.status == "ok"] == [PRICE]


def test_the_refusal_travels() -> None:
    """Between processes it's the ``BudgetExceeded`` that it was."""
    refusal = BudgetExceeded("no money left", budget="daily", limit_usd=1.0, spent_usd=0.9)

    stopping = stop(refusal)
    copied = pickle.loads(pickle.dumps(stopping))

    assert isinstance(stopping, BudgetStop)
    assert str(stopping) == "no money left"
    assert (copied.budget, copied.limit_usd, copied.spent_usd) == ("daily", 1.0, 0.9)
    assert type(copied) is BudgetExceeded

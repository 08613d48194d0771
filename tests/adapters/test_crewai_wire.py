"""Model calls of which CrewAI tells nothing, or not all: counted, priced and refused on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
from crewai import BaseLLM, Crew, Flow, Task
from crewai.flow import start
from crewai.tools import tool
from pydantic import BaseModel

from ai_dev_squad import BudgetExceeded, get_cost_tracker
from ai_dev_squad_crewai import observe
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.model_server import (
    ModelServer,
    after_tool_result,
    call,
    reply,
    structured,
    tokens,
    tool_calls,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # CrewAI uses what it deprecates
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # and closes no connection
]

Serve = Callable[..., ModelServer]
Make = Callable[..., Any]

# gpt-4o: 2.50 USD per million input tokens, 10 USD per million output tokens.
ANSWER = reply("fine", usage=tokens(100, 4_475), times=None)
PRICE = 0.045
LIMIT = 0.10


class OwnModel(BaseLLM):
    """A model class as CrewAI documents it: ``call`` alone, by a client of its own."""

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        """Ask by OpenAI's client."""
        client = openai.OpenAI(base_url=self.base_url, api_key="sk-test")
        asked = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
        answer = client.chat.completions.create(model="gpt-4o", messages=asked, max_completion_tokens=4_475)
        return answer.choices[0].message.content or ""


@tool("look_up")
def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word} means something"


class Found(BaseModel):
    """What a task is to give."""

    word: str


def crew_of(agent: Any, **options: Any) -> Any:
    """An observed crew of one agent with one task."""
    task = Task(name="find", description="find it", expected_output="it", agent=agent, **options)
    return observe(Crew(name="squad", agents=[agent], tasks=[task]))


def counted(captured: Captured) -> list[tuple[Any, ...]]:
    """Each model call: its agent, its tokens, its cost, and who told of it."""
    return [
        (
            line.agent_id,
            line.usage and (line.usage.input_tokens, line.usage.output_tokens, line.usage.source),
            line.cost and line.cost.usd,
            (line.metadata or {}).get("ai_dev_squad.origin"),
        )
        for line in captured.closing("chat")
    ]


def test_a_model_class_with_call_alone(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """A class of the program's own that announces nothing is counted (crewAI#2990), and a budget holds for it."""
    server = serve(ANSWER)
    get_cost_tracker().budget_manager.set_budget("daily", limit_usd=LIMIT, period="daily", on_exceed="stop")
    crew = crew_of(crewai_agent(server, llm=OwnModel(model="gpt-4o", base_url=server.base_url)))

    crew.kickoff()
    crew.kickoff()
    for _ in range(6):
        with pytest.raises(BudgetExceeded):
            crew.kickoff()

    server.settle()
    assert counted(captured)[:2] == [("planner", (100, 4_475, "provider"), PRICE, "wire")] * 2
    assert server.truth.totals.calls == 2


def test_a_conversion_by_instructor(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """The call by which CrewAI converts an answer with instructor's own client is counted (crewAI PR#6122)."""
    server = serve(
        tool_calls(call("look_up", word="a"), usage=tokens(100, 1)),
        reply("a means something", when=after_tool_result(), usage=tokens(200, 2)),
        structured({"word": "a"}, usage=tokens(300, 3), times=None),
    )
    crew = crew_of(crewai_agent(server, tools=[look_up]), output_json=Found)

    crew.kickoff()

    server.settle()
    assert server.truth.totals.calls == 3
    assert [told[1] for told in counted(captured)] == [(100, 1, "provider"), (200, 2, "provider"), (300, 3, "provider")]


def test_a_budget_holds_for_a_conversion(
    captured: Captured, serve: Serve, crewai_agent: Make, crewai_llm: Make
) -> None:
    """A conversion for which there is no money is not asked for: the crew is told so, and does not go on without it."""
    server = serve(
        tool_calls(call("look_up", word="a"), usage=tokens(100, 4_475)),
        reply("a means something", when=after_tool_result(), usage=tokens(100, 4_475)),
        structured({"word": "a"}, usage=tokens(100, 4_475), times=None),
    )
    get_cost_tracker().budget_manager.set_budget("daily", limit_usd=0.0905, period="daily", on_exceed="stop")
    llm = crewai_llm(server, model="gpt-4o", max_tokens=4_475)
    crew = crew_of(crewai_agent(server, llm=llm, tools=[look_up]), output_json=Found)

    for _ in range(4):
        with pytest.raises(BudgetExceeded):
            crew.kickoff()

    server.settle()
    assert server.truth.totals.calls == 2
    told = [(line.status, (line.metadata or {}).get("ai_dev_squad.origin")) for line in captured.closing("chat")]
    assert told[:3] == [("ok", None), ("ok", None), ("error", "wire")]


class Program(Flow[Any]):
    """A flow that runs crews in threads; ``make`` gives the next."""

    make: Any = None

    @start()
    async def executor(self) -> None:
        """By the event loop's executor and by one of its own."""
        await asyncio.get_running_loop().run_in_executor(None, self.make().kickoff)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(self.make().kickoff).result()


@pytest.mark.parametrize("observed", [True, False])
def test_a_flow_starts_crews_in_threads(captured: Captured, serve: Serve, crewai_crew: Make, observed: bool) -> None:
    """Crews that a flow starts in executors are counted, whether or not they are observed themselves."""
    server = serve(ANSWER)
    flow = Program(suppress_flow_events=True)
    crews = [crewai_crew(server), crewai_crew(server)]
    if observed:
        crews = [observe(crew) for crew in crews]
    flow.make = crews.pop

    observe(flow).kickoff()

    server.settle()
    assert server.truth.totals.calls == 2
    assert [told[1] for told in counted(captured)] == [(100, 4_475, "provider")] * 2


@pytest.mark.parametrize("observed", [True, False])
def test_a_budget_holds_for_crews_in_threads(
    captured: Captured, serve: Serve, crewai_agent: Make, crewai_llm: Make, observed: bool
) -> None:
    """Of eight crews that flows start in executors a budget of $0.10 lets two ask."""
    server = serve(ANSWER)
    get_cost_tracker().budget_manager.set_budget("daily", limit_usd=LIMIT, period="daily", on_exceed="stop")
    llm = crewai_llm(server, model="gpt-4o", max_tokens=4_475)

    def make() -> Any:
        agent = crewai_agent(server, llm=llm)
        crew = Crew(agents=[agent], tasks=[Task(description="find it", expected_output="it", agent=agent)])
        return observe(crew) if observed else crew

    flow = Program(suppress_flow_events=True)
    flow.make = make
    observed_flow = observe(flow)

    observed_flow.kickoff()
    for _ in range(6):
        with pytest.raises(BudgetExceeded):
            observed_flow.kickoff()

    server.settle()
    assert server.truth.totals.calls == 2
    assert [entry.cost_usd for entry in get_cost_tracker().entries] == [PRICE, PRICE]

"""The OpenAI Agents adapter holds the contract of all adapters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, set_tracing_disabled, trace
from openai import AsyncOpenAI

from ai_dev_squad_openai_agents import observe, unobserve
from ai_dev_squad_testing import AdapterContract

# Runner.run_sync() finishes the generators of a thread's event loop after each run, and goes on with that loop.
pytestmark = pytest.mark.filterwarnings("ignore:asynchronous generator:ResourceWarning")


def model_at(base_url: str, model: str = "gpt-4o-mini") -> OpenAIChatCompletionsModel:
    """The SDK's model for OpenAI's chat completions, with a client of OpenAI's own."""
    return OpenAIChatCompletionsModel(model, AsyncOpenAI(base_url=base_url, api_key="sk-test"))


@pytest.fixture(autouse=True)
def _the_sdk_sends_no_traces() -> None:
    set_tracing_disabled(True)


class Squad:
    """Agents that work together in plain Python, as the SDK's guide has it: runs of one trace."""

    def __init__(self, *agents: Agent[Any], at_once: bool = False) -> None:
        self.agents, self.at_once = agents, at_once
        self.observes = False

    async def run(self, question: str) -> str:
        squad = trace("squad")
        with observe(squad) if self.observes else squad:
            if self.at_once:
                results = await asyncio.gather(*(Runner.run(agent, question) for agent in self.agents))
                return " ".join(str(result.final_output) for result in results)
            for agent in self.agents:
                question = str((await Runner.run(agent, question)).final_output)
        return question


class Step(Squad):
    """A step of the user's own in such a workflow."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__()
        self.work = work

    async def run(self, question: str) -> str:
        squad = trace("squad")
        with observe(squad) if self.observes else squad:
            await asyncio.to_thread(self.work)  # a synchronous run has an event loop of its own
        return "worked"


class TestOpenAIAgents(AdapterContract):
    """Agents, and workflows in plain Python, with ``OpenAIChatCompletionsModel``."""

    framework = "openai_agents"
    lacks = {"stream": "the SDK streams under asyncio only"}
    trivial_runs = 2_000  # each in an event loop of its own

    def observe(self, program: Any) -> Any:
        if isinstance(program, Squad):
            program.observes = True
            return program
        return observe(program)

    def observe_as(self, program: Any, task: str) -> Any:
        return observe(program, task=task)

    def unobserve(self, program: Any) -> Any:
        if isinstance(program, Squad):
            program.observes = False
            return program
        return unobserve(program)

    def asking(self, base_url: str, *, streaming: bool = False, model: str = "gpt-4o-mini") -> Any:
        return Agent(name="clerk", model=model_at(base_url, model))

    def with_tool(self, base_url: str, tool: Callable[[str], str]) -> Any:
        return Agent(name="clerk", model=model_at(base_url), tools=[function_tool(tool)])

    def two_agents(self, base_url: str) -> Any:
        model = model_at(base_url)
        planner = Agent(name="planner", model=model, instructions="Here you plan.")
        coder = Agent(name="coder", model=model, instructions="Here you code.")
        return Squad(planner, coder)

    def in_parallel(self, base_url: str) -> Any:
        model = model_at(base_url)
        return Squad(*(Agent(name=name, model=model) for name in ("left", "middle", "right")), at_once=True)

    def working(self, work: Callable[[], None]) -> Any:
        return Step(work)

    def run(self, program: Any, question: str) -> str:
        if isinstance(program, Squad):
            return asyncio.run(program.run(question))
        return str(Runner.run_sync(program, question).final_output)

    async def arun(self, program: Any, question: str) -> str:
        if isinstance(program, Squad):
            return await program.run(question)
        return str((await Runner.run(program, question)).final_output)

    async def astream(self, program: Any, question: str) -> AsyncIterator[str]:
        result = Runner.run_streamed(program, question)
        try:
            async for event in result.stream_events():
                if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                    yield event.data.delta
        finally:
            result.cancel()

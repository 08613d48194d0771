"""The Agent Framework adapter holds the contract of all adapters."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable
from typing import Any, Never

from agent_framework import Agent, Workflow, WorkflowBuilder, WorkflowContext, executor
from agent_framework_openai import OpenAIChatCompletionClient
from agent_framework_orchestrations import ConcurrentBuilder, SequentialBuilder

from ai_dev_squad_agent_framework import observe, unobserve
from ai_dev_squad_testing import AdapterContract


def client_at(base_url: str, model: str = "gpt-4o-mini") -> OpenAIChatCompletionClient:
    """A real client, talking to the scripted model."""
    return OpenAIChatCompletionClient(model=model, base_url=base_url, api_key="sk-test")


class TestAgentFramework(AdapterContract):
    """Agents and workflows with ``OpenAIChatCompletionClient``."""

    framework = "agent_framework"
    lacks = {
        "run": "Agent Framework runs under asyncio only",
        "stream": "Agent Framework streams under asyncio only",
    }

    def observe(self, program: Any) -> Any:
        return observe(program)

    def observe_as(self, program: Any, task: str) -> Any:
        return observe(program, task=task)

    def unobserve(self, program: Any) -> Any:
        return unobserve(program)

    def asking(self, base_url: str, *, streaming: bool = False, model: str = "gpt-4o-mini") -> Any:
        return Agent(client_at(base_url, model), name="clerk")

    def with_tool(self, base_url: str, tool: Callable[[str], str]) -> Any:
        return Agent(client_at(base_url), name="clerk", tools=[tool])

    def two_agents(self, base_url: str) -> Any:
        client = client_at(base_url)
        planner = Agent(client, "Here you plan.", name="planner")
        coder = Agent(client, "Here you code.", name="coder")
        return SequentialBuilder(participants=[planner, coder]).build()

    def in_parallel(self, base_url: str) -> Any:
        client = client_at(base_url)
        return ConcurrentBuilder(
            participants=[Agent(client, name=name) for name in ("left", "middle", "right")]
        ).build()

    def working(self, work: Callable[[], None]) -> Any:
        @executor(id="worker")
        async def worker(text: str, context: WorkflowContext[Never, str]) -> None:
            work()
            await context.yield_output("worked")

        return WorkflowBuilder(start_executor=worker).build()

    async def arun(self, program: Any, question: str) -> str:
        result = await program.run(question)
        return str(result.get_outputs()[-1]) if isinstance(program, Workflow) else result.text

    async def astream(self, program: Any, question: str) -> AsyncIterator[str]:
        stream = program.run(question, stream=True)
        try:
            async for update in stream:
                if isinstance(program, Workflow):
                    if update.type == "output":
                        yield str(update.data)
                elif update.text:
                    yield update.text
        finally:
            if hasattr(stream, "close"):
                await stream.close()
            else:  # earlier releases end a stream when it is collected
                del stream
                gc.collect()

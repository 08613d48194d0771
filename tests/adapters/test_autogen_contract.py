"""The AutoGen adapter holds the contract of all adapters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from autogen_agentchat.agents import AssistantAgent, BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseChatMessage, ModelClientStreamingChunkEvent, TextMessage
from autogen_agentchat.teams import DiGraphBuilder, GraphFlow, RoundRobinGroupChat
from autogen_core import CancellationToken
from autogen_ext.models.openai import OpenAIChatCompletionClient

from ai_dev_squad_autogen import observe, unobserve
from ai_dev_squad_testing import AdapterContract

# The client compares the full name of the model that it knows with the short one in the answer.
pytestmark = pytest.mark.filterwarnings("ignore:Resolved model mismatch:UserWarning")

RUNNING: WeakKeyDictionary[asyncio.Task[Any], CancellationToken] = WeakKeyDictionary()


def client_at(base_url: str, model: str = "gpt-4o-mini") -> OpenAIChatCompletionClient:
    """A real client; it must be told what a model can that isn't OpenAI's."""
    can = {
        "vision": True,
        "function_calling": True,
        "json_output": True,
        "structured_output": True,
        "family": "unknown",
    }
    options = {} if model == "gpt-4o-mini" else {"model_info": can}
    return OpenAIChatCompletionClient(model=model, base_url=base_url, api_key="sk-test", **options)  # type: ignore[arg-type]


class Worker(BaseChatAgent):
    """An agent of the user's own: it does some work and says so."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__("worker", "It works.")
        self.work = work

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        self.work()
        return Response(chat_message=TextMessage(content="worked", source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """It remembers nothing."""


class TestAutoGen(AdapterContract):
    """Teams and agents with ``OpenAIChatCompletionClient``."""

    framework = "autogen"
    lacks = {"run": "AutoGen runs under asyncio only", "stream": "AutoGen streams under asyncio only"}

    def observe(self, program: Any) -> Any:
        return observe(program)

    def observe_as(self, program: Any, task: str) -> Any:
        return observe(program, task=task)

    def unobserve(self, program: Any) -> Any:
        return unobserve(program)

    def asking(self, base_url: str, *, streaming: bool = False, model: str = "gpt-4o-mini") -> Any:
        clerk = AssistantAgent("clerk", client_at(base_url, model), model_client_stream=streaming)
        return RoundRobinGroupChat([clerk], max_turns=1)

    def with_tool(self, base_url: str, tool: Callable[[str], str]) -> Any:
        return AssistantAgent("clerk", client_at(base_url), tools=[tool], max_tool_iterations=5)

    def two_agents(self, base_url: str) -> Any:
        client = client_at(base_url)
        planner = AssistantAgent("planner", client, system_message="Here you plan.")
        coder = AssistantAgent("coder", client, system_message="Here you code.")
        return RoundRobinGroupChat([planner, coder], max_turns=2)

    def in_parallel(self, base_url: str) -> Any:
        client = client_at(base_url)
        agents = [AssistantAgent(name, client) for name in ("left", "middle", "right")]
        builder = DiGraphBuilder()
        for agent in agents:
            builder.add_node(agent)
        return GraphFlow(agents, builder.build())  # type: ignore[arg-type]

    def working(self, work: Callable[[], None]) -> Any:
        return Worker(work)

    async def arun(self, program: Any, question: str) -> str:
        token = CancellationToken()
        if task := asyncio.current_task():
            RUNNING[task] = token
        result = await program.run(task=question, cancellation_token=token)
        return str(result.messages[-1].content)

    async def astream(self, program: Any, question: str) -> AsyncIterator[str]:
        stream = program.run_stream(task=question)
        try:
            async for event in stream:
                if isinstance(event, ModelClientStreamingChunkEvent):
                    yield event.content
        finally:
            await stream.aclose()

    def cancel(self, running: asyncio.Task[Any]) -> None:
        """AutoGen's own way; a team goes on when its asyncio task is cancelled."""
        RUNNING[running].cancel()

"""The dev squad on AutoGen: a graph of agents, planner → coders at the same time → reviewer loop → approval → writer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from autogen_agentchat.agents import AssistantAgent, BaseChatAgent, UserProxyAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseChatMessage, StructuredMessage, TextMessage
from autogen_agentchat.teams import DiGraphBuilder, GraphFlow
from autogen_core import CancellationToken
from autogen_ext.models.openai import OpenAIChatCompletionClient
from pydantic import BaseModel

from . import spec

__all__ = ["build", "run"]


class Plan(BaseModel):
    """The planner's answer."""

    tasks: list[str]


class Review(BaseModel):
    """The reviewer's answer."""

    approved: bool
    task: str
    feedback: str


class Coders(BaseChatAgent):
    """Coders who work at the same time, each on one task after the other. It answers with all patches."""

    def __init__(self, coders: Sequence[AssistantAgent]) -> None:
        super().__init__("coders", "Write the code.")
        self.coders = list(coders)
        self.patches: dict[str, str] = {}

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        """It answers with text."""
        return (TextMessage,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        """Work on the plan, or on the one task that the reviewer sent back."""
        asked: Any = messages[-1].content  # type: ignore[attr-defined]
        todo = (
            [f"Task: {asked.task}. {asked.feedback}"]
            if isinstance(asked, Review)
            else [f"Task: {task}." for task in asked.tasks]
        )
        await asyncio.gather(*(self._work(coder, todo, cancellation_token) for coder in self.coders))
        patches = "\n".join(self.patches[task] for task in sorted(self.patches))
        return Response(chat_message=TextMessage(content=patches, source=self.name))

    async def _work(self, coder: AssistantAgent, todo: list[str], token: CancellationToken) -> None:
        while todo:
            task = todo.pop(0)
            await coder.on_reset(token)  # each task begins with an empty desk
            result = await coder.run(task=task, cancellation_token=token)
            self.patches[task.partition(".")[0]] = result.messages[-1].content  # type: ignore[union-attr]

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Forget all patches."""
        self.patches.clear()


def build(base_url: str, approve: Callable[[str], str] = lambda question: "yes") -> GraphFlow:
    """The team. ``base_url`` is an OpenAI-compatible service; ``approve`` is the person who is asked before release."""

    def agent(role: str, prompt: str, **options: Any) -> AssistantAgent:
        client = OpenAIChatCompletionClient(model=spec.MODELS[role], base_url=base_url, api_key="scripted")
        return AssistantAgent(role, client, system_message=prompt, **options)

    tools: Any = [spec.read_file, spec.run_tests]
    planner = agent("planner", spec.PLANNER, output_content_type=Plan)
    coders = Coders([agent("coder", spec.CODER, tools=tools, max_tool_iterations=10) for _ in range(2)])
    reviewer = agent("reviewer", spec.REVIEWER, output_content_type=Review)
    approval = UserProxyAgent("approval", input_func=approve)
    writer = agent("writer", spec.WRITER)
    graph = DiGraphBuilder()
    for node in (planner, coders, reviewer, approval, writer):
        graph.add_node(node)
    graph.add_edge(planner, coders, activation_group="planned")
    graph.add_edge(coders, reviewer)
    graph.add_edge(reviewer, coders, condition=lambda message: not _approved(message), activation_group="sent back")
    graph.add_edge(reviewer, approval, condition=_approved)
    graph.add_edge(approval, writer, condition="yes")
    graph.set_entry_point(planner)
    return GraphFlow(
        participants=graph.get_participants(),
        graph=graph.build(),
        custom_message_types=[StructuredMessage[Plan], StructuredMessage[Review]],
        max_turns=20,  # a graph with a loop must have an end
    )


def _approved(message: BaseChatMessage) -> bool:
    return isinstance(message, StructuredMessage) and bool(message.content.approved)


async def run(team: GraphFlow) -> dict[str, Any]:
    """Run the squad to its end. Returns the final state."""
    result = await team.run(task=spec.REQUEST)
    said = {message.source: message.content for message in result.messages if isinstance(message, TextMessage)}
    reviews = [m for m in result.messages if isinstance(m, StructuredMessage) and m.source == "reviewer"]
    return {"patches": said["coders"], "notes": said["writer"], "reviews": len(reviews)}

"""A graph of agents whose branches run at the same time."""

from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import DiGraphBuilder, GraphFlow
from autogen_ext.models.openai import OpenAIChatCompletionClient
from spec import EXPERTS, REQUEST, system


def build(base_url: str, model: str) -> GraphFlow:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)

    def agent(name: str) -> AssistantAgent:
        return AssistantAgent(name, client, system_message=system(name))

    editor, graph = agent("editor"), DiGraphBuilder()
    graph.add_node(editor)
    for name in EXPERTS:
        expert = agent(name)
        graph.add_node(expert)
        graph.add_edge(expert, editor)
    return GraphFlow(graph.get_participants(), graph=graph.build())


async def run(team: Any) -> str:
    result = await team.run(task=REQUEST)
    return next(message.content for message in reversed(result.messages) if message.source == "editor")

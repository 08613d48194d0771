"""A team whose first agent hands over to the user, and that goes on with the answer."""

from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import HandoffTermination, SourceMatchTermination
from autogen_agentchat.messages import HandoffMessage
from autogen_agentchat.teams import Swarm
from autogen_ext.models.openai import OpenAIChatCompletionClient
from spec import PUBLISHER, REQUEST, WRITER


def build(base_url: str, model: str) -> Swarm:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    writer = AssistantAgent("writer", client, handoffs=["user"], system_message=WRITER)
    publisher = AssistantAgent("publisher", client, system_message=PUBLISHER)
    waiting, published = HandoffTermination("user"), SourceMatchTermination(["publisher"])
    return Swarm([writer, publisher], termination_condition=waiting | published)


async def run(team: Any) -> str:
    await team.run(task=REQUEST)
    result = await team.run(task=HandoffMessage(source="user", target="publisher", content="yes"))
    return result.messages[-1].content

"""A team that takes turns until a word is said."""

from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import TextMentionTermination
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_ext.models.openai import OpenAIChatCompletionClient
from spec import CRITIC, REQUEST, WRITER


def build(base_url: str, model: str) -> RoundRobinGroupChat:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    writer = AssistantAgent("writer", client, system_message=WRITER)
    critic = AssistantAgent("critic", client, system_message=CRITIC)
    return RoundRobinGroupChat([writer, critic], termination_condition=TextMentionTermination("APPROVE"))


async def run(team: Any) -> str:
    result = await team.run(task=REQUEST)
    return next(message.content for message in reversed(result.messages) if message.source == "writer")

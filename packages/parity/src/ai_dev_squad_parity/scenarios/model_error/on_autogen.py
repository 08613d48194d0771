"""An assistant agent."""

from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_ext.models.openai import OpenAIChatCompletionClient
from spec import REQUEST, SYSTEM


def build(base_url: str, model: str) -> AssistantAgent:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    return AssistantAgent("assistant", client, system_message=SYSTEM)


async def run(agent: Any) -> str:
    result = await agent.run(task=REQUEST)
    return result.messages[-1].content

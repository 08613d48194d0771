"""An assistant agent with a tool."""

from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_ext.models.openai import OpenAIChatCompletionClient
from spec import REQUEST, SYSTEM, look_up


def build(base_url: str, model: str) -> AssistantAgent:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    return AssistantAgent("clerk", client, tools=[look_up], reflect_on_tool_use=True, system_message=SYSTEM)


async def run(agent: Any) -> str:
    result = await agent.run(task=REQUEST)
    return result.messages[-1].content

"""An assistant agent whose tool is another agent."""

from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.tools import AgentTool
from autogen_ext.models.openai import OpenAIChatCompletionClient
from spec import BOTANIST, REQUEST, SUPERVISOR


def build(base_url: str, model: str) -> AssistantAgent:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url, parallel_tool_calls=False)
    botanist = AssistantAgent("botanist", client, system_message=BOTANIST, description="Knows plants.")
    return AssistantAgent(
        "supervisor", client, tools=[AgentTool(botanist)], reflect_on_tool_use=True, system_message=SUPERVISOR
    )


async def run(agent: Any) -> str:
    result = await agent.run(task=REQUEST)
    return result.messages[-1].content

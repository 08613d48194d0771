"""An agent whose tool is another agent."""

from typing import Any

from agent_framework import Agent
from agent_framework_openai import OpenAIChatCompletionClient
from spec import BOTANIST, REQUEST, SUPERVISOR


def build(base_url: str, model: str) -> Agent:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    botanist = Agent(client, BOTANIST, name="botanist", description="Knows plants.")
    return Agent(client, SUPERVISOR, name="supervisor", tools=[botanist.as_tool()])


async def run(agent: Any) -> str:
    return (await agent.run(REQUEST)).text

"""An agent with a tool."""

from typing import Any

from agent_framework import Agent
from agent_framework_openai import OpenAIChatCompletionClient
from spec import REQUEST, SYSTEM, look_up


def build(base_url: str, model: str) -> Agent:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    return Agent(client, SYSTEM, name="clerk", tools=[look_up])


async def run(agent: Any) -> str:
    return (await agent.run(REQUEST)).text

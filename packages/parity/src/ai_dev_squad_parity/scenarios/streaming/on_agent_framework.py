"""An agent that streams."""

from typing import Any

from agent_framework import Agent
from agent_framework_openai import OpenAIChatCompletionClient
from spec import REQUEST, SYSTEM


def build(base_url: str, model: str) -> Agent:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    return Agent(client, SYSTEM, name="assistant")


async def run(agent: Any) -> str:
    return "".join([update.text async for update in agent.run(REQUEST, stream=True)])

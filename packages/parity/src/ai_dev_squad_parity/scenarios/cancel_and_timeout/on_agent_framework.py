"""An agent that is given five seconds."""

import asyncio
from typing import Any

from agent_framework import Agent
from agent_framework_openai import OpenAIChatCompletionClient
from spec import PATIENCE_S, REQUEST, SYSTEM


def build(base_url: str, model: str) -> Agent:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    return Agent(client, SYSTEM, name="assistant")


async def run(agent: Any) -> str:
    return (await asyncio.wait_for(agent.run(REQUEST), PATIENCE_S)).text

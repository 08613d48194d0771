"""One agent, eight conversations at the same time."""

import asyncio
from typing import Any

from agent_framework import Agent
from agent_framework_openai import OpenAIChatCompletionClient
from spec import PEOPLE, SYSTEM

from ai_dev_squad import session


def build(base_url: str, model: str) -> Agent:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    return Agent(client, SYSTEM, name="assistant")


async def run(agent: Any) -> str:
    async def ask(person: str) -> str:
        with session(person):
            return (await agent.run(f"I am {person}. What is the capital of France?")).text

    return " ".join(await asyncio.gather(*map(ask, PEOPLE)))

"""One agent, eight conversations at the same time."""

import asyncio
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from spec import PEOPLE, SYSTEM

from ai_dev_squad import session


def build(base_url: str, model: str) -> Agent:
    llm = OpenAIChatModel(model, provider=OpenAIProvider(base_url=base_url))
    return Agent(llm, name="assistant", instructions=SYSTEM)


async def run(agent: Any) -> str:
    async def ask(person: str) -> str:
        with session(person):
            return (await agent.run(f"I am {person}. What is the capital of France?")).output

    return " ".join(await asyncio.gather(*map(ask, PEOPLE)))

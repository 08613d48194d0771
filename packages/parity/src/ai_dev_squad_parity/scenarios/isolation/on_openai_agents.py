"""One agent, eight conversations at the same time."""

import asyncio
from typing import Any

from agents import Agent, OpenAIChatCompletionsModel, Runner
from openai import AsyncOpenAI
from spec import PEOPLE, SYSTEM

from ai_dev_squad import session


def build(base_url: str, model: str) -> Agent:
    client = AsyncOpenAI(base_url=base_url)
    return Agent(name="assistant", instructions=SYSTEM, model=OpenAIChatCompletionsModel(model, client))


async def run(agent: Any) -> str:
    async def ask(person: str) -> str:
        with session(person):
            result = await Runner.run(agent, f"I am {person}. What is the capital of France?")
        return result.final_output

    return " ".join(await asyncio.gather(*map(ask, PEOPLE)))

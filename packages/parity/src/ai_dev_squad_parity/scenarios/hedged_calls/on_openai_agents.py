"""Two runs that race, in one trace."""

import asyncio
from typing import Any

from agents import Agent, OpenAIChatCompletionsModel, Runner, trace
from openai import AsyncOpenAI
from spec import REQUEST, SYSTEM


def build(base_url: str, model: str) -> Agent:
    client = AsyncOpenAI(base_url=base_url)
    return Agent(name="assistant", instructions=SYSTEM, model=OpenAIChatCompletionsModel(model, client))


async def run(agent: Any) -> str:
    with trace("race"):
        runs = [asyncio.create_task(Runner.run(agent, REQUEST)) for _ in range(2)]
        done, late = await asyncio.wait(runs, return_when=asyncio.FIRST_COMPLETED)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
    return done.pop().result().final_output

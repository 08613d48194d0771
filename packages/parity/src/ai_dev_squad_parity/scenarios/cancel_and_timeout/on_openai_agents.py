"""An agent that is given five seconds."""

import asyncio
from typing import Any

from agents import Agent, OpenAIChatCompletionsModel, Runner
from openai import AsyncOpenAI
from spec import PATIENCE_S, REQUEST, SYSTEM


def build(base_url: str, model: str) -> Agent:
    client = AsyncOpenAI(base_url=base_url)
    return Agent(name="assistant", instructions=SYSTEM, model=OpenAIChatCompletionsModel(model, client))


async def run(agent: Any) -> str:
    result = await asyncio.wait_for(Runner.run(agent, REQUEST), PATIENCE_S)
    return result.final_output

"""A run that one step starts as a task, and another waits for, in one trace."""

import asyncio
from typing import Any

from agents import Agent, OpenAIChatCompletionsModel, Runner, trace
from openai import AsyncOpenAI
from spec import REQUEST, SYSTEM


def build(base_url: str, model: str) -> Agent:
    client = AsyncOpenAI(base_url=base_url)
    return Agent(name="researcher", instructions=SYSTEM, model=OpenAIChatCompletionsModel(model, client))


async def begin(agent: Any) -> Any:
    return asyncio.create_task(Runner.run(agent, REQUEST))


async def collect(task: Any) -> str:
    return (await task).final_output


async def run(agent: Any) -> str:
    with trace("research"):
        task = await begin(agent)
        return await collect(task)

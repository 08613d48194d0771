"""An agent with a session that holds what was said before."""

from typing import Any

from agents import Agent, OpenAIChatCompletionsModel, Runner, SQLiteSession
from openai import AsyncOpenAI
from spec import FACT, REQUEST, SYSTEM


def build(base_url: str, model: str) -> Agent:
    client = AsyncOpenAI(base_url=base_url)
    return Agent(name="assistant", instructions=SYSTEM, model=OpenAIChatCompletionsModel(model, client))


async def run(agent: Any) -> str:
    conversation = SQLiteSession("ann")
    await conversation.add_items([{"role": "user", "content": FACT}])
    result = await Runner.run(agent, REQUEST, session=conversation)
    return result.final_output

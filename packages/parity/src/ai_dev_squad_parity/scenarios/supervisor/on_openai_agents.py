"""An agent whose tool is another agent."""

from typing import Any

from agents import Agent, OpenAIChatCompletionsModel, Runner
from openai import AsyncOpenAI
from pydantic import BaseModel
from spec import BOTANIST, REQUEST, SUPERVISOR


class Work(BaseModel):
    task: str


def build(base_url: str, model: str) -> Agent:
    chat = OpenAIChatCompletionsModel(model, AsyncOpenAI(base_url=base_url))
    botanist = Agent(name="botanist", instructions=BOTANIST, model=chat)
    tool = botanist.as_tool("botanist", "Knows plants.", parameters=Work)
    return Agent(name="supervisor", instructions=SUPERVISOR, model=chat, tools=[tool])


async def run(agent: Any) -> str:
    result = await Runner.run(agent, REQUEST)
    return result.final_output

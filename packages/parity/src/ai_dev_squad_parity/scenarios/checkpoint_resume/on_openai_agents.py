"""Two agents whose conversation is kept in a file."""

from typing import Any

from agents import Agent, OpenAIChatCompletionsModel, Runner, SQLiteSession
from openai import AsyncOpenAI
from spec import CODER, PLANNER, REQUEST, kept


def build(base_url: str, model: str) -> tuple[Agent, Agent]:
    chat = OpenAIChatCompletionsModel(model, AsyncOpenAI(base_url=base_url))
    return Agent(name="planner", instructions=PLANNER, model=chat), Agent(name="coder", instructions=CODER, model=chat)


async def run(squad: Any) -> str:
    planner, _ = squad
    result = await Runner.run(planner, REQUEST, session=SQLiteSession("work", kept("conversation.db")))
    return result.final_output


async def resume(squad: Any) -> str:
    _, coder = squad
    result = await Runner.run(coder, "Go on.", session=SQLiteSession("work", kept("conversation.db")))
    return result.final_output

"""Two agents, one of which may hand over to the other."""

from typing import Any

from agents import Agent, OpenAIChatCompletionsModel, Runner
from openai import AsyncOpenAI
from spec import BILLING, REQUEST, TRIAGE


def build(base_url: str, model: str) -> Agent:
    chat = OpenAIChatCompletionsModel(model, AsyncOpenAI(base_url=base_url))
    billing = Agent(name="billing", instructions=BILLING, model=chat)
    return Agent(name="triage", instructions=TRIAGE, model=chat, handoffs=[billing])


async def run(agent: Any) -> str:
    result = await Runner.run(agent, REQUEST)
    return result.final_output

"""An agent whose answer is an object."""

from typing import Any

from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, Runner
from openai import AsyncOpenAI
from pydantic import BaseModel
from spec import REQUEST, SYSTEM


class City(BaseModel):
    name: str
    country: str


def build(base_url: str, model: str) -> Agent:
    client = AsyncOpenAI(base_url=base_url)
    return Agent(
        name="clerk",
        instructions=SYSTEM,
        model=OpenAIChatCompletionsModel(model, client),
        model_settings=ModelSettings(max_tokens=1024),
        output_type=City,
    )


async def run(agent: Any) -> str:
    result = await Runner.run(agent, REQUEST)
    return result.final_output.country

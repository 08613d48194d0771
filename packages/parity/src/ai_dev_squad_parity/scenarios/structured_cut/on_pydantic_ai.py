"""An agent whose answer is an object, and has a limit."""

from typing import Any

from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from spec import REQUEST, SYSTEM


class City(BaseModel):
    name: str
    country: str


def build(base_url: str, model: str) -> Agent:
    llm = OpenAIChatModel(model, provider=OpenAIProvider(base_url=base_url))
    limit = {"max_tokens": 1024}
    return Agent(
        llm, name="clerk", instructions=SYSTEM, output_type=NativeOutput(City), model_settings=limit, retries=0
    )


async def run(agent: Any) -> str:
    return (await agent.run(REQUEST)).output.country

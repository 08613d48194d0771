"""An agent whose answer is an object."""

from typing import Any

from agent_framework import Agent
from agent_framework_openai import OpenAIChatCompletionClient
from pydantic import BaseModel
from spec import REQUEST, SYSTEM


class City(BaseModel):
    name: str
    country: str


def build(base_url: str, model: str) -> Agent:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    return Agent(client, SYSTEM, name="clerk", default_options={"response_format": City})


async def run(agent: Any) -> str:
    return (await agent.run(REQUEST)).value.country

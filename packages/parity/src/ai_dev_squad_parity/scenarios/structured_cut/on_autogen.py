"""An assistant agent whose answer is an object."""

from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_ext.models.openai import OpenAIChatCompletionClient
from pydantic import BaseModel
from spec import REQUEST, SYSTEM


class City(BaseModel):
    name: str
    country: str


def build(base_url: str, model: str) -> AssistantAgent:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url, max_tokens=1024)
    return AssistantAgent("clerk", client, system_message=SYSTEM, output_content_type=City)


async def run(agent: Any) -> str:
    return (await agent.run(task=REQUEST)).messages[-1].content.country

"""An agent with a tool."""

from typing import Any

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from spec import REQUEST, SYSTEM, look_up


def build(base_url: str, model: str) -> Agent:
    llm = OpenAIChatModel(model, provider=OpenAIProvider(base_url=base_url))
    return Agent(llm, name="clerk", instructions=SYSTEM, tools=[look_up])


async def run(agent: Any) -> str:
    return (await agent.run(REQUEST)).output

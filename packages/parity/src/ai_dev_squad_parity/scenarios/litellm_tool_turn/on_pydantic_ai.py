"""An agent with a tool, whose provider is LiteLLM's server."""

from typing import Any

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.litellm import LiteLLMProvider
from spec import MODEL, REQUEST, SYSTEM, look_up


def build(base_url: str, model: str) -> Agent:
    llm = OpenAIChatModel(MODEL, provider=LiteLLMProvider(api_base=base_url, api_key="scripted"))
    return Agent(llm, name="clerk", instructions=SYSTEM, tools=[look_up])


async def run(agent: Any) -> str:
    return (await agent.run(REQUEST)).output

"""An agent that is given what was said before."""

from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from spec import FACT, REQUEST, SYSTEM

SAID_BEFORE: list[ModelMessage] = [
    ModelRequest(parts=[UserPromptPart(FACT)]),
    ModelResponse(parts=[TextPart("I will remember it.")]),
]


def build(base_url: str, model: str) -> Agent:
    llm = OpenAIChatModel(model, provider=OpenAIProvider(base_url=base_url))
    return Agent(llm, name="assistant", instructions=SYSTEM)


async def run(agent: Any) -> str:
    return (await agent.run(REQUEST, message_history=SAID_BEFORE)).output

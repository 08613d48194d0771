"""An agent whose tool says what the model may know of its failure."""

from typing import Any

from pydantic_ai import Agent, ModelRetry
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from spec import REQUEST, SYSTEM
from spec import look_up as dictionary


def look_up(word: str) -> str:
    """Look a word up."""
    try:
        return dictionary(word)
    except LookupError as error:
        raise ModelRetry(str(error)) from error


def build(base_url: str, model: str) -> Agent:
    llm = OpenAIChatModel(model, provider=OpenAIProvider(base_url=base_url))
    return Agent(llm, name="clerk", instructions=SYSTEM, tools=[look_up])


async def run(agent: Any) -> str:
    return (await agent.run(REQUEST)).output

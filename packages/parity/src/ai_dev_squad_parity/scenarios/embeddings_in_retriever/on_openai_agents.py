"""An agent whose instructions hold what was found for the question."""

from typing import Any

from agents import Agent, OpenAIChatCompletionsModel, Runner
from openai import AsyncOpenAI
from spec import DOCUMENTS, EMBEDDING_MODEL, REQUEST, SYSTEM


def build(base_url: str, model: str) -> Agent:
    client = AsyncOpenAI(base_url=base_url)

    async def embed(texts: list[str]) -> list[list[float]]:
        return [item.embedding for item in (await client.embeddings.create(model=EMBEDDING_MODEL, input=texts)).data]

    async def instructions(context: Any, agent: Any) -> str:
        known, (asked,) = await embed([*DOCUMENTS]), await embed([context.context])
        near = [sum(a * b for a, b in zip(vector, asked, strict=True)) for vector in known]
        return f"{SYSTEM}\n{DOCUMENTS[near.index(max(near))]}"

    return Agent(name="librarian", instructions=instructions, model=OpenAIChatCompletionsModel(model, client))


async def run(agent: Any) -> str:
    result = await Runner.run(agent, REQUEST, context=REQUEST)
    return result.final_output

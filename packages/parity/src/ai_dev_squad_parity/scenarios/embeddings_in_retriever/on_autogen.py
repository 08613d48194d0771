"""An assistant agent with a memory that embeds what it holds and what is asked."""

from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_core.memory import Memory, MemoryContent, MemoryMimeType, MemoryQueryResult, UpdateContextResult
from autogen_core.models import UserMessage
from autogen_ext.models.openai import OpenAIChatCompletionClient
from openai import AsyncOpenAI
from spec import DOCUMENTS, EMBEDDING_MODEL, REQUEST, SYSTEM


class Vectors(Memory):
    def __init__(self, client: Any) -> None:
        self.client = client

    async def embed(self, texts: list[str]) -> list[list[float]]:
        return [
            item.embedding for item in (await self.client.embeddings.create(model=EMBEDDING_MODEL, input=texts)).data
        ]

    async def query(self, query: Any, *args: Any, **kwargs: Any) -> MemoryQueryResult:
        known, (asked,) = await self.embed([*DOCUMENTS]), await self.embed([str(query)])
        near = [sum(a * b for a, b in zip(vector, asked, strict=True)) for vector in known]
        found = MemoryContent(content=DOCUMENTS[near.index(max(near))], mime_type=MemoryMimeType.TEXT)
        return MemoryQueryResult(results=[found])

    async def update_context(self, model_context: Any) -> UpdateContextResult:
        found = await self.query(REQUEST)
        await model_context.add_message(UserMessage(content=str(found.results[0].content), source="memory"))
        return UpdateContextResult(memories=found)

    async def add(self, content: Any, *args: Any) -> None:
        pass

    async def clear(self) -> None:
        pass

    async def close(self) -> None:
        pass


def build(base_url: str, model: str) -> AssistantAgent:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    memory = Vectors(AsyncOpenAI(base_url=base_url))
    return AssistantAgent("librarian", client, system_message=SYSTEM, memory=[memory])


async def run(agent: Any) -> str:
    return (await agent.run(task=REQUEST)).messages[-1].content

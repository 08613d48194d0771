"""An agent with a context provider that embeds what it holds and what is asked."""

from typing import Any

from agent_framework import Agent, ContextProvider, Message
from agent_framework_openai import OpenAIChatCompletionClient, OpenAIEmbeddingClient
from spec import DOCUMENTS, EMBEDDING_MODEL, REQUEST, SYSTEM


class Vectors(ContextProvider):
    def __init__(self, client: Any) -> None:
        super().__init__("vectors")
        self.client = client

    async def embed(self, texts: list[str]) -> list[list[float]]:
        return [embedding.vector for embedding in await self.client.get_embeddings(texts)]

    async def before_run(self, *, context: Any, **more: Any) -> None:
        known, (asked,) = await self.embed([*DOCUMENTS]), await self.embed([context.input_messages[-1].text])
        near = [sum(a * b for a, b in zip(vector, asked, strict=True)) for vector in known]
        context.extend_messages(self.source_id, [Message("user", [DOCUMENTS[near.index(max(near))]])])


def build(base_url: str, model: str) -> Agent:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    vectors = Vectors(OpenAIEmbeddingClient(model=EMBEDDING_MODEL, base_url=base_url))
    return Agent(client, SYSTEM, name="librarian", context_providers=[vectors])


async def run(agent: Any) -> str:
    return (await agent.run(REQUEST)).text

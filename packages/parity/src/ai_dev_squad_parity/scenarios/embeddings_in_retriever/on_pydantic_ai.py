"""An agent whose instructions are completed by what was found with embeddings."""

from typing import Any

from pydantic_ai import Agent, Embedder, RunContext
from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from spec import DOCUMENTS, EMBEDDING_MODEL, REQUEST, SYSTEM


def build(base_url: str, model: str) -> Agent:
    provider = OpenAIProvider(base_url=base_url)
    embedder = Embedder(OpenAIEmbeddingModel(EMBEDDING_MODEL, provider=provider))
    librarian = Agent(OpenAIChatModel(model, provider=provider), name="librarian", instructions=SYSTEM)

    @librarian.instructions
    async def what_was_found(ctx: RunContext[None]) -> str:
        known = (await embedder.embed_documents(DOCUMENTS)).embeddings
        (asked,) = (await embedder.embed_query(str(ctx.prompt))).embeddings
        near = [sum(a * b for a, b in zip(vector, asked, strict=True)) for vector in known]
        return DOCUMENTS[near.index(max(near))]

    return librarian


async def run(agent: Any) -> str:
    return (await agent.run(REQUEST)).output

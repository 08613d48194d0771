"""A graph whose step has four agents work in threads, with one tool for all of them."""

import asyncio
from typing import Any

from openai import AsyncOpenAI
from pydantic_ai import Agent, Tool
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_graph import GraphBuilder, StepContext
from spec import SYSTEM, WORDS, look_up


def build(base_url: str, model: str) -> Any:
    tool = Tool(look_up)

    def clerk() -> Agent:
        provider = OpenAIProvider(
            openai_client=AsyncOpenAI(base_url=base_url)
        )  # its connections belong to one event loop
        return Agent(OpenAIChatModel(model, provider=provider), name="clerk", instructions=SYSTEM, tools=[tool])

    clerks = [clerk() for _ in WORDS]
    graph = GraphBuilder(name="desk", output_type=str)

    @graph.step
    async def ask_around(ctx: StepContext[None, None, None]) -> str:
        def ask(clerk: Agent, word: str) -> str:
            return asyncio.run(clerk.run(f"What is a {word}?")).output

        asked = zip(clerks, WORDS, strict=True)
        return ", ".join(await asyncio.gather(*(asyncio.to_thread(ask, clerk, word) for clerk, word in asked)))

    graph.add(
        graph.edge_from(graph.start_node).to(ask_around),
        graph.edge_from(ask_around).to(graph.end_node),
    )
    return graph.build()


async def run(graph: Any) -> str:
    return await graph.run()

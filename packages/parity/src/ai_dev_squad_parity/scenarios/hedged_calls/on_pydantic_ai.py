"""A graph whose step races two runs of an agent."""

import asyncio
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_graph import GraphBuilder, StepContext
from spec import REQUEST, SYSTEM


def build(base_url: str, model: str) -> Any:
    llm = OpenAIChatModel(model, provider=OpenAIProvider(base_url=base_url))
    assistant = Agent(llm, name="assistant", instructions=SYSTEM)
    graph = GraphBuilder(name="race", input_type=str, output_type=str)

    @graph.step
    async def ask_twice(ctx: StepContext[None, None, str]) -> str:
        calls = [asyncio.create_task(assistant.run(ctx.inputs)) for _ in range(2)]
        done, late = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        for call in late:
            call.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        return done.pop().result().output

    graph.add(
        graph.edge_from(graph.start_node).to(ask_twice),
        graph.edge_from(ask_twice).to(graph.end_node),
    )
    return graph.build()


async def run(graph: Any) -> str:
    return await graph.run(inputs=REQUEST)

"""A graph of two steps: one starts an agent, the other waits for it."""

import asyncio
from dataclasses import dataclass
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_graph import GraphBuilder, StepContext
from spec import REQUEST, SYSTEM


@dataclass
class Desk:
    call: Any = None


def build(base_url: str, model: str) -> Any:
    llm = OpenAIChatModel(model, provider=OpenAIProvider(base_url=base_url))
    researcher = Agent(llm, name="researcher", instructions=SYSTEM)
    graph = GraphBuilder(name="desk", state_type=Desk, input_type=str, output_type=str)

    @graph.step
    async def begin(ctx: StepContext[Desk, None, str]) -> None:
        ctx.state.call = asyncio.create_task(researcher.run(ctx.inputs))
        await asyncio.sleep(0)

    @graph.step
    async def collect(ctx: StepContext[Desk, None, None]) -> str:
        return (await ctx.state.call).output

    graph.add(
        graph.edge_from(graph.start_node).to(begin),
        graph.edge_from(begin).to(collect),
        graph.edge_from(collect).to(graph.end_node),
    )
    return graph.build()


async def run(graph: Any) -> str:
    return await graph.run(state=Desk(), inputs=REQUEST)

"""A graph, a step of which runs another graph."""

from typing import Any

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_graph import GraphBuilder, StepContext
from spec import CHECKER, EDITOR, REQUEST, RESEARCHER


def build(base_url: str, model: str) -> Any:
    llm = OpenAIChatModel(model, provider=OpenAIProvider(base_url=base_url))
    researcher = Agent(llm, name="researcher", instructions=RESEARCHER)
    checker = Agent(llm, name="checker", instructions=CHECKER)
    editor = Agent(llm, name="editor", instructions=EDITOR)
    inner = GraphBuilder(name="research", input_type=str, output_type=str)
    outer = GraphBuilder(name="paper", input_type=str, output_type=str)

    @inner.step
    async def find(ctx: StepContext[None, None, str]) -> str:
        return (await researcher.run(ctx.inputs)).output

    @inner.step
    async def check(ctx: StepContext[None, None, str]) -> str:
        await checker.run(ctx.inputs)
        return ctx.inputs

    inner.add(
        inner.edge_from(inner.start_node).to(find),
        inner.edge_from(find).to(check),
        inner.edge_from(check).to(inner.end_node),
    )
    checked = inner.build()

    @outer.step
    async def research(ctx: StepContext[None, None, str]) -> str:
        return await checked.run(inputs=ctx.inputs)

    @outer.step
    async def edit(ctx: StepContext[None, None, str]) -> str:
        return (await editor.run(ctx.inputs)).output

    outer.add(
        outer.edge_from(outer.start_node).to(research),
        outer.edge_from(research).to(edit),
        outer.edge_from(edit).to(outer.end_node),
    )
    return outer.build()


async def run(graph: Any) -> str:
    return await graph.run(inputs=REQUEST)

"""A graph that asks three agents at the same time, and a fourth when all have answered."""

from typing import Any

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_graph import GraphBuilder, StepContext, reduce_list_append
from spec import EXPERTS, REQUEST, system


def build(base_url: str, model: str) -> Any:
    llm = OpenAIChatModel(model, provider=OpenAIProvider(base_url=base_url))
    experts = {name: Agent(llm, name=name, instructions=system(name)) for name in EXPERTS}
    editor = Agent(llm, name="editor", instructions=system("editor"))
    graph = GraphBuilder(name="experts", input_type=str, output_type=str)

    @graph.step
    async def who(ctx: StepContext[None, None, str]) -> list[tuple[str, str]]:
        return [(name, ctx.inputs) for name in EXPERTS]

    @graph.step
    async def ask(ctx: StepContext[None, None, tuple[str, str]]) -> str:
        name, question = ctx.inputs
        return (await experts[name].run(question)).output

    @graph.step
    async def sum_up(ctx: StepContext[None, None, list[str]]) -> str:
        return (await editor.run("\n".join(ctx.inputs))).output

    answers = graph.join(reduce_list_append, initial_factory=list[str])
    graph.add(
        graph.edge_from(graph.start_node).to(who),
        graph.edge_from(who).map().to(ask),
        graph.edge_from(ask).to(answers),
        graph.edge_from(answers).to(sum_up),
        graph.edge_from(sum_up).to(graph.end_node),
    )
    return graph.build()


async def run(graph: Any) -> str:
    return await graph.run(inputs=REQUEST)

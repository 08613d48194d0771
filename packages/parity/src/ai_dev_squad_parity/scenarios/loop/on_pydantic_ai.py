"""A graph in which a draft goes back until the critic approves."""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_graph import GraphBuilder, StepContext, TypeExpression
from spec import CRITIC, REQUEST, WRITER


@dataclass
class Work:
    draft: str = ""


def build(base_url: str, model: str) -> Any:
    llm = OpenAIChatModel(model, provider=OpenAIProvider(base_url=base_url))
    writer = Agent(llm, name="writer", instructions=WRITER)
    critic = Agent(llm, name="critic", instructions=CRITIC)
    graph = GraphBuilder(name="desk", state_type=Work, input_type=str, output_type=str)

    @graph.step
    async def write(ctx: StepContext[Work, None, str]) -> str:
        ctx.state.draft = (await writer.run(ctx.inputs)).output
        return ctx.state.draft

    @graph.step
    async def criticise(ctx: StepContext[Work, None, str]) -> str:
        return (await critic.run(ctx.inputs)).output

    @graph.step
    async def publish(ctx: StepContext[Work, None, Any]) -> str:
        return ctx.state.draft

    graph.add(
        graph.edge_from(graph.start_node).to(write),
        graph.edge_from(write).to(criticise),
        graph.edge_from(criticise).to(
            graph.decision()
            .branch(graph.match(TypeExpression[Literal["APPROVE"]]).to(publish))
            .branch(graph.match(str).to(write))
        ),
        graph.edge_from(publish).to(graph.end_node),
    )
    return graph.build()


async def run(graph: Any) -> str:
    return await graph.run(state=Work(), inputs=REQUEST)

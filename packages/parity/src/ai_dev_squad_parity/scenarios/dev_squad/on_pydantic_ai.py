"""A graph: a planner, a coder with tools, and a reviewer by whose word it goes on."""

from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_graph import GraphBuilder, StepContext
from spec import CODER, PLANNER, REQUEST, REVIEWER, read_file, run_tests


class Review(BaseModel):
    approved: bool
    feedback: str


@dataclass
class Work:
    code: str = ""
    said: list[Any] = field(default_factory=list)


def build(base_url: str, model: str) -> Any:
    llm = OpenAIChatModel(model, provider=OpenAIProvider(base_url=base_url))
    planner = Agent(llm, name="planner", instructions=PLANNER)
    coder = Agent(llm, name="coder", instructions=CODER, tools=[read_file, run_tests])
    reviewer = Agent(llm, name="reviewer", instructions=REVIEWER, output_type=Review)
    graph = GraphBuilder(name="squad", state_type=Work, input_type=str, output_type=str)

    @graph.step
    async def plan(ctx: StepContext[Work, None, str]) -> str:
        return (await planner.run(ctx.inputs)).output

    @graph.step
    async def code(ctx: StepContext[Work, None, str]) -> str:
        result = await coder.run(ctx.inputs, message_history=ctx.state.said)
        ctx.state.said, ctx.state.code = result.all_messages(), result.output
        return result.output

    @graph.step
    async def review(ctx: StepContext[Work, None, str]) -> str:
        said = (await reviewer.run(ctx.inputs)).output
        return ctx.state.code if said.approved else said.feedback

    back = graph.match(str, matches=lambda text: not text.startswith("def")).to(code)
    graph.add(
        graph.edge_from(graph.start_node).to(plan),
        graph.edge_from(plan).to(code),
        graph.edge_from(code).to(review),
        graph.edge_from(review).to(graph.decision().branch(back).branch(graph.match(str).to(graph.end_node))),
    )
    return graph.build()


async def run(graph: Any) -> str:
    return await graph.run(state=Work(), inputs=REQUEST)

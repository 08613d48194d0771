"""A graph that takes up the work where its state says it stopped, and a file for the state."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_graph import GraphBuilder, StepContext
from spec import CODER, PLANNER, REQUEST, kept


@dataclass
class Work:
    plan: str | None = None
    code: str | None = None


def build(base_url: str, model: str) -> Any:
    llm = OpenAIChatModel(model, provider=OpenAIProvider(base_url=base_url))
    planner = Agent(llm, name="planner", instructions=PLANNER)
    coder = Agent(llm, name="coder", instructions=CODER)
    graph = GraphBuilder(name="squad", state_type=Work, output_type=str)

    @graph.step
    async def next_turn(ctx: StepContext[Work, None, None]) -> str:
        if ctx.state.plan is None:
            ctx.state.plan = (await planner.run(REQUEST)).output
            return ctx.state.plan
        ctx.state.code = (await coder.run(ctx.state.plan)).output
        return ctx.state.code

    graph.add(
        graph.edge_from(graph.start_node).to(next_turn),
        graph.edge_from(next_turn).to(graph.end_node),
    )
    return graph.build()


async def run(graph: Any) -> str:
    work = Work()
    answer = await graph.run(state=work)
    Path(kept("work.json")).write_text(json.dumps(asdict(work)))
    return answer


async def resume(graph: Any) -> str:
    return await graph.run(state=Work(**json.loads(Path(kept("work.json")).read_text())))

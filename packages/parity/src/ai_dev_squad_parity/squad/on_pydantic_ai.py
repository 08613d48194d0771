"""The dev squad on Pydantic AI: a graph, planner → coders at the same time → reviewer loop → approval → writer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from pydantic_ai import Agent, ModelRetry
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_graph import GraphBuilder

from . import spec

__all__ = ["build", "run"]


class Plan(BaseModel):
    """The planner's answer."""

    tasks: list[str]


class Review(BaseModel):
    """The reviewer's answer."""

    approved: bool
    task: str
    feedback: str


@dataclass
class Squad:
    """What the squad shares."""

    patches: dict[str, str] = field(default_factory=dict)
    reviews: int = 0
    notes: str = ""


def read_file(path: str) -> str:
    """Read a file of the project."""
    try:
        return spec.read_file(path)
    except FileNotFoundError as error:
        raise ModelRetry(str(error)) from error  # what the model is to know of


def build(base_url: str, approve: Callable[[str], str] = lambda question: "yes") -> Any:
    """The graph. ``base_url`` is an OpenAI-compatible service; ``approve`` is the person who is asked before release."""

    def agent(role: str, prompt: str, **options: Any) -> Agent[None, Any]:
        llm = OpenAIChatModel(spec.MODELS[role], provider=OpenAIProvider(base_url=base_url, api_key="scripted"))
        return Agent(llm, name=role, instructions=prompt, **options)

    planner = agent("planner", spec.PLANNER, output_type=Plan)
    coder = agent("coder", spec.CODER, tools=[read_file, spec.run_tests])
    reviewer = agent("reviewer", spec.REVIEWER, output_type=Review)
    writer = agent("writer", spec.WRITER)
    graph = GraphBuilder(name="dev-squad", state_type=Squad, input_type=str, output_type=Squad)

    @graph.step
    async def plan(ctx: Any) -> list[tuple[str, str]]:
        return [(task, "") for task in (await planner.run(ctx.inputs)).output.tasks]

    @graph.step
    async def code(ctx: Any) -> None:
        async def work(task: str, feedback: str) -> None:
            ctx.state.patches[task] = (await coder.run(f"Task: {task}. {feedback}".strip())).output

        await asyncio.gather(*(work(*assignment) for assignment in ctx.inputs))

    @graph.step
    async def review(ctx: Any) -> list[tuple[str, str]]:
        ctx.state.reviews += 1
        patches = "\n".join(ctx.state.patches[task] for task in sorted(ctx.state.patches))
        said = (await reviewer.run(patches)).output
        return [] if said.approved else [(said.task, said.feedback)]

    @graph.step
    async def approval(ctx: Any) -> str:
        return await asyncio.to_thread(approve, "Release this?")

    @graph.step
    async def release(ctx: Any) -> Squad:
        squad: Squad = ctx.state
        if ctx.inputs == "yes":
            squad.notes = (await writer.run(spec.REQUEST)).output
        return squad

    sent_back = graph.match(list, matches=bool).to(code)
    graph.add(
        graph.edge_from(graph.start_node).to(plan),
        graph.edge_from(plan).to(code),
        graph.edge_from(code).to(review),
        graph.edge_from(review).to(graph.decision().branch(sent_back).branch(graph.match(list).to(approval))),
        graph.edge_from(approval).to(release),
        graph.edge_from(release).to(graph.end_node),
    )
    return graph.build()


async def run(graph: Any) -> dict[str, Any]:
    """Run the squad to its end. Returns the final state."""
    squad = await graph.run(state=Squad(), inputs=spec.REQUEST)
    patches = [squad.patches[task] for task in sorted(squad.patches)]
    return {"patches": "\n".join(patches), "notes": squad.notes, "reviews": squad.reviews}

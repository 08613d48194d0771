"""The dev squad on the OpenAI Agents SDK: plain Python in one trace, planner → coders at the same time → reviewer loop →
approval → writer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, trace
from openai import AsyncOpenAI
from pydantic import BaseModel

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


def build(base_url: str) -> dict[str, Agent[Any]]:
    """The agents by role. ``base_url`` is an OpenAI-compatible service."""
    client = AsyncOpenAI(base_url=base_url, api_key="scripted")

    def agent(role: str, prompt: str, **options: Any) -> Agent[Any]:
        model = OpenAIChatCompletionsModel(spec.MODELS[role], client)
        return Agent(name=role, instructions=prompt, model=model, **options)

    return {
        "planner": agent("planner", spec.PLANNER, output_type=Plan),
        "coder": agent("coder", spec.CODER, tools=[function_tool(spec.read_file), function_tool(spec.run_tests)]),
        "reviewer": agent("reviewer", spec.REVIEWER, output_type=Review),
        "writer": agent("writer", spec.WRITER),
    }


async def run(
    squad: dict[str, Agent[Any]], approve: Callable[[dict[str, str]], bool] = lambda patches: True
) -> dict[str, Any]:
    """Run the squad to its end. Returns the final state. ``approve`` is asked before anything is released."""
    patches: dict[str, str] = {}

    async def code(task: str, feedback: str = "") -> None:
        result = await Runner.run(squad["coder"], f"Task: {task}. {feedback}".strip())
        patches[task] = result.final_output

    with trace("dev squad"):
        plan = await Runner.run(squad["planner"], spec.REQUEST)
        await asyncio.gather(*map(code, plan.final_output.tasks))
        reviews = 0
        while True:
            reviews += 1
            result = await Runner.run(squad["reviewer"], "\n".join(patches[task] for task in sorted(patches)))
            review = result.final_output
            if review.approved:
                break
            await code(review.task, review.feedback)
        if not approve(patches):
            return {"patches": patches, "notes": "", "reviews": reviews}
        notes = await Runner.run(squad["writer"], "\n".join(patches.values()))
    return {"patches": patches, "notes": notes.final_output, "reviews": reviews}

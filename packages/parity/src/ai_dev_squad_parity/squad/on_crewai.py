"""The dev squad on CrewAI: a flow of agents, planner → coders at the same time → reviewer loop → approval → writer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from crewai import LLM, Agent
from crewai.flow.flow import Flow, listen, or_, router, start
from crewai.tools import tool
from pydantic import BaseModel

from . import spec

__all__ = ["DevSquad", "build", "run"]


class Plan(BaseModel):
    """The planner's answer."""

    tasks: list[str]


class Review(BaseModel):
    """The reviewer's answer."""

    approved: bool
    task: str
    feedback: str


class Squad(BaseModel):
    """What the squad shares."""

    patches: dict[str, str] = {}
    reviews: int = 0
    feedback: tuple[str, str] = ("", "")
    notes: str = ""


class DevSquad(Flow[Squad]):
    """The squad. ``approve`` is asked before anything is released."""

    def __init__(self, base_url: str, approve: Callable[[dict[str, str]], bool] = lambda patches: True) -> None:
        super().__init__()
        self._base_url = base_url
        self._approve = approve

    def _agent(self, role: str, prompt: str, **options: Any) -> Agent:
        llm = LLM(model=f"openai/{spec.MODELS[role]}", base_url=self._base_url, api_key="scripted")
        return Agent(role=role, goal="Do your part.", backstory=prompt, llm=llm, **options)

    async def _code(self, task: str, feedback: str = "") -> None:
        """A coder of its own for each task, with the squad's tools."""
        coder = self._agent("coder", spec.CODER, tools=[tool(spec.read_file), tool(spec.run_tests)])
        answer = await coder.kickoff_async(f"Task: {task}. {feedback}".strip())
        self.state.patches[task] = answer.raw

    @start()
    async def plan(self) -> list[str]:
        """One task per function."""
        answer = await self._agent("planner", spec.PLANNER).kickoff_async(spec.REQUEST, response_format=Plan)
        return Plan.model_validate_json(answer.raw).tasks

    @listen(plan)
    async def code(self, tasks: list[str]) -> None:
        """All tasks at the same time."""
        await asyncio.gather(*map(self._code, tasks))

    @listen("sent back")
    async def code_again(self) -> None:
        """The task that the reviewer was not content with."""
        await self._code(*self.state.feedback)

    @router(or_(code, code_again))
    async def review(self) -> str:
        """Approve, or send one task back."""
        patches = "\n".join(self.state.patches[task] for task in sorted(self.state.patches))
        answer = await self._agent("reviewer", spec.REVIEWER).kickoff_async(patches, response_format=Review)
        verdict = Review.model_validate_json(answer.raw)
        self.state.reviews += 1
        self.state.feedback = (verdict.task, verdict.feedback)
        if not verdict.approved:
            return "sent back"
        return "released" if self._approve(self.state.patches) else "refused"

    @listen("released")
    async def write(self) -> None:
        """One line of release notes."""
        answer = await self._agent("writer", spec.WRITER).kickoff_async(spec.REQUEST)
        self.state.notes = answer.raw


def build(base_url: str) -> DevSquad:
    """The squad. ``base_url`` is an OpenAI-compatible service."""
    return DevSquad(base_url)


def run(squad: DevSquad) -> dict[str, Any]:
    """Run the squad to its end. Returns the final state."""
    squad.kickoff()
    return dict(squad.state.model_dump())

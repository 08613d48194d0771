"""The dev squad on Agent Framework: a workflow, planner → coders at the same time → reviewer loop → approval → writer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from agent_framework import (
    Agent,
    AgentExecutorResponse,
    AgentResponse,
    Executor,
    Workflow,
    WorkflowBuilder,
    WorkflowContext,
    handler,
)
from agent_framework_openai import OpenAIChatCompletionClient
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


class Coders(Executor):
    """Coders who work at the same time, each on one task after the other. All patches go to the reviewer."""

    def __init__(self, coders: Sequence[Agent]) -> None:
        super().__init__(id="coders")
        self.coders = list(coders)
        self.patches: dict[str, str] = {}

    @handler
    async def work(self, asked: AgentExecutorResponse, context: WorkflowContext[AgentExecutorResponse, str]) -> None:
        """Work on the plan, or on the one task that the reviewer sent back."""
        text = asked.agent_response.text
        if asked.executor_id == "planner":
            todo = [f"Task: {task}." for task in Plan.model_validate_json(text).tasks]
        else:
            review = Review.model_validate_json(text)
            todo = [f"Task: {review.task}. {review.feedback}"]
        await asyncio.gather(*(self._work(coder, todo) for coder in self.coders))
        patches = "\n".join(self.patches[task] for task in sorted(self.patches))
        await context.yield_output(patches)
        await context.send_message(asked.with_text(patches))

    async def _work(self, coder: Agent, todo: list[str]) -> None:
        while todo:
            task = todo.pop(0)
            self.patches[task.partition(".")[0]] = (await coder.run(task)).text


class Approval(Executor):
    """A person is asked before anything is released."""

    def __init__(self, approve: Callable[[str], str]) -> None:
        super().__init__(id="approval")
        self.approve = approve

    @handler
    async def ask(self, review: AgentExecutorResponse, context: WorkflowContext[AgentExecutorResponse]) -> None:
        """Go on if the person says yes."""
        if self.approve("Release the patches?") == "yes":
            await context.send_message(review.with_text("The patches are approved."))


def build(base_url: str, approve: Callable[[str], str] = lambda question: "yes") -> Workflow:
    """The workflow. ``base_url`` is an OpenAI-compatible service; ``approve`` is the person who is asked before release."""

    def agent(role: str, prompt: str, **options: Any) -> Agent:
        client = OpenAIChatCompletionClient(model=spec.MODELS[role], base_url=base_url, api_key="scripted")
        return Agent(client, prompt, name=role, **options)

    tools: Any = [spec.read_file, spec.run_tests]
    planner = agent("planner", spec.PLANNER, default_options={"response_format": Plan})
    coders = Coders([agent("coder", spec.CODER, tools=tools) for _ in range(2)])
    reviewer = agent("reviewer", spec.REVIEWER, default_options={"response_format": Review})
    approval, writer = Approval(approve), agent("writer", spec.WRITER)
    builder = WorkflowBuilder(name="dev squad", start_executor=planner).add_edge(planner, coders)
    builder.add_edge(coders, reviewer).add_edge(reviewer, coders, condition=lambda review: not _approved(review))
    return builder.add_edge(reviewer, approval, condition=_approved).add_edge(approval, writer).build()


def _approved(review: AgentExecutorResponse) -> bool:
    return Review.model_validate_json(review.agent_response.text).approved


async def run(workflow: Workflow) -> dict[str, Any]:
    """Run the squad to its end. Returns the final state."""
    outputs = (await workflow.run(spec.REQUEST)).get_outputs()
    answers = [output for output in outputs if isinstance(output, AgentResponse)]
    said = [message.author_name for answer in answers for message in answer.messages]
    patches = [output for output in outputs if isinstance(output, str)]
    return {"patches": patches[-1], "notes": answers[-1].text, "reviews": said.count("reviewer")}

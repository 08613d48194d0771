"""A workflow of three agents with an edge back."""

from typing import Any

from agent_framework import Agent, WorkflowBuilder
from agent_framework_openai import OpenAIChatCompletionClient
from pydantic import BaseModel
from spec import CODER, PLANNER, REQUEST, REVIEWER, read_file, run_tests


class Review(BaseModel):
    approved: bool
    feedback: str


def goes_back(said: Any) -> bool:
    return not Review.model_validate_json(said.agent_response.text).approved


def build(base_url: str, model: str) -> Any:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    planner = Agent(client, PLANNER, name="planner")
    coder = Agent(client, CODER, name="coder", tools=[read_file, run_tests])
    reviewer = Agent(client, REVIEWER, name="reviewer", default_options={"response_format": Review})
    builder = WorkflowBuilder(start_executor=planner).add_edge(planner, coder).add_edge(coder, reviewer)
    return builder.add_edge(reviewer, coder, condition=goes_back).build()


async def run(workflow: Any) -> str:
    said = [message for output in (await workflow.run(REQUEST)).get_outputs() for message in output.messages]
    return next(message.text for message in reversed(said) if message.author_name == "coder" and message.text)

"""A workflow of two agents with an edge back."""

from typing import Any

from agent_framework import Agent, WorkflowBuilder
from agent_framework_openai import OpenAIChatCompletionClient
from spec import CRITIC, REQUEST, WRITER


def goes_back(said: Any) -> bool:
    return "APPROVE" not in said.agent_response.text


def build(base_url: str, model: str) -> Any:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    writer, critic = Agent(client, WRITER, name="writer"), Agent(client, CRITIC, name="critic")
    builder = WorkflowBuilder(start_executor=writer).add_edge(writer, critic)
    return builder.add_edge(critic, writer, condition=goes_back).build()


async def run(workflow: Any) -> str:
    said = [message for output in (await workflow.run(REQUEST)).get_outputs() for message in output.messages]
    return next(message.text for message in reversed(said) if message.author_name == "writer")

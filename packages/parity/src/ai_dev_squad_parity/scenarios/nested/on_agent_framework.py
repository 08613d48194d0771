"""A workflow with a workflow as a participant."""

from typing import Any

from agent_framework import Agent
from agent_framework_openai import OpenAIChatCompletionClient
from agent_framework_orchestrations import SequentialBuilder
from spec import CHECKER, EDITOR, REQUEST, RESEARCHER


def build(base_url: str, model: str) -> Any:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    researcher = Agent(client, RESEARCHER, name="researcher")
    checker = Agent(client, CHECKER, name="checker")
    editor = Agent(client, EDITOR, name="editor")
    research = SequentialBuilder(participants=[researcher, checker]).build()
    return SequentialBuilder(participants=[research.as_agent(name="research"), editor]).build()


async def run(workflow: Any) -> str:
    return (await workflow.run(REQUEST)).get_outputs()[-1].text

"""A team of three agents, and a function that says whose turn it is."""

from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import FunctionalTermination
from autogen_agentchat.messages import StructuredMessage
from autogen_agentchat.teams import SelectorGroupChat
from autogen_ext.models.openai import OpenAIChatCompletionClient
from pydantic import BaseModel
from spec import CODER, PLANNER, REQUEST, REVIEWER, read_file, run_tests


class Review(BaseModel):
    approved: bool
    feedback: str


def next_speaker(messages: Any) -> str:
    return {"user": "planner", "planner": "coder", "coder": "reviewer", "reviewer": "coder"}[messages[-1].source]


def approved(messages: Any) -> bool:
    return any(isinstance(message.content, Review) and message.content.approved for message in messages)


def build(base_url: str, model: str) -> SelectorGroupChat:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    planner = AssistantAgent("planner", client, system_message=PLANNER)
    coder = AssistantAgent(
        "coder", client, tools=[read_file, run_tests], reflect_on_tool_use=True, system_message=CODER
    )
    reviewer = AssistantAgent("reviewer", client, system_message=REVIEWER, output_content_type=Review)
    return SelectorGroupChat(
        [planner, coder, reviewer],
        client,
        selector_func=next_speaker,
        termination_condition=FunctionalTermination(approved),
        custom_message_types=[StructuredMessage[Review]],
    )


async def run(team: Any) -> str:
    result = await team.run(task=REQUEST)
    return next(message.content for message in reversed(result.messages) if message.source == "coder")

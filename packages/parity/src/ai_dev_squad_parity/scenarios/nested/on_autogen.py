"""A team with a team as a participant."""

from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import SourceMatchTermination
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_ext.models.openai import OpenAIChatCompletionClient
from spec import CHECKER, EDITOR, REQUEST, RESEARCHER


def build(base_url: str, model: str) -> RoundRobinGroupChat:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    researcher = AssistantAgent("researcher", client, system_message=RESEARCHER)
    checker = AssistantAgent("checker", client, system_message=CHECKER)
    editor = AssistantAgent("editor", client, system_message=EDITOR)
    checked = SourceMatchTermination(["checker"])
    research = RoundRobinGroupChat([researcher, checker], name="research", termination_condition=checked)
    written = SourceMatchTermination(["editor"])
    return RoundRobinGroupChat([research, editor], name="paper", termination_condition=written)


async def run(team: Any) -> str:
    result = await team.run(task=REQUEST)
    return result.messages[-1].content

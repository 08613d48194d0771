"""A swarm of two agents."""

from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import SourceMatchTermination
from autogen_agentchat.teams import Swarm
from autogen_ext.models.openai import OpenAIChatCompletionClient
from spec import BILLING, REQUEST, TRIAGE


def build(base_url: str, model: str) -> Swarm:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    triage = AssistantAgent("triage", client, handoffs=["billing"], system_message=TRIAGE)
    billing = AssistantAgent("billing", client, system_message=BILLING)
    return Swarm([triage, billing], termination_condition=SourceMatchTermination(["billing"]))


async def run(team: Any) -> str:
    result = await team.run(task=REQUEST)
    return result.messages[-1].content

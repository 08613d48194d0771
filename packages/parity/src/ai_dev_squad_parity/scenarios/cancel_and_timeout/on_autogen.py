"""An assistant agent that is given five seconds."""

import asyncio
from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_ext.models.openai import OpenAIChatCompletionClient
from spec import PATIENCE_S, REQUEST, SYSTEM


def build(base_url: str, model: str) -> AssistantAgent:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    return AssistantAgent("assistant", client, system_message=SYSTEM)


async def run(agent: Any) -> str:
    result = await asyncio.wait_for(agent.run(task=REQUEST), PATIENCE_S)
    return result.messages[-1].content

"""One model client, eight conversations at the same time."""

import asyncio
from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_ext.models.openai import OpenAIChatCompletionClient
from spec import PEOPLE, SYSTEM

from ai_dev_squad import session


def build(base_url: str, model: str) -> AssistantAgent:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    return AssistantAgent("assistant", client, system_message=SYSTEM)


async def run(agent: Any) -> str:
    async def ask(person: str) -> str:
        with session(person):
            result = await agent.run(task=f"I am {person}. What is the capital of France?")
        return result.messages[-1].content

    return " ".join(await asyncio.gather(*map(ask, PEOPLE)))

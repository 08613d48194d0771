"""An assistant agent with a memory."""

from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_core.memory import ListMemory, MemoryContent, MemoryMimeType
from autogen_ext.models.openai import OpenAIChatCompletionClient
from spec import FACT, REQUEST, SYSTEM


def build(base_url: str, model: str) -> AssistantAgent:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    known = ListMemory(memory_contents=[MemoryContent(content=FACT, mime_type=MemoryMimeType.TEXT)])
    return AssistantAgent("assistant", client, memory=[known], system_message=SYSTEM)


async def run(agent: Any) -> str:
    result = await agent.run(task=REQUEST)
    return result.messages[-1].content

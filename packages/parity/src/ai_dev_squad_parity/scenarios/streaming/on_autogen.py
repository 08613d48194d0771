"""An assistant agent that streams."""

from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.messages import ModelClientStreamingChunkEvent
from autogen_ext.models.openai import OpenAIChatCompletionClient
from spec import REQUEST, SYSTEM


def build(base_url: str, model: str) -> AssistantAgent:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    return AssistantAgent("assistant", client, system_message=SYSTEM, model_client_stream=True)


async def run(agent: Any) -> str:
    stream = agent.run_stream(task=REQUEST)
    return "".join([item.content async for item in stream if isinstance(item, ModelClientStreamingChunkEvent)])

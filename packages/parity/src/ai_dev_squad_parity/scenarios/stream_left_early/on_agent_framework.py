"""An agent whose stream is closed in the middle."""

from typing import Any

from agent_framework import Agent
from agent_framework_openai import OpenAIChatCompletionClient
from spec import REQUEST, SYSTEM


def build(base_url: str, model: str) -> Agent:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    return Agent(client, SYSTEM, name="assistant")


async def run(agent: Any) -> str:
    answer, stream = "", agent.run(REQUEST, stream=True)
    async for update in stream:
        answer += update.text
        if len(answer) > 200:
            break
    if hasattr(stream, "close"):  # earlier releases have nothing of the kind: the stream ends when it is collected
        await stream.close()
    return answer

"""An assistant agent whose tool asks the model by OpenAI's own client in a thread pool."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_ext.models.openai import OpenAIChatCompletionClient
from openai import OpenAI
from spec import CHAPTERS, READER, REQUEST, SYSTEM


def build(base_url: str, model: str) -> AssistantAgent:
    plain = OpenAI(base_url=base_url)

    def read(chapter: str) -> str:
        asked = [{"role": "system", "content": READER}, {"role": "user", "content": chapter}]
        return plain.chat.completions.create(model=model, messages=asked).choices[0].message.content

    def read_chapters() -> str:
        """Have all chapters read."""
        with ThreadPoolExecutor(4) as pool:
            return "\n".join(pool.map(read, CHAPTERS))

    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    return AssistantAgent("editor", client, tools=[read_chapters], reflect_on_tool_use=True, system_message=SYSTEM)


async def run(agent: Any) -> str:
    return (await agent.run(task=REQUEST)).messages[-1].content

"""An agent whose tool asks the model by OpenAI's own client in a thread pool."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from agent_framework import Agent
from agent_framework_openai import OpenAIChatCompletionClient
from openai import OpenAI
from spec import CHAPTERS, READER, REQUEST, SYSTEM


def build(base_url: str, model: str) -> Agent:
    plain = OpenAI(base_url=base_url)

    def read(chapter: str) -> str:
        asked = [{"role": "system", "content": READER}, {"role": "user", "content": chapter}]
        return plain.chat.completions.create(model=model, messages=asked).choices[0].message.content

    def read_chapters() -> str:
        """Have all chapters read."""
        with ThreadPoolExecutor(4) as pool:
            return "\n".join(pool.map(read, CHAPTERS))

    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    return Agent(client, SYSTEM, name="editor", tools=[read_chapters])


async def run(agent: Any) -> str:
    return (await agent.run(REQUEST)).text

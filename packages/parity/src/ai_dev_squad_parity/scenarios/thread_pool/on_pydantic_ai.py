"""An agent whose tool asks the model by OpenAI's own client in a thread pool."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from openai import OpenAI
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
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

    llm = OpenAIChatModel(model, provider=OpenAIProvider(base_url=base_url))
    return Agent(llm, name="editor", instructions=SYSTEM, tools=[read_chapters])


async def run(agent: Any) -> str:
    return (await agent.run(REQUEST)).output

"""An agent whose tool asks the model by OpenAI's own client in a thread pool."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool
from openai import AsyncOpenAI, OpenAI
from spec import CHAPTERS, READER, REQUEST, SYSTEM


def build(base_url: str, model: str) -> Agent:
    plain = OpenAI(base_url=base_url)

    def read(chapter: str) -> str:
        asked = [{"role": "system", "content": READER}, {"role": "user", "content": chapter}]
        return plain.chat.completions.create(model=model, messages=asked).choices[0].message.content

    @function_tool
    def read_chapters() -> str:
        """Have all chapters read."""
        with ThreadPoolExecutor(4) as pool:
            return "\n".join(pool.map(read, CHAPTERS))

    chat = OpenAIChatCompletionsModel(model, AsyncOpenAI(base_url=base_url))
    return Agent(name="editor", instructions=SYSTEM, model=chat, tools=[read_chapters])


async def run(agent: Any) -> str:
    result = await Runner.run(agent, REQUEST)
    return result.final_output

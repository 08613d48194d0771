"""An agent, and hooks of the program around its run."""

from typing import Any

from agents import Agent, OpenAIChatCompletionsModel, RunHooks, Runner
from openai import AsyncOpenAI
from spec import REQUEST, SYSTEM


class Progress(RunHooks):
    calls = 0

    async def on_llm_end(self, context: Any, agent: Any, response: Any) -> None:
        self.calls += 1


def build(base_url: str, model: str) -> Agent:
    client = AsyncOpenAI(base_url=base_url)
    return Agent(name="assistant", instructions=SYSTEM, model=OpenAIChatCompletionsModel(model, client))


async def run(agent: Any) -> str:
    progress = Progress()
    result = await Runner.run(agent, REQUEST, hooks=progress)
    return f"{result.final_output} (heard of {progress.calls} call)"

"""An agent with a tool."""

from typing import Any

from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool
from openai import AsyncOpenAI
from spec import REQUEST, SYSTEM, look_up


def build(base_url: str, model: str) -> Agent:
    client = AsyncOpenAI(base_url=base_url)
    return Agent(
        name="clerk",
        instructions=SYSTEM,
        model=OpenAIChatCompletionsModel(model, client),
        tools=[function_tool(look_up)],
    )


async def run(agent: Any) -> str:
    result = await Runner.run(agent, REQUEST)
    return result.final_output

"""An agent whose tool is another agent that a person has to approve of."""

from typing import Any

from agents import Agent, OpenAIChatCompletionsModel, Runner
from openai import AsyncOpenAI
from spec import PUBLISHER, REQUEST, WRITER


def build(base_url: str, model: str) -> Agent:
    chat = OpenAIChatCompletionsModel(model, AsyncOpenAI(base_url=base_url))
    publisher = Agent(name="publisher", instructions=PUBLISHER, model=chat)
    publish = publisher.as_tool("publish", "Publishes a line.", needs_approval=True)
    return Agent(
        name="writer", instructions=WRITER, model=chat, tools=[publish], tool_use_behavior="stop_on_first_tool"
    )


async def run(agent: Any) -> str:
    waiting = await Runner.run(agent, REQUEST)
    state = waiting.to_state()
    for approval in waiting.interruptions:
        state.approve(approval)
    result = await Runner.run(agent, state)
    return result.final_output

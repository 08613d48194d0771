"""An agent whose run is streamed."""

from typing import Any

from agents import Agent, OpenAIChatCompletionsModel, Runner
from openai import AsyncOpenAI
from openai.types.responses import ResponseTextDeltaEvent
from spec import REQUEST, SYSTEM


def build(base_url: str, model: str) -> Agent:
    client = AsyncOpenAI(base_url=base_url)
    return Agent(name="assistant", instructions=SYSTEM, model=OpenAIChatCompletionsModel(model, client))


async def run(agent: Any) -> str:
    events = Runner.run_streamed(agent, REQUEST).stream_events()
    raw = [event.data async for event in events if event.type == "raw_response_event"]
    return "".join(data.delta for data in raw if isinstance(data, ResponseTextDeltaEvent))

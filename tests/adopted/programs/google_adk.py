"""An agent of Google's ADK, which traces itself, with LiteLLM."""

from __future__ import annotations

import asyncio

from google.adk.agents import Agent
from google.adk.models.lite_llm import LiteLlm
from google.adk.runners import InMemoryRunner
from google.genai import types
from opentelemetry.sdk.trace import TracerProvider


def weather(city: str) -> str:
    """The weather of a city."""
    return f"18 degrees in {city}"


def run(url: str, provider: TracerProvider) -> None:
    model = LiteLlm(model="openai/gpt-4o-mini", api_base=url, api_key="none")
    agent = Agent(name="forecaster", model=model, instruction="You forecast.", tools=[weather])

    async def ask() -> None:
        runner = InMemoryRunner(agent=agent, app_name="weather")
        await runner.session_service.create_session(app_name="weather", user_id="u-1", session_id="s-1")
        question = types.Content(role="user", parts=[types.Part(text="How warm is it in Paris?")])
        async for _ in runner.run_async(user_id="u-1", session_id="s-1", new_message=question):
            pass

    asyncio.run(ask())

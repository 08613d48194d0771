"""An agent of Strands, which traces itself."""

from __future__ import annotations

from opentelemetry.sdk.trace import TracerProvider
from strands import Agent, tool
from strands.models.openai import OpenAIModel


def weather(city: str) -> str:
    """The weather of a city."""
    return f"18 degrees in {city}"


def run(url: str, provider: TracerProvider) -> None:
    model = OpenAIModel(client_args={"base_url": url, "api_key": "none"}, model_id="gpt-4o-mini")
    Agent(name="forecaster", model=model, tools=[tool(weather)], callback_handler=None)("How warm is it in Paris?")

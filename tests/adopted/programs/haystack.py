"""A pipeline of Haystack with an agent in it."""

from __future__ import annotations

from haystack import Pipeline
from haystack.components.agents import Agent
from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.dataclasses import ChatMessage
from haystack.tools import create_tool_from_function
from haystack.utils import Secret
from openinference.instrumentation.haystack import HaystackInstrumentor
from opentelemetry.sdk.trace import TracerProvider


def weather(city: str) -> str:
    """The weather of a city."""
    return f"18 degrees in {city}"


def run(url: str, provider: TracerProvider) -> None:
    HaystackInstrumentor().instrument(tracer_provider=provider)
    model = OpenAIChatGenerator(model="gpt-4o-mini", api_base_url=url, api_key=Secret.from_token("none"))
    pipeline = Pipeline()
    pipeline.add_component("forecaster", Agent(chat_generator=model, tools=[create_tool_from_function(weather)]))
    pipeline.run({"forecaster": {"messages": [ChatMessage.from_user("How warm is it in Paris?")]}})

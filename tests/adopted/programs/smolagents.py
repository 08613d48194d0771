"""An agent of smolagents."""

from __future__ import annotations

from openinference.instrumentation.smolagents import SmolagentsInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from smolagents import OpenAIModel, ToolCallingAgent, tool

from ai_dev_squad_testing.model_server import call, tokens, tool_calls

SCRIPT = [
    tool_calls(call("weather", city="Paris"), usage=tokens(60, 20)),
    tool_calls(call("final_answer", answer="18"), usage=tokens(100, 20, cached=32)),
]


@tool
def weather(city: str) -> str:
    """The weather of a city.

    Args:
        city: where

    """
    return f"18 degrees in {city}"


def run(url: str, provider: TracerProvider) -> None:
    SmolagentsInstrumentor().instrument(tracer_provider=provider)
    model = OpenAIModel("gpt-4o-mini", api_base=url, api_key="none")
    ToolCallingAgent(name="forecaster", tools=[weather], model=model, verbosity_level=0).run("How warm is it?")

"""An agent of Agno, whose client is observed, too."""

from __future__ import annotations

from agno.agent import Agent
from agno.models.openai import OpenAIChat
from openinference.instrumentation.agno import AgnoInstrumentor
from openinference.instrumentation.openai import OpenAIInstrumentor
from opentelemetry.sdk.trace import TracerProvider


def weather(city: str) -> str:
    """The weather of a city."""
    return f"18 degrees in {city}"


def run(url: str, provider: TracerProvider) -> None:
    AgnoInstrumentor().instrument(tracer_provider=provider)
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    model = OpenAIChat(id="gpt-4o-mini", base_url=url, api_key="none")
    Agent(name="forecaster", model=model, tools=[weather], telemetry=False).run("How warm is it in Paris?")

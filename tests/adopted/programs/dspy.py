"""A program of DSPy that reasons and acts."""

from __future__ import annotations

import dspy
from openinference.instrumentation.dspy import DSPyInstrumentor
from opentelemetry.sdk.trace import TracerProvider

from ai_dev_squad_testing.model_server import reply, tokens

THOUGHT = """[[ ## next_thought ## ]]
{}

[[ ## next_tool_name ## ]]
{}

[[ ## next_tool_args ## ]]
{}

[[ ## completed ## ]]"""
ANSWER = """[[ ## reasoning ## ]]
it is

[[ ## answer ## ]]
18 degrees

[[ ## completed ## ]]"""
SCRIPT = [
    reply(THOUGHT.format("look", "weather", '{"city": "Paris"}'), usage=tokens(60, 20)),
    reply(THOUGHT.format("done", "finish", "{}"), usage=tokens(60, 20)),
    reply(ANSWER, usage=tokens(100, 20)),
]


def weather(city: str) -> str:
    """The weather of a city."""
    return f"18 degrees in {city}"


def run(url: str, provider: TracerProvider) -> None:
    DSPyInstrumentor().instrument(tracer_provider=provider)
    dspy.configure(lm=dspy.LM("openai/gpt-4o-mini", api_base=url, api_key="none", cache=False))
    dspy.ReAct("question -> answer", tools=[weather])(question="How warm is it in Paris?")

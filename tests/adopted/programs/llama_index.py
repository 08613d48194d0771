"""An agent of LlamaIndex."""

from __future__ import annotations

import asyncio

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.llms.openai_like import OpenAILike
from openinference.instrumentation.llama_index import LlamaIndexInstrumentor
from opentelemetry.sdk.trace import TracerProvider


def weather(city: str) -> str:
    """The weather of a city."""
    return f"18 degrees in {city}"


def run(url: str, provider: TracerProvider) -> None:
    LlamaIndexInstrumentor().instrument(tracer_provider=provider)
    model = OpenAILike(
        model="gpt-4o-mini", api_base=url, api_key="none", is_chat_model=True, is_function_calling_model=True
    )
    agent = FunctionAgent(name="forecaster", tools=[weather], llm=model, streaming=False)

    async def ask() -> None:
        await agent.run("How warm is it in Paris?")

    asyncio.run(ask())

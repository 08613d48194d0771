"""What observing a run of a Pydantic AI agent costs: its own spans, ours and OpenInference's side by side.

Each variant runs in its own process and its own environment; repetitions of a few runs go round the variants, so that the
machine's other work hits all alike. The model answers at once, so that nothing but the frameworks is measured; the same run is
made over OpenAI's client, too, by a transport and over HTTP, see ``answering_client``. *CPU* is that of the whole process per run,
background threads and the flush after the repetition included.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import Any

import answering_client
import environments
from overhead import compared, timed
from repetitions import in_words, interleaved
from report import Report, main
from variants import ours_to, provider_to
from worker import serve

VARIANTS = {
    "bare": environments.OURS,
    "Pydantic AI's own spans": environments.OURS,
    "ours: journal, costs": environments.OURS,
    "ours: journal, costs, OTLP": environments.OURS,
    "OpenInference": "openinference-pydantic-ai",
    answering_client.BARE: environments.OURS,
    answering_client.OURS: environments.OURS,
    answering_client.BARE_HTTP: environments.OURS,
    answering_client.OURS_HTTP: environments.OURS,
}
_LIMITS = {
    "ours: journal, costs": 1.3,
    "ours: journal, costs, OTLP": 1.5,
    answering_client.OURS: 1.3,
    answering_client.OURS_HTTP: 1.3,
}
_VERSIONS = (
    "openai",
    "pydantic-ai-slim",
    "opentelemetry-sdk",
    "ai-dev-squad-pydantic-ai",
    "openinference-instrumentation-pydantic-ai",
)


def _model() -> Any:
    """A model in the process that answers at once."""
    from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
    from pydantic_ai.models.function import FunctionModel

    async def answer(messages: Any, info: Any) -> ModelResponse:
        is_told = any(part.part_kind == "tool-return" for message in messages for part in message.parts)
        return ModelResponse(parts=[TextPart("fine") if is_told else ToolCallPart("look_up", {"word": "fig"})])

    return FunctionModel(answer)


def _model_of(variant: str) -> Any:
    """The model of this variant."""
    client = answering_client.client_of(variant, "look_up", {"word": "fig"})
    if client is None:
        return _model()
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    kind: Any = OpenAIResponsesModel if answering_client.is_over_http(variant) else OpenAIChatModel
    return kind(answering_client.MODEL, provider=OpenAIProvider(openai_client=client))


def _agent(variant: str = "bare") -> Any:
    """An agent that uses a tool once."""
    from pydantic_ai import Agent

    async def look_up(word: str) -> str:
        return word

    return Agent(_model_of(variant), name="clerk", instructions="You are the clerk.", tools=[look_up])


def _nothing() -> None:
    """Nothing to hand over."""


def _switch_on(name: str, endpoint: str | None) -> tuple[Callable[[Any], Any], Callable[[], object]]:
    """What makes an agent an observed one, and how what is held is handed over."""
    if name.startswith("bare"):
        return lambda agent: agent, _nothing
    if name.startswith("ours"):
        from ai_dev_squad_pydantic_ai import observe

        return observe, ours_to(name, endpoint)
    provider = provider_to(name, endpoint)
    from pydantic_ai import Agent
    from pydantic_ai.models.instrumented import InstrumentationSettings

    if name == "OpenInference":  # which rewrites the framework's own spans
        from openinference.instrumentation.pydantic_ai import OpenInferenceSpanProcessor

        provider.add_span_processor(OpenInferenceSpanProcessor())
    Agent.instrument_all(InstrumentationSettings(tracer_provider=provider))
    return lambda agent: agent, provider.force_flush


def _work(name: str) -> None:
    """Run repetitions of the workload under the observation called ``name``."""
    observe, flush = _switch_on(name, os.environ.get("BENCH_ENDPOINT"))

    agent = observe(_agent(name))

    async def ask(agent: Any) -> None:
        assert (await agent.run("What is a fig?")).output == "fine"

    serve(timed(lambda: agent, ask, flush, _VERSIONS))


def measure(options: argparse.Namespace) -> Report:
    """Run the repetitions and compare."""
    repetitions, runs = (3, 10) if options.quick else (25, 40)
    answers, spans = interleaved(VARIANTS, __file__, repetitions=repetitions, runs=runs, first_runs=3, counted_runs=2)
    return compared(
        "Observing a run of a Pydantic AI agent",
        "An agent that uses a tool once, a model that answers at once, in the process, behind OpenAI's client or behind HTTP on this machine; "
        f"{in_words(repetitions, runs)}. CPU: the process per run, with background threads and flush. "
        "Ratio: to the bare run over the same model, median of the repetitions' ratios.",
        answers,
        spans,
        _LIMITS,
    )


if __name__ == "__main__":
    main(measure, _work, __doc__)

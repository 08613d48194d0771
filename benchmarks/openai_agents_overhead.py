"""What observing a run of the OpenAI Agents SDK costs: its own traces, ours and OpenInference's side by side.

Each variant runs in its own process and its own environment; repetitions of a few runs go round the variants, so that the
machine's other work hits all alike. The model answers at once, so that nothing but the SDK is measured; the same run is made
over OpenAI's client, too, by a transport and over HTTP, see ``answering_client``. *CPU* is that of the whole process per run,
background threads and the flush after the repetition included. Except where they are what is measured, the SDK's own traces are
off; there they are made and handed to a processor that sends them nowhere.
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

RUNS = 20

VARIANTS = {
    "bare": environments.OURS,
    "the SDK's own traces": environments.OURS,
    "ours: journal, costs": environments.OURS,
    "ours: journal, costs, OTLP": environments.OURS,
    "OpenInference": "openinference-openai-agents",
    answering_client.BARE: environments.OURS,
    answering_client.OURS: environments.OURS,
    answering_client.BARE_HTTP: environments.OURS,
    answering_client.OURS_HTTP: environments.OURS,
}
_LIMITS = {
    "ours: journal, costs": 1.25,
    "ours: journal, costs, OTLP": 1.5,
    answering_client.OURS: 1.25,
    answering_client.OURS_HTTP: 1.25,
}
_VERSIONS = (
    "openai",
    "openai-agents",
    "opentelemetry-sdk",
    "ai-dev-squad-openai-agents",
    "openinference-instrumentation-openai-agents",
)


def _model() -> Any:
    """A model in the process that answers at once: by the tool, then by a text."""
    from agents import Model, ModelResponse, Usage
    from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

    called = ResponseFunctionToolCall(
        id="1", call_id="c1", name="look_up", arguments='{"word":"fig"}', type="function_call"
    )
    text = ResponseOutputText(text="fine", type="output_text", annotations=[])
    said = ResponseOutputMessage(id="2", content=[text], role="assistant", status="completed", type="message")

    class Instant(Model):
        model = "gpt-4o-mini"

        async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
            output = called if len(kwargs["input"]) == 1 else said
            usage = Usage(requests=1, input_tokens=100, output_tokens=10, total_tokens=110)
            return ModelResponse(output=[output], usage=usage, response_id=None)

        def stream_response(self, *args: Any, **kwargs: Any) -> Any:
            raise NotImplementedError

    return Instant()


def _model_of(variant: str) -> Any:
    """The model of this variant."""
    from agents import OpenAIChatCompletionsModel, OpenAIResponsesModel

    client = answering_client.client_of(variant, "look_up", {"word": "fig"})
    if client is None:
        return _model()
    kind: Any = OpenAIResponsesModel if answering_client.is_over_http(variant) else OpenAIChatCompletionsModel
    return kind(answering_client.MODEL, client)


def _agent(variant: str = "bare") -> Any:
    """An agent with a tool."""
    from agents import Agent, function_tool

    @function_tool
    async def look_up(word: str) -> str:
        """Look a word up."""
        return word

    return Agent(name="ann", model=_model_of(variant), tools=[look_up])


def _nothing() -> None:
    """Nothing to hand over."""


def _switch_on(name: str, endpoint: str | None) -> tuple[Callable[[Any], Any], Callable[[], object]]:
    """What makes an agent an observed one, and how what is held is handed over."""
    from agents import set_trace_processors, set_tracing_disabled

    set_tracing_disabled(name not in {"the SDK's own traces", "OpenInference"})
    if name.startswith("bare"):
        return lambda agent: agent, _nothing
    if name.startswith("ours"):
        from ai_dev_squad_openai_agents import observe

        return observe, ours_to(name, endpoint)
    if name == "OpenInference":
        from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor

        provider = provider_to(name, endpoint)
        OpenAIAgentsInstrumentor().instrument(tracer_provider=provider)  # takes the place of the SDK's own processor
        return lambda agent: agent, provider.force_flush
    from agents.tracing.processors import BatchTraceProcessor

    class Nowhere:
        def export(self, items: list[Any]) -> None:
            for item in items:
                item.export()

    processor = BatchTraceProcessor(Nowhere())  # type: ignore[arg-type]
    set_trace_processors([processor])
    return lambda agent: agent, processor.force_flush


def _work(name: str) -> None:
    """Run repetitions of the workload under the observation called ``name``."""
    observe, flush = _switch_on(name, os.environ.get("BENCH_ENDPOINT"))

    from agents import Runner

    agent = observe(_agent(name))

    async def repeat(agent: Any) -> None:
        for _ in range(RUNS):
            assert (await Runner.run(agent, "go")).final_output == "fine"

    serve(timed(lambda: agent, repeat, flush, _VERSIONS, units=RUNS))


def measure(options: argparse.Namespace) -> Report:
    """Run the repetitions and compare."""
    repetitions, repeats = (3, 3) if options.quick else (25, 10)
    answers, spans = interleaved(
        VARIANTS, __file__, repetitions=repetitions, runs=repeats, first_runs=3, counted_runs=2
    )
    return compared(
        "Observing a run of the OpenAI Agents SDK",
        "An agent, two model calls and a tool call, a model that answers at once, in the process, behind OpenAI's client or behind HTTP on this machine; "
        f"{in_words(repetitions, repeats * RUNS)}. "
        "CPU: the process per run, with background threads and flush. "
        "Ratio: to the bare run over the same model, median of the repetitions' ratios.",
        answers,
        {name: found / RUNS for name, found in spans.items()},
        _LIMITS,
    )


if __name__ == "__main__":
    main(measure, _work, __doc__)

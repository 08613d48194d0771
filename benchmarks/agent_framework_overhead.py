"""What observing a run of an Agent Framework agent costs: its own spans, ours and OpenInference's side by side.

Each variant runs in its own process and its own environment; repetitions of a few runs go round the variants, so that the
machine's other work hits all alike. The model answers at once, so that nothing but the framework is measured; the same run is
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

RUNS_AT_ONCE = 20

VARIANTS = {
    "bare": environments.OURS,
    "Agent Framework's own spans": environments.OURS,
    "ours: journal, costs": environments.OURS,
    "ours: journal, costs, OTLP": environments.OURS,
    "OpenInference": "openinference-agent-framework",
    answering_client.BARE: environments.OURS,
    answering_client.OURS: environments.OURS,
    answering_client.BARE_HTTP: environments.OURS,
    answering_client.OURS_HTTP: environments.OURS,
}
_LIMITS = {"ours: journal, costs": 1.3, answering_client.OURS: 1.3, answering_client.OURS_HTTP: 1.3}
_VERSIONS = (
    "agent-framework-core",
    "agent-framework-openai",
    "openai",
    "opentelemetry-sdk",
    "ai-dev-squad-agent-framework",
    "openinference-instrumentation-agent-framework",
)


def _client() -> Any:
    """A model that answers at once: it asks for a tool, and then has the answer. Its layers are those of every client."""
    from agent_framework import (
        BaseChatClient,
        ChatMiddlewareLayer,
        ChatResponse,
        Content,
        FunctionInvocationLayer,
        Message,
    )
    from agent_framework.observability import ChatTelemetryLayer

    usage: Any = {"input_token_count": 100, "output_token_count": 10}

    class Instant(FunctionInvocationLayer, ChatMiddlewareLayer, ChatTelemetryLayer, BaseChatClient):  # type: ignore[type-arg]
        model = "instant"

        def _inner_get_response(self, *, messages: Any, stream: bool, options: Any, **more: Any) -> Any:
            async def answer() -> ChatResponse:
                asked = messages[-1].role == "tool"
                content = Content.from_text("fine") if asked else Content.from_function_call("1", "add", arguments="{}")
                return ChatResponse(messages=[Message("assistant", [content])], usage_details=usage, model="instant")

            return answer()

    return Instant()


def _client_of(variant: str) -> Any:
    """What an agent asks its model by in this variant."""
    client = answering_client.client_of(variant, "add", {})
    if client is None:
        return _client()
    from agent_framework.openai import OpenAIChatClient, OpenAIChatCompletionClient

    kind: Any = OpenAIChatClient if answering_client.is_over_http(variant) else OpenAIChatCompletionClient
    return kind(answering_client.MODEL, async_client=client)


def _agent(variant: str = "bare") -> Any:
    from agent_framework import Agent

    async def add() -> str:
        return "3"

    return Agent(_client_of(variant), "You add.", name="ann", tools=[add])


def _nothing() -> None:
    """Nothing to hand over."""


def _switch_on(name: str, endpoint: str | None) -> tuple[Callable[[Any], Any], Callable[[], object]]:
    """What makes an agent an observed one, and how what is held is handed over."""
    if name.startswith("bare"):
        return lambda agent: agent, _nothing
    if name.startswith("ours"):
        from ai_dev_squad_agent_framework import observe

        return observe, ours_to(name, endpoint)
    provider = provider_to(name, endpoint)
    if name == "OpenInference":
        from openinference.instrumentation.agent_framework import AgentFrameworkToOpenInferenceProcessor

        provider.add_span_processor(AgentFrameworkToOpenInferenceProcessor())
    from opentelemetry import trace

    trace.set_tracer_provider(provider)
    return lambda agent: agent, provider.force_flush


def _work(name: str) -> None:
    """Run repetitions of the workload under the observation called ``name``."""
    observe, flush = _switch_on(name, os.environ.get("BENCH_ENDPOINT"))
    agent = observe(_agent(name))

    async def some(agent: Any) -> None:
        for _ in range(RUNS_AT_ONCE):
            assert (await agent.run("go")).text == "fine"

    serve(timed(lambda: agent, some, flush, _VERSIONS, units=RUNS_AT_ONCE))


def measure(options: argparse.Namespace) -> Report:
    """Run the repetitions and compare."""
    repetitions, runs = (3, 3) if options.quick else (25, 10)
    answers, spans = interleaved(VARIANTS, __file__, repetitions=repetitions, runs=runs, first_runs=3, counted_runs=2)
    return compared(
        "Observing a run of an Agent Framework agent",
        "Two model calls and a tool, a model that answers at once, in the process, behind OpenAI's client or behind HTTP on this machine; "
        f"{in_words(repetitions, runs * RUNS_AT_ONCE)}. CPU: the process per run, with background threads and flush. "
        "Ratio: to the bare run over the same model, median of the repetitions' ratios.",
        answers,
        {name: found / RUNS_AT_ONCE for name, found in spans.items()},
        _LIMITS,
    )


if __name__ == "__main__":
    main(measure, _work, __doc__)

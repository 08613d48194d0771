"""What observing a run of an Agent Framework agent costs: its own spans, ours and OpenInference's side by side.

Each variant runs in its own process and its own environment; repetitions of a few runs go round the variants, so that the
machine's other work hits all alike. The model answers at once, so that nothing but the framework is measured. *CPU* is
that of the whole process per run, background threads and the flush after the repetition included.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import environments
from repetitions import interleaved
from report import Report, Target, main, paired_ratio
from variants import provider_to
from worker import serve

RUNS_AT_ONCE = 20

VARIANTS = {
    "bare": environments.OURS,
    "Agent Framework's own spans": environments.OURS,
    "ours: journal, costs": environments.OURS,
    "ours: journal, costs, OTLP": environments.OURS,
    "OpenInference": "openinference-agent-framework",
}
_LIMITS = {"ours: journal, costs": 1.3}
_VERSIONS = (
    "agent-framework-core",
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


def _agent() -> Any:
    from agent_framework import Agent

    async def add() -> str:
        return "3"

    return Agent(_client(), "You add.", name="ann", tools=[add])


def _nothing() -> None:
    """Nothing to hand over."""


def _switch_on(name: str, endpoint: str | None) -> tuple[Callable[[Any], Any], Callable[[], object]]:
    """What makes an agent an observed one, and how what is held is handed over."""
    if name == "bare":
        return lambda agent: agent, _nothing
    if name.startswith("ours"):
        import ai_dev_squad
        from ai_dev_squad_agent_framework import observe

        settings: dict[str, Any] = {"log_dir": tempfile.mkdtemp(prefix="bench-journal-"), "service_name": name}
        if "OTLP" in name:
            settings |= {"exporter": "otlp", "endpoint": endpoint, "protocol": "http/protobuf"}
        ai_dev_squad.configure(**settings)
        return observe, ai_dev_squad.flush
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
    loop = asyncio.new_event_loop()

    def run(runs: int) -> dict[str, Any]:
        walls, cpu = [], 0.0

        async def some(agent: Any) -> None:
            for _ in range(RUNS_AT_ONCE):
                assert (await agent.run("go")).text == "fine"

        for _ in range(runs):
            agent = observe(_agent())
            started, before = time.perf_counter(), time.process_time()
            loop.run_until_complete(some(agent))
            walls.append(time.perf_counter() - started)
            cpu += time.process_time() - before
        before = time.process_time()
        flush()
        cpu += time.process_time() - before
        return {
            "wall_us": median(walls) / RUNS_AT_ONCE * 1e6,
            "cpu_us": cpu / runs / RUNS_AT_ONCE * 1e6,
            "versions": environments.versions(*_VERSIONS),
        }

    serve(run)


def measure(options: argparse.Namespace) -> Report:
    """Run the repetitions and compare."""
    repetitions, runs = (3, 3) if options.quick else (25, 10)
    answers, spans = interleaved(VARIANTS, __file__, repetitions=repetitions, runs=runs, first_runs=3, counted_runs=2)
    return _report(answers, {name: found / RUNS_AT_ONCE for name, found in spans.items()}, repetitions, runs)


def _report(answers: dict[str, list[dict[str, Any]]], spans: dict[str, float], repetitions: int, runs: int) -> Report:
    report = Report(
        title="Observing a run of an Agent Framework agent",
        how=f"Two model calls and a tool, a model that answers at once; median of {repetitions} interleaved repetitions of "
        f"{runs * RUNS_AT_ONCE} runs. CPU: the process per run, with background threads and flush. "
        "Ratio: to bare, median of the repetitions' ratios.",
        columns={
            "variant": "",
            "us": ",.0f",
            "CPU us": ",.0f",
            "best CPU us": ",.0f",
            "CPU ratio": ".2f",
            "spans": ".1f",
        },
    )
    cpu = {name: [answer["cpu_us"] for answer in found] for name, found in answers.items()}
    for name, found in answers.items():
        report.rows.append(
            {
                "variant": name,
                "us": median(answer["wall_us"] for answer in found),
                "CPU us": median(cpu[name]),
                "best CPU us": min(cpu[name]),
                "CPU ratio": paired_ratio(cpu[name], cpu["bare"]),
                "spans": spans[name],
            }
        )
        report.used(found[-1]["versions"])
    ratios = {name: paired_ratio(cpu[name], cpu["bare"]) for name in _LIMITS}
    report.targets = [
        Target(f"{name} / bare at most {limit}", f"{ratios[name]:.2f}", ratios[name] <= limit)
        for name, limit in _LIMITS.items()
    ]
    return report


if __name__ == "__main__":
    main(measure, _work, __doc__)

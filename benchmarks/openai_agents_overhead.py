"""What observing a run of the OpenAI Agents SDK costs: its own traces, ours and OpenInference's side by side.

Each variant runs in its own process and its own environment; repetitions of a few runs go round the variants, so that the
machine's other work hits all alike. The model answers at once, so that nothing but the SDK is measured. *CPU* is
that of the whole process per run, background threads and the flush after the repetition included. Except where they are what
is measured, the SDK's own traces are off; there they are made and handed to a processor that sends them nowhere.
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

RUNS = 20

VARIANTS = {
    "bare": environments.OURS,
    "the SDK's own traces": environments.OURS,
    "ours: journal, costs": environments.OURS,
    "ours: journal, costs, OTLP": environments.OURS,
    "OpenInference": "openinference-openai-agents",
}
_LIMITS = {"ours: journal, costs": 1.25, "ours: journal, costs, OTLP": 1.5}
_VERSIONS = (
    "openai-agents",
    "opentelemetry-sdk",
    "ai-dev-squad-openai-agents",
    "openinference-instrumentation-openai-agents",
)


def _agent() -> Any:
    """An agent with a tool, and a model that answers at once: by the tool, then by a text."""
    from agents import Agent, Model, ModelResponse, Usage, function_tool
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

    @function_tool
    async def look_up(word: str) -> str:
        """Look a word up."""
        return word

    return Agent(name="ann", model=Instant(), tools=[look_up])


def _nothing() -> None:
    """Nothing to hand over."""


def _switch_on(name: str, endpoint: str | None) -> tuple[Callable[[Any], Any], Callable[[], object]]:
    """What makes an agent an observed one, and how what is held is handed over."""
    from agents import set_trace_processors, set_tracing_disabled

    set_tracing_disabled(name not in {"the SDK's own traces", "OpenInference"})
    if name == "bare":
        return lambda agent: agent, _nothing
    if name.startswith("ours"):
        import ai_dev_squad
        from ai_dev_squad_openai_agents import observe

        settings: dict[str, Any] = {"log_dir": tempfile.mkdtemp(prefix="bench-journal-"), "service_name": name}
        if "OTLP" in name:
            settings |= {"exporter": "otlp", "endpoint": endpoint, "protocol": "http/protobuf"}
        ai_dev_squad.configure(**settings)
        return observe, ai_dev_squad.flush
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

    loop = asyncio.new_event_loop()

    async def repeat() -> None:
        agent = observe(_agent())
        for _ in range(RUNS):
            assert (await Runner.run(agent, "go")).final_output == "fine"

    def run(runs: int) -> dict[str, Any]:
        walls, cpu = [], 0.0
        for _ in range(runs):
            started, before = time.perf_counter(), time.process_time()
            loop.run_until_complete(repeat())
            walls.append(time.perf_counter() - started)
            cpu += time.process_time() - before
        before = time.process_time()
        flush()
        cpu += time.process_time() - before
        return {
            "wall_us": median(walls) / RUNS * 1e6,
            "cpu_us": cpu / runs / RUNS * 1e6,
            "versions": environments.versions(*_VERSIONS),
        }

    serve(run)


def measure(options: argparse.Namespace) -> Report:
    """Run the repetitions and compare."""
    repetitions, repeats = (3, 3) if options.quick else (25, 10)
    answers, spans = interleaved(
        VARIANTS, __file__, repetitions=repetitions, runs=repeats, first_runs=3, counted_runs=2
    )
    return _report(answers, {name: found / RUNS for name, found in spans.items()}, repetitions, repeats)


def _report(
    answers: dict[str, list[dict[str, Any]]], spans: dict[str, float], repetitions: int, repeats: int
) -> Report:
    report = Report(
        title="Observing a run of the OpenAI Agents SDK",
        how=f"An agent, two model calls and a tool call, a model that answers at once; median of {repetitions} interleaved "
        f"repetitions of {repeats * RUNS} runs. CPU: the process per run, with background threads and flush. "
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

"""What observing a turn of an AutoGen team costs: AutoGen's own spans, ours and OpenInference's side by side.

Each variant runs in its own process and its own environment; repetitions of a few runs go round the variants, so that the
machine's other work hits all alike. The model answers at once, so that nothing but the frameworks is measured. *CPU* is
that of the whole process per turn, background threads and the flush after the repetition included.
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

TURNS = 20

VARIANTS = {
    "bare": environments.OURS,
    "AutoGen's own spans": environments.OURS,
    "ours: journal, costs": environments.OURS,
    "ours: journal, costs, OTLP": environments.OURS,
    "OpenInference": "openinference-autogen",
}
_LIMITS = {"ours: journal, costs": 1.25, "ours: journal, costs, OTLP": 1.5}
_VERSIONS = (
    "autogen-agentchat",
    "opentelemetry-sdk",
    "ai-dev-squad-autogen",
    "openinference-instrumentation-autogen-agentchat",
)


def _client() -> Any:
    """A model that answers at once."""
    from autogen_core.models import ChatCompletionClient, CreateResult, ModelInfo, RequestUsage

    class Instant(ChatCompletionClient):
        usage = RequestUsage(100, 10)
        model_info = ModelInfo(
            vision=False, function_calling=True, json_output=False, family="unknown", structured_output=False
        )

        async def create(self, *args: Any, **kwargs: Any) -> CreateResult:
            return CreateResult(finish_reason="stop", content="fine", usage=self.usage, cached=False)

        def _unused(self, *args: Any, **kwargs: Any) -> Any:
            raise NotImplementedError

        create_stream = close = actual_usage = total_usage = count_tokens = remaining_tokens = capabilities = _unused

    return Instant()


def _team() -> Any:
    from autogen_agentchat.agents import AssistantAgent
    from autogen_agentchat.teams import RoundRobinGroupChat

    client = _client()
    members = [AssistantAgent(name, client) for name in ("ann", "bob")]
    return RoundRobinGroupChat(members, max_turns=TURNS)


def _nothing() -> None:
    """Nothing to hand over."""


def _switch_on(name: str, endpoint: str | None) -> tuple[Callable[[Any], Any], Callable[[], object]]:
    """What makes a team an observed one, and how what is held is handed over."""
    if name == "bare":
        return lambda team: team, _nothing
    if name.startswith("ours"):
        import ai_dev_squad
        from ai_dev_squad_autogen import observe

        settings: dict[str, Any] = {"log_dir": tempfile.mkdtemp(prefix="bench-journal-"), "service_name": name}
        if "OTLP" in name:
            settings |= {"exporter": "otlp", "endpoint": endpoint, "protocol": "http/protobuf"}
        ai_dev_squad.configure(**settings)
        return observe, ai_dev_squad.flush
    provider = provider_to(name, endpoint)
    if name == "OpenInference":
        from openinference.instrumentation.autogen_agentchat import AutogenAgentChatInstrumentor

        AutogenAgentChatInstrumentor().instrument(tracer_provider=provider)
    else:
        from opentelemetry import trace

        trace.set_tracer_provider(provider)
    return lambda team: team, provider.force_flush


def _work(name: str) -> None:
    """Run repetitions of the workload under the observation called ``name``."""
    observe, flush = _switch_on(name, os.environ.get("BENCH_ENDPOINT"))
    loop = asyncio.new_event_loop()

    def run(runs: int) -> dict[str, Any]:
        walls, cpu = [], 0.0
        for _ in range(runs):
            team = observe(_team())
            started, before = time.perf_counter(), time.process_time()
            result = loop.run_until_complete(team.run(task="go"))
            walls.append(time.perf_counter() - started)
            cpu += time.process_time() - before
            assert len(result.messages) == TURNS + 1
        before = time.process_time()
        flush()
        cpu += time.process_time() - before
        return {
            "wall_us": median(walls) / TURNS * 1e6,
            "cpu_us": cpu / runs / TURNS * 1e6,
            "versions": environments.versions(*_VERSIONS),
        }

    serve(run)


def measure(options: argparse.Namespace) -> Report:
    """Run the repetitions and compare."""
    repetitions, runs = (3, 3) if options.quick else (25, 10)
    answers, spans = interleaved(VARIANTS, __file__, repetitions=repetitions, runs=runs, first_runs=3, counted_runs=2)
    return _report(answers, {name: found / TURNS for name, found in spans.items()}, repetitions, runs)


def _report(answers: dict[str, list[dict[str, Any]]], spans: dict[str, float], repetitions: int, runs: int) -> Report:
    report = Report(
        title="Observing a turn of an AutoGen team",
        how=f"Two assistants, {TURNS} turns, a model that answers at once; median of {repetitions} interleaved repetitions of "
        f"{runs} runs. CPU: the process per turn, with background threads and flush. "
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

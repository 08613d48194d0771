"""What observing a turn of an AutoGen team costs: AutoGen's own spans, ours and OpenInference's side by side.

Each variant runs in its own process and its own environment; repetitions of a few runs go round the variants, so that the
machine's other work hits all alike. The model answers at once, so that nothing but the frameworks is measured. *CPU* is
that of the whole process per turn, background threads and the flush after the repetition included.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import Any

import environments
from overhead import compared, timed
from repetitions import in_words, interleaved
from report import Report, main
from variants import ours_to, provider_to
from worker import serve

TURNS = 20

VARIANTS = {
    "bare": environments.OURS,
    "AutoGen's own spans": environments.OURS,
    "ours: journal, costs": environments.OURS,
    "ours: journal, costs, OTLP": environments.OURS,
    "OpenInference": "openinference-autogen",
}
_LIMITS = {"ours: journal, costs": 1.1, "ours: journal, costs, OTLP": 1.5}
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
        from ai_dev_squad_autogen import observe

        return observe, ours_to(name, endpoint)
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

    async def take_turns(team: Any) -> None:
        assert len((await team.run(task="go")).messages) == TURNS + 1

    serve(timed(lambda: observe(_team()), take_turns, flush, _VERSIONS, units=TURNS))


def measure(options: argparse.Namespace) -> Report:
    """Run the repetitions and compare."""
    repetitions, runs = (3, 3) if options.quick else (25, 10)
    answers, spans = interleaved(VARIANTS, __file__, repetitions=repetitions, runs=runs, first_runs=3, counted_runs=2)
    return compared(
        "Observing a turn of an AutoGen team",
        f"Two assistants, {TURNS} turns, a model that answers at once; "
        f"{in_words(repetitions, runs)}. CPU: the process per turn, with background threads and flush. "
        "Ratio: to bare, median of the repetitions' ratios.",
        answers,
        {name: found / TURNS for name, found in spans.items()},
        _LIMITS,
    )


if __name__ == "__main__":
    main(measure, _work, __doc__)

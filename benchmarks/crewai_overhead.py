"""What observing a CrewAI crew costs: a kickoff against a model without latency, bare, ours and a peer's.

Each variant runs in its own process; repetitions of a few kickoffs go round the variants, so that the machine's other work
hits all alike. The model answers inside the process, through the events that CrewAI's own clients emit: what is left is
CrewAI and the observer. *CPU* is that of the whole process per kickoff, background threads and the flush included.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import environments
from repetitions import in_words, interleaved
from report import Report, Target, main, paired_ratio
from variants import ours_to, provider_to
from worker import serve

_VARIANTS = {
    "bare": environments.OURS,
    "ours: journal, costs": environments.OURS,
    "ours: journal, costs, OTLP": environments.OURS,
    "OpenInference": "openinference-crewai",
}
_VERSIONS = ("crewai", "ai-dev-squad", "ai-dev-squad-crewai", "openinference-instrumentation-crewai")
_EVENT_US, _KICKOFF = 60, 1.03


def _crew() -> Any:
    """Two agents with a tool: four model calls, two tool calls."""
    from crewai import Agent, Crew, Task
    from crewai.llms.base_llm import BaseLLM, llm_call_context
    from crewai.tools import tool

    @tool("look_up")
    def look_up(word: str) -> str:
        """Look a word up."""
        return word

    class Instant(BaseLLM):
        """A model that answers at once: a tool call first, a text then."""

        def call(self, messages: Any, tools: Any = None, callbacks: Any = None, *_: Any, **more: Any) -> Any:
            agent, task = more.get("from_agent"), more.get("from_task")
            asked = any(message.get("role") == "tool" for message in messages)
            call = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": '{"word": "x"}'}}
            answer: Any = "done" if asked or not tools else [call]
            with llm_call_context():
                self._emit_call_started_event(messages=messages, tools=tools, from_agent=agent, from_task=task)
                self._emit_call_completed_event(
                    response=answer,
                    call_type="llm_call",
                    from_agent=agent,
                    from_task=task,
                    messages=messages,
                    usage={"prompt_tokens": 200, "completion_tokens": 30, "total_tokens": 230},
                )
            return answer

        async def acall(self, *args: Any, **more: Any) -> Any:
            return self.call(*args, **more)

        def supports_function_calling(self) -> bool:
            return True

        def get_input_tokens_count(self, *args: Any, **more: Any) -> int:
            return 200  # CrewAI's own guess warns each time

    agents = [
        Agent(role=role, goal="g", backstory="b", llm=Instant(model="gpt-4o-mini"), tools=[look_up])
        for role in ("planner", "coder")
    ]
    tasks = [Task(name=agent.role, description=agent.role, expected_output="it", agent=agent) for agent in agents]
    return Crew(name="squad", agents=agents, tasks=tasks)


def _switch_on(name: str) -> tuple[Any, Callable[[], object]]:
    """Observe the crew as ``name`` says, and return it and what flushes."""
    endpoint = os.environ.get("BENCH_ENDPOINT")
    if name == "bare":
        return _crew(), lambda: None
    if name == "OpenInference":
        from openinference.instrumentation.crewai import CrewAIInstrumentor

        provider = provider_to(name, endpoint)
        CrewAIInstrumentor().instrument(tracer_provider=provider)
        return _crew(), provider.force_flush
    from ai_dev_squad_crewai import observe

    flush = ours_to(name, endpoint)
    return observe(_crew()), flush


def _events(crew: Any) -> int:
    """How many events one kickoff emits."""
    from crewai.events.stream_context import add_stream_sink, reset_stream_sinks

    seen: list[str] = []
    token = add_stream_sink(lambda source, event: seen.append(event.type))
    crew.kickoff()
    reset_stream_sinks(token)
    return len(seen)


def _work(name: str) -> None:
    """Run repetitions of kickoffs under the observation called ``name``."""
    os.environ |= {
        "CREWAI_DISABLE_TELEMETRY": "true",  # it would look for its server at exit, for 10 s
        "CREWAI_TRACING_ENABLED": "false",
        "CREWAI_DISABLE_VERSION_CHECK": "true",
        "CREWAI_TESTING": "true",
        "CREWAI_STORAGE_DIR": tempfile.mkdtemp(prefix="bench-crewai-"),
    }
    crew, flush = _switch_on(name)
    with contextlib.redirect_stdout(sys.stderr):
        events = _events(crew)

    def run(runs: int) -> dict[str, Any]:
        walls = []
        cpu = time.process_time()
        for _ in range(runs):
            started = time.perf_counter()
            result = crew.kickoff()
            walls.append(time.perf_counter() - started)
        flush()
        cpu = time.process_time() - cpu
        assert result.raw == "done"
        return {
            "wall_ms": median(walls) * 1e3,
            "cpu_ms": cpu / runs * 1e3,
            "events": events,
            "versions": environments.versions(*_VERSIONS),
        }

    serve(run)


def measure(options: argparse.Namespace) -> Report:
    """Run the repetitions and compare."""
    repetitions, runs = (3, 3) if options.quick else (20, 10)
    answers, _ = interleaved(_VARIANTS, __file__, repetitions=repetitions, runs=runs, first_runs=3, counted_runs=2)
    return _report(answers, repetitions, runs)


def _report(answers: dict[str, list[dict[str, Any]]], repetitions: int, runs: int) -> Report:
    events = answers["bare"][0]["events"]
    report = Report(
        title="Observing a CrewAI kickoff",
        how=f"Two agents, four model calls without latency, two tool calls, {events} events; "
        f"{in_words(repetitions, runs, 'kickoffs')}. Time: one kickoff. CPU: the process per kickoff, with background "
        "threads and flush. Ratio: to bare, median of the repetitions' ratios.",
        columns={
            "variant": "",
            "ms": ".1f",
            "ratio": ".3f",
            "CPU ms": ".1f",
            "CPU ratio": ".3f",
            "CPU us per event": ".0f",
        },
    )
    wall = {name: [answer["wall_ms"] for answer in found] for name, found in answers.items()}
    cpu = {name: [answer["cpu_ms"] for answer in found] for name, found in answers.items()}
    for name, found in answers.items():
        added = median(one - bare for one, bare in zip(cpu[name], cpu["bare"], strict=True)) * 1e3 / events
        ratio = paired_ratio(wall[name], wall["bare"])
        report.rows.append(
            {
                "variant": name,
                "ms": median(wall[name]),
                "ratio": ratio,
                "CPU ms": median(cpu[name]),
                "CPU ratio": paired_ratio(cpu[name], cpu["bare"]),
                "CPU us per event": added,
            }
        )
        report.used(found[-1]["versions"])
        if name == "ours: journal, costs":
            report.targets = [
                Target(f"at most {_EVENT_US} us of CPU per event", f"{added:.0f} us", added <= _EVENT_US),
                Target(f"at most {_KICKOFF} of a bare kickoff's time", f"{ratio:.3f}", ratio <= _KICKOFF),
            ]
    return report


if __name__ == "__main__":
    main(measure, _work, __doc__)

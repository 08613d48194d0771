"""pytest plugin: observe every crew, flow, agent and task, and compare what was counted with the recorded answers.

Settings and checks are those of ``observe_langgraph_plugin``. Beside its observations each worker leaves
``tokens.json``: for each test that played recorded answers, what these say and what was counted, as
``{node id: {"recorded": [input, output, calls], "counted": [input, output, calls]}}``.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import observe_langgraph_plugin as base
import pytest
from recorded_answers import Tokens, billed

ENDS = ("llm_call_completed", "llm_call_failed")
CALLS = ("llm_call_started", "llm_stream_chunk", "llm_thinking_chunk", *ENDS)


class CrewAIObserver(base.Observer):
    """Marks CrewAI's base classes, so that whatever is built, copied or restored is observed when it runs."""

    def start(self) -> None:
        self.recorded: list[tuple[str, str, bytes | str]] = []
        self.begun: list[tuple[float, str]] = []
        super().start()

    def observe_framework(self) -> None:
        from crewai import Crew, Flow, Task
        from crewai.agents.agent_builder.base_agent import BaseAgent
        from vcr.cassette import Cassette

        from ai_dev_squad_crewai import observe

        observe(Flow)
        for cls in (Crew, BaseAgent, Flow, Task):
            self.observe(cls)
        self.watch_playing(Cassette)

    def watch_playing(self, cassette_type: Any) -> None:
        """Remember each recorded answer that a test is given."""
        play = cassette_type.play_response

        @functools.wraps(play)
        def watched(cassette: Any, request: Any) -> Any:
            response = play(cassette, request)
            self.recorded.append((self.test, request.uri, response.get("body", {}).get("string", b"")))
            return response

        cassette_type.play_response = watched

    @contextmanager
    def around_test(self) -> Iterator[None]:
        """Have model calls counted that a test makes by itself, outside of all that can be observed."""
        from crewai.events.stream_context import add_stream_sink, reset_stream_sinks

        token = add_stream_sink(take_lone_calls)
        try:
            yield
        finally:
            reset_stream_sinks(token)
            end_lone_calls()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.begun.append((time.time(), nodeid))

    def pytest_sessionfinish(self) -> None:
        super().pytest_sessionfinish()
        compared = compare(self.recorded, self.counted())
        (self.directory / "tokens.json").write_text(json.dumps(compared), encoding="utf-8")

    def counted(self) -> dict[str, Tokens]:
        """What was counted in each test: a line belongs to the test that was running when it was written."""
        from ai_dev_squad.events import read_journal

        lines = read_journal(self.directory) if any(self.directory.glob("*.jsonl*")) else ()
        calls = sorted(
            (line.timestamp.timestamp(), Tokens(line.usage.input_tokens or 0, line.usage.output_tokens or 0, 1))
            for line in lines
            if line.usage is not None and line.status is not None and line.usage.source == "provider"
        )
        counted: dict[str, Tokens] = {}
        tests = iter([*self.begun, (float("inf"), "")])
        running, (until, following) = "(no test running)", next(tests)
        for when, tokens in calls:
            while when >= until:
                running, (until, following) = following, next(tests)
            counted[running] = counted.get(running, Tokens()).plus(tokens)
        return counted


def compare(recorded: list[tuple[str, str, bytes | str]], counted: dict[str, Tokens]) -> dict[str, Any]:
    """For each test that was given recorded answers of a model, what these say and what was counted."""
    said: dict[str, Tokens] = {}
    for test, url, body in recorded:
        tokens = billed(url, body)
        if tokens is not None:
            said[test] = said.get(test, Tokens()).plus(tokens)
    return {test: {"recorded": tokens, "counted": counted.get(test, Tokens())} for test, tokens in said.items()}


def take_lone_calls(source: Any, event: Any) -> None:
    """A sink for model calls outside of observed runs: each becomes an operation without a parent."""
    from ai_dev_squad_crewai._invocation import Call
    from ai_dev_squad_crewai._sink import sink

    if event.type not in CALLS:
        return
    last = Call.last()
    if last is not None and last.ended and is_lone(last):
        last = None
    if is_lone(last) if last is not None else event.type == "llm_call_started":
        sink(source, event)


def end_lone_calls() -> None:
    """End those that told of no end: no run encloses them that would."""
    from ai_dev_squad_crewai._invocation import Call, end

    last = Call.last()
    if last is None:
        return
    *_, outermost = last.outwards()
    if is_lone(outermost) and not outermost.ended:
        end(outermost, "abandoned")


def is_lone(call: Any) -> bool:
    return call.kind == "model call" and call.parent is None


def pytest_configure(config: pytest.Config) -> None:
    base.configure(config, CrewAIObserver)

"""Many runs: at the same time they never mix, and one after the other they leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import re
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest

from ai_dev_squad import session
from ai_dev_squad_testing.captured import Captured, capture
from ai_dev_squad_testing.contract.harness import Harness
from ai_dev_squad_testing.contract.tree import roots
from ai_dev_squad_testing.fixtures import Serve
from ai_dev_squad_testing.model_server import reply, respond, tokens

__all__ = ["Concurrency"]

_ATTEMPTS = 3
"""Measurements of memory at most: a leak is in each of them."""


class Concurrency(Harness):
    """Tests of many runs at the same time, and of what they leave in memory."""

    concurrent_runs: ClassVar[int] = 100
    """How many runs, each with a session of its own, are under way at the same time."""
    trivial_runs: ClassVar[int] = 10_000
    """How many times a program without a model is run to see whether memory grows."""
    model_runs: ClassVar[int] = 100
    """How many fresh programs that ask a model are made, observed and run for the same purpose."""

    @pytest.mark.parametrize("mode", ["run", "arun"])
    def test_concurrent_runs_never_mix(self, captured: Captured, serve: Serve, mode: str) -> None:
        """Each run has its own answer, trace, session and call; under asyncio as in threads."""
        self.need(mode)

        def answer(request: Any) -> Any:
            asked = re.findall(r"question-(\d+)-", " ".join(message.text for message in request.messages))
            return reply(f"answer-{asked[-1]}-", usage=tokens(1000 + int(asked[-1]), 1))

        server = serve(respond(answer, times=None))
        numbers = range(self.concurrent_runs)

        def in_thread(number: int) -> str:
            with session(f"session-{number}"):
                return self.run(self.observe(self.asking(server.base_url)), f"question-{number}-")

        async def in_task(number: int) -> str:
            with session(f"session-{number}"):
                return await self.arun(self.observe(self.asking(server.base_url)), f"question-{number}-")

        async def in_tasks() -> list[str]:
            return list(await asyncio.gather(*map(in_task, numbers)))

        if mode == "arun":
            answers = self.in_a_loop(in_tasks())
        else:
            # Client libraries make their models at first use, and not all do so safely in threads: one run goes ahead.
            first, *others = numbers
            answers = [in_thread(first)]
            with ThreadPoolExecutor(20) as pool:
                answers += pool.map(in_thread, others)

        assert [re.findall(r"answer-(\d+)-", text)[-1:] for text in answers] == [[str(number)] for number in numbers]
        sessions: dict[str | None, set[str | None]] = {}
        for line in (*captured.opening(), *captured.closing()):
            sessions.setdefault(line.trace_id, set()).add(line.session_id)
        assert sorted(map(sorted, sessions.values())) == sorted([f"session-{n}"] for n in numbers)  # type: ignore[arg-type]
        asked = {line.session_id: line.usage and line.usage.input_tokens for line in captured.closing("chat")}
        assert asked == {f"session-{number}": 1000 + number for number in numbers}
        assert len(roots(captured)) == self.concurrent_runs

    def test_memory_stays_flat_over_many_runs(self) -> None:
        """Whatever a run allocates is gone when it is over; the same program is run again and again."""
        self.need("working")

        def nothing() -> None:
            pass

        per_run = self._left_per_run(lambda observe: _always(observe(self.working(nothing))), self.trivial_runs, 0.1)

        assert per_run < 0.1

    def test_memory_stays_flat_over_many_programs(self, serve: Serve) -> None:
        """The same for programs that are made, observed, asked and forgotten, as in a service."""
        server = serve(reply("one two three", times=None))

        per_run = self._left_per_run(lambda observe: lambda: observe(self.asking(server.base_url)), self.model_runs, 5)

        assert per_run < 5

    def _left_per_run(
        self, programs: Callable[[Callable[[Any], Any]], Callable[[], Any]], runs: int, enough: float
    ) -> float:
        """The memory blocks that each observed run leaves behind, beyond what the framework itself leaves.

        A leak is there each time; what a framework happens to keep in one stretch of runs isn't. So it's measured anew
        while there's more than ``enough``, a few times at most, and the least counts.
        """
        with capture(spans=False, ledger_size=10) as captured:

            async def finish_all(make: Callable[[], Any], times: int) -> None:
                for _ in range(times):
                    await self.arun(make(), "go")
                    captured.lines.clear()

            def repeat(make: Callable[[], Any], times: int) -> int:
                gc.collect()
                before = sys.getallocatedblocks()
                if self.main_mode == "arun":
                    self.in_a_loop(finish_all(make, times))
                else:
                    for _ in range(times):
                        self.finish(make())
                        captured.lines.clear()
                gc.collect()
                return sys.getallocatedblocks() - before

            few = max(runs // 10, 10)
            plain, observed = programs(lambda program: program), programs(self.observe)
            repeat(plain, few)
            repeat(observed, few)  # caches are full from here on
            left: list[float] = []
            while len(left) < _ATTEMPTS and (not left or min(left) >= enough):
                by_framework = repeat(plain, few) / few
                left.append(repeat(observed, runs) / runs - max(by_framework, 0))
            return min(left)


def _always(program: Any) -> Callable[[], Any]:
    return lambda: program

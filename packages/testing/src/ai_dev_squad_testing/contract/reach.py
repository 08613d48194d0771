"""A model call that the framework announces to nobody is counted, and a budget holds for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Any

import httpx
import pytest

from ai_dev_squad import BudgetExceeded, runtime
from ai_dev_squad_testing.captured import Captured
from ai_dev_squad_testing.contract.harness import Harness
from ai_dev_squad_testing.fixtures import Serve, whole_runs
from ai_dev_squad_testing.model_server import ModelServer, reply, tokens
from ai_dev_squad_testing.recording import use_cassette

__all__ = ["Reach"]

# gpt-4o: 2.50 USD per million input tokens, 10 USD per million output tokens.
ANSWER = reply("fine", usage=tokens(100, 4_475), times=None)
PRICE = 0.045
LIMIT = 0.10
BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "q"}], "max_completion_tokens": 4_475}
TEXTS = {"model": "text-embedding-3-small", "input": "abc " * 823}
"""823 tokens, as the model server counts them."""

Step = Callable[[], None]


def ask(server: ModelServer, path: str = "/chat/completions", body: Any = BODY) -> None:
    """Call a model by a client of one's own, without the framework."""
    with httpx.Client() as client:
        client.post(server.base_url + path, json=body).raise_for_status()


def own_client(server: ModelServer) -> Step:
    """In the step itself."""
    return lambda: ask(server)


def thread_pool(server: ModelServer) -> Step:
    """In a thread that knows nothing of the step's context."""

    def step() -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(ask, server).result()

    return step


WAYS = {"own client": own_client, "thread pool": thread_pool}


def counted(captured: Captured) -> list[tuple[Any, ...]]:
    """Each model call: what it was, its tokens, its cost, and who told of it."""
    return [
        (
            line.operation,
            line.usage and (line.usage.input_tokens, line.usage.output_tokens, line.usage.source),
            line.cost and line.cost.usd,
            (line.metadata or {}).get("ai_dev_squad.origin"),
        )
        for line in captured.closing()
        if line.operation in {"chat", "embeddings"}
    ]


def limit_to(usd: float) -> None:
    """From here on no more than this may be spent."""
    runtime.get_cost_tracker().budget_manager.set_budget("daily", limit_usd=usd, period="daily", on_exceed="stop")


class Reach(Harness):
    """Tests of calls in threads, by other clients and after their step, and of answers that were recorded."""

    @pytest.mark.parametrize("way", WAYS)
    def test_a_call_that_nobody_announces(self, captured: Captured, serve: Serve, way: str) -> None:
        """By a client of one's own or in a bare thread, it is one call of its run, with what was billed."""
        self.need("working")

        self.finish(self.observe(self.working(WAYS[way](serve(ANSWER)))))

        assert counted(captured) == [("chat", (100, 4_475, "provider"), PRICE, "wire")]
        assert len({line.trace_id for line in captured.lines}) == 1

    @pytest.mark.parametrize("streaming", [False, True])
    def test_an_answer_out_of_a_file_is_observed_as_a_real_one(self, tmp_path: Path, streaming: bool) -> None:
        """What was recorded once is given back offline: the same pieces, tree, tokens and cost."""
        mode = self.streaming_mode if streaming else self.main_mode

        def told(base_url: str, *, record: bool) -> tuple[Any, ...]:
            with whole_runs() as captured, use_cassette(tmp_path / "answers.json", record=record):
                pieces = self.play(mode, self.observe(self.asking_in(mode, base_url)))
            return pieces, captured.tree(), counted(captured)

        with ModelServer([reply("It is Paris.", usage=tokens(120, 8))]) as server:
            first = told(server.base_url, record=True)

        assert told(server.base_url, record=False) == first
        assert [call[:2] for call in first[2]] == [("chat", (120, 8, "provider"))]

    @pytest.mark.parametrize("way", WAYS)
    def test_a_budget_holds_for_it(self, captured: Captured, serve: Serve, way: str) -> None:
        """Of eight calls a budget of $0.10 lets two pass; the others are not sent, and the step is told why."""
        self.need("working")
        server = serve(ANSWER)
        step = WAYS[way](server)
        limit_to(LIMIT)
        told: list[type[BaseException] | None] = []

        def working() -> None:
            try:
                step()
            except BaseException as error:
                told.append(type(error) if not isinstance(error, BudgetExceeded) else BudgetExceeded)
                raise
            told.append(None)

        program = self.observe(self.working(working))
        for _ in range(8):
            self.attempt(self.main_mode, program)

        server.settle()
        assert told[:2] == [None, None]
        assert {*told[2:]} == {BudgetExceeded}
        assert server.truth.totals.calls == 2
        assert [entry.cost_usd for entry in runtime.get_cost_tracker().entries] == [PRICE, PRICE]

    def test_embeddings_are_counted(self, captured: Captured, serve: Serve) -> None:
        """What an embedding model is asked is an operation below its step, priced (langfuse#5083)."""
        self.need("working")
        server = serve(reply(times=None))

        self.finish(self.observe(self.working(lambda: ask(server, "/embeddings", TEXTS))))

        # 0.02 USD per million tokens.
        assert counted(captured) == [("embeddings", (823, None, "provider"), 0.00001646, "wire")]
        assert len({line.trace_id for line in captured.lines}) == 1

    def test_a_budget_holds_for_embeddings(self, captured: Captured, serve: Serve) -> None:
        """Embeddings for which there is no money are not asked for."""
        self.need("working")
        server = serve(reply(times=None))
        limit_to(0.00002)
        program = self.observe(self.working(lambda: ask(server, "/embeddings", TEXTS)))

        for _ in range(3):
            self.attempt(self.main_mode, program)

        server.settle()
        assert server.truth.totals.calls == 1

    def test_a_call_that_outlives_its_step(self, captured: Captured, serve: Serve) -> None:
        """Made after its step and its run have ended, it stays in their trace, as late, with what was billed; of eight a
        budget of $0.10 lets two pass (dd-trace-py#13795).
        """
        self.need("working")
        server = serve(ANSWER)
        limit_to(LIMIT)
        told: list[type[BaseException] | None] = []

        def run_and_ask_afterwards() -> None:
            ended = threading.Event()
            threads: list[threading.Thread] = []

            def later() -> None:
                ended.wait(10)
                try:
                    ask(server)
                except BaseException as error:  # noqa: BLE001 - it is what is tested
                    told.append(type(error))
                else:
                    told.append(None)

            def step() -> None:
                threads.append(threading.Thread(target=copy_context().run, args=(later,)))
                threads[0].start()

            try:
                self.finish(self.observe(self.working(step)))
            finally:
                ended.set()
                for thread in threads:
                    thread.join()

        for _ in range(8):
            run_and_ask_afterwards()

        server.settle()
        assert counted(captured)[:2] == [("chat", (100, 4_475, "provider"), PRICE, "wire")] * 2
        late = captured.closing("chat")
        assert {(line.metadata or {}).get("ai_dev_squad.late") for line in late} == {True}
        assert len({line.trace_id for line in captured.closing()}) == 8
        assert [refusal is None or issubclass(refusal, BudgetExceeded) for refusal in told] == [True] * 8
        assert [refusal is None for refusal in told] == [True] * 2 + [False] * 6
        assert server.truth.totals.calls == 2

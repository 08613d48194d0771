"""One run is one trace, every operation ends once, and the user's own spans and HTTP calls nest where they belong."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from contextvars import copy_context
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry import propagate

from ai_dev_squad import attributes as keys
from ai_dev_squad import runtime, session
from ai_dev_squad.operations import open_operations
from ai_dev_squad_testing.captured import Captured
from ai_dev_squad_testing.contract.harness import MODES, Harness, on_each_request
from ai_dev_squad_testing.fixtures import Serve
from ai_dev_squad_testing.model_server import call, reply, tool_calls

__all__ = ["Tree"]


def over(captured: Captured) -> bool:
    """Whether everything that began has ended, its line written and its span ended, where there are spans: another thread
    does so a moment after the end.
    """
    begun, spans = len(captured.opening()), captured.spans
    return not open_operations() and len(captured.closing()) >= begun and (not spans or len(spans) >= begun)


def ends_once(captured: Captured, *, in_order: bool = True) -> None:
    """Every opening line has one closing line and one span, and nothing ends after what it is part of.

    ``in_order=False``: the run was broken off, and a thread that nobody can stop may have been still at work.
    """
    opened = Counter(line.span_id for line in captured.opening())
    assert opened
    assert set(opened.values()) == {1}
    assert Counter(line.span_id for line in captured.closing()) == opened
    spans = {f"{span.context.span_id:016x}": span for span in captured.spans}
    assert set(opened) <= set(spans)
    assert len(spans) == len(captured.spans)
    ended: list[str | None] = [line.span_id for line in captured.closing()]
    late = [
        line.message
        for line in captured.closing()
        if line.parent_span_id in ended and ended.index(line.parent_span_id) < ended.index(line.span_id)
    ]
    assert late == [] or not in_order
    parents = {line.span_id: line.parent_span_id for line in captured.closing()}
    assert {
        span_id: span.parent and f"{span.parent.span_id:016x}" for span_id, span in spans.items() if span_id in parents
    } == parents


def roots(captured: Captured) -> list[Any]:
    """The closing lines of what was not part of anything else."""
    return [line for line in captured.closing() if line.parent_span_id is None]


class Tree(Harness):
    """Tests of structure and context."""

    def carrying(self) -> Any:
        """A context manager in which the framework's HTTP requests carry ``traceparent``; by default,
        those of httpx.
        """
        return on_each_request(propagate.inject)

    @pytest.mark.parametrize("mode", MODES)
    def test_a_run_is_one_trace_in_which_everything_ends_once(
        self, captured: Captured, serve: Serve, mode: str
    ) -> None:
        """One root, all below it, each operation with one start, one end and one span."""
        server = serve(reply("one two three"))

        self.play(mode, self.observe(self.asking_in(mode, server.base_url)))

        ends_once(captured)
        (root,) = roots(captured)
        assert root.operation in {"invoke_workflow", "invoke_agent"}
        assert {line.status for line in captured.closing()} == {"ok"}
        assert {line.trace_id for line in captured.lines} == {root.trace_id}
        assert {line.framework for line in captured.lines} == {self.framework}

    @pytest.mark.parametrize("program", ["with_tool", "two_agents", "in_parallel"])
    def test_larger_runs_are_one_trace_too(self, captured: Captured, serve: Serve, program: str) -> None:
        """Tools, several agents and parallel branches keep to one trace."""
        self.need(program)
        steps = {
            "with_tool": [tool_calls(call("look_up", word="a")), reply("done")],
            "two_agents": [reply("a plan"), reply("some code")],
            "in_parallel": [reply("done", times=3, latency=0.02)],
        }
        server = serve(*steps[program])

        def look_up(word: str) -> str:
            """Look a word up."""
            return word.upper()

        arguments = (look_up,) if program == "with_tool" else ()
        self.finish(self.observe(getattr(self, program)(server.base_url, *arguments)))

        ends_once(captured)
        (root,) = roots(captured)
        assert {line.trace_id for line in captured.lines} == {root.trace_id}
        assert server.truth.steps_left == ()

    @pytest.mark.parametrize("mode", MODES)
    def test_http_requests_belong_to_the_model_call(self, captured: Captured, serve: Serve, mode: str) -> None:
        """What reaches the provider carries the id of the chat span."""
        server = serve(reply("one two three"))

        with self.carrying():
            self.play(mode, self.observe(self.asking_in(mode, server.base_url)))

        (line,) = captured.closing("chat")
        assert (server.truth.calls[0].traceparent or "").split("-")[1:3] == [line.trace_id, line.span_id]

    def test_a_task_of_a_session_stands_on_its_runs(self, captured: Captured, serve: Serve) -> None:
        """What a run is asked to do is on its first operation, on both lines and on the span, and on nothing below it."""
        server = serve(reply("one", times=2))

        with session("desk", task="refund"):
            self.finish(self.observe(self.asking_in(self.main_mode, server.base_url)))

        (root,) = roots(captured)
        labelled = {line.span_id for line in captured.lines if keys.TASK_LABEL in (line.metadata or {})}
        assert labelled == {root.span_id}
        assert [
            (line.metadata or {})[keys.TASK_LABEL]
            for line in (*captured.opening(), *captured.closing())
            if line.span_id == root.span_id
        ] == ["refund"] * 2
        spans = {
            f"{span.context.span_id:016x}": (span.attributes or {}).get(keys.TASK_LABEL) for span in captured.spans
        }
        assert {span_id for span_id, task in spans.items() if task == "refund"} == {root.span_id}

    def test_a_task_may_be_said_where_a_program_is_observed(self, captured: Captured, serve: Serve) -> None:
        """It labels the runs of this program, and goes before what the session says."""
        self.need("observe_as")
        server = serve(reply("one", times=2))
        program = self.asking_in(self.main_mode, server.base_url)

        with session("desk", task="other"):
            self.finish(self.observe_as(program, "refund"))

        said = {(line.metadata or {}).get(keys.TASK_LABEL) for line in captured.lines if line.parent_span_id is None}
        assert said == {"refund"}

    def test_spans_of_the_users_own_step_belong_to_the_run(self, captured: Captured) -> None:
        """A span that the user opens in a step of their own is below the run's root, and belongs to its trace."""
        self.need("working")
        tracer = runtime.get_trace_manager().tracer

        def work() -> None:
            with tracer.start_as_current_span("user's"):
                pass

        self.finish(self.observe(self.working(work)))

        (own,) = (span for span in captured.spans if span.name == "user's")
        (root,) = roots(captured)
        assert own.parent is not None
        assert f"{own.parent.span_id:016x}" in {line.span_id for line in captured.closing()}
        assert f"{own.context.trace_id:032x}" == root.trace_id

    def test_spans_of_a_tool_belong_to_the_tool(self, captured: Captured, serve: Serve) -> None:
        """A span that is opened in a tool is a child of the tool's span."""
        self.need("with_tool")
        server = serve(tool_calls(call("look_up", word="a")), reply("done"))
        tracer = runtime.get_trace_manager().tracer

        def look_up(word: str) -> str:
            """Look a word up."""
            with tracer.start_as_current_span("user's"):
                return word.upper()

        self.finish(self.observe(self.with_tool(server.base_url, look_up)))

        (own,) = (span for span in captured.spans if span.name == "user's")
        (tool,) = captured.closing("execute_tool")
        assert own.parent is not None
        assert f"{own.parent.span_id:016x}" == tool.span_id

    @pytest.mark.parametrize("mode", MODES)
    def test_a_run_belongs_to_the_span_around_it(self, captured: Captured, serve: Serve, mode: str) -> None:
        """Under a span of the user's own the run is that span's child, it alone says that it is a run all the same, and the context is
        as before when it is over.
        """
        server = serve(reply("one two three"))
        tracer = runtime.get_trace_manager().tracer
        program = self.observe(self.asking_in(mode, server.base_url))

        with tracer.start_as_current_span("request") as request:
            before = otel_context.get_current()
            self.play(mode, program)
            assert otel_context.get_current() == before

        context = request.get_span_context()
        outside = [line for line in captured.closing() if line.parent_span_id == f"{context.span_id:016x}"]
        assert len(outside) == 1
        said = {line.span_id for line in captured.lines if (line.metadata or {}).get(keys.LOCAL_ROOT)}
        assert said == {outside[0].span_id}
        assert {line.trace_id for line in captured.lines} == {f"{context.trace_id:032x}"}

    @pytest.mark.parametrize("mode", ["stream", "astream"])
    def test_between_pieces_the_context_is_the_callers(self, captured: Captured, serve: Serve, mode: str) -> None:
        """Whoever consumes a stream is not inside the run."""
        server = serve(reply("one two three", chunk_size=3))
        program = self.observe(self.asking_in(mode, server.base_url))
        before = otel_context.get_current()

        async def consume() -> list[bool]:
            return [otel_context.get_current() == before async for _ in self.astream(program, "go")]

        if mode == "stream":
            same = [otel_context.get_current() == before for _ in self.stream(program, "go")]
        else:
            same = self.in_a_loop(consume())

        assert same
        assert set(same) == {True}

    def test_an_observed_program_inside_another(self, captured: Captured, serve: Serve) -> None:
        """It is part of the outer run: one trace, and its calls count once."""
        self.need("working")
        server = serve(reply("one two three"))
        inner = self.observe(self.asking(server.base_url))
        answers: list[str] = []

        self.finish(self.observe(self.working(lambda: answers.append(self.finish(inner)))))

        assert len(answers) == 1
        ends_once(captured)
        assert len(captured.closing("chat")) == 1
        assert len(roots(captured)) == 1
        assert len({line.trace_id for line in captured.lines}) == 1

    def test_a_run_that_outlives_the_run_it_began_in(self, captured: Captured) -> None:
        """Left at work by a step, it ends as it ended, late, below that step; what it does is not late (sentry-python#5989)."""
        self.need("working")
        at_work, go_on = threading.Event(), threading.Event()
        threads: list[threading.Thread] = []

        def work() -> None:
            at_work.set()
            go_on.wait(30)

        inner = self.observe(self.working(work))

        def begin() -> None:
            threads.append(threading.Thread(target=copy_context().run, args=(self._run_here, inner)))
            threads[0].start()
            at_work.wait(30)

        try:
            self.finish(self.observe(self.working(begin)))
        finally:
            go_on.set()
            for thread in threads:
                thread.join()

        ends_once(captured, in_order=False)
        assert {line.status for line in captured.closing()} == {"ok"}
        (root,) = roots(captured)
        assert {line.trace_id for line in captured.lines} == {root.trace_id}
        late = [line.operation for line in captured.closing() if (line.metadata or {}).get(keys.LATE)]
        assert late == [root.operation]
        assert len(captured.closing()) % 2 == 0

    def _run_here(self, program: Any) -> None:
        """In this thread, in a loop of its own if it needs one."""
        if self.main_mode == "run":
            self.run(program, "go")
        else:
            asyncio.run(self.arun(program, "go"))

"""Failures of the program stay what they are, and failures of ours stay ours."""

from __future__ import annotations

import asyncio
import gc
import logging
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from ai_dev_squad import BudgetExceeded, guard, runtime
from ai_dev_squad.operations import open_operations
from ai_dev_squad_testing.captured import Captured, capture
from ai_dev_squad_testing.contract.harness import MODES, STREAMS, Harness
from ai_dev_squad_testing.contract.tree import ends_once, over, roots
from ai_dev_squad_testing.fixtures import Serve, wait_until
from ai_dev_squad_testing.model_server import after_tool_result, call, fail, hang, reply, tool_calls

__all__ = ["Failures"]


class OutOfPaper(Exception):
    """An exception of the user's own that cannot be made anew from its text."""

    def __init__(self, tray: int, *, colour: str) -> None:
        super().__init__(f"tray {tray} has no {colour} paper")
        self.tray, self.colour = tray, colour


ERRORS: dict[str, Callable[[], Exception]] = {
    "ValueError": lambda: ValueError("no such thing"),
    "own": lambda: OutOfPaper(2, colour="blue"),
}


class Failures(Harness):
    """Tests of exceptions, early ends and broken sinks."""

    @pytest.mark.parametrize("kind", sorted(ERRORS))
    @pytest.mark.parametrize("mode", ["run", "arun"])
    def test_exceptions_are_not_changed(self, captured: Captured, mode: str, kind: str) -> None:
        """What a step raises reaches the caller as it would unobserved: the same object, with the user's frame."""
        self.need("working", mode)
        raised: list[BaseException] = []

        def users_own_step() -> None:
            raised.append(ERRORS[kind]())
            raise raised[-1]

        def seen_of(error: BaseException | None) -> tuple[Any, ...]:
            assert error is not None
            frames = [frame.name for frame in traceback.extract_tb(error.__traceback__) if frame.filename == __file__]
            return (
                error is raised[-1],
                frames,
                type(error.__cause__),
                type(error.__context__),
                error.__suppress_context__,
            )

        unobserved = self.attempt(mode, self.working(users_own_step))
        before = seen_of(unobserved.error)
        observed = self.attempt(mode, self.observe(self.working(users_own_step)))

        assert observed.summary() == unobserved.summary()
        assert seen_of(observed.error) == before
        ends_once(captured)
        (root,) = roots(captured)
        assert root.status == "error"
        assert root.error is not None

    def test_where_an_exception_arose_is_told_once(self, captured: Captured) -> None:
        """The stack stands with the operation that the exception arose in, not again wherever it passed through."""
        self.need("working")

        def users_own_step() -> None:
            raise OutOfPaper(2, colour="blue")

        self.attempt(self.main_mode, self.observe(self.working(users_own_step)))

        failed = [line.error for line in captured.closing() if line.error is not None]
        assert len([error for error in failed if "users_own_step" in (error.stacktrace or "")]) == 1

    def test_a_failing_tool(self, captured: Captured, serve: Serve) -> None:
        """The tool's operation is an error of the tool's type; the run goes on, or not, as it would unobserved."""
        self.need("with_tool")
        asks = tool_calls(call("look_up", word="a"), when=~after_tool_result())
        servers = [serve(asks, reply("I cannot.", times=None)) for _ in range(2)]

        def look_up(word: str) -> str:
            """Look a word up."""
            raise OutOfPaper(3, colour="red")

        unobserved = self.attempt(self.main_mode, self.with_tool(servers[0].base_url, look_up))
        observed = self.attempt(self.main_mode, self.observe(self.with_tool(servers[1].base_url, look_up)))

        assert observed.summary() == unobserved.summary()
        assert len(servers[0].truth.calls) == len(servers[1].truth.calls)
        ends_once(captured)
        tools = captured.closing("execute_tool")
        assert {line.status for line in tools} == {"error"}
        assert {line.error is not None and line.error.message for line in tools} == {"tray 3 has no red paper"}

    @pytest.mark.parametrize("mode", STREAMS)
    def test_a_stream_that_breaks_off(self, captured: Captured, serve: Serve, mode: str) -> None:
        """A connection that is cut in the middle of an answer gives the program what it would get unobserved."""
        server = serve(reply("one two three", chunk_size=3, cut_after=3, times=None))

        unobserved, observed = self.both(lambda: self.asking_in(mode, server.base_url), mode)

        assert observed.summary() == unobserved.summary()
        ends_once(captured)

    @pytest.mark.parametrize("mode", STREAMS)
    def test_a_stream_that_is_closed_early(
        self, captured: Captured, serve: Serve, caplog: pytest.LogCaptureFixture, mode: str
    ) -> None:
        """Whoever stops listening ends the run, which is no error."""
        server = serve(reply("one two three four five six", chunk_size=2, per_chunk=0.02))
        program = self.observe(self.asking_in(mode, server.base_url))

        async def listen_for_a_moment() -> None:
            pieces = self.astream(program, "go")
            await anext(pieces)
            await pieces.aclose()  # type: ignore[attr-defined]

        if mode == "stream":
            pieces = self.stream(program, "go")
            next(pieces)
            pieces.close()  # type: ignore[attr-defined]
            del pieces
        else:
            self.in_a_loop(listen_for_a_moment())
        gc.collect()

        assert wait_until(lambda: over(captured))
        ends_once(captured, in_order=False)
        (root,) = roots(captured)
        assert root.status == "closed_early"
        assert {line.status for line in captured.closing()} <= {"ok", "closed_early", "cancelled"}
        assert "detach" not in caplog.text

    def test_a_cancelled_run(self, captured: Captured, serve: Serve) -> None:
        """A run that is cancelled while the model thinks is cancelled, all the way down."""
        self.need("arun")
        server = serve(hang(times=None))

        async def cancelled(program: Any) -> str:
            calls = len(server.truth.calls)
            running = asyncio.ensure_future(self.arun(program, "go"))
            while len(server.truth.calls) == calls and not running.done():  # noqa: ASYNC110 - the server is in a thread
                await asyncio.sleep(0.005)
            self.cancel(running)
            try:
                return f"result {await running}"
            except BaseException as error:  # noqa: BLE001 - it is what is tested
                return f"raised {type(error).__name__}"

        unobserved = self.in_a_loop(cancelled(self.asking(server.base_url)))
        observed = self.in_a_loop(cancelled(self.observe(self.asking(server.base_url))))

        server.close()  # a framework that calls the model in a thread cannot stop it

        assert observed == unobserved
        assert wait_until(lambda: over(captured))
        ends_once(captured, in_order=False)
        (root,) = roots(captured)
        assert root.status == "cancelled"
        assert {line.status for line in captured.closing() if line.operation != "chat"} == {"cancelled"}
        assert {line.status for line in captured.closing("chat")} <= {"cancelled", "error"}

    @pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
    def test_an_interrupted_program(self, captured: Captured, interruption: type[BaseException]) -> None:
        """Ctrl-C and ``sys.exit`` in a step are the program's own, and leave nothing open."""
        self.need("working", "run")

        def users_own_step() -> None:
            raise interruption

        unobserved, observed = self.both(lambda: self.working(users_own_step), "run")

        assert observed.summary() == unobserved.summary()
        assert wait_until(lambda: over(captured))
        ends_once(captured, in_order=False)

    def test_a_budget_stops_the_call_before_it_is_made(self, captured: Captured, serve: Serve) -> None:
        """The provider hears nothing, the refusal comes out once, and no money is in the ledger."""
        server = serve(reply("one two three", times=None))
        tracker = runtime.get_cost_tracker()
        tracker.budget_manager.set_budget("tiny", limit_usd=1e-12, period="total", on_exceed="stop")

        outcome = self.attempt(self.main_mode, self.observe(self.asking(server.base_url)))

        assert server.truth.calls == ()
        assert outcome.error is not None
        assert any(isinstance(error, BudgetExceeded) or "Budget" in str(error) for error in outcome.chain())
        assert [
            (line.status, line.error and "BudgetExceeded" in line.error.type) for line in captured.closing("chat")
        ] == [("error", True)]
        assert list(tracker.entries) == []
        ends_once(captured)

    @pytest.mark.parametrize("broken", ["journal", "exporter", "span processor"])
    def test_a_broken_sink_harms_nobody(
        self, serve: Serve, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, broken: str
    ) -> None:
        """A disk that is full or an exporter that raises is reported on our logger; the answer is what it is."""
        server = serve(reply("one two three", times=None))
        with capture(spans=True):
            guard.set_strict(False)
            guard.forget()
            _break(broken)
            with caplog.at_level(logging.WARNING):
                text = self.finish(self.observe(self.asking(server.base_url)))
            with suppress(OSError):
                assert wait_until(lambda: not open_operations())
            guard.forget()

        assert "one two three" in text
        assert len(server.truth.calls) == 1
        assert "No space left" in caplog.text

    @pytest.mark.parametrize("mode", MODES)
    def test_an_error_in_the_model_reaches_the_caller_unchanged(
        self, captured: Captured, serve: Serve, mode: str
    ) -> None:
        """In every way of running, a provider's refusal is what the caller would get unobserved."""
        server = serve(fail(400, times=None))

        unobserved, observed = self.both(lambda: self.asking_in(mode, server.base_url), mode)

        assert observed.summary() == unobserved.summary()
        ends_once(captured)


def _break(what: str) -> None:
    """Make a sink of the running pipeline raise ``OSError: No space left on device`` from here on."""
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

    from ai_dev_squad import StructuredLogger

    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(28, "No space left on device")

    built = runtime.pipeline()
    if what == "journal":
        journal = type("Full", (), {"write": fail, "flush": lambda *_, **__: True, "close": lambda *_, **__: True})()
        logger = StructuredLogger(built.settings.log_dir, journal=journal, redactor=built.redactor)
        runtime.exchange(built.with_logger(logger), {})
    elif what == "exporter":
        exporter = type("Full", (SpanExporter,), {"export": fail})()
        built.tracing.add_span_processor(SimpleSpanProcessor(exporter))
    else:
        built.tracing.add_span_processor(type("Full", (SpanProcessor,), {"on_end": fail})())

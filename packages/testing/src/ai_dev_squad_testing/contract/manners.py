"""What the program's own code can see of being observed: nothing."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import gc
import inspect
import logging
import pickle
import re
import threading
from collections.abc import Callable
from typing import Any

import pytest

from ai_dev_squad_testing.captured import Captured
from ai_dev_squad_testing.contract.harness import Harness
from ai_dev_squad_testing.contract.tree import ends_once, over, roots
from ai_dev_squad_testing.fixtures import Serve, wait_until
from ai_dev_squad_testing.model_server import ModelServer, hang, reply

__all__ = ["Manners"]

_PLACE: contextvars.ContextVar[str] = contextvars.ContextVar("place", default="nowhere")

_IDS = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|Task-\d+|0x[0-9a-f]+")
COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda program: pickle.loads(pickle.dumps(program)),  # noqa: S301 - what was just written
}


class Manners(Harness):
    """Tests of what a program's own code could notice: copies, deadlines, contexts, tasks, groups of exceptions."""

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of clients that can't be copied
    @pytest.mark.parametrize("way", sorted(COPIES))
    def test_a_program_can_be_copied_as_before(self, captured: Captured, serve: Serve, way: str) -> None:
        """Copying, and pickling for another process, do what they do unobserved, and so does running the copy."""
        server = serve(reply("one two three", times=None))

        def outcome(program: Any) -> tuple[Any, ...]:
            try:
                copied = COPIES[way](program)
            except Exception as error:  # noqa: BLE001 - it is what is compared
                return ("raised", type(error))
            return (type(copied).__name__, *self.attempt(self.main_mode, copied).summary())

        assert outcome(self.observe(self.asking(server.base_url))) == outcome(self.asking(server.base_url))
        assert wait_until(lambda: over(captured))

    def test_a_program_looks_as_before(self, captured: Captured, serve: Serve) -> None:
        """Signatures, public attributes and the text of the program are what they were."""
        server = serve()

        def looks(program: Any) -> tuple[Any, ...]:
            names = [name for name in dir(program) if not name.startswith("_")]
            kind = type(program)
            signatures = {
                name: str(inspect.signature(getattr(kind, name)))
                for name in names
                if inspect.isfunction(inspect.getattr_static(kind, name, None))
            }
            return kind.__name__, kind.__module__, kind.__doc__, names, signatures

        program = self.asking(server.base_url)
        before = looks(program)

        assert looks(self.observe(program)) == before

    def test_a_deadline_ends_a_run(self, captured: Captured, serve: Serve) -> None:
        """``asyncio.timeout`` ends it as it does unobserved, and leaves no cancellation behind."""
        self.need("arun")

        async def in_time(make: Callable[[Any], Any]) -> tuple[Any, ...]:
            server = serve(hang(times=None))
            program = make(self.asking(server.base_url))
            deadline, outcome = asyncio.timeout(None), None
            running = asyncio.ensure_future(_expire_once_asked(server, deadline))
            try:
                async with deadline:
                    # A framework that goes on when its task is cancelled ends with its connection.
                    asyncio.get_running_loop().call_later(3, server.close)
                    outcome = await self.arun(program, "go")
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - it is what is compared
                outcome = type(error).__name__
            await running
            server.close()  # a framework that calls the model in a thread cannot stop it
            task = asyncio.current_task()
            assert task is not None
            return outcome, task.cancelling()

        unobserved = self.in_a_loop(in_time(lambda program: program))
        observed = self.in_a_loop(in_time(self.observe))

        assert observed == unobserved
        assert wait_until(lambda: over(captured))
        assert len(roots(captured)) == 1

    @pytest.mark.parametrize("way", ["another task", "forgotten", "thrown"])
    def test_a_stream_that_is_left_says_nothing(
        self, captured: Captured, serve: Serve, caplog: pytest.LogCaptureFixture, way: str
    ) -> None:
        """Closed from another task, given up to the garbage collector or ended by an exception: nothing more is logged
        than unobserved.
        """
        self.need("astream")
        server = serve(reply("one two three four five six", chunk_size=2, per_chunk=0.01, times=None))

        async def leave(program: Any) -> Any:
            pieces: Any = self.astream(program, "go")
            await anext(pieces)
            try:
                if way == "another task":
                    await asyncio.create_task(pieces.aclose())
                elif way == "thrown":
                    return await pieces.athrow(ZeroDivisionError("enough"))
            except Exception as error:  # noqa: BLE001 - it is what is compared
                return type(error)
            del pieces
            gc.collect()
            await asyncio.sleep(0.05)
            return None

        def left(program: Any) -> tuple[Any, ...]:
            caplog.clear()
            outcome = self.in_a_loop(leave(program))
            gc.collect()
            warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
            return outcome, [_IDS.sub("", warning) for warning in warnings]

        unobserved = left(self.asking(server.base_url, streaming=True))

        assert left(self.observe(self.asking(server.base_url, streaming=True))) == unobserved
        assert wait_until(lambda: over(captured))
        ends_once(captured, in_order=False)
        assert len(roots(captured)) == 1

    @pytest.mark.parametrize("mode", ["run", "arun"])
    def test_a_steps_context_is_as_before(self, captured: Captured, mode: str) -> None:
        """A step sees the caller's context variables, and the caller sees of the step's what it would see unobserved."""
        self.need("working", mode)
        seen: list[Any] = []

        def step() -> None:
            seen.append((_PLACE.get(), threading.current_thread() is threading.main_thread(), _task_name()))
            _PLACE.set("in the step")

        async def around(program: Any) -> None:
            _PLACE.set("with the caller")
            await self.arun(program, "go")
            seen.append(_PLACE.get())

        def once(program: Any) -> list[Any]:
            seen.clear()
            if mode == "arun":
                self.in_a_loop(around(program))
            else:
                contextvars.copy_context().run(self._from_here, program, seen)
            return list(seen)

        unobserved = once(self.working(step))

        assert once(self.observe(self.working(step))) == unobserved
        ends_once(captured)
        assert len(roots(captured)) == 1

    def _from_here(self, program: Any, seen: list[Any]) -> None:
        _PLACE.set("with the caller")
        self.run(program, "go")
        seen.append(_PLACE.get())

    @pytest.mark.parametrize("mode", ["run", "arun"])
    def test_a_group_of_exceptions_keeps_what_it_has(self, captured: Captured, mode: str) -> None:
        """What a ``TaskGroup`` in a step raises arrives with its parts, its notes and its cause."""
        self.need("working", mode)

        def step() -> None:
            group = ExceptionGroup("two went wrong", [ValueError("a"), KeyError("b")])
            group.add_note("while moving")
            raise group from OSError("the cause")

        def told(program: Any) -> list[Any]:
            chain = self.attempt(mode, program).chain()
            return [(type(e), str(e), list(getattr(e, "__notes__", [])), getattr(e, "exceptions", None)) for e in chain]

        def comparable(found: list[Any]) -> list[Any]:
            return [(kind, text, _IDS.sub("", repr(notes)), repr(parts)) for kind, text, notes, parts in found]

        unobserved = comparable(told(self.working(step)))

        assert comparable(told(self.observe(self.working(step)))) == unobserved
        ends_once(captured)
        assert [root.status for root in roots(captured)] == ["error"]

    def test_another_thread_may_stop_observing(self, captured: Captured, serve: Serve) -> None:
        """What one thread observed another one may give back: it is quiet then."""
        server = serve(reply("one two three", times=None))
        program = self.observe(self.asking(server.base_url))
        self.finish(program)
        said = len(captured.lines), len(captured.spans)
        given: list[Any] = []
        thread = threading.Thread(target=lambda: given.append(self.unobserve(program)))
        thread.start()
        thread.join()

        self.finish(given[0])

        assert said[0] > 0
        assert (len(captured.lines), len(captured.spans)) == said


async def _expire_once_asked(server: ModelServer, deadline: asyncio.Timeout) -> None:
    while not server.truth.calls:  # noqa: ASYNC110 - the server is in a thread
        await asyncio.sleep(0.005)
    deadline.reschedule(asyncio.get_running_loop().time())


def _task_name() -> bool | None:
    """Whether the step runs in a task; ``None`` without an event loop."""
    try:
        return asyncio.current_task() is not None
    except RuntimeError:
        return None

"""What the contract's tests share: a scripted model, what was captured, and the ways of running a program."""

from __future__ import annotations

import asyncio
import importlib
import re
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

import pytest

from ai_dev_squad.schema import EventType
from ai_dev_squad_testing.captured import Captured
from ai_dev_squad_testing.contract.framework import FEATURES, Framework
from ai_dev_squad_testing.fixtures import Serve, serving, whole_runs

__all__ = ["MODES", "STREAMS", "Harness", "Outcome", "finish_reasons", "on_each_request"]

MODES = ("run", "arun", "stream", "astream")
"""The ways of running a program; each is the name of the subclass's method."""
STREAMS = ("stream", "astream")


@dataclass
class Outcome:
    """How a run ended for the program that started it."""

    pieces: list[str] | None = None
    error: BaseException | None = None

    @property
    def text(self) -> str:
        """The whole answer. Raises what the run raised."""
        if self.error is not None:
            raise self.error
        return "".join(self.pieces or ())

    def chain(self) -> list[BaseException]:
        """What the run raised, and what that came of."""
        found: list[BaseException] = []
        error = self.error
        while error is not None and error not in found:
            found.append(error)
            error = error.__cause__ or error.__context__
        return found

    def summary(self) -> tuple[Any, ...]:
        """What must be the same, observed or not."""
        if self.error is None:
            return ("result", self.pieces)
        return ("raised", type(self.error), _without_addresses(str(self.error)))


def _without_addresses(text: str) -> str:
    """Without ports and ids, which differ between two servers; and without line numbers inside quoted tracebacks."""
    return re.sub(r"Traceback \(most recent call last\):.*?\n(?=\w)|:\d+|0x[0-9a-f]+", "", text, flags=re.DOTALL)


@contextmanager
def on_each_request(change: Callable[[Any], object]) -> Iterator[None]:
    """Call ``change(headers)`` for each request that a client of httpx, or of its successor httpx2, sends."""

    def sending(send: Callable[..., Any]) -> Callable[..., Any]:
        def changed(client: Any, request: Any, **options: Any) -> Any:
            change(request.headers)
            return send(client, request, **options)

        return changed

    with pytest.MonkeyPatch.context() as patch:
        for name in ("httpx", "httpx2"):
            with suppress(ImportError):
                module = importlib.import_module(name)
                for client in (module.Client, module.AsyncClient):
                    patch.setattr(client, "send", sending(client.send))
        yield


def _close_afterwards(headers: Any) -> None:
    headers["connection"] = "close"


class Harness(Framework):
    """Fixtures and verbs."""

    @pytest.fixture(autouse=True)
    def _connections_do_not_outlive_their_loop(self) -> Iterator[None]:
        """Clients that frameworks keep for ever would otherwise hold sockets of event loops that are closed."""
        with on_each_request(_close_afterwards):
            yield

    @pytest.fixture
    def captured(self) -> Iterator[Captured]:
        """All that is observed in the test, spans included; whatever started has ended when the test ends.

        None of the programs that the contract runs with this is in a loop, and none may be said to be.
        """
        with whole_runs() as everything:
            yield everything
        assert [line.message for line in everything.lines if line.event_type == EventType.AGENT_LOOP] == []

    @pytest.fixture
    def serve(self) -> Iterator[Serve]:
        """Start model servers; they stop when the test ends."""
        with serving() as serve:
            yield serve

    def need(self, *features: str) -> None:
        """Skip the test if the framework lacks one of these."""
        for feature in features:
            if feature in self.lacks:
                pytest.skip(f"no {FEATURES[feature]}: {self.lacks[feature]}")

    # --- the event loop -------------------------------------------------------------------------------------------------

    _loop: asyncio.AbstractEventLoop | None = None

    @pytest.fixture(autouse=True)
    def _one_event_loop(self) -> Iterator[None]:
        """Programs may keep what belongs to the loop that they first ran in, so a test has one."""
        yield
        if self._loop is not None:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    def in_a_loop(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine to its end, as ``asyncio.run`` does, but always in the same loop."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            return _in_another_thread(work)
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        try:
            return self._loop.run_until_complete(work)
        finally:
            self._loop.run_until_complete(_cancel_what_is_left())

    # --- programs -------------------------------------------------------------------------------------------------------

    def asking_in(self, mode: str, base_url: str, **options: Any) -> Any:
        """The program that asks once, made for this way of running it."""
        self.need(mode)
        return self.asking(base_url, streaming=mode in STREAMS, **options)

    @property
    def main_mode(self) -> str:
        """A way of running to the end that the framework has."""
        return "arun" if "run" in self.lacks else "run"

    @property
    def streaming_mode(self) -> str:
        """A way of running piece by piece that the framework has. Skips the test if it has none."""
        if "astream" in self.lacks:
            self.need("stream")
            return "stream"
        return "astream"

    def play(self, mode: str, program: Any, question: str = "What is the capital of France?") -> list[str]:
        """Run the program to its end and return the pieces of its answer."""
        if mode == "run":
            return [self.run(program, question)]
        if mode == "stream":
            return list(self.stream(program, question))
        return list(self.in_a_loop(self._pieces(mode, program, question)))

    async def _pieces(self, mode: str, program: Any, question: str) -> list[str]:
        if mode == "arun":
            return [await self.arun(program, question)]
        return [piece async for piece in self.astream(program, question)]

    def attempt(self, mode: str, program: Any, question: str = "What is the capital of France?") -> Outcome:
        """The same, whatever happens."""
        try:
            return Outcome(self.play(mode, program, question))
        except (Exception, asyncio.CancelledError, KeyboardInterrupt, SystemExit) as error:  # noqa: BLE001 - it is what is tested
            return Outcome(error=error)

    def finish(self, program: Any, question: str = "What is the capital of France?") -> str:
        """Run the program to its end in whatever way the framework has."""
        return "".join(self.play(self.main_mode, program, question))

    def both(self, make: Callable[[], Any], mode: str) -> tuple[Outcome, Outcome]:
        """The outcome of a program that is not observed, and of the same program observed."""
        self.need(mode)
        return self.attempt(mode, make()), self.attempt(mode, self.observe(make()))


async def _cancel_what_is_left() -> None:
    """As ``asyncio.run`` does when the main coroutine is through."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


def _in_another_thread(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end in a loop of its own, in a thread that has this one's context."""
    done: Future[Any] = Future()
    context = copy_context()

    def run() -> None:
        try:
            done.set_result(context.run(asyncio.run, work))
        except BaseException as error:  # noqa: BLE001 - handed on to the caller
            done.set_exception(error)

    threading.Thread(target=run).start()
    return done.result()


def finish_reasons(lines: Sequence[Any]) -> list[Any]:
    """Why the model stopped, call by call."""
    return [(line.metadata or {}).get("gen_ai.response.finish_reasons") for line in lines]

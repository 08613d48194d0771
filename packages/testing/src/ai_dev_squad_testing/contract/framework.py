"""What the contract must be told of a framework: a few small programs, and how they are run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, ClassVar, NoReturn

__all__ = ["FEATURES", "Framework"]

FEATURES: Mapping[str, str] = {
    "run": "synchronous runs",
    "arun": "asynchronous runs",
    "stream": "synchronous streams",
    "astream": "asynchronous streams",
    "with_tool": "an agent that may use a tool",
    "two_agents": "two agents, one after the other",
    "in_parallel": "model calls at the same time within one run",
    "working": "a step of the user's own code",
    "observe_as": "a task that is said where a program is observed",
}
"""What a framework may lack, by the name of the method that a subclass would write."""


class Framework:
    """The part of the contract that a subclass writes.

    Every *program* is made anew and unobserved, from the framework's public parts, as its users would make it: with the
    model ``gpt-4o-mini``, if no other is asked for, at ``base_url`` (OpenAI's API), any key, and the framework's own
    defaults for everything else, retries included. A program may be any object; it is what ``observe`` takes.
    """

    framework: ClassVar[str]
    """The framework's name, as it stands in each journal line."""
    lacks: ClassVar[Mapping[str, str]] = {}
    """What the framework cannot do, with the reason: ``{"run": "AutoGen is asynchronous only"}``. The tests that need it
    are skipped, visibly. The names are those of the methods below; anything else is to be written."""

    # --- the adapter ----------------------------------------------------------------------------------------------------

    def observe(self, program: Any) -> Any:
        """Observe the program with the adapter: what a user would write."""
        self._unwritten("observe")

    def observe_as(self, program: Any, task: str) -> Any:
        """The same, saying what the program's runs are asked to do: ``observe(program, task="refund")``."""
        self._unwritten("observe_as")

    def unobserve(self, program: Any) -> Any:
        """Stop observing what ``observe`` returned, and return what is run from then on."""
        self._unwritten("unobserve")

    # --- programs -------------------------------------------------------------------------------------------------------

    def asking(self, base_url: str, *, streaming: bool = False, model: str = "gpt-4o-mini") -> Any:
        """A program that asks the model once, with the question in the request, and whose result is the answer.

        ``streaming``: it is going to be run by ``stream`` or ``astream``; ask the model for a stream.
        ``model``: a name of any provider's, as behind a gateway that speaks OpenAI's API.
        """
        self._unwritten("asking")

    def with_tool(self, base_url: str, tool: Callable[[str], str]) -> Any:
        """An agent that offers the model one tool, the function ``look_up(word: str) -> str``, until it answers."""
        self._unwritten("with_tool")

    def two_agents(self, base_url: str) -> Any:
        """Agents ``planner`` (its system prompt says "you plan") and ``coder`` ("you code"), who ask the model once each,
        one after the other, the coder knowing what the planner said. The result is the coder's answer.
        """
        self._unwritten("two_agents")

    def in_parallel(self, base_url: str) -> Any:
        """A program that makes three model calls at the same time in one run."""
        self._unwritten("in_parallel")

    def working(self, work: Callable[[], None]) -> Any:
        """A program without a model, one step of which calls ``work()``, in whatever way users put code of their own.

        It must let what ``work`` raises go where the framework lets it go.
        """
        self._unwritten("working")

    # --- running them ---------------------------------------------------------------------------------------------------

    def run(self, program: Any, question: str) -> str:
        """Run the program to its end and return the text of its result."""
        self._unwritten("run")

    async def arun(self, program: Any, question: str) -> str:
        """The same under asyncio."""
        self._unwritten("arun")

    def stream(self, program: Any, question: str) -> Iterator[str]:
        """Run the program, yielding the pieces of the answer as they come. Closing the iterator ends the run."""
        self._unwritten("stream")

    def astream(self, program: Any, question: str) -> AsyncIterator[str]:
        """The same under asyncio: an asynchronous generator."""
        self._unwritten("astream")

    def cancel(self, running: asyncio.Task[Any]) -> None:
        """Cancel a task that awaits ``arun``, the way users of the framework do."""
        running.cancel()

    def _unwritten(self, name: str) -> NoReturn:
        raise NotImplementedError(
            f"{type(self).__name__} must have a method {name!r}"
            + (f", or say why not: lacks = {{{name!r}: 'the reason'}}" if name in FEATURES else "")
        )

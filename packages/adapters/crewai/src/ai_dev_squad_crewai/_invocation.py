"""What CrewAI does right now: one call for each open operation, innermost last, in every context that leads there.

CrewAI moves between threads, event loops and copies of contexts, and its events carry no reliable pairs. So an end finds
its start by walking outwards from the context that it is told in, and what was left open on the way ends with it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, Unpack

from ai_dev_squad import operations
from ai_dev_squad.invocation import Beginning, Invocation
from ai_dev_squad.operations import Kind, Operation
from ai_dev_squad.schema import ErrorInfo, Status

__all__ = ["FRAMEWORK", "Call", "begin", "enclosing", "end", "find"]

FRAMEWORK = "crewai"


class Call(Invocation, framework=FRAMEWORK):
    """One operation on its way, and how its end will find it."""

    parent: Call | None
    operation: Operation
    owner: Any = None
    """The object whose entry point was called, where it is such a call."""
    restoring: bool = False
    """The call hands on to an object restored from a checkpoint."""
    attempts: dict[Any, int] | None = None
    tool_calls: dict[Any, list[str]] | None = None
    unknown_tool: str | None = None
    counter: Any = None
    """The model object's running totals before this call."""

    def __init__(self, kind: str, key: Any, parent: Call | None) -> None:
        self.kind, self.key, self.parent = kind, key, parent
        self.thread = threading.get_ident()

    def __del__(self) -> None:
        """Nobody can end it any more: the context it was open in is gone."""
        if not self.ended:
            self.abandon()

    def overtaken(self, status: Status) -> None:
        """A model call in another thread can't be stopped and still tells how it ends, with what it cost.

        It is left to that, and to its context, with which it goes if it tells nothing. One that was answered and told
        nothing, as a tool's turn by LiteLLM, has ended.
        """
        elsewhere = self.operation.kind.is_model_call and self.thread != threading.get_ident()
        if elsewhere and self.operation.seen_end is None and not self.operation.left_open("abandoned"):
            self.outlive()
        else:
            super().overtaken(status)


def _open_here() -> Iterator[Call]:
    last = Call.last()
    return iter(()) if last is None else (call for call in last.outwards() if not call.ended)


def enclosing(kind: str) -> Call | None:
    """The innermost open call of this kind."""
    return next((call for call in _open_here() if call.kind == kind), None)


def find(kind: str, key: Any) -> Call | None:
    """The call that an end belongs to: in this context, or else wherever else in the run."""
    for call in _open_here():
        if call.kind == kind and call.key == key:
            return call
    last = Call.last()
    if last is None:
        return None
    *_, root = last.outwards()
    others = [call for call in (*_below(root), *Call.outliving()) if call.kind == kind and call.key == key]
    return others[-1] if others else None


def _below(call: Call) -> Iterator[Call]:
    for child in list(call.below or ()):
        assert isinstance(child, Call)
        yield child
        yield from _below(child)


def begin(kind: str, key: Any, operation_kind: Kind, name: str, **given: Unpack[Beginning]) -> Call:
    """Start an operation below what causes it, and make it current."""
    Call.end_given_up()
    cause = Call.cause()
    call = Call(kind, key, cause)
    call.begin_below(None if cause is None else cause.operation, operation_kind, name, **given)
    call.make_current()
    if cause is not None and not cause.ended:
        cause.hold(call)
    return call


def end(
    call: Call, status: Status = "ok", error: BaseException | ErrorInfo | None = None, *, sweep: bool = False
) -> None:
    """End a call; first, innermost first, what is still open inside it in this context, or with ``sweep`` in any."""
    inside: list[Call] = []
    for candidate in _open_here():
        if candidate is call:
            for left in inside:
                _finish(left, "abandoned" if status == "ok" else status, error)
            break
        inside.append(candidate)
    if status == "ok" and call.operation.kind is operations.AGENT:
        _end_silent_calls(call)
    if sweep:
        call.sweep(status)
    _finish(call, status, error)


def _finish(call: Call, status: Status, error: BaseException | ErrorInfo | None) -> None:
    call.status = status
    call.end(error if status == "error" else None)


def _end_silent_calls(agent: Call) -> None:
    """An agent that is done waits for no answer any more: CrewAI's LiteLLM calls can fail without an event."""
    for child in list(agent.below or ()):
        if child.operation is not None and child.operation.kind.is_model_call:
            child.abandon()

"""What runs right now: one record for each open operation, innermost last, in every context that leads there.

CrewAI moves between threads, event loops and copies of contexts, and its events carry no reliable pairs. So the chain of
open records travels in a context variable: an end finds its start by walking outwards, and what was left open on the way
ends with it. Nothing ever has to be put back by a token.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from ai_dev_squad import operations
from ai_dev_squad.context import Scope, enter, heal
from ai_dev_squad.operations import Kind, ModelRequest, Operation
from ai_dev_squad.schema import ErrorInfo, Link, Status

__all__ = [
    "FRAMEWORK",
    "Record",
    "Run",
    "begin",
    "enclosing",
    "end",
    "find",
    "innermost",
    "latest",
    "make_current",
    "sweep",
]

FRAMEWORK = "crewai"

_latest: ContextVar[Record | None] = ContextVar("ai_dev_squad_crewai_record", default=None)


class Run:
    """One outermost observed call and everything that is open because of it."""

    __slots__ = ("open",)

    def __init__(self) -> None:
        self.open: dict[int, Record] = {}


class Record:
    """One operation on its way, and how its end will find it."""

    __slots__ = (
        "attempts",
        "closed",
        "counter",
        "error",
        "key",
        "kind",
        "operation",
        "outer",
        "owner",
        "restoring",
        "run",
        "scope",
        "status",
        "thread",
        "tool_calls",
        "unknown_tool",
    )

    def __init__(self, kind: str, key: Any, operation: Operation, outer: Record | None, run: Run) -> None:
        self.kind, self.key, self.operation, self.outer, self.run = kind, key, operation, outer, run
        self.closed = False
        self.thread = threading.get_ident()
        self.owner: Any = None
        """The object whose entry point was called, where the record belongs to such a call."""
        self.restoring = False
        """The call hands on to an object restored from a checkpoint."""
        self.status: Status = "ok"
        """How the record will end, if nothing else is said."""
        self.error: BaseException | None = None
        self.attempts: dict[Any, int] | None = None
        self.tool_calls: dict[Any, list[str]] | None = None
        self.unknown_tool: str | None = None
        self.counter: Any = None
        """The model object's running totals before this call."""
        self.scope: Scope = enter(operation)

    def __del__(self) -> None:
        """Nobody can end it any more: the context it was open in is gone."""
        if not self.closed:
            self.closed = True
            self.operation.end_as("abandoned")


def latest() -> Record | None:
    """The record begun last in this context, open or closed."""
    return _latest.get()


def innermost() -> Record | None:
    """The innermost record that is open in this context."""
    record = _latest.get()
    while record is not None and record.closed:
        record = record.outer
    return record


def make_current(record: Record | None) -> None:
    """From here on this is the last record of this context."""
    _latest.set(record)


def _open_outwards() -> Iterator[Record]:
    record = _latest.get()
    while record is not None:
        if not record.closed:
            yield record
        record = record.outer


def enclosing(kind: str) -> Record | None:
    """The innermost open record of this kind."""
    return next((record for record in _open_outwards() if record.kind == kind), None)


def find(kind: str, key: Any) -> Record | None:
    """The record that an end belongs to: in this context, or else wherever else in the run."""
    last = _latest.get()
    if last is None:
        return None
    for record in _open_outwards():
        if record.kind == kind and record.key == key:
            return record
    others = [record for record in list(last.run.open.values()) if record.kind == kind and record.key == key]
    return others[-1] if others else None


def begin(
    kind: str,
    key: Any,
    operation_kind: Kind,
    name: str,
    *,
    attributes: dict[str, Any] | None = None,
    agent_id: str | None = None,
    session_id: str | None = None,
    request: ModelRequest | None = None,
    links: tuple[Link, ...] = (),
    attempt: int | None = None,
) -> Record:
    """Start an operation below the innermost one, and make it current."""
    last = _latest.get()
    outer = innermost()
    # After the end of a run its threads may still work: what they do belongs to it nevertheless.
    above = outer or last
    operation = operations.start(
        operation_kind,
        name,
        framework=FRAMEWORK,
        parent=None if above is None else above.operation,
        attributes=attributes,
        agent_id=agent_id,
        session_id=session_id,
        request=request,
        links=links,
        attempt=attempt,
    )
    record = Record(kind, key, operation, outer, Run() if above is None else above.run)
    record.run.open[id(record)] = record
    _latest.set(record)
    return record


def end(record: Record, status: Status = "ok", error: BaseException | ErrorInfo | None = None) -> None:
    """End a record; first, innermost first, what is still open inside it in this context."""
    inside: list[Record] = []
    for candidate in _open_outwards():
        if candidate is record:
            for left in inside:
                _finish(left, "abandoned" if status == "ok" else status, error)
            _latest.set(record.outer or record)
            break
        inside.append(candidate)
    if status == "ok" and record.operation.kind is operations.AGENT:
        _end_silent_calls(record)
    _finish(record, status, error)


def _end_silent_calls(agent: Record) -> None:
    """An agent that is done waits for no answer any more: CrewAI's LiteLLM calls can fail without an event."""
    for other in list(agent.run.open.values()):
        if other.outer is agent and other.operation.kind.is_model_call:
            _finish(other, "abandoned", None)


def sweep(record: Record, status: Status) -> None:
    """End what is still open below an ended record in other contexts.

    A model call in another thread can't be stopped and still tells how it ends, with what it cost: it is left to that,
    and to its context, with which it goes if it tells nothing.
    """
    here = threading.get_ident()
    for other in reversed(list(record.run.open.values())):
        if not _is_below(other, record):
            continue
        if other.operation.kind.is_model_call and other.thread != here:
            del record.run.open[id(other)]
        else:
            _finish(other, "cancelled" if status in {"cancelled", "closed_early"} else "abandoned", None)


def _is_below(record: Record, other: Record) -> bool:
    above = record.outer
    while above is not None:
        if above is other:
            return True
        above = above.outer
    return False


def _finish(record: Record, status: Status, error: BaseException | ErrorInfo | None) -> None:
    if record.closed:
        return
    record.closed = True
    record.run.open.pop(id(record), None)
    heal(record.scope)
    record.operation.end_as(status, error if status == "error" else None)

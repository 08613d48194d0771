"""What AutoGen's observed calls have in common.

A call is found again through the context, and where the context is lost, because a team runs on an agent runtime that was
started elsewhere, through the id of the team's run, which AutoGen keeps with every message it handles.
"""

from __future__ import annotations

from typing import Any, ClassVar, Unpack
from weakref import WeakValueDictionary

from autogen_core import MessageHandlerContext
from opentelemetry.context import Context

from ai_dev_squad.invocation import Beginning, Invocation
from ai_dev_squad.operations import Kind, Operation

__all__ = ["FRAMEWORK", "RUNS", "Call", "Options", "enclosing"]

FRAMEWORK = "autogen"

RUNS: WeakValueDictionary[str, Call] = WeakValueDictionary()
"""The latest run of each team by the team's id. It lives as long as its team: on a runtime of the program's own, agents go
on after a run was left, and still belong to it."""


class Options:
    """What was asked for when a thing was observed."""

    __slots__ = ("keep_runtime_spans", "name", "task")

    def __init__(self, name: str | None = None, task: str | None = None, *, keep_runtime_spans: bool = False) -> None:
        self.name, self.task, self.keep_runtime_spans = name, task, keep_runtime_spans


class Call(Invocation, framework=FRAMEWORK):
    """An observed call under way. It is wrapped, so that its end is never missed."""

    kind: ClassVar[Kind]
    parent: Call | None
    operation: Operation
    place: Context | None = None
    """Where it ran, for what belongs to it and comes from elsewhere, also after its end."""

    def __init__(self, subject: Any, parent: Call | None, options: Options) -> None:
        self.subject, self.parent, self.options = subject, parent, options

    def __deepcopy__(self, memo: dict[int, Any]) -> Call:
        return self  # a copy of the team is not running

    def start(self, name: str, **given: Unpack[Beginning]) -> None:
        """Start the operation. Raises ``CallRefused`` when it is a model call that may not be made."""
        operation = self.begin_in_place(
            self.kind, name, place=None if self.parent is None else self.parent.place, **given
        )
        if operation.request is not None:
            operation.reserve()


def enclosing(key: str | None = None) -> Call | None:
    """The observed call that whatever happens now belongs to. ``key`` is the id of the team, if known."""
    found = Call.cause()
    if key is None and (RUNS or (found is not None and found.ended)):
        try:
            key = MessageHandlerContext.agent_id().key
        except RuntimeError:  # not in a message handler
            return found
    if key is None:
        return found
    run = RUNS.get(key)
    if run is not None:
        inside = found
        while inside is not None and inside is not run:
            inside = inside.parent
        return run if inside is None else found
    # A team that nobody observes may run on a runtime that was started in an observed run.
    return None if found is not None and found.ended else found

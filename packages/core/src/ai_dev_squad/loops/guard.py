"""Told of each end of an operation, it finds loops, tells of them, and refuses the calls of a run that is in one."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

from ai_dev_squad.loops.detected import LoopDetected
from ai_dev_squad.loops.watch import owner_of
from ai_dev_squad.schema import EventType

if TYPE_CHECKING:
    from ai_dev_squad.loops.repetition import Trail
    from ai_dev_squad.loops.watch import Watch
    from ai_dev_squad.operations import Operation
    from ai_dev_squad.schema import ErrorInfo

__all__ = ["LoopGuard"]


class LoopGuard:
    """What ``on_loop`` and ``loop_limit`` ask for, compiled when configured; what it has seen is kept with the operations."""

    __slots__ = ("limit", "stops")

    def __init__(self, limit: int, *, stops: bool) -> None:
        self.limit = limit
        """How often a cycle may be gone through until it is a loop."""
        self.stops = stops
        """Whether the calls of a run that is in a loop are refused."""

    def ended(self, operation: Operation, error: ErrorInfo | None) -> None:
        """An operation ended. A receiver of the pipeline; a model call's cost is known by now."""
        parent = operation.parent
        if parent is None or parent.watch is None:
            return
        watch = parent.watch
        trail = watch.ended(operation, error)
        if trail is None or not trail.is_repeating or watch.tools.is_told or watch.answers.is_told:
            return
        found = trail.found(self.limit)
        if found:
            trail.is_told = True
            self._tell(owner_of(parent), watch, trail, found)

    def admit(self, operation: Operation) -> None:
        """Raise ``LoopDetected``, ending the operation, if its run was stopped."""
        parent = operation.parent
        if parent is None or parent.watch is None:
            return
        stopped_by = parent.watch.run.stopped_by
        if stopped_by is not None:
            refusal = copy(stopped_by)  # one that is raised twice would gather both tracebacks
            operation.is_refused = True
            operation.fail(refusal)
            raise refusal

    def _tell(self, owner: Operation, watch: Watch, trail: Trail, length: int) -> None:
        facts: dict[str, Any] = {"agent": owner.agent_id or owner.name, **watch.loop(trail, length)}
        message = _said(facts)
        if self.stops:
            watch.run.stopped_by = LoopDetected(message, **facts)
        details = {**facts, "operations": list(facts["operations"]), "action": "stop" if self.stops else "warn"}
        owner.event(EventType.AGENT_LOOP, message, details, level="WARNING")


def _said(facts: dict[str, Any]) -> str:
    steps = ", ".join(facts["operations"])
    same = "the same arguments and results" if facts["pattern"] == "tools" else "the same answers"
    usd = facts["cost_usd"]
    tokens = facts["input_tokens"] + facts["output_tokens"]
    price = "at an unknown price" if usd is None else f"${usd:.4f}"
    return (
        f"{facts['agent']} is in a loop: {steps}, {facts['repeats']} times with {same}; "
        f"{facts['model_calls']} model calls, {tokens} tokens, {price} so far"
    )

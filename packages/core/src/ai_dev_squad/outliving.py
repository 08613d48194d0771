"""Model calls that outlive the operation they were made in: they end with their answer, or are given up after a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_dev_squad import clock

if TYPE_CHECKING:
    from ai_dev_squad.operations import Operation

__all__ = ["OUTLIVES_S", "end_overdue", "forget", "is_left_open", "leave_open"]


OUTLIVES_S = 600.0
"""How long, in seconds, a model call may outlive the operation it was made in before it counts as abandoned."""
_SILENT_S = 5.0
"""How long a framework has to tell of the end of such a call after its answer."""

# Since when each was left open (monotonic clock, ns), oldest first.
_left_open: dict[Operation, int] = {}


def leave_open(operation: Operation) -> None:
    """What it was made in has ended."""
    _left_open.setdefault(operation, clock.monotonic_ns())


def forget(operation: Operation) -> None:
    """It has ended."""
    if _left_open:
        _left_open.pop(operation, None)


def is_left_open(operation: Operation) -> bool:
    """Whether it is open although what it was made in has ended."""
    return operation in _left_open


def end_overdue() -> None:
    """End what was left open for too long, or was answered and its framework told nothing of it."""
    if not _left_open:
        return
    now_ns = clock.monotonic_ns()
    latest, latest_answer = now_ns - int(OUTLIVES_S * 1e9), now_ns - int(_SILENT_S * 1e9)
    for operation, since_ns in list(_left_open.items()):
        seen = operation.seen_end
        if since_ns <= latest or (seen is not None and seen[1] <= latest_answer):
            operation.abandon()

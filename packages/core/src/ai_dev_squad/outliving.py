"""Model calls that outlive what they were made in. One that its maker left open ends with its answer, or is given up
after a limit; one that the provider goes on with ends when its tokens are told, whoever has ended it before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_dev_squad import clock
from ai_dev_squad.process import ForkSafeLock

if TYPE_CHECKING:
    from ai_dev_squad.operations import Operation
    from ai_dev_squad.schema import ErrorInfo, Status

__all__ = ["OUTLIVES_S", "Awaited", "end_overdue", "forget", "is_left_open", "leave_open"]


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


class Awaited:
    """The end of a model call that is told later what it was billed: kept until then, so that it is one call with one end."""

    __slots__ = ("_held", "_is_over", "_lock")

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        self._held: tuple[Status, BaseException | ErrorInfo | None, int] | None = None
        self._is_over = False

    def hold(
        self, operation: Operation, status: Status, error: BaseException | ErrorInfo | None, duration_ns: int | None
    ) -> bool:
        """Its maker ends it, ``duration_ns`` after its start, or now. Returns whether it was this call that did."""
        if duration_ns is None:
            duration_ns = clock.monotonic_ns() - operation.started_ns
        with self._lock:
            if not self._is_over:
                if self._held is not None:
                    return False
                self._held = status, error, duration_ns
                operation.status = status  # for whoever looks whether it can still send a request
                return True
        return operation.end_as(status, error, duration_ns)

    def end(self, operation: Operation, status: Status | None = None, error: ErrorInfo | None = None) -> bool:
        """Nothing more will be told. If its maker has ended it already, it ends now: as ``status``, or as it did then."""
        with self._lock:
            self._is_over, operation.awaited = True, None
            held = self._held
        if held is None:
            return False
        return operation.end_as(*held) if status is None else operation.end_as(status, error)

"""What an operation is compared by, and where it hears that its run was stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ai_dev_squad.loops.fingerprint import fingerprint

if TYPE_CHECKING:
    from ai_dev_squad.assembly import Pipeline
    from ai_dev_squad.loops.watch import Watch

__all__ = ["Compared"]


class Compared:
    """The side of an operation that the loop guard sees."""

    pipeline: Pipeline
    arguments_mark: int | None = None
    """What a tool call is compared by; see ``note_arguments``."""
    result_mark: int | None = None
    """What the result of a tool call, or the answer of a model, is compared by; see ``note_result``."""
    watch: Watch | None = None
    """What the loop guard remembers of the steps below."""

    def note_arguments(self, arguments: Any) -> None:
        """Say what a tool is called with, so that calls can be compared: a hash is kept, whatever is captured."""
        if self.pipeline.loops is not None:
            self.arguments_mark = fingerprint(arguments, structured=True)

    def note_result(self, result: Any, read: Callable[[Any], Any] | None = None) -> None:
        """Say what came of a tool call, or what a model answered, likewise. What differs each time must be left out.

        ``read(result)`` is compared where that takes work: it isn't called where nobody looks for loops.
        """
        if self.pipeline.loops is not None:
            self.result_mark = fingerprint(result if read is None else read(result))

    def admit(self) -> None:
        """Ask whether this call may be made. Raises ``LoopDetected``, ending the operation, if its run was stopped."""
        guard = self.pipeline.loops
        if guard is not None and guard.stops:
            guard.admit(self)  # type: ignore[arg-type]

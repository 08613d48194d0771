"""A call that was refused before it was made: what all such exceptions have in common."""

from __future__ import annotations

__all__ = ["CallRefused"]


class CallRefused(RuntimeError):
    """A model or tool call was refused before it was made, as the settings ask: ``BudgetExceeded`` or ``LoopDetected``.

    A ``RuntimeError``, because retry policies treat those as final: trying again would be refused again.
    """

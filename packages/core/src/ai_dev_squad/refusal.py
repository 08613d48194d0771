"""A call that was refused before it was made: what all such exceptions have in common."""

from __future__ import annotations

from typing import Any, TypeVar

__all__ = ["CallRefused", "rebuilt"]


class CallRefused(RuntimeError):
    """A model or tool call was refused before it was made, as the settings ask: ``BudgetExceeded`` or ``LoopDetected``.

    A ``RuntimeError``, because retry policies treat those as final: trying again would be refused again.
    """


_Refused = TypeVar("_Refused", bound=CallRefused)


def rebuilt(kind: type[_Refused], message: str, fields: dict[str, Any]) -> _Refused:
    """A refusal with these attributes: after a process boundary, where keyword arguments are lost, or in another form."""
    error = kind(message)
    vars(error).update(fields)
    return error

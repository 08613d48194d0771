"""Streams: what a kickoff returns at once runs only when it's read, perhaps elsewhere, later, or not to its end.

The run belongs where the kickoff was called. CrewAI copies its reader's context when the first item is asked for, so
for that moment the context of the kickoff is put there.
"""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import Any

from opentelemetry import context as otel_context

from ai_dev_squad.context import SESSION_VARS
from ai_dev_squad.steps import Steps, astepped, stepped

__all__ = ["Origin", "follow", "origin"]

_origin: ContextVar[Origin | None] = ContextVar("ai_dev_squad_crewai_origin", default=None)
_NAME = "ai_dev_squad_followed"


class Origin(Steps):
    """Where a stream was asked for, and whether its reader has left."""

    def __init__(self) -> None:
        self.context = otel_context.get_current()
        self.session = [(var, var.get()) for var in SESSION_VARS]
        self.started = self.left = False

    def enter(self) -> list[tuple[ContextVar[Any], Token[Any]]] | None:
        """The first step runs where the stream was asked for."""
        if self.started:
            return None
        self.started = True
        before: list[tuple[ContextVar[Any], Token[Any]]] = [(var, var.set(value)) for var, value in self.session]
        before.append((_origin, _origin.set(self)))
        self._token = otel_context.attach(self.context)
        return before

    def leave(self, token: list[tuple[ContextVar[Any], Token[Any]]] | None) -> None:
        """The reader's context is what it was."""
        if token is not None:
            otel_context.detach(self._token)
            for var, before in reversed(token):
                var.reset(before)

    def given_up(self) -> None:
        """CrewAI's run behind the stream goes on to its end, and is told apart by this."""
        self.left = True


def origin() -> Origin | None:
    """The origin of the stream that this context runs for."""
    return _origin.get()


def follow(result: Any) -> None:
    """Have what runs behind a streaming result belong to this place. Anything else stays as it is."""
    for name, proxy in (("_sync_iterator", stepped), ("_async_iterator", astepped)):
        iterator = getattr(result, name, None)
        if iterator is not None and getattr(iterator, "__name__", None) != _NAME:
            followed: Any = proxy(iterator, Origin())
            followed.__name__ = _NAME
            setattr(result, name, followed)

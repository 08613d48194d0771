"""The seam: CrewAI's events, as they are emitted, become operations.

CrewAI calls the sink synchronously and in order, in the context of the code that emits. What the sink raises would reach
that code; the only thing that may is the refusal of a call, by a budget or the loop guard.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ai_dev_squad import runtime
from ai_dev_squad.genai.errors import classify
from ai_dev_squad.guard import report
from ai_dev_squad.refusal import CallRefused
from ai_dev_squad.schema import ErrorInfo
from ai_dev_squad_crewai import _invocation
from ai_dev_squad_crewai._invocation import Call

__all__ = ["fail_with", "is_internal", "on", "redacted", "sink"]

Handler = Callable[[Any, Any], None]
_handlers: dict[str, Handler] = {}


def sink(source: Any, event: Any) -> None:
    """Take one event."""
    handle = _handlers.get(event.type)
    if handle is None:
        return
    try:
        handle(source, event)
    except CallRefused:
        raise
    except Exception as error:  # noqa: BLE001 - the user's program comes first
        report("observing a CrewAI event", error)


def on(*event_types: str) -> Callable[[Handler], Handler]:
    """Have a function called with the source and the event of each of these types."""

    def register(handler: Handler) -> Handler:
        for event_type in event_types:
            _handlers[event_type] = handler
        return handler

    return register


def is_internal(flow: Any) -> bool:
    """Whether a flow is part of CrewAI's own machinery: its agents and its memory run on flows, too."""
    cls = type(flow)
    return bool(getattr(cls, "is_crewai_internal", False)) or cls.__module__.startswith(
        ("crewai.agents.", "crewai.memory.", "crewai.experimental.", "crewai.lite_agent")
    )


def fail_with(call: Call | None, event: Any) -> None:
    """End a call that an event says has failed."""
    if call is None:
        return
    error = _error_of(event)
    _invocation.end(call, classify(error) if isinstance(error, BaseException) else "error", error)


def _error_of(event: Any) -> BaseException | ErrorInfo:
    """The live exception: failures are reported where it's handled. Without one, what the event tells."""
    error = sys.exc_info()[1] or getattr(event, "error", None)
    if isinstance(error, BaseException):
        return error
    kind = getattr(event, "error_type", None)
    name = getattr(kind, "__qualname__", None) or (str(kind) if kind else "_OTHER")
    return ErrorInfo(type=name, message=runtime.pipeline().redactor.text(str(error or "")))


def redacted(attributes: dict[str, Any]) -> dict[str, Any]:
    """Attributes without secrets."""
    clean: dict[str, Any] = runtime.pipeline().redactor.value(attributes)
    return clean

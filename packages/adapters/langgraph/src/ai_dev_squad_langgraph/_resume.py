"""Interrupts and resumes: a run that continues an interrupted one is linked to it."""

from __future__ import annotations

from typing import Any

from ai_dev_squad import runtime
from ai_dev_squad.resumption import Resumptions
from ai_dev_squad_langgraph import _translate
from ai_dev_squad_langgraph._runs import Run

__all__ = ["interrupted", "resumed"]

_conversations = Resumptions()


def interrupted(run: Run, event: Any) -> None:
    """The graph pauses for one or more interrupts."""
    assert run.operation is not None
    interrupts: dict[str, Any] = {"ids": [str(item.id) for item in event.interrupts], "status": event.status}
    pipeline = runtime.pipeline()
    if pipeline.capture_content:
        interrupts["values"] = pipeline.redactor.value([item.value for item in event.interrupts])
    _conversations.interrupted(run.operation, _conversation(run), interrupts, place=event.checkpoint_id)


def resumed(run: Run, event: Any) -> None:
    """The graph continues from a checkpoint."""
    assert run.operation is not None
    place = event.checkpoint_id
    _conversations.resumed(run.operation, _conversation(run), {"checkpoint_id": place}, place=place)


def _conversation(run: Run) -> str | None:
    """By what a later run is known to continue this one: only the outermost graph is resumed."""
    return None if run.parent is not None else _translate.conversation_id(run.metadata)

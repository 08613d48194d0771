"""Interrupts and resumes: a run that continues an interrupted one is linked to it."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from ai_dev_squad import runtime
from ai_dev_squad.schema import EventType, Link
from ai_dev_squad_langgraph import _translate
from ai_dev_squad_langgraph._runs import Run

__all__ = ["interrupted", "resumed"]

_REMEMBERED = 4_096
_waiting: OrderedDict[str, Link] = OrderedDict()
"""Conversation to the span that waits for a person. Bounded: of many conversations the oldest are forgotten."""


def interrupted(run: Run, event: Any) -> None:
    """The graph pauses for one or more interrupts."""
    operation = run.operation
    assert operation is not None
    interrupts: dict[str, Any] = {"ids": [str(item.id) for item in event.interrupts], "status": event.status}
    pipeline = runtime.pipeline()
    if pipeline.capture_content:
        interrupts["values"] = pipeline.redactor.value([item.value for item in event.interrupts])
    operation.event(EventType.AGENT_INTERRUPT, f"{run.name} waits for a person", interrupts)
    conversation = _translate.conversation_id(run.metadata)
    if conversation is not None and run.parent is None:
        _waiting[conversation] = Link(trace_id=operation.trace_id, span_id=operation.span_id, type="resumes")
        _waiting.move_to_end(conversation)
        if len(_waiting) > _REMEMBERED:
            _waiting.popitem(last=False)


def resumed(run: Run, event: Any) -> None:
    """The graph continues from a checkpoint."""
    operation = run.operation
    assert operation is not None
    details: dict[str, Any] = {"checkpoint_id": event.checkpoint_id}
    conversation = _translate.conversation_id(run.metadata)
    link = None if conversation is None or run.parent is not None else _waiting.pop(conversation, None)
    if link is not None:
        operation.link(link)
        details["resumes_trace_id"] = link.trace_id
    operation.event(EventType.AGENT_RESUME, f"{run.name} resumes", details)

"""Flows that wait for a person, and their resumption: the later run is linked to the one it continues."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from ai_dev_squad import runtime
from ai_dev_squad.schema import EventType, Link
from ai_dev_squad_crewai._invocation import Call

__all__ = ["paused", "resumed"]

_REMEMBERED = 4_096
_waiting: OrderedDict[str, Link] = OrderedDict()
"""Flow id to the span that waits for a person. Bounded: of many flows the oldest are forgotten."""


def paused(call: Call, flow_id: str, event: Any) -> None:
    """The flow stops until somebody answers."""
    details: dict[str, Any] = {"flow_id": flow_id, "method": str(event.method_name)}
    pipeline = runtime.pipeline()
    if pipeline.capture_content:
        details["message"] = pipeline.redactor.text(str(event.message))
    call.operation.event(EventType.AGENT_INTERRUPT, f"{call.operation.name} waits for a person", details)
    _waiting[flow_id] = Link(trace_id=call.operation.trace_id, span_id=call.operation.span_id, type="resumes")
    _waiting.move_to_end(flow_id)
    if len(_waiting) > _REMEMBERED:
        _waiting.popitem(last=False)


def resumed(call: Call, flow_id: str) -> None:
    """The flow goes on with the answer."""
    details: dict[str, Any] = {"flow_id": flow_id}
    link = _waiting.pop(flow_id, None)
    if link is not None:
        call.operation.link(link)
        details["resumes_trace_id"] = link.trace_id
    call.operation.event(EventType.AGENT_RESUME, f"{call.operation.name} resumes", details)

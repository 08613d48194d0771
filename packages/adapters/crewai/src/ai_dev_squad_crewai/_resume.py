"""Flows that wait for a person, and their resumption."""

from __future__ import annotations

from typing import Any

from ai_dev_squad import runtime
from ai_dev_squad.resumption import Resumptions
from ai_dev_squad_crewai._invocation import Call

__all__ = ["paused", "resumed"]

_flows = Resumptions()


def paused(call: Call, flow_id: str, event: Any) -> None:
    """The flow stops until somebody answers."""
    details: dict[str, Any] = {"flow_id": flow_id, "method": str(event.method_name)}
    pipeline = runtime.pipeline()
    if pipeline.capture_content:
        details["message"] = pipeline.redactor.text(str(event.message))
    _flows.interrupted(call.operation, flow_id, details)


def resumed(call: Call, flow_id: str) -> None:
    """The flow goes on with the answer."""
    _flows.resumed(call.operation, flow_id, {"flow_id": flow_id})

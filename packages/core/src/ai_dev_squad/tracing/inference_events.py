"""Each model call as an event of OpenTelemetry's GenAI conventions: ``gen_ai.client.inference.operation.details``.

It goes to the logger provider that the application has made global, with what the call's span says in the conventions' names,
content as structures where it is captured. Off unless ``genai_events`` is on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from ai_dev_squad import attributes as keys
from ai_dev_squad.spans import usage_attributes
from ai_dev_squad.tracing.log_events import emit_event

if TYPE_CHECKING:
    from ai_dev_squad.operations import Operation
    from ai_dev_squad.schema import ErrorInfo

__all__ = ["DETAILS", "emit_details"]

DETAILS: Final = "gen_ai.client.inference.operation.details"
_PREFIXES: Final = ("gen_ai.", "server.", "error.", "openai.")


def emit_details(operation: Operation, error: ErrorInfo | None) -> None:
    """Tell of a model call that has ended, in the context of its span. Nothing for other operations, and for refused calls."""
    request = operation.request
    if not operation.kind.is_model_call or request is None or operation.is_refused:
        return
    told: dict[str, Any] = {
        keys.OPERATION_NAME: operation.kind.operation,
        keys.PROVIDER_NAME: request.provider,
        keys.REQUEST_MODEL: request.model,
        keys.CONVERSATION_ID: operation.session_id,
        keys.RESPONSE_TIME_TO_FIRST_CHUNK: operation.first_chunk_s,
        keys.ERROR_TYPE: None if error is None else error.type,
    }
    known = operation.attributes or {}
    told |= {name: value for name, value in known.items() if name.startswith(_PREFIXES)}
    if operation.usage is not None:
        told |= usage_attributes(operation.usage)
    emit_event(
        DETAILS,
        {name: _plain(value) for name, value in told.items() if value is not None},
        (operation.trace_id, operation.span_id),
        scope="ai_dev_squad",
        time_ns=operation.started_wall_ns + operation.duration_ns,
        severity="DEBUG",
    )


def _plain(value: Any) -> Any:
    """As every exporter takes it, structures as such."""
    return value if isinstance(value, (str, bool, int, float)) else msgspec.to_builtins(value)

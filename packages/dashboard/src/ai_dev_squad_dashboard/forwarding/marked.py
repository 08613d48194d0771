"""A request of OTLP as it is sent on: marked with who forwards it, without captured content where that may not leave, and without
what was deleted while it waited.

The mark is an attribute of each resource, since headers do not survive a Collector on the way. A resource that bears our own mark
has come back and is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from ai_dev_squad.genai.foreign_events import CONTENT_EVENTS, MEMBERS
from ai_dev_squad.genai.foreign_names import CONTENT, LISTS
from ai_dev_squad_dashboard.ingest.otlp_receive import Encoding, Signal

__all__ = ["MARK", "Gone", "is_content", "marked"]

Gone = Callable[[str], bool]
"""Whether the trace of this id, in lower case, was deleted; never that of none."""

MARK: Final = "ai_dev_squad.forwarded_by"
"""The resource's attribute that names who has forwarded it, one after the other, between blanks."""

_PROTOBUF: Final[dict[Signal, tuple[Any, str]]] = {
    "traces": (ExportTraceServiceRequest, "resource_spans"),
    "logs": (ExportLogsServiceRequest, "resource_logs"),
    "metrics": (ExportMetricsServiceRequest, "resource_metrics"),
}
_BELOW: Final[dict[Signal, tuple[str, str, str, str]]] = {
    "traces": ("scope_spans", "spans", "scopeSpans", "spans"),
    "logs": ("scope_logs", "log_records", "scopeLogs", "logRecords"),
}
"""What is below a resource and bears the id of a trace, in protobuf and in JSON."""
_JSON: Final[dict[Signal, str]] = {
    "traces": "resourceSpans",
    "logs": "resourceLogs",
    "metrics": "resourceMetrics",
}
_PREFIXES: Final = (
    *LISTS,
    "gen_ai.prompt",
    "gen_ai.event.content",
    "input.",
    "output.",
    "traceloop.entity.input",
    "traceloop.entity.output",
    "langfuse.observation.input",
    "langfuse.observation.output",
    "langfuse.trace.input",
    "langfuse.trace.output",
    "pydantic_ai.all_messages",
    "llm.prompt",
    "llm.completions",
    "mlflow.spanInputs",
    "mlflow.spanOutputs",
)
_FURTHER: Final = frozenset({"all_messages_events", "events", "tool_arguments", "tool_response", "logfire.json_schema"})
_CONTENT: Final = CONTENT | _FURTHER


def is_content(name: str) -> bool:
    """Whether an attribute of this name holds what was asked or answered."""
    # A prompt's name and version say nothing of what was asked.
    return name in _CONTENT or (
        name.startswith(_PREFIXES) and name not in ("gen_ai.prompt.name", "gen_ai.prompt.version")
    )


def _is_said(name: str, event: str) -> bool:
    """Whether an attribute of this name is content on a span, or in an ``event`` of one."""
    return is_content(name) or (event in CONTENT_EVENTS and name in MEMBERS)


def marked(
    signal: Signal, encoding: Encoding, body: bytes, me: str, *, content: bool, gone: Gone | None = None
) -> bytes | None:
    """The request as it is sent on by ``me``; ``None`` where nothing of it is. ``body`` is one that was received and understood."""
    made = _protobuf if encoding == "protobuf" else _json
    return made(signal, body, me, content, gone)


def _protobuf(signal: Signal, body: bytes, me: str, content: bool, gone: Gone | None) -> bytes | None:
    kind, field = _PROTOBUF[signal]
    message = kind.FromString(body)
    parts = getattr(message, field)
    if gone is not None and signal in _BELOW:
        _without_gone(signal, parts, gone)
    kept = [part for part in parts if _pass(part.resource.attributes, me)]
    if not kept:
        return None
    if len(kept) < len(parts):
        message = kind(**{field: kept})
    if signal == "traces" and not content:
        for part in getattr(message, field):
            for scope in part.scope_spans:
                for span in scope.spans:
                    _without_content(span.attributes)
                    for event in span.events:
                        _without_content(event.attributes, event.name)
    whole: bytes = message.SerializeToString()
    return whole


def _without_gone(signal: Signal, parts: Any, gone: Gone) -> None:
    scopes, items, _, _ = _BELOW[signal]
    for part in parts:
        for scope in getattr(part, scopes):
            _keep(getattr(scope, items), lambda one: not gone(one.trace_id.hex()))
        _keep(getattr(part, scopes), lambda scope: bool(getattr(scope, items)))
    _keep(parts, lambda part: bool(getattr(part, scopes)))


def _keep(repeated: Any, stays: Callable[[Any], bool]) -> None:
    """Only these of a repeated field of protobuf, which can be changed in its place alone."""
    for index in reversed([index for index, one in enumerate(repeated) if not stays(one)]):
        del repeated[index]


def _pass(attributes: Any, me: str) -> bool:
    """Mark a resource; whether it was not here before."""
    for each in attributes:
        if each.key == MARK:
            if me in each.value.string_value.split():
                return False
            each.value.string_value = f"{each.value.string_value} {me}"
            return True
    attributes.append(KeyValue(key=MARK, value=AnyValue(string_value=me)))
    return True


def _without_content(attributes: Any, event: str = "") -> None:
    _keep(attributes, lambda each: not _is_said(each.key, event))


def _json(signal: Signal, body: bytes, me: str, content: bool, gone: Gone | None) -> bytes | None:
    message = msgspec.json.decode(body, type=dict[str, Any])
    if gone is not None and signal in _BELOW:
        _without_gone_json(signal, message, gone)
    kept = [part for part in message.get(_JSON[signal]) or () if isinstance(part, dict) and _pass_json(part, me)]
    if not kept:
        return None
    if signal == "traces" and not content:
        for part in kept:
            for scope in _dicts(part.get("scopeSpans")):
                for span in _dicts(scope.get("spans")):
                    for each, name in (
                        (span, ""),
                        *((event, str(event.get("name"))) for event in _dicts(span.get("events"))),
                    ):
                        each["attributes"] = [
                            pair for pair in _dicts(each.get("attributes")) if not _is_said(str(pair.get("key")), name)
                        ]
    return msgspec.json.encode({**message, _JSON[signal]: kept})


def _without_gone_json(signal: Signal, message: dict[str, Any], gone: Gone) -> None:
    _, _, scopes, items = _BELOW[signal]
    parts = _dicts(message.get(_JSON[signal]))
    for part in parts:
        part[scopes] = _dicts(part.get(scopes))
        for scope in part[scopes]:
            scope[items] = [one for one in _dicts(scope.get(items)) if not gone(str(one.get("traceId") or "").lower())]
        part[scopes] = [scope for scope in part[scopes] if scope[items]]
    message[_JSON[signal]] = [part for part in parts if part[scopes]]


def _pass_json(part: dict[str, Any], me: str) -> bool:
    resource = part["resource"] = part.get("resource") or {}
    attributes = resource["attributes"] = list(_dicts(resource.get("attributes")))
    for pair in attributes:
        if pair.get("key") == MARK:
            said = str((pair.get("value") or {}).get("stringValue", ""))
            if me in said.split():
                return False
            pair["value"] = {"stringValue": f"{said} {me}"}
            return True
    attributes.append({"key": MARK, "value": {"stringValue": me}})
    return True


def _dicts(given: Any) -> list[dict[str, Any]]:
    return [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []

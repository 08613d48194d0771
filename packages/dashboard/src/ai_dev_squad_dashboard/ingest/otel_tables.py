"""Rows of the tables that the OpenTelemetry Collector's ClickHouse exporter writes, as the requests that it was sent.

The exporter has two layouts: attributes as a Map, where every value became text, and as JSON, where keys with dots became objects in
one another. Both are undone here, so that what follows is what a receiver does with OTLP. The columns are those of
https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/exporter/clickhouseexporter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

__all__ = ["Shape", "TableSignal", "request_of", "shape_of"]

TableSignal: TypeAlias = Literal["traces", "logs"]

_NANO: Final = "toUnixTimestamp64Nano({})"
_TRACES: Final = {
    "time": _NANO.format("Timestamp"),
    "trace_id": "TraceId",
    "span_id": "SpanId",
    "parent": "ParentSpanId",
    "name": "toString(SpanName)",
    "kind": "toString(SpanKind)",
    "resource": "toJSONString(ResourceAttributes)",
    "scope": "ScopeName",
    "scope_version": "toString(ScopeVersion)",
    "attributes": "toJSONString(SpanAttributes)",
    "duration": "Duration",
    "status": "toString(StatusCode)",
    "message": "StatusMessage",
    "event_times": "arrayMap(time -> toUnixTimestamp64Nano(time), `Events.Timestamp`)",
    "event_names": "arrayMap(name -> toString(name), `Events.Name`)",
    "event_attributes": "toJSONString(`Events.Attributes`)",
    "link_traces": "`Links.TraceId`",
    "link_spans": "`Links.SpanId`",
    "link_attributes": "toJSONString(`Links.Attributes`)",
}
_LOGS: Final = {
    "time": _NANO.format("Timestamp"),
    "trace_id": "TraceId",
    "span_id": "SpanId",
    "severity": "SeverityNumber",
    "severity_text": "toString(SeverityText)",
    "body": "Body",
    "resource": "toJSONString(ResourceAttributes)",
    "scope": "ScopeName",
    "scope_version": "toString(ScopeVersion)",
    "attributes": "toJSONString(LogAttributes)",
    "event_name": "toString(EventName)",
}
_KINDS: Final = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
_ERRORS: Final = frozenset({"error", "status_code_error"})
_NUMERIC: Final = re.compile(
    r"^gen_ai\.usage\.|^gen_ai\.request\.(temperature|top_p|top_k|max_tokens|seed|frequency_penalty|presence_penalty)$"
    r"|^llm\.token_count\.|_tokens$|_usd$|cost|\.time_to_first_chunk$|\.score\.value$|\.attempt$|_(ms|s|count)$"
)
"""Keys whose values are numbers, as the conventions and we state them: a number that is the value of another key may be somebody's id."""


class Shape(NamedTuple):
    """What a table holds, and how it is asked."""

    signal: TableSignal
    columns: Mapping[str, str]
    """Name of a part → the expression that gives it."""
    as_text: bool
    """Whether values of attributes became text: the layout with a Map."""


def shape_of(columns: Mapping[str, str]) -> Shape | None:
    """The shape of a table with these columns (name → type); ``None`` for one that the exporter did not make."""
    if columns.keys() >= {
        "Timestamp",
        "SpanId",
        "SpanName",
        "Duration",
        "SpanAttributes",
        "Events.Name",
        "Links.SpanId",
    }:
        return Shape("traces", _TRACES, columns["SpanAttributes"].startswith("Map"))
    if columns.keys() >= {"Timestamp", "Body", "SeverityNumber", "LogAttributes"}:
        asked = {name: value for name, value in _LOGS.items() if name != "event_name" or "EventName" in columns}
        return Shape("logs", asked, columns["LogAttributes"].startswith("Map"))
    return None


def request_of(shape: Shape, rows: Iterable[Sequence[Any]]) -> bytes:
    """The rows, given as ``shape.columns`` ask for them, as an OTLP request in JSON."""
    make = _span if shape.signal == "traces" else _record
    by_origin: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in rows:
        given = dict(zip(shape.columns, row, strict=True))
        origin = (given["resource"], given["scope"], given["scope_version"])
        by_origin.setdefault(origin, []).append(make(given, as_text=shape.as_text))
    of_scopes, parts = ("scopeSpans", "spans") if shape.signal == "traces" else ("scopeLogs", "logRecords")
    resources = [
        {
            "resource": {"attributes": _pairs(resource, as_text=shape.as_text)},
            of_scopes: [{"scope": {"name": scope, "version": version}, parts: said}],
        }
        for (resource, scope, version), said in by_origin.items()
    ]
    return msgspec.json.encode({"resourceSpans" if shape.signal == "traces" else "resourceLogs": resources})


def _span(given: Mapping[str, Any], *, as_text: bool) -> dict[str, Any]:
    events = zip(given["event_times"], given["event_names"], _each(given["event_attributes"]), strict=True)
    links = zip(given["link_traces"], given["link_spans"], _each(given["link_attributes"]), strict=True)
    failed = given["status"].lower() in _ERRORS
    return {
        "traceId": given["trace_id"],
        "spanId": given["span_id"],
        "parentSpanId": given["parent"],
        "name": given["name"],
        "kind": _KINDS.get(given["kind"].lower().removeprefix("span_kind_"), 0),
        "startTimeUnixNano": str(given["time"]),
        "endTimeUnixNano": str(given["time"] + given["duration"]),
        "attributes": _pairs(given["attributes"], as_text=as_text),
        "events": [
            {"timeUnixNano": str(time), "name": name, "attributes": _pairs(said, as_text=as_text)}
            for time, name, said in events
        ],
        "links": [
            {"traceId": trace, "spanId": span, "attributes": _pairs(said, as_text=as_text)}
            for trace, span, said in links
        ],
        "status": {"code": 2 if failed else 0, "message": given["message"]},
    }


def _record(given: Mapping[str, Any], *, as_text: bool) -> dict[str, Any]:
    return {
        "timeUnixNano": str(given["time"]),
        "severityNumber": given["severity"],
        "severityText": given["severity_text"],
        "body": {"stringValue": given["body"]},
        "attributes": _pairs(given["attributes"], as_text=as_text),
        "eventName": given.get("event_name", ""),
        "traceId": given["trace_id"],
        "spanId": given["span_id"],
    }


def _each(text: str) -> list[Any]:
    """The attributes of each event or link."""
    found: list[Any] = msgspec.json.decode(text)
    return found


def _pairs(said: Any, *, as_text: bool) -> list[dict[str, Any]]:
    """Attributes as OTLP has them."""
    members = msgspec.json.decode(said) if isinstance(said, str) else said
    flat = ((key, _typed(key, value)) for key, value in members.items()) if as_text else _flattened(members, "")
    return [{"key": key, "value": value} for key, each in flat if (value := _value(each)) is not None]


def _flattened(members: Mapping[str, Any], above: str) -> Iterable[tuple[str, Any]]:
    for key, value in members.items():
        if isinstance(value, dict):
            yield from _flattened(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _typed(key: str, text: str) -> Any:
    """What a text was before the Map: a list of plain values, or a number where the key says so."""
    if text[:2] in {'["', "[]"} or (_NUMERIC.search(key) and text[:1] in _OF_NUMBERS):
        try:
            value = msgspec.json.decode(text)
        except msgspec.DecodeError:
            return text
        if isinstance(value, (int, float)):
            return float(value) if _SECONDS.search(key) else value
        if isinstance(value, list) and all(type(one) is str for one in value):
            return value
    return text


_OF_NUMBERS: Final = frozenset("-0123456789")
_SECONDS: Final = re.compile(r"\.time_to_first_chunk$")
"""Times in seconds: a whole number of them became a text without a point."""


def _value(value: Any) -> dict[str, Any] | None:
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)} if -(1 << 63) <= value < 1 << 63 else {"stringValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [made for one in value if (made := _value(one)) is not None]}}
    if isinstance(value, dict):
        pairs = [{"key": key, "value": made} for key, one in value.items() if (made := _value(one)) is not None]
        return {"kvlistValue": {"values": pairs}}
    return None

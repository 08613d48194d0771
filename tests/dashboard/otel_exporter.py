"""What the Collector's ClickHouse exporter does: its tables of traces and logs, in both layouts, and rows as it writes them.

Columns, types, orders and how values become text are facts of
https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/exporter/clickhouseexporter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Literal

import requests
from clickhouse_engine import new_url

__all__ = ["Layout", "OtelDatabase", "records_of", "spans_of"]

Layout = Literal["map", "json"]

_ATTRIBUTES = {"map": "Map(LowCardinality(String), String)", "json": "JSON"}
_WORD = "LowCardinality(String)"
_SPAN_KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
_STATUSES = ("Unset", "Ok", "Error")


class OtelDatabase:
    """A database of its own with both tables."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        place = re.fullmatch(r"clickhouse://default@([^/]+)/(\w+)", new_url())
        assert place is not None
        self._http, self.name = f"http://{place[1]}/", place[2]
        self.url = f"clickhouse://default@{place[1]}/{self.name}"
        attributes = _ATTRIBUTES[layout]
        self.run(f"CREATE DATABASE {self.name}")
        self.run(
            f"CREATE TABLE {self.name}.otel_traces (Timestamp DateTime64(9) CODEC(Delta(8), ZSTD(1)), TraceId String, SpanId String, "
            f"ParentSpanId String, TraceState String, SpanName {_WORD}, SpanKind {_WORD}, ServiceName {_WORD}, "
            f"ResourceAttributes {attributes}, ScopeName String, ScopeVersion String, SpanAttributes {attributes}, Duration UInt64, "
            f"StatusCode {_WORD}, StatusMessage String, "
            f"Events Nested (Timestamp DateTime64(9), Name {_WORD}, Attributes {attributes}), "
            f"Links Nested (TraceId String, SpanId String, TraceState String, Attributes {attributes})) ENGINE = MergeTree "
            "PARTITION BY toDate(Timestamp) ORDER BY (ServiceName, SpanName, toDateTime(Timestamp), Timestamp)"
        )
        newer = f", EventName {_WORD}" if layout == "map" else f", LogAttributesKeys Array({_WORD})"
        self.run(
            f"CREATE TABLE {self.name}.otel_logs (Timestamp DateTime64(9) CODEC(Delta(8), ZSTD(1)), TraceId String, SpanId String, "
            f"TraceFlags UInt8, SeverityText {_WORD}, SeverityNumber UInt8, ServiceName {_WORD}, Body String, "
            f"ResourceSchemaUrl {_WORD}, ResourceAttributes {attributes}, ScopeSchemaUrl {_WORD}, ScopeName String, "
            f"ScopeVersion {_WORD}, ScopeAttributes {attributes}, LogAttributes {attributes}{newer}) ENGINE = MergeTree "
            "PARTITION BY toDate(Timestamp) ORDER BY (toStartOfFiveMinutes(Timestamp), ServiceName, Timestamp)"
        )

    def run(self, statement: str) -> None:
        """Have the engine do something."""
        answer = requests.post(self._http, data=statement.encode(), timeout=60)
        assert answer.status_code == 200, answer.text

    def export(self, request: dict[str, Any]) -> None:
        """Write what an OTLP request says, as the exporter does: each time anew, whatever is there."""
        rows = [self._span_row(*each) for each in spans_of(request)]
        self._insert("otel_traces", rows)
        self._insert("otel_logs", [self._log_row(*each) for each in records_of(request)])

    def _insert(self, table: str, rows: list[dict[str, Any]]) -> None:
        if rows:
            lines = "\n".join(json.dumps(row) for row in rows)
            self.run(f"INSERT INTO {self.name}.{table} FORMAT JSONEachRow\n{lines}")

    def _span_row(self, resource: dict[str, Any], scope: dict[str, Any], span: dict[str, Any]) -> dict[str, Any]:
        start, end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
        status = span.get("status", {})
        events, links = span.get("events", []), span.get("links", [])
        return {
            "Timestamp": _moment(start),
            "TraceId": span["traceId"],
            "SpanId": span["spanId"],
            "ParentSpanId": span.get("parentSpanId", ""),
            "SpanName": span["name"],
            "SpanKind": _SPAN_KINDS[span.get("kind", 0)],
            "ServiceName": _of(resource).get("service.name", ""),
            "ResourceAttributes": self._attributes(resource),
            "ScopeName": scope.get("name", ""),
            "ScopeVersion": scope.get("version", ""),
            "SpanAttributes": self._attributes(span),
            "Duration": end - start,
            "StatusCode": _STATUSES[status.get("code", 0)],
            "StatusMessage": status.get("message", ""),
            "Events.Timestamp": [_moment(int(event["timeUnixNano"])) for event in events],
            "Events.Name": [event["name"] for event in events],
            "Events.Attributes": [self._attributes(event) for event in events],
            "Links.TraceId": [link["traceId"] for link in links],
            "Links.SpanId": [link["spanId"] for link in links],
            "Links.TraceState": ["" for _ in links],
            "Links.Attributes": [self._attributes(link) for link in links],
        }

    def _log_row(self, resource: dict[str, Any], scope: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
        return {
            "Timestamp": _moment(int(record["timeUnixNano"])),
            "TraceId": record.get("traceId", ""),
            "SpanId": record.get("spanId", ""),
            "SeverityText": record.get("severityText", ""),
            "SeverityNumber": record.get("severityNumber", 0),
            "ServiceName": _of(resource).get("service.name", ""),
            "Body": _text(_plain(record["body"])),
            "ResourceAttributes": self._attributes(resource),
            "ScopeName": scope.get("name", ""),
            "ScopeVersion": scope.get("version", ""),
            "LogAttributes": self._attributes(record),
            **({"EventName": record.get("eventName", "")} if self.layout == "map" else {}),
        }

    def _attributes(self, part: dict[str, Any]) -> dict[str, Any]:
        given = _of(part)
        return given if self.layout == "json" else {key: _text(value) for key, value in given.items()}


def spans_of(request: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """The spans of a request, each with its resource and scope."""
    for resource in request.get("resourceSpans", []):
        for scope in resource["scopeSpans"]:
            yield from ((resource["resource"], scope.get("scope", {}), span) for span in scope["spans"])


def records_of(request: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """The log records of a request, likewise."""
    for resource in request.get("resourceLogs", []):
        for scope in resource["scopeLogs"]:
            yield from ((resource["resource"], scope.get("scope", {}), record) for record in scope["logRecords"])


def _of(part: dict[str, Any]) -> dict[str, Any]:
    return {pair["key"]: _plain(pair["value"]) for pair in part.get("attributes", [])}


def _plain(value: dict[str, Any]) -> Any:
    ((kind, said),) = value.items()
    if kind == "intValue":
        return int(said)
    if kind == "arrayValue":
        return [_plain(one) for one in said.get("values", [])]
    if kind == "kvlistValue":
        return {pair["key"]: _plain(pair["value"]) for pair in said.get("values", [])}
    return said


def _text(value: Any) -> str:
    """A value as the exporter's Map has it."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # as Go writes it
    return json.dumps(value, separators=(",", ":"))


def _moment(time_ns: int) -> str:
    return f"{time_ns // 10**9}.{time_ns % 10**9:09d}"

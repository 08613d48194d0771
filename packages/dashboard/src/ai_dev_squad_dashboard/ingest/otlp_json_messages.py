"""The messages of OTLP in JSON, as msgspec reads them: what is allowed where, and nothing else.

The ``Raw…`` ones are read when a request as a whole is not valid: its parts then are read one by one.
"""

from __future__ import annotations

import msgspec

Integer = int | str | None
Number = float | str | None


class Part(msgspec.Struct, rename="camel", gc=False):
    """What all parts of a request have in common: how field names are written."""


class Value(Part):
    string_value: str | None = None
    int_value: Integer = None
    double_value: Number = None
    bool_value: bool | None = None
    array_value: Array | None = None
    kvlist_value: Pairs | None = None
    bytes_value: str | None = None


class Array(Part):
    values: list[Value | None] | None = None


class Pair(Part):
    key: str | None = None
    value: Value | None = None


class Pairs(Part):
    values: list[Pair | None] | None = None


class Resource(Part):
    attributes: list[Pair] | None = None


class Scope(Part):
    name: str | None = None
    version: str | None = None


class SpanEvent(Part):
    time_unix_nano: Integer = None
    name: str | None = None
    attributes: list[Pair] | None = None


class SpanLink(Part):
    trace_id: str | None = None
    span_id: str | None = None
    attributes: list[Pair] | None = None


class Status(Part):
    code: int | str | None = None
    message: str | None = None


class SpanMessage(Part):
    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    name: str | None = None
    kind: int | str | None = None
    start_time_unix_nano: Integer = None
    end_time_unix_nano: Integer = None
    attributes: list[Pair] | None = None
    events: list[SpanEvent] | None = None
    links: list[SpanLink] | None = None
    status: Status | None = None


class Record(Part):
    time_unix_nano: Integer = None
    observed_time_unix_nano: Integer = None
    severity_number: int | str | None = None
    severity_text: str | None = None
    body: Value | None = None
    attributes: list[Pair] | None = None
    event_name: str | None = None
    trace_id: str | None = None
    span_id: str | None = None


class Buckets(Part):
    offset: int | None = None
    bucket_counts: list[int | str] | None = None


class Quantile(Part):
    quantile: Number = None
    value: Number = None


class PointMessage(Part):
    """A point of any kind of metric."""

    attributes: list[Pair] | None = None
    time_unix_nano: Integer = None
    start_time_unix_nano: Integer = None
    as_double: Number = None
    as_int: Integer = None
    count: Integer = None
    sum: Number = None
    min: Number = None
    max: Number = None
    bucket_counts: list[int | str] | None = None
    explicit_bounds: list[float | str] | None = None
    scale: int | None = None
    zero_count: Integer = None
    positive: Buckets | None = None
    negative: Buckets | None = None
    quantile_values: list[Quantile] | None = None


class Points(Part):
    data_points: list[PointMessage] | None = None
    aggregation_temporality: int | str | None = None


class MetricMessage(Part):
    name: str | None = None
    unit: str | None = None
    gauge: Points | None = None
    sum: Points | None = None
    histogram: Points | None = None
    exponential_histogram: Points | None = None
    summary: Points | None = None


class OfScope(Part):
    scope: Scope | None = None
    spans: list[SpanMessage] | None = None
    log_records: list[Record] | None = None
    metrics: list[MetricMessage] | None = None


class OfResource(Part):
    resource: Resource | None = None
    scope_spans: list[OfScope] | None = None
    scope_logs: list[OfScope] | None = None
    scope_metrics: list[OfScope] | None = None


class Request(Part):
    resource_spans: list[OfResource] | None = None
    resource_logs: list[OfResource] | None = None
    resource_metrics: list[OfResource] | None = None


class RawOfScope(Part):
    scope: Scope | None = None
    spans: list[msgspec.Raw] | None = None
    log_records: list[msgspec.Raw] | None = None
    metrics: list[msgspec.Raw] | None = None


class RawOfResource(Part):
    resource: msgspec.Raw = msgspec.Raw(b"null")  # msgspec 0.22 takes nothing but null for `Raw | None`
    scope_spans: list[RawOfScope] | None = None
    scope_logs: list[RawOfScope] | None = None
    scope_metrics: list[RawOfScope] | None = None


class RawRequest(Part):
    resource_spans: list[RawOfResource] | None = None
    resource_logs: list[RawOfResource] | None = None
    resource_metrics: list[RawOfResource] | None = None

"""OTLP requests in JSON: ids are hex in any case, 64-bit integers strings or numbers, unknown fields are ignored.

The types say what is allowed where, and msgspec checks it while it reads, nesting included.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from .otlp_shapes import Attributes, Event, InvalidRequest, Link, LogRecord, Metric, Origin, Point, Span, is_hex_id

__all__ = ["read_logs", "read_metrics", "read_spans"]

_Integer = int | str | None
_Number = float | str | None
_DEPTH = 64
_LARGEST = 1 << 64


class _Part(msgspec.Struct, rename="camel", gc=False):
    """What all parts of a request have in common: how field names are written."""


class _Value(_Part):
    string_value: str | None = None
    int_value: _Integer = None
    double_value: _Number = None
    bool_value: bool | None = None
    array_value: _Array | None = None
    kvlist_value: _Pairs | None = None
    bytes_value: str | None = None


class _Array(_Part):
    values: list[_Value | None] | None = None


class _Pair(_Part):
    key: str | None = None
    value: _Value | None = None


class _Pairs(_Part):
    values: list[_Pair | None] | None = None


class _Resource(_Part):
    attributes: list[_Pair] | None = None


class _Scope(_Part):
    name: str | None = None
    version: str | None = None


class _Event(_Part):
    time_unix_nano: _Integer = None
    name: str | None = None
    attributes: list[_Pair] | None = None


class _Link(_Part):
    trace_id: str | None = None
    span_id: str | None = None
    attributes: list[_Pair] | None = None


class _Status(_Part):
    code: int | str | None = None
    message: str | None = None


class _Span(_Part):
    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    name: str | None = None
    kind: int | str | None = None
    start_time_unix_nano: _Integer = None
    end_time_unix_nano: _Integer = None
    attributes: list[_Pair] | None = None
    events: list[_Event] | None = None
    links: list[_Link] | None = None
    status: _Status | None = None


class _Record(_Part):
    time_unix_nano: _Integer = None
    observed_time_unix_nano: _Integer = None
    severity_number: int | str | None = None
    severity_text: str | None = None
    body: _Value | None = None
    attributes: list[_Pair] | None = None
    event_name: str | None = None
    trace_id: str | None = None
    span_id: str | None = None


class _Buckets(_Part):
    offset: int | None = None
    bucket_counts: list[int | str] | None = None


class _Quantile(_Part):
    quantile: _Number = None
    value: _Number = None


class _Point(_Part):
    """A point of any kind of metric."""

    attributes: list[_Pair] | None = None
    time_unix_nano: _Integer = None
    as_double: _Number = None
    as_int: _Integer = None
    count: _Integer = None
    sum: _Number = None
    min: _Number = None
    max: _Number = None
    bucket_counts: list[int | str] | None = None
    explicit_bounds: list[float | str] | None = None
    scale: int | None = None
    zero_count: _Integer = None
    positive: _Buckets | None = None
    negative: _Buckets | None = None
    quantile_values: list[_Quantile] | None = None


class _Points(_Part):
    data_points: list[_Point] | None = None


class _Metric(_Part):
    name: str | None = None
    unit: str | None = None
    gauge: _Points | None = None
    sum: _Points | None = None
    histogram: _Points | None = None
    exponential_histogram: _Points | None = None
    summary: _Points | None = None


class _OfScope(_Part):
    scope: _Scope | None = None
    spans: list[_Span] | None = None
    log_records: list[_Record] | None = None
    metrics: list[_Metric] | None = None


class _OfResource(_Part):
    resource: _Resource | None = None
    scope_spans: list[_OfScope] | None = None
    scope_logs: list[_OfScope] | None = None
    scope_metrics: list[_OfScope] | None = None


class _Request(_Part):
    resource_spans: list[_OfResource] | None = None
    resource_logs: list[_OfResource] | None = None
    resource_metrics: list[_OfResource] | None = None


_decode = msgspec.json.Decoder(_Request).decode


def read_spans(body: bytes) -> Iterator[tuple[Origin, list[Span]]]:
    """The spans of a trace request, by origin. Raises ``InvalidRequest``."""
    for of_resource in _parse(body).resource_spans or ():
        resource = _resource(of_resource)
        for of_scope in of_resource.scope_spans or ():
            yield _origin(resource, of_scope), [_span(span) for span in of_scope.spans or ()]


def read_logs(body: bytes) -> Iterator[tuple[Origin, list[LogRecord]]]:
    """The records of a log request, by origin. Raises ``InvalidRequest``."""
    for of_resource in _parse(body).resource_logs or ():
        resource = _resource(of_resource)
        for of_scope in of_resource.scope_logs or ():
            yield _origin(resource, of_scope), [_record(record) for record in of_scope.log_records or ()]


def read_metrics(body: bytes) -> Iterator[tuple[Origin, list[Metric]]]:
    """The metrics of a metric request, by origin. Raises ``InvalidRequest``."""
    for of_resource in _parse(body).resource_metrics or ():
        resource = _resource(of_resource)
        for of_scope in of_resource.scope_metrics or ():
            yield _origin(resource, of_scope), [_metric(metric) for metric in of_scope.metrics or ()]


def _parse(body: bytes) -> _Request:
    try:
        return _decode(body)
    except RecursionError:
        raise InvalidRequest("the JSON is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"the body is not the JSON message that this path takes: {error}") from None


def _resource(of_resource: _OfResource) -> Attributes:
    return _attributes(of_resource.resource.attributes) if of_resource.resource else {}


def _origin(resource: Attributes, of_scope: _OfScope) -> Origin:
    scope = of_scope.scope
    return Origin(resource, (scope.name or "") if scope else "", (scope.version or "") if scope else "")


def _span(span: _Span) -> Span:
    status = span.status
    return Span(
        _id(span.trace_id, 32),
        _id(span.span_id, 16),
        _id(span.parent_span_id, 16),
        span.name or "",
        span.kind if isinstance(span.kind, int) else 0,
        _integer(span.start_time_unix_nano),
        _integer(span.end_time_unix_nano),
        _attributes(span.attributes),
        [
            Event(_integer(event.time_unix_nano), event.name or "", _attributes(event.attributes))
            for event in span.events or ()
        ],
        [
            Link(_id(link.trace_id, 32), _id(link.span_id, 16), _attributes(link.attributes))
            for link in span.links or ()
        ],
        status is not None and status.code in (2, "STATUS_CODE_ERROR"),
        (status.message or "") if status else "",
    )


def _record(record: _Record) -> LogRecord:
    return LogRecord(
        _integer(record.time_unix_nano) or _integer(record.observed_time_unix_nano),
        record.severity_number if isinstance(record.severity_number, int) else 0,
        record.severity_text or "",
        _value(record.body, 0),
        _attributes(record.attributes),
        record.event_name or "",
        _id(record.trace_id, 32),
        _id(record.span_id, 16),
    )


def _id(text: str | None, digits: int) -> str:
    return text.lower() if text and is_hex_id(text, digits) else ""


def _attributes(pairs: Sequence[_Pair | None] | None) -> Attributes:
    if not pairs:
        return {}
    found: Attributes = {}
    for pair in pairs:
        if pair is None or pair.key is None:
            continue
        value = pair.value
        if value is not None and value.string_value is not None:
            found[pair.key] = value.string_value
        else:
            found[pair.key] = _value(value, 0)
    return found


def _value(value: _Value | None, depth: int) -> Any:
    if value is None:
        return None
    if value.string_value is not None:
        return value.string_value
    if value.int_value is not None:
        return _integer(value.int_value)
    if value.double_value is not None:
        return _float(value.double_value)
    if value.bool_value is not None:
        return value.bool_value
    if depth >= _DEPTH:
        return "(nested too deeply)"
    if value.array_value is not None:
        return [_value(item, depth + 1) for item in value.array_value.values or ()]
    if value.kvlist_value is not None:
        pairs = value.kvlist_value.values or ()
        return {pair.key or "": _value(pair.value, depth + 1) for pair in pairs if pair is not None}
    if value.bytes_value is not None:
        try:
            return binascii.a2b_base64(value.bytes_value.encode())
        except (binascii.Error, UnicodeEncodeError):
            return value.bytes_value
    return None


def _integer(value: int | str | None) -> int:
    """A 64-bit integer. Raises ``InvalidRequest`` for text that is none."""
    if value is None:
        return 0
    if isinstance(value, str):
        if len(value) > 20 or not (value.isascii() and value.removeprefix("-").isdigit()):
            raise InvalidRequest(f'{value[:40]!r} is not a 64-bit integer; write it like "1700000000000000000"')
        value = int(value)
    if not -_LARGEST < value < _LARGEST:
        raise InvalidRequest(f"{value!r} does not fit 64 bits")
    return value


def _float(value: float | str) -> float:
    """A number. Raises ``InvalidRequest`` for text that is none; ``NaN`` and ``Infinity`` are allowed."""
    if isinstance(value, str):
        try:
            return float(value[:40])
        except ValueError:
            raise InvalidRequest(f"{value[:40]!r} is not a number") from None
    return value


def _optional(value: float | str | None) -> float | None:
    return None if value is None else _float(value)


# --- metrics ------------------------------------------------------------------------------------------------------------


def _metric(metric: _Metric) -> Metric:
    for kind, read in _POINTS.items():
        points: _Points | None = getattr(metric, kind)
        if points is not None:
            return Metric(
                metric.name or "", kind, metric.unit or "", [read(point) for point in points.data_points or ()]
            )
    return Metric(metric.name or "", "", metric.unit or "", [])


def _number(point: _Point) -> Point:
    value = _optional(point.as_double) if point.as_double is not None else None
    if value is None and point.as_int is not None:
        value = float(_integer(point.as_int))
    return Point(_integer(point.time_unix_nano), _attributes(point.attributes), value, None, None)


def _histogram(point: _Point) -> Point:
    bounds = [_float(bound) for bound in point.explicit_bounds or ()]
    return _counted(point, {"bounds": bounds, "counts": _integers(point.bucket_counts), **_range(point)})


def _exponential(point: _Point) -> Point:
    shape = {
        "scale": point.scale or 0,
        "zero_count": _integer(point.zero_count),
        "positive": _side(point.positive),
        "negative": _side(point.negative),
        **_range(point),
    }
    return _counted(point, shape)


def _side(buckets: _Buckets | None) -> dict[str, Any]:
    if buckets is None:
        return {"offset": 0, "counts": []}
    return {"offset": buckets.offset or 0, "counts": _integers(buckets.bucket_counts)}


def _summary(point: _Point) -> Point:
    quantiles = [
        [_optional(item.quantile) or 0.0, _optional(item.value) or 0.0] for item in point.quantile_values or ()
    ]
    time_ns, attributes = _integer(point.time_unix_nano), _attributes(point.attributes)
    return Point(time_ns, attributes, _optional(point.sum) or 0.0, _integer(point.count), {"quantiles": quantiles})


def _counted(point: _Point, buckets: dict[str, Any]) -> Point:
    time_ns, attributes = _integer(point.time_unix_nano), _attributes(point.attributes)
    return Point(time_ns, attributes, _optional(point.sum), _integer(point.count), {"buckets": buckets})


def _range(point: _Point) -> dict[str, float]:
    sides = {"min": _optional(point.min), "max": _optional(point.max)}
    return {name: value for name, value in sides.items() if value is not None}


def _integers(values: Sequence[int | str] | None) -> list[int]:
    return [_integer(value) for value in values or ()]


_POINTS = {
    "gauge": _number,
    "sum": _number,
    "histogram": _histogram,
    "exponential_histogram": _exponential,
    "summary": _summary,
}

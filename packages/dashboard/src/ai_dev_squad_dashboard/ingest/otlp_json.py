"""OTLP requests in JSON: ids are hex in any case, 64-bit integers strings or numbers, unknown fields are ignored.

The types of the messages say what is allowed where, and msgspec checks it while it reads, nesting included. A request that is
not valid as a whole is read again part by part, so that a bad part costs itself and no other.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

from .otlp_json_messages import (
    Buckets,
    MetricMessage,
    OfScope,
    Pair,
    PointMessage,
    Points,
    RawOfScope,
    RawRequest,
    Record,
    Request,
    Resource,
    SpanMessage,
    Value,
)
from .otlp_shapes import (
    TEMPORALITIES,
    Attributes,
    Event,
    InvalidRequest,
    Link,
    LogRecord,
    Metric,
    Origin,
    Point,
    Span,
    Unreadable,
    is_hex_id,
    read_each,
)

__all__ = ["overlooked", "read_logs", "read_metrics", "read_spans"]

_DEPTH = 64
_LARGEST = 1 << 64

_decode = msgspec.json.Decoder(Request).decode
_decode_outside = msgspec.json.Decoder(RawRequest).decode
_decode_resource = msgspec.json.Decoder(Resource | None).decode

_Read = TypeVar("_Read")


class _Signal(NamedTuple):
    """Where the parts of a signal stand in a request, and what one of them is."""

    of_resources: str
    of_scopes: str
    parts: str
    decode: Callable[[bytes], Any]


_SPANS = _Signal("resource_spans", "scope_spans", "spans", msgspec.json.Decoder(SpanMessage).decode)
_RECORDS = _Signal("resource_logs", "scope_logs", "log_records", msgspec.json.Decoder(Record).decode)
_METRICS = _Signal("resource_metrics", "scope_metrics", "metrics", msgspec.json.Decoder(MetricMessage).decode)


def read_spans(body: bytes) -> Iterator[tuple[Origin, list[Span | Unreadable]]]:
    """The spans of a trace request, by origin. Raises ``InvalidRequest``."""
    return _read(body, _SPANS, _span)


def read_logs(body: bytes) -> Iterator[tuple[Origin, list[LogRecord | Unreadable]]]:
    """The records of a log request, by origin. Raises ``InvalidRequest``."""
    return _read(body, _RECORDS, _record)


def read_metrics(body: bytes) -> Iterator[tuple[Origin, list[Metric | Unreadable]]]:
    """The metrics of a metric request, by origin. Raises ``InvalidRequest``."""
    return _read(body, _METRICS, _metric)


def _read(
    body: bytes, signal: _Signal, read: Callable[[Any], _Read]
) -> Iterator[tuple[Origin, list[_Read | Unreadable]]]:
    try:
        request = _decode(body)
    except RecursionError:
        raise InvalidRequest("the JSON is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        yield from _read_apart(_mended(body), signal, read)
        return
    yield from _walked(request, signal, _resource, read)


def _walked(
    request: Any, signal: _Signal, resource_of: Callable[[Any], Attributes | Unreadable], read: Callable[[Any], _Read]
) -> Iterator[tuple[Origin, list[_Read | Unreadable]]]:
    for of_resource in getattr(request, signal.of_resources) or ():
        resource = resource_of(of_resource.resource)
        for of_scope in getattr(of_resource, signal.of_scopes) or ():
            origin = _origin({} if isinstance(resource, Unreadable) else resource, of_scope)
            parts = getattr(of_scope, signal.parts) or ()
            yield origin, [resource] * len(parts) if isinstance(resource, Unreadable) else read_each(read, parts)


# --- requests of which some part is not valid ---------------------------------------------------------------------------

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


def _mended(body: bytes) -> bytes:
    """``body`` with U+FFFD for what is no character: halves of surrogate pairs, which cutting a text may leave, and bad bytes."""
    return _ESCAPE.sub(_whole_escape, body.decode("utf-8", "replace").encode())


def _whole_escape(found: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if found[1] else found[0]


def _read_apart(
    body: bytes, signal: _Signal, read: Callable[[Any], _Read]
) -> Iterator[tuple[Origin, list[_Read | Unreadable]]]:
    try:
        request = _decode_outside(body)
    except RecursionError:
        raise InvalidRequest("the JSON is nested too deeply") from None
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"the body is not the JSON message that this path takes: {error}") from None

    def read_raw(raw: msgspec.Raw) -> _Read:
        return read(_decoded(signal.decode, raw))

    yield from _walked(request, signal, _raw_resource, read_raw)


def _decoded(decode: Callable[[bytes], Any], raw: msgspec.Raw) -> Any:
    try:
        return decode(bytes(raw))
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidRequest(f"it cannot be read ({error})") from None


def _raw_resource(raw: msgspec.Raw) -> Attributes | Unreadable:
    try:
        return _resource(_decoded(_decode_resource, raw))
    except InvalidRequest as error:
        return Unreadable(f"its resource: {error}")


# --- requests in which nothing was found --------------------------------------------------------------------------------

_BESIDE = frozenset({"resource", "schemaUrl"})


def overlooked(body: bytes, signal: Literal["traces", "logs", "metrics"]) -> str:
    """What to tell the sender of a valid ``body`` in which nothing was found: the names that stand where the parts should.

    Unknown names have to be ignored, so that another signal, an older release's names or Protobuf's own look like an empty
    request. ``""`` if it is one.
    """
    names = _NAMED[signal]
    try:
        found = [msgspec.json.decode(body)]
    except (msgspec.DecodeError, RecursionError):
        return ""
    for name in names:
        beside = sorted(
            {key for part in found if isinstance(part, dict) and name not in part for key in part} - _BESIDE
        )
        if beside:
            return f"nothing was found in it: {beside[0][:64]!r} stands where this path looks for {name!r}"
        parts = (part.get(name) for part in found if isinstance(part, dict))
        found = [inner for part in parts if isinstance(part, list) for inner in part]
    return ""


_NAMED = {
    "traces": ("resourceSpans", "scopeSpans"),
    "logs": ("resourceLogs", "scopeLogs"),
    "metrics": ("resourceMetrics", "scopeMetrics"),
}


# --- parts --------------------------------------------------------------------------------------------------------------


def _resource(resource: Resource | None) -> Attributes | Unreadable:
    try:
        return _attributes(resource.attributes) if resource is not None else {}
    except InvalidRequest as error:
        return Unreadable(f"its resource: {error}")


def _origin(resource: Attributes, of_scope: OfScope | RawOfScope) -> Origin:
    scope = of_scope.scope
    return Origin(resource, (scope.name or "") if scope else "", (scope.version or "") if scope else "")


def _span(span: SpanMessage) -> Span:
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


def _record(record: Record) -> LogRecord:
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


def _attributes(pairs: Sequence[Pair | None] | None) -> Attributes:
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


def _value(value: Value | None, depth: int) -> Any:
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


def _metric(metric: MetricMessage) -> Metric:
    for kind, read in _POINTS.items():
        points: Points | None = getattr(metric, kind)
        if points is not None:
            read_points = [read(point) for point in points.data_points or ()]
            return Metric(metric.name or "", kind, metric.unit or "", read_points, _temporality(points))
    return Metric(metric.name or "", "", metric.unit or "", [])


def _temporality(points: Points) -> Literal["", "delta", "cumulative"]:
    said = points.aggregation_temporality
    if isinstance(said, str):
        name = said.removeprefix("AGGREGATION_TEMPORALITY_").lower()
        return next((each for each in TEMPORALITIES.values() if each == name), "")
    return TEMPORALITIES.get(said or 0, "")


def _number(point: PointMessage) -> Point:
    value = _optional(point.as_double) if point.as_double is not None else None
    if value is None and point.as_int is not None:
        value = float(_integer(point.as_int))
    time_ns, start_ns = _integer(point.time_unix_nano), _integer(point.start_time_unix_nano)
    return Point(time_ns, _attributes(point.attributes), value, None, None, start_ns)


def _histogram(point: PointMessage) -> Point:
    bounds = [_float(bound) for bound in point.explicit_bounds or ()]
    return _counted(point, {"bounds": bounds, "counts": _integers(point.bucket_counts), **_range(point)})


def _exponential(point: PointMessage) -> Point:
    shape = {
        "scale": point.scale or 0,
        "zero_count": _integer(point.zero_count),
        "positive": _side(point.positive),
        "negative": _side(point.negative),
        **_range(point),
    }
    return _counted(point, shape)


def _side(buckets: Buckets | None) -> dict[str, Any]:
    if buckets is None:
        return {"offset": 0, "counts": []}
    return {"offset": buckets.offset or 0, "counts": _integers(buckets.bucket_counts)}


def _summary(point: PointMessage) -> Point:
    quantiles = [
        [_optional(item.quantile) or 0.0, _optional(item.value) or 0.0] for item in point.quantile_values or ()
    ]
    time_ns, attributes = _integer(point.time_unix_nano), _attributes(point.attributes)
    return Point(time_ns, attributes, _optional(point.sum) or 0.0, _integer(point.count), {"quantiles": quantiles})


def _counted(point: PointMessage, buckets: dict[str, Any]) -> Point:
    time_ns, start_ns = _integer(point.time_unix_nano), _integer(point.start_time_unix_nano)
    attributes, total = _attributes(point.attributes), _optional(point.sum)
    return Point(time_ns, attributes, total, _integer(point.count), {"buckets": buckets}, start_ns)


def _range(point: PointMessage) -> dict[str, float]:
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

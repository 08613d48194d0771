"""OTLP requests in protobuf.

A span has some twenty attributes, and making three Python objects for each is what reading OTLP costs. So the messages
are read with a schema of our own: OpenTelemetry's, in which attributes and values are plain bytes; on the wire that is the
same. An attribute then is one bytes object, and the few ways in which short ones are written are read right here; all
others by OpenTelemetry's own classes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1 import common_pb2

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
    read_each,
)

__all__ = ["read_logs", "read_metrics", "read_spans"]

_KEPT = 8192
_KEPT_LENGTH = 128
_DEPTH = 64
_VALUES = {".opentelemetry.proto.common.v1.KeyValue", ".opentelemetry.proto.common.v1.AnyValue"}
_PARTS = {
    ".opentelemetry.proto.trace.v1.Span",
    ".opentelemetry.proto.logs.v1.LogRecord",
    ".opentelemetry.proto.metrics.v1.Metric",
}
_NO_ID = {16: b"\0" * 16, 8: b"\0" * 8}
_double = struct.Struct("<d").unpack_from


_Read = TypeVar("_Read")


def _with_raw(names: set[str], *files: FileDescriptor) -> descriptor_pool.DescriptorPool:
    """OpenTelemetry's descriptors, with bytes wherever they have a message of these ``names``."""
    pool = descriptor_pool.DescriptorPool()
    added: set[str] = set()

    def add(file: FileDescriptor) -> None:
        if file.name in added:
            return
        added.add(file.name)
        for dependency in file.dependencies:
            add(dependency)
        copy = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(copy)
        for message in copy.message_type:
            change(message)
        pool.AddSerializedFile(copy.SerializeToString())

    def change(message: descriptor_pb2.DescriptorProto) -> None:
        for item in message.field:
            if item.type_name in names:
                item.type = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
                item.ClearField("type_name")
        for nested in message.nested_type:
            change(nested)

    for file in files:
        add(file)
    return pool


_FILES = trace_service_pb2.DESCRIPTOR, logs_service_pb2.DESCRIPTOR, metrics_service_pb2.DESCRIPTOR
_pool = _with_raw(_VALUES, *_FILES)
_outside_pool = _with_raw({*_VALUES, *_PARTS}, *_FILES)
"""For requests of which some part is malformed: the parts are bytes as well, and read one by one."""


class _Signal(NamedTuple):
    """Where the parts of a signal stand in a request, and what one of them is."""

    of_resources: str
    of_scopes: str
    parts: str
    whole: Any
    outside: Any
    part: Any


def _signal(of_resources: str, of_scopes: str, parts: str, request: str, part: str) -> _Signal:
    def message(pool: descriptor_pool.DescriptorPool, name: str) -> Any:
        return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"opentelemetry.proto.{name}"))

    whole, outside = message(_pool, f"collector.{request}"), message(_outside_pool, f"collector.{request}")
    return _Signal(of_resources, of_scopes, parts, whole, outside, message(_pool, part))


_SPANS = _signal("resource_spans", "scope_spans", "spans", "trace.v1.ExportTraceServiceRequest", "trace.v1.Span")
_RECORDS = _signal(
    "resource_logs", "scope_logs", "log_records", "logs.v1.ExportLogsServiceRequest", "logs.v1.LogRecord"
)
_METRICS = _signal(
    "resource_metrics", "scope_metrics", "metrics", "metrics.v1.ExportMetricsServiceRequest", "metrics.v1.Metric"
)


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
    read_part = read
    try:
        request = signal.whole.FromString(body)
    except DecodeError:
        request = _parsed(signal.outside, body, "the body is not the protobuf message that this path takes")

        def read_part(raw: bytes) -> _Read:
            return read(_parsed(signal.part, raw, "it is malformed"))

    for of_resource in getattr(request, signal.of_resources):
        resource = _resource(of_resource.resource.attributes)
        for of_scope in getattr(of_resource, signal.of_scopes):
            scope = of_scope.scope
            origin = Origin({} if isinstance(resource, Unreadable) else resource, scope.name, scope.version)
            parts = getattr(of_scope, signal.parts)
            yield origin, [resource] * len(parts) if isinstance(resource, Unreadable) else read_each(read_part, parts)


def _parsed(kind: Any, body: bytes, wrong: str) -> Any:
    try:
        return kind.FromString(body)
    except DecodeError as error:
        raise InvalidRequest(f"{wrong}: {error}") from None


def _resource(pairs: Iterable[bytes]) -> Attributes | Unreadable:
    try:
        return _attributes(pairs)
    except InvalidRequest as error:
        return Unreadable(f"its resource: {error}")


def _span(span: Any) -> Span:
    events, links, status = span.events, span.links, span.status
    return Span(
        _hex(span.trace_id, 16),
        _hex(span.span_id, 8),
        _hex(span.parent_span_id, 8),
        span.name,
        span.kind,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        _attributes(span.attributes),
        [Event(event.time_unix_nano, event.name, _attributes(event.attributes)) for event in events] if events else [],
        [Link(_hex(link.trace_id, 16), _hex(link.span_id, 8), _attributes(link.attributes)) for link in links]
        if links
        else [],
        status.code == 2,
        status.message,
    )


def _record(record: Any) -> LogRecord:
    return LogRecord(
        record.time_unix_nano or record.observed_time_unix_nano,
        record.severity_number,
        record.severity_text,
        _value(record.body) if record.body else None,
        _attributes(record.attributes),
        record.event_name,
        _hex(record.trace_id, 16),
        _hex(record.span_id, 8),
    )


def _hex(raw: bytes, length: int) -> str:
    return raw.hex() if len(raw) == length and raw != _NO_ID[length] else ""


# --- attributes and values ----------------------------------------------------------------------------------------------

_known: dict[bytes, tuple[str, Any]] = {}
"""Short attributes as they stand on the wire: most come again and again."""
_names: dict[bytes, str] = {}


def _attributes(raws: Iterable[bytes]) -> Attributes:
    found: Attributes = {}
    for raw in raws:
        known = _known.get(raw)
        if known is None:
            known = _attribute(raw)
            if len(raw) <= _KEPT_LENGTH:
                if len(_known) >= _KEPT:
                    _known.clear()
                _known[raw] = known
        found[known[0]] = known[1]
    return found


def _attribute(raw: bytes) -> tuple[str, Any]:
    """A ``KeyValue``: 0x0a, length, key, 0x12, length, ``AnyValue``, with lengths in one byte or two."""
    try:
        end = 2 + raw[1]
        if raw[0] == 0x0A and end < 130 and raw[end] == 0x12:
            length, start = raw[end + 1], end + 2
            if length > 127 and raw[start] < 128:
                length, start = (length & 127) | raw[start] << 7, start + 1
            if start + length == len(raw):
                name = _names.get(raw[2:end])
                if name is None:
                    name = _name(raw[2:end])
                return name, _value(raw[start:])
    except IndexError:
        pass
    pair = _official(common_pb2.KeyValue, raw)
    return pair.key, _walk(pair.value, 0)


def _name(raw: bytes) -> str:
    if len(_names) >= _KEPT:
        _names.clear()
    name = _names[raw] = raw.decode("utf-8", "replace")
    return name


def _value(raw: bytes) -> Any:
    """An ``AnyValue``: here are strings, booleans, small numbers and floats as they are usually written."""
    size = len(raw)
    if size > 1:
        tag, first = raw[0], raw[1]
        if tag == 0x0A:
            if first < 128:
                if size == first + 2:
                    return raw[2:].decode("utf-8", "replace")
            elif raw[2] < 128 and size == ((first & 127) | raw[2] << 7) + 3:
                return raw[3:].decode("utf-8", "replace")
        elif tag == 0x18:
            if size == 2 and first < 128:
                return first
            if size == 3 and first > 127 and raw[2] < 128:
                return (first & 127) | raw[2] << 7
        elif tag == 0x21 and size == 9:
            return _double(raw, 1)[0]
        elif tag == 0x10 and size == 2 and first < 2:
            return first == 1
    return _walk(_official(common_pb2.AnyValue, raw), 0)


def _official(kind: Any, raw: bytes) -> Any:
    try:
        return kind.FromString(raw)
    except DecodeError as error:
        raise InvalidRequest(f"an attribute or value is malformed: {error}") from None


def _walk(value: Any, depth: int) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind in ("array_value", "kvlist_value"):
        if depth >= _DEPTH:
            return "(nested too deeply)"
        items = getattr(value, kind).values
        if kind == "array_value":
            return [_walk(item, depth + 1) for item in items]
        return {item.key: _walk(item.value, depth + 1) for item in items}
    return getattr(value, kind)


# --- metrics ------------------------------------------------------------------------------------------------------------


def _metric(metric: Any) -> Metric:
    kind = metric.WhichOneof("data") or ""
    read = _POINTS.get(kind)
    points = [] if read is None else [read(point) for point in getattr(metric, kind).data_points]
    temporality = TEMPORALITIES.get(getattr(getattr(metric, kind), "aggregation_temporality", 0)) if read else None
    return Metric(metric.name, kind if read else "", metric.unit, points, temporality or "")


def _number(point: Any) -> Point:
    which = point.WhichOneof("value")
    value = None if which is None else float(getattr(point, which))
    start_ns = point.start_time_unix_nano
    return Point(point.time_unix_nano, _attributes(point.attributes), value, None, None, start_ns)


def _histogram(point: Any) -> Point:
    shape = {"bounds": list(point.explicit_bounds), "counts": list(point.bucket_counts), **_range(point)}
    return _counted(point, shape)


def _exponential(point: Any) -> Point:
    shape = {
        "scale": point.scale,
        "zero_count": point.zero_count,
        "positive": {"offset": point.positive.offset, "counts": list(point.positive.bucket_counts)},
        "negative": {"offset": point.negative.offset, "counts": list(point.negative.bucket_counts)},
        **_range(point),
    }
    return _counted(point, shape)


def _summary(point: Any) -> Point:
    quantiles = [[item.quantile, item.value] for item in point.quantile_values]
    return Point(point.time_unix_nano, _attributes(point.attributes), point.sum, point.count, {"quantiles": quantiles})


def _counted(point: Any, buckets: dict[str, Any]) -> Point:
    total = point.sum if point.HasField("sum") else None
    attributes, start_ns = _attributes(point.attributes), point.start_time_unix_nano
    return Point(point.time_unix_nano, attributes, total, point.count, {"buckets": buckets}, start_ns)


def _range(point: Any) -> dict[str, float]:
    return {name: getattr(point, name) for name in ("min", "max") if point.HasField(name)}


_POINTS = {
    "gauge": _number,
    "sum": _number,
    "histogram": _histogram,
    "exponential_histogram": _exponential,
    "summary": _summary,
}

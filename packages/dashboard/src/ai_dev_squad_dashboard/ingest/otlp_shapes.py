"""What an OTLP request says, whichever encoding it came in: cheap shapes that both decoders fill.

Times are nanoseconds since 1970, as senders state them; ids are hex as far as they are valid, else ``""``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal, NamedTuple, TypeVar

import msgspec

__all__ = [
    "TEMPORALITIES",
    "Attributes",
    "Event",
    "InvalidRequest",
    "Link",
    "LogRecord",
    "Metric",
    "Origin",
    "Point",
    "Span",
    "Unreadable",
    "is_hex_id",
    "read_each",
    "to_json",
]

Attributes = dict[str, Any]
"""Attributes by key: strings, booleans, integers, floats, bytes, lists and dictionaries of them. The last of equal keys."""


class InvalidRequest(ValueError):
    """A request that is no OTLP; sending it again is no use. The message says what is wrong with it."""


class Unreadable(NamedTuple):
    """A part of a request that cannot be read, and why: it is rejected, and its neighbours are not."""

    reason: str


_Part = TypeVar("_Part")
_Read = TypeVar("_Read")


def read_each(read: Callable[[_Part], _Read], parts: Iterable[_Part]) -> list[_Read | Unreadable]:
    """``read`` of each part; ``Unreadable`` for those that raise ``InvalidRequest``."""

    def attempt(part: _Part) -> _Read | Unreadable:
        try:
            return read(part)
        except InvalidRequest as error:
            return Unreadable(str(error))

    return [attempt(part) for part in parts]


class Event(NamedTuple):
    """Something that happened during a span."""

    time_ns: int
    name: str
    attributes: Attributes


class Link(NamedTuple):
    """Another span that a span refers to."""

    trace_id: str
    span_id: str
    attributes: Attributes


class Span(NamedTuple):
    """One span as its sender describes it."""

    trace_id: str
    """32 lower-case hex digits, or ``""`` when it was none."""
    span_id: str
    """16 lower-case hex digits, or ``""`` when it was none."""
    parent_span_id: str
    """``""`` for a root."""
    name: str
    kind: int
    start_ns: int
    end_ns: int
    attributes: Attributes
    events: list[Event]
    links: list[Link]
    failed: bool
    """Whether its status is an error."""
    message: str
    """The description of its status."""


class LogRecord(NamedTuple):
    """One log record as its sender describes it."""

    time_ns: int
    severity: int
    severity_text: str
    body: Any
    attributes: Attributes
    event_name: str
    trace_id: str
    span_id: str


class Point(NamedTuple):
    """One point of a metric. What its kind does not have is ``None``."""

    time_ns: int
    attributes: Attributes
    value: float | None
    measurements: int | None
    shape: dict[str, Any] | None
    """Buckets or quantiles."""
    start_ns: int = 0
    """Since when it counts; 0 where the sender does not say."""


class Metric(NamedTuple):
    """A metric and its points. ``kind`` is ``""`` for one of no known kind."""

    name: str
    kind: str
    unit: str
    points: list[Point]
    temporality: Literal["", "delta", "cumulative"] = ""
    """Whether a point counts what came since the one before, or since the start; "" for kinds that have none."""


TEMPORALITIES: Final[Mapping[int, Literal["delta", "cumulative"]]] = {1: "delta", 2: "cumulative"}
"""As the protocol numbers them."""


@dataclass(frozen=True)
class Origin:
    """Who sent it: the resource and the instrumentation scope that spans, records and metrics share."""

    resource: Attributes = field(default_factory=dict)
    scope: str = ""
    scope_version: str = ""

    @cached_property
    def service(self) -> str | None:
        """The service's name, unless the SDK made it up."""
        name = self.resource.get("service.name")
        return name if isinstance(name, str) and name and not name.startswith("unknown_service") else None

    @cached_property
    def version(self) -> str | None:
        """The service's version."""
        version = self.resource.get("service.version")
        return version[:200] or None if isinstance(version, str) else None

    @cached_property
    def resource_json(self) -> msgspec.Raw:
        """The resource as JSON: encoded once for all spans that share it."""
        return msgspec.Raw(to_json(self.resource))


_HEX = frozenset("0123456789abcdefABCDEF")


def is_hex_id(text: str, digits: int) -> bool:
    """Whether ``text`` is a valid id: so many hex digits, not all zero."""
    return len(text) == digits and _HEX.issuperset(text) and text.strip("0") != ""


_encode = msgspec.json.Encoder(decimal_format="number").encode


def to_json(value: Any) -> bytes:
    """``value`` as JSON. Bytes become base64, numbers without a JSON form null; text that UTF-8 cannot say is replaced."""
    try:
        return _encode(value)
    except (UnicodeEncodeError, OverflowError, RecursionError, TypeError):
        return _encode(_plain(value, 0))


def _plain(value: Any, depth: int) -> Any:
    if depth > 64:
        return "(nested too deeply)"
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int) and not -(1 << 63) <= value < (1 << 64):
        return float(value)
    if isinstance(value, dict):
        return {_plain(str(key), depth): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, depth + 1) for item in value]
    return value

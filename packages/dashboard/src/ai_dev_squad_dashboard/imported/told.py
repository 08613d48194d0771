"""What a record of another product comes to: a span as OTLP has it, and what the product itself says it counts; or what somebody
thinks of one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec

from ai_dev_squad.json_depth import is_too_deep
from ai_dev_squad_dashboard.ingest.otlp_shapes import Attributes, Origin, Span, is_hex_id, to_json
from ai_dev_squad_dashboard.store.marks import LONGEST, Mark

from .records import Record

__all__ = [
    "Claim",
    "Context",
    "Judged",
    "Source",
    "Told",
    "Untellable",
    "end_of",
    "judged",
    "moment_ns",
    "money",
    "number",
    "object_of",
    "parsed",
    "score",
    "seconds_until",
    "settings_of",
    "span_id",
    "text",
    "trace_id",
    "without_nothing",
]


class Untellable(ValueError):
    """A record that is none of this product's. The message says what it lacks."""


class Claim(NamedTuple):
    """What the product says that one record used; ``None`` where it does not say."""

    tokens: int | None = None
    cost_usd: float | None = None


class Told(NamedTuple):
    """A record as a span, and what the product counts for it."""

    origin: Origin
    span: Span
    claim: Claim
    rolled_up: Claim | None = None
    """What the product says that the whole trace used; on a trace's root, where it says so."""


class Judged(NamedTuple):
    """A record that is a mark of a run."""

    trace_id: str
    mark: Mark


@dataclass
class Context:
    """What records say of others: a product may keep what holds for a trace apart from what was done in it."""

    traces: dict[str, Record] = field(default_factory=dict)
    """A trace's own record, by the id that the product has for it."""
    told: set[str] = field(default_factory=set)
    """Those of them of which something was told."""
    waiting: dict[str, list[Record]] = field(default_factory=dict)
    """Records of spans that do not say of which trace, by the span's id."""
    skipped: Counter[str] = field(default_factory=Counter)
    """Why some of what was kept could not be told → how many."""


class Source(NamedTuple):
    """A product's export."""

    title: str
    tell: Callable[[Record, Context], Iterator[Told | Judged]]
    """A record → its spans and marks. Raises ``Untellable``."""
    note: Callable[[Record, Context], None] | None = None
    """Keep what a record says of others. Called with every record before the first is told; ``None`` where none does."""
    left: Callable[[Context, Mapping[str, Mapping[str, bool]]], Iterator[Told | Judged]] = lambda *_: iter(())
    """What is told of records alone that were only noted, when all are read: trace → its spans."""


_UNITS: Final = ((10**17, 1), (10**14, 10**3), (10**11, 10**6), (0, 10**9))
"""A number of this size or more is a moment in units of so many nanoseconds."""


def trace_id(given: Any) -> str:
    """The id as OTLP has it: 32 hex digits as they are, a UUID without its dashes, of any other text a hash."""
    return _id(given, 32)


def span_id(given: Any) -> str:
    """The same for a span's: 16 hex digits as they are, of any other text a hash."""
    return _id(given, 16)


def _id(given: Any, digits: int) -> str:
    if given is None or given == "":
        return ""
    said = str(given)
    plain = said.replace("-", "").lower() if len(said) == 36 else said.lower()
    return (
        plain
        if is_hex_id(plain, digits)
        else blake2b(said.encode("utf-8", "replace"), digest_size=digits // 2).hexdigest()
    )


def moment_ns(given: Any) -> int | None:
    """A moment in nanoseconds since 1970: of a text in ISO 8601, a ``datetime``, or a number of seconds or a part of them. Without
    a zone it is UTC.
    """
    if isinstance(given, str):
        try:
            given = datetime.fromisoformat(given.strip())
        except ValueError:
            return None
    if isinstance(given, datetime):
        moment = given.replace(tzinfo=UTC) if given.tzinfo is None else given
        try:
            since = moment - _EPOCH
        except OverflowError:
            return None
        return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000
    if isinstance(given, (int, float)) and not isinstance(given, bool) and 0 < given < 10**19:
        return int(given * next(unit for least, unit in _UNITS if given >= least))
    return None


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def number(given: Any) -> int | None:
    """A count: a whole number, not below zero, also as text or float."""
    found = money(given)
    return int(found) if found is not None and found == int(found) else None


def money(given: Any) -> float | None:
    """An amount, not below zero, whatever it is stated as."""
    if isinstance(given, bool) or not isinstance(given, (int, float, str, Decimal)):
        return None
    try:
        amount = float(given)
    except (ValueError, OverflowError):
        return None
    return amount if 0 <= amount < 1e18 else None


def score(given: Any) -> float | None:
    """A finite number, whatever it is stated as; 1 for true and 0 for false."""
    if not isinstance(given, (int, float, str, Decimal)):
        return None
    try:
        found = float(given)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def judged(
    trace: str,
    span: str | None,
    at_ns: int,
    *,
    name: str | None,
    score: float | None,
    label: str | None,
    comment: str | None,
    by: str | None,
) -> Judged:
    """A mark of a run, or of an operation in it. Raises ``Untellable`` for one that says nothing."""
    if score is None and label is None and comment is None:
        raise Untellable("a judgement without a score, a label or a comment")
    short = None if label is None else label[:LONGEST]
    return Judged(trace, Mark(at_ns // 1000, (name or "feedback")[:LONGEST], score, short, comment, by, span))


def text(given: Any) -> str | None:
    """A text that is not empty."""
    if given is None or isinstance(given, (dict, list, bytes)):
        return None
    return str(given) or None


def parsed(given: Any) -> Any:
    """What JSON text says, since columns of a table hold such; any other value as it is."""
    if isinstance(given, str) and given[:1] in ("{", "[", '"'):
        try:
            return given if is_too_deep(given.encode()) else msgspec.json.decode(given)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return given
    return given


def object_of(given: Any) -> Record:
    """The object that a value is, or that its JSON text says; an empty one where it is none."""
    found = parsed(given)
    return found if isinstance(found, dict) else {}


def settings_of(given: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The numbers among settings, by the attributes that they are: ``names`` is the product's name → ours."""
    return {key: given[name] for name, key in names.items() if type(given.get(name)) in (int, float)}


def seconds_until(given: Any, started_ns: int) -> float | None:
    """How long after the start a moment was; ``None`` for none, or one before it."""
    moment = moment_ns(given)
    return None if moment is None or moment < started_ns else (moment - started_ns) / 1e9


def end_of(given: Any, started_ns: int, attributes: dict[str, Any]) -> int:
    """When a record ended, in nanoseconds since 1970; one without an end was left behind, which goes into ``attributes``."""
    ended = moment_ns(given)
    if ended is None:
        attributes["ai_dev_squad.status"] = "abandoned"
        return started_ns
    return ended


def without_nothing(given: Mapping[str, Any]) -> Attributes:
    """Attributes without those of no value; what is no plain value as JSON."""
    return {name: _plain(value) for name, value in given.items() if value is not None and value != ""}


def _plain(value: Any) -> Any:
    if isinstance(value, (str, bool, int, float, bytes)):
        return value
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        return list(value)
    return to_json(value).decode()

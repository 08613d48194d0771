"""Phoenix: spans and annotations as its client's dataframes are saved (Parquet), and as its API writes them (JSON).

Attributes are OpenInference's, which the receiver understands; a table has a column for each, with lists and objects in it, which
become flat names again. Columns: https://arize.com/docs/phoenix.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

from ai_dev_squad_dashboard.ingest.otlp_shapes import Attributes, Event, Origin, Span, to_json

from .phoenix_annotations import is_annotation, left_annotations, tell_annotation
from .records import Record
from .told import (
    Claim,
    Context,
    Judged,
    Source,
    Told,
    Untellable,
    end_of,
    moment_ns,
    money,
    number,
    object_of,
    parsed,
    span_id,
    text,
    trace_id,
)

__all__ = ["PHOENIX"]

_PREFIX: Final = "attributes."
_SCOPE: Final = "openinference"
_CALLS: Final = frozenset({"LLM", "EMBEDDING"})
_WHOLE: Final = ("metadata", "tag.tags", "llm.invocation_parameters")
"""Attributes that the product reads as objects and lists, and that senders write as one value."""
_DEEPEST: Final = 12


def _tell(record: Record, context: Context) -> Iterator[Told | Judged]:
    if is_annotation(record):
        yield from tell_annotation(record, context)
        return
    where = record.get("context")
    ids = where if isinstance(where, dict) else {}
    trace, identity = (
        record.get("context.trace_id", ids.get("trace_id")),
        record.get("context.span_id", ids.get("span_id")),
    )
    started = moment_ns(record.get("start_time"))
    if trace is None or identity is None or started is None:
        raise Untellable("no span of Phoenix: context.trace_id, context.span_id or start_time is missing, or is none")
    attributes = _attributes(record)
    kind = (text(record.get("span_kind")) or text(attributes.get("openinference.span.kind")) or "UNKNOWN").upper()
    attributes["openinference.span.kind"] = kind
    ended = end_of(record.get("end_time"), started, attributes)
    parent = span_id(record.get("parent_id"))
    span = Span(
        trace_id(trace), span_id(identity), parent, text(record.get("name")) or kind, 1, started, ended, attributes,
        list(_events(record.get("events"))), [], record.get("status_code") == "ERROR", text(record.get("status_message")) or "",
    )  # fmt: skip
    claim = Claim(_tokens(attributes), money(attributes.get("llm.cost.total"))) if kind in _CALLS else Claim()
    yield Told(Origin({}, _SCOPE), span, claim, None if parent else _rolled_up(record))


def _attributes(record: Record) -> Attributes:
    """Columns, or the object that an answer of the API has."""
    found: Attributes = {}
    for name, value in object_of(record.get("attributes")).items():
        _flatten(str(name), value, found, 0)
    for name, value in record.items():
        if name.startswith(_PREFIX):
            _flatten(name.removeprefix(_PREFIX), value, found, 0)
    apart = [name for name in found if name.startswith("metadata.")]
    if apart:
        found["metadata"] = to_json({name.removeprefix("metadata."): found.pop(name) for name in apart}).decode()
    return found


def _flatten(name: str, value: Any, found: Attributes, depth: int) -> None:
    if value is None or (isinstance(value, float) and math.isnan(value)):  # a table of numbers has NaN for none
        return
    if name in _WHOLE:
        found[name] = value if isinstance(value, str) or name == "tag.tags" else to_json(_without_none(value)).decode()
    elif isinstance(value, dict) and depth < _DEEPEST:
        for key, item in value.items():
            _flatten(f"{name}.{key}", item, found, depth + 1)
    elif isinstance(value, list) and depth < _DEEPEST and any(isinstance(item, dict) for item in value):
        for index, item in enumerate(value):
            _flatten(f"{name}.{index}", item, found, depth + 1)
    elif isinstance(value, (str, bool, int, float, list)):
        found[name] = value
    else:
        found[name] = to_json(value).decode()


def _without_none(value: Any) -> Any:
    """A table has in each row the members that any of them has."""
    if isinstance(value, dict):
        return {name: _without_none(item) for name, item in value.items() if item is not None}
    return value


def _events(given: Any) -> Iterator[Event]:
    for event in parsed(given) or ():
        if isinstance(event, dict) and (at := moment_ns(event.get("timestamp"))) is not None:
            attributes: Attributes = {}
            _flatten("", event.get("attributes"), attributes, 0)
            yield Event(at, str(event.get("name")), {name.lstrip("."): value for name, value in attributes.items()})


def _tokens(attributes: Attributes) -> int | None:
    total = number(attributes.get("llm.token_count.total"))
    if total is not None:
        return total
    counts = [number(attributes.get(f"llm.token_count.{side}")) for side in ("prompt", "completion")]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _rolled_up(record: Record) -> Claim | None:
    """What the product has summed up below a root, in the exports that say so."""
    counts = [number(record.get(f"cumulative_llm_token_count_{side}")) for side in ("prompt", "completion")]
    known = [count for count in counts if count is not None]
    return Claim(sum(known)) if known else None


PHOENIX: Final = Source("Phoenix", _tell, left=left_annotations)

"""All that a ClickHouse store holds, in pieces, for another store; and taking over what another store kept beside its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ai_dev_squad_dashboard.store.base import StoreError
from ai_dev_squad_dashboard.store.deletions import Deletion
from ai_dev_squad_dashboard.store.extracts import Extract, Kept, Kind, Place, last_that_fits, next_extract
from ai_dev_squad_dashboard.store.rows import Batch, Carried, Clash, MetricRow, SpanRow

from .client import Client
from .delete import bury_names, bury_traces, note_deletions, recorded
from .facts import KEY, RELAYED, facts, note_facts
from .literals import literal
from .rows import LOG_COLUMNS, OPEN_COLUMNS, SPAN_COLUMNS, log_row, open_row, span_row
from .schema import FIVE_US

__all__ = ["extract", "keep", "kept"]

_ALL: Final = 1 << 62
_AS_THEY_ARE: Final = {"optimize_use_projections": 0, "query_plan_execute_functions_after_sorting": 0}
"""No sums are asked for, so no projection helps. The second one keeps the optimizer of 26.9 from moving functions to and fro for ever."""


@dataclass(frozen=True)
class _Rows:
    """Where the rows of a kind stand, and in what order they are read."""

    table: str
    keys: tuple[str, ...]
    """By which they are ordered. Rows that have all of them in common come together: several writers may give out one number."""
    columns: str
    build: Callable[[list[tuple[Any, ...]]], Batch]
    size: str = "0"
    """The bytes of what is long in a row."""
    order: str = ""
    """In what order those stand that have the keys in common. An insert is known again only when its rows are in the same order."""
    as_bytes: bool = False


def _spans(rows: list[tuple[Any, ...]]) -> Batch:
    spans: list[SpanRow] = []
    for *told, asked, answered, carried, _ in rows:
        each = span_row(tuple(told))
        spans.append(each._replace(asked=asked, answered=answered, carried=tuple(Carried(*tool) for tool in carried)))
    return Batch(spans=spans)


def _metric(row: tuple[Any, ...]) -> MetricRow:
    told = dict(zip(MetricRow._fields, row, strict=True))
    texts = {name: value.decode() for name, value in told.items() if isinstance(value, bytes) and name != "details"}
    return MetricRow(**{**told, **texts})


_ROWS: Final[Mapping[Kind, _Rows]] = {
    "spans": _Rows(
        "spans",
        ("seq",),
        f"{SPAN_COLUMNS}, asked, answered, carried, batch",
        _spans,
        order=", trace_id, span_id, arrived_us, batch",
    ),
    "logs": _Rows(
        "logs",
        ("id",),
        LOG_COLUMNS,
        lambda rows: Batch(logs=list(map(log_row, rows))),
        "length(message) + ifNull(length(details), 0)",
        ", time_us, level, event_type, message, ifNull(details, '')",
        as_bytes=True,
    ),
    "opened": _Rows(
        "(SELECT * FROM running FINAL WHERE closed = 0)",
        ("hex(trace_id)", "hex(span_id)"),
        OPEN_COLUMNS,
        lambda rows: Batch(opened=list(map(open_row, rows))),
    ),
    "metrics": _Rows(
        "metrics",
        ("time_us", "toString(name)", "hex(MD5(details))"),
        ", ".join(MetricRow._fields),
        lambda rows: Batch(metrics=list(map(_metric, rows))),
        "length(details)",
        ", kind, unit, ifNull(service, ''), ifNull(value, 0), ifNull(count, 0)",
        as_bytes=True,
    ),
    "clashes": _Rows(
        "(SELECT * FROM clashes FINAL)",
        ("hex(trace_id)", "hex(span_id)", "start_us", "name"),
        "lower(hex(trace_id)), lower(hex(span_id)), start_us, name",
        lambda rows: Batch(clashes=list(map(Clash._make, rows))),
    ),
}


def extract(client: Client, after: str, limit: int) -> Extract | None:
    """The next rows."""
    return next_extract(lambda kind, place: _page(client, kind, place, limit), after)


def kept(client: Client) -> Kept:
    """What is kept beside rows."""
    told = facts(client)
    buried = client.ask("SELECT kind, digest, until_us FROM tombstones FINAL ORDER BY until_us")
    return Kept(
        key=bytes.fromhex(told.get(KEY, "")),
        traces=frozenset(digest for kind, digest, _ in buried if kind == "trace"),
        until={bytes.fromhex(digest): until_us for kind, digest, until_us in buried if kind != "trace"},
        deletions=tuple(recorded(client, _ALL)),
        relayed=RELAYED in told,
        positions=dict(client.ask("SELECT source, position FROM positions FINAL")),
    )


def keep(client: Client, told: Kept) -> None:
    """Take over what another store kept, but for its positions."""
    own = facts(client).get(KEY)
    if told.key and own is not None and bytes.fromhex(own) != told.key:
        raise StoreError(
            f"{client.address} has deletions of its own, whose hashes have another key; copy into a store in which nothing was deleted"
        )
    noted = {KEY: told.key.hex()} if told.key and own is None else {}
    if told.relayed:
        noted[RELAYED] = "1"
    if noted:
        note_facts(client, noted)
    bury_traces(client, told.traces)
    bury_names(client, told.until or {})
    known = {_deleted(each) for each in recorded(client, _ALL)}
    note_deletions(client, [each for each in reversed(told.deletions) if _deleted(each) not in known])


def _deleted(each: Deletion) -> tuple[Any, ...]:
    return (each.at_us, each.by, each.kind, each.traces, each.spans, each.logs)


def _content(columns: str, within: str, limit: int = _ALL) -> str:
    """The long texts of spans: found by what their table is ordered by."""
    return (
        f"SELECT trace_id, span_id, batch, {columns} FROM content WHERE (intDiv(start_us, {FIVE_US}), trace_id, span_id) IN "
        f"(SELECT intDiv(start_us, {FIVE_US}), trace_id, span_id FROM spans WHERE {within} ORDER BY seq LIMIT {limit})"
    )


def _sized(client: Client, behind: str, first: str, limit: int) -> Iterator[tuple[int, int]]:
    """The numbers of spans, and how long their texts are."""
    sizes = {
        (trace, span, batch): size
        for trace, span, batch, size in client.ask(
            _content("ifNull(length(details), 0) + ifNull(length(text), 0)", behind, limit), settings=_AS_THEY_ARE
        )
    }
    for seq, *own in client.ask(f"SELECT seq, trace_id, span_id, batch FROM spans {first}", settings=_AS_THEY_ARE):
        yield seq, sizes.get(tuple(own), 0)


def _behind(keys: Sequence[str], place: Place) -> str:
    if not place:
        return "1"
    # The first key by itself lets the engine skip what lies before.
    return f"{keys[0]} >= {literal(place[0])} AND ({', '.join(keys)}) > ({', '.join(map(literal, place))})"


def _with_content(client: Client, batch: Batch, found: Sequence[tuple[Any, ...]], within: str) -> Batch:
    """The spans with their long texts: of what several writers have left, those of the span's own batch."""
    texts = {
        (trace, span, number): (details, text)
        for trace, span, number, details, text in client.ask(
            _content("details, text", within), as_bytes=True, settings=_AS_THEY_ARE
        )
    }
    spans = []
    for each, (trace, span, *_, number) in zip(batch.spans, found, strict=True):
        details, text = texts.get((trace, span, number), (None, None))
        spans.append(each._replace(details=details, text=None if text is None else text.decode()))
    return Batch(spans=spans)


def _page(client: Client, kind: Kind, place: Place, limit: int) -> tuple[Batch, Place] | None:
    """The rows of a kind behind a place, so many that their long texts are not too many to hold, and where they end."""
    rows = _ROWS[kind]
    keys = ", ".join(rows.keys)
    behind = _behind(rows.keys, place)
    first = f"WHERE {behind} ORDER BY {keys} LIMIT {int(limit)}"
    if kind == "spans":  # their long texts stand apart
        last = last_that_fits(_sized(client, behind, first, limit))
    else:
        last = last_that_fits(
            client.ask(f"SELECT {keys}, {rows.size} FROM {rows.table} {first}", settings=_AS_THEY_ARE)
        )
    if last is None:
        return None
    within = f"{behind} AND ({', '.join(rows.keys)}) <= ({', '.join(map(literal, last))})"
    found = client.ask(
        f"SELECT {rows.columns} FROM {rows.table} WHERE {within} ORDER BY {', '.join(rows.keys)}{rows.order}",
        as_bytes=rows.as_bytes,
        settings=_AS_THEY_ARE,
    )
    batch = rows.build(found)
    return _with_content(client, batch, found, within) if kind == "spans" else batch, last

"""All that a DuckDB file holds, in pieces, for another store; and taking over what another store kept beside its rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import duckdb

from .base import StoreError
from .deletions import Deletion
from .duckdb_answers import number, one
from .duckdb_columns import HEXED, SPAN_COLUMNS
from .duckdb_excerpts import ANSWERED_PLACE, ASKED_PLACE
from .extracts import Extract, Kept, Kind, Place, last_that_fits, next_extract
from .rows import Batch, Carried, Clash, LogRow, MetricRow, OpenRow, SpanRow

__all__ = ["extract", "keep", "kept"]


def _hex(column: str, digits: int = 16) -> str:
    return f"lpad(lower(hex({column})), {digits}, '0')"


@dataclass(frozen=True)
class _Rows:
    """Where the rows of a kind stand, and in what order they are read."""

    table: str
    keys: tuple[str, ...]
    """By which they are ordered. Rows that have all of them in common come together."""
    columns: str
    build: Callable[[list[tuple[Any, ...]]], Batch]
    size: str = "0"
    """The bytes of what is long in a row."""
    order: str = ""
    """In what order those stand that have the keys in common."""


_LOG: Final = (
    f"time_us, level, event_type, message, framework, service, session_id, agent, {_hex('trace_id', 32)}, {_hex('span_id')}, "
    "source, details"
)
_ROWS: Final[Mapping[Kind, _Rows]] = {
    "spans": _Rows(
        "spans",
        ("seq",),
        f"seq, {ASKED_PLACE}, {ANSWERED_PLACE}, {HEXED}, {_hex('span_id')}, {_hex('parent_span_id')}, {', '.join(SPAN_COLUMNS)}",
        lambda rows: Batch(spans=[SpanRow._make((*row[3:], None, None, ())) for row in rows]),
        "coalesce(octet_length(details), 0) + coalesce(strlen(text), 0)",
    ),
    "logs": _Rows(
        "logs",
        ("id",),
        _LOG,
        lambda rows: Batch(logs=list(map(LogRow._make, rows))),
        "strlen(message) + coalesce(octet_length(details), 0)",
    ),
    "opened": _Rows(
        "running",
        (HEXED, _hex("span_id")),
        f"{HEXED}, {_hex('span_id')}, {_hex('parent_span_id')}, start_us, name, operation, framework, session_id, agent",
        lambda rows: Batch(opened=list(map(OpenRow._make, rows))),
    ),
    "metrics": _Rows(
        "metrics",
        ("time_us", "name", "md5(details)"),
        ", ".join(MetricRow._fields),
        lambda rows: Batch(metrics=list(map(MetricRow._make, rows))),
        "octet_length(details)",
        ", kind, unit, service, value, count",
    ),
    "clashes": _Rows(
        "clashes",
        (HEXED, _hex("span_id"), "start_us", "name"),
        f"{HEXED}, {_hex('span_id')}, start_us, name",
        lambda rows: Batch(clashes=list(map(Clash._make, rows))),
    ),
}


def extract(cursor: duckdb.DuckDBPyConnection, after: str, limit: int) -> Extract | None:
    """The next rows."""
    return next_extract(lambda kind, place: _page(cursor, kind, place, limit), after)


def kept(cursor: duckdb.DuckDBPyConnection) -> Kept:
    """What is kept beside rows."""
    key = one(cursor, "SELECT key FROM tombstone_key")
    until = cursor.execute("SELECT digest, until_us FROM subject_tombstones").fetchall()
    deletions = cursor.execute(
        "SELECT at_us, done_by, kind, traces, spans, logs, compacted_us FROM deletions ORDER BY at_us DESC"
    ).fetchall()
    return Kept(
        key=bytes(key[0]) if key else b"",
        traces=frozenset(trace for (trace,) in cursor.execute(f"SELECT {HEXED} FROM trace_tombstones").fetchall()),  # noqa: S608
        until={bytes(digest): until_us for digest, until_us in until},
        deletions=tuple(Deletion(*row) for row in deletions),
        relayed=number(cursor, "SELECT count(*) FROM meta WHERE key = 'relayed'") > 0,
        positions=dict(cursor.execute("SELECT source, position FROM positions").fetchall()),
    )


def keep(connection: duckdb.DuckDBPyConnection, told: Kept, file: str) -> None:
    """Take over what another store kept, inside a transaction."""
    own = one(connection, "SELECT key FROM tombstone_key")
    if told.key and own is not None and bytes(own[0]) != told.key:
        raise StoreError(
            f"{file} has deletions of its own, whose hashes have another key; copy into a store in which nothing was deleted"
        )
    if told.key and own is None:
        connection.execute("INSERT INTO tombstone_key VALUES (?)", [told.key])
    connection.execute(
        "INSERT OR IGNORE INTO trace_tombstones SELECT unnest(?::VARCHAR[])::UHUGEINT",
        [[str(int(trace, 16)) for trace in told.traces]],
    )
    for digest, until_us in (told.until or {}).items():
        connection.execute("INSERT OR REPLACE INTO subject_tombstones VALUES (?, ?)", [digest, until_us])
    known = set(connection.execute("SELECT at_us, done_by, kind, traces, spans, logs FROM deletions").fetchall())
    for each in reversed(told.deletions):
        values = (each.at_us, each.by, each.kind, each.traces, each.spans, each.logs)
        if values not in known:
            connection.execute("INSERT INTO deletions VALUES (?, ?, ?, ?, ?, ?, ?)", [*values, each.compacted_us])
    if told.relayed:
        connection.execute("INSERT OR IGNORE INTO meta VALUES ('relayed', 1)")
    for source, position in (told.positions or {}).items():
        connection.execute("INSERT OR REPLACE INTO positions VALUES (?, ?)", [source, position])


def _page(cursor: duckdb.DuckDBPyConnection, kind: Kind, place: Place, limit: int) -> tuple[Batch, Place] | None:
    """The rows of a kind behind a place, so many that their long texts are not too many to hold, and where they end."""
    rows = _ROWS[kind]
    keys = ", ".join(rows.keys)
    behind, values = _behind(rows.keys, place)
    last = last_that_fits(
        cursor.execute(
            f"SELECT {keys}, {rows.size} FROM {rows.table} WHERE {behind} ORDER BY {keys} LIMIT {int(limit)}",  # noqa: S608
            values,
        ).fetchall()
    )
    if last is None:
        return None
    found = cursor.execute(
        f"SELECT {rows.columns} FROM {rows.table} WHERE {behind} AND ({keys}) <= ({', '.join('?' * len(last))}) "  # noqa: S608
        f"ORDER BY {keys}{rows.order}",
        [*values, *last],
    ).fetchall()
    batch = rows.build(found)
    return _with_beside(cursor, batch, found) if kind == "spans" else batch, last


def _behind(keys: Sequence[str], place: Place) -> tuple[str, list[Any]]:
    if not place:
        return "true", []
    # The first key by itself lets the engine skip what lies before.
    return f"{keys[0]} >= ? AND ({', '.join(keys)}) > ({', '.join('?' * len(place))})", [place[0], *place]


def _with_beside(cursor: duckdb.DuckDBPyConnection, batch: Batch, found: Sequence[tuple[Any, ...]]) -> Batch:
    """The spans with what stands in tables of its own: what was asked and answered, and what was carried."""
    starts = [span.start_us for span in batch.spans]
    times = [min(starts), max(starts)]
    chosen = [found[0][0], found[-1][0]]
    among = "trace_id IN (SELECT trace_id FROM spans WHERE seq BETWEEN ? AND ?)"
    said = {
        (trace, kind, place): text
        for trace, kind, place, text in cursor.execute(
            f"SELECT {HEXED}, kind, place, min(said) FROM excerpts WHERE kind <> 'model' AND start_us BETWEEN ? AND ? "  # noqa: S608
            f"AND {among} GROUP BY trace_id, kind, place",
            [*times, *chosen],
        ).fetchall()
    }
    # Calls that began at once and have all names in common share what they carried: the first of them has it all.
    carried: dict[int, list[Carried]] = defaultdict(list)
    for seq, *each in cursor.execute(
        "SELECT s.seq, c.tool, c.tokens, c.cost_usd FROM carried c JOIN (SELECT trace_id, start_us, series, min(seq) AS seq "  # noqa: S608
        f"FROM spans WHERE start_us BETWEEN ? AND ? AND {among} AND usage_source IS NOT NULL GROUP BY ALL) s "
        "USING (trace_id, start_us, series) WHERE s.seq BETWEEN ? AND ? ORDER BY c.rowid",
        [*times, *chosen, *chosen],
    ).fetchall():
        carried[seq].append(Carried(*each))
    spans = [
        span._replace(
            asked=said.get((span.trace_id, "asked", asked)),
            answered=said.get((span.trace_id, "answered", answered)),
            carried=tuple(carried.get(seq, ())),
        )
        for span, (seq, asked, answered, *_) in zip(batch.spans, found, strict=True)
    ]
    return Batch(spans=spans)

"""The tables of a ClickHouse store, defined once, and spelled out for one server or for a cluster.

A span is one row of ``spans``, narrow, with its long texts apart in ``content``. Sums are projections of ``spans``: they live in its
parts, so nothing that is deleted or comes twice can make them differ. A trace is one row of ``traces`` for each hour in which something
of it began, made anew from its spans after each batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ai_dev_squad_dashboard.store.failures import FOLDED_IDS, FOLDED_NUMBERS, MESSAGE_LENGTH
from ai_dev_squad_dashboard.store.summary import SUMS

from .words import INDEXES

__all__ = [
    "COLD", "DAY_US", "FIVE_US", "HOUR_US", "SPAN", "SUM_OF", "TABLES", "TRACE", "UNTIMED", "Table", "statements"
]  # fmt: skip

HOUR_US: Final = 3_600_000_000
DAY_US: Final = 24 * HOUR_US
FIVE_US: Final = 300_000_000
COLD: Final = "min_partition_age_to_force_merge_seconds = 1800"
"""Has the engine put the parts of a day together: each is planned in every question, and what was never merged has no sums."""
UNTIMED: Final = 65535
"""The bin of a span of which nobody knows how long it took."""

_LOW: Final = "LowCardinality(String)"
_MAYBE: Final = "LowCardinality(Nullable(String))"
_TEXT: Final = "Nullable(String) CODEC(ZSTD(1))"
_WHOLE: Final = "Nullable(Int64)"
_TIME: Final = "Int64 CODEC(Delta, ZSTD(1))"
_TRACE: Final = "FixedString(16)"
_SPAN: Final = "FixedString(8)"
_LABELS: Final = "Array(Tuple(String, String))"

SPAN: Final[Mapping[str, str]] = {
    "trace_id": _TRACE,
    "span_id": _SPAN,
    "parent_span_id": f"Nullable({_SPAN})",
    "start_us": _TIME,
    "duration_us": "Int64 CODEC(T64, ZSTD(1))",
    "name": _LOW,
    "operation": _LOW,
    "status": _LOW,
    "framework": _MAYBE,
    "service": _MAYBE,
    "session_id": _TEXT,
    "user_id": _TEXT,
    "labels": _TEXT,
    "agent": _MAYBE,
    "tool": _MAYBE,
    "provider": _MAYBE,
    "model": _MAYBE,
    "error_type": _MAYBE,
    "error_message": _TEXT,
    "input_tokens": _WHOLE,
    "output_tokens": _WHOLE,
    "cache_read_tokens": _WHOLE,
    "cache_write_tokens": _WHOLE,
    "reasoning_tokens": _WHOLE,
    "usage_source": _MAYBE,
    "cost_usd": "Nullable(Float64)",
    "price": _MAYBE,
    "price_date": _MAYBE,
    "price_source": _MAYBE,
    "cost_reason": _MAYBE,
    "cache_saving_usd": "Nullable(Float64)",
    "first_chunk_us": _WHOLE,
    "source": _LOW,
    "instrumentation": _MAYBE,
    "ingested_us": _TIME,
    "task": _TEXT,
    "resumes": _TEXT,
    "version": _MAYBE,
}
"""The columns that give a ``SpanRow`` back, but for details and text, which are in ``content``."""

_WRITTEN: Final[Mapping[str, str]] = {
    "asked": _TEXT,
    "answered": _TEXT,
    "pairs": _LABELS,
    "resumed": f"Nullable({_TRACE})",
    "carried": "Array(Tuple(String, Int64, Nullable(Float64)))",
    "series": "UInt64",
    "bin": "UInt16",
    "seq": "UInt64 CODEC(Delta, ZSTD(1))",
    "arrived_us": _TIME,
    "batch": "UInt64",
}
"""What a writer adds. Of two rows of one span the one with the smaller ``arrived_us`` and ``batch`` stays."""

_FOLDED: Final = (
    f"substringUTF8(replaceRegexpAll(replaceRegexpAll(ifNull(error_message, ''), '{FOLDED_IDS}', '#'), '{FOLDED_NUMBERS}', '#'), "
    f"1, {MESSAGE_LENGTH})"
).replace("\\", "\\\\")
# A projection is only found when a question names the same columns, so conditions are columns.
_DERIVED: Final[Mapping[str, str]] = {
    "call": "UInt8 MATERIALIZED usage_source IS NOT NULL",
    "unpriced": "UInt8 MATERIALIZED usage_source IS NOT NULL AND cost_usd IS NULL",
    "folded": f"String MATERIALIZED if(status = 'error', {_FOLDED}, '') CODEC(ZSTD(1))",
    "error_group": (
        "String MATERIALIZED if(status = 'error', substring(lower(hex(MD5(concat(ifNull(error_type, ''), '\\0', operation, '\\0', "
        f"name, '\\0', {_FOLDED})))), 1, 16), '') CODEC(ZSTD(1))"
    ),
}

SUM_OF: Final[Mapping[str, str]] = {
    "spans": "count()",
    "errors": "countIf(status = 'error')",
    "duration_us": "sum(greatest(duration_us, 0))",
    "unpriced": "countIf(usage_source IS NOT NULL AND cost_usd IS NULL)",
    "estimated": "countIf(usage_source = 'estimated')",
    "uncounted": "countIf(usage_source = 'missing')",
    **{name: f"sum({name})" for name in SUMS if name.endswith(("_tokens", "_usd")) and name != "duration_us"},
}
"""What is added up → how it comes from spans."""

_sums: Final = ", ".join(SUM_OF[name] for name in SUMS)
_HOUR: Final = f"intDiv(start_us, {HOUR_US})"
_FIVE: Final = f"intDiv(start_us, {FIVE_US})"
_PROJECTIONS: Final[Mapping[str, str]] = {
    "by_hour": f"SELECT {_HOUR}, series, {_sums} GROUP BY {_HOUR}, series",
    "hour_bins": f"SELECT {_HOUR}, series, bin, count() GROUP BY {_HOUR}, series, bin",
    "by_five": f"SELECT {_FIVE}, series, {_sums} GROUP BY {_FIVE}, series",
    "five_bins": f"SELECT {_FIVE}, series, bin, count() GROUP BY {_FIVE}, series, bin",
    "by_session": f"SELECT {_HOUR}, session_id, call, {_sums} GROUP BY {_HOUR}, session_id, call",
    "by_reason": f"SELECT {_HOUR}, series, cost_reason, unpriced, count() GROUP BY {_HOUR}, series, cost_reason, unpriced",
}

TRACE: Final[Mapping[str, str]] = {
    "hour": "Int64",
    "trace_id": _TRACE,
    "start_us": "Int64",
    "end_us": "Int64",
    "last_start_us": "Int64",
    "root_span_id": f"Nullable({_SPAN})",
    "root_start_us": _WHOLE,
    "root_duration_us": _WHOLE,
    "name": _LOW,
    "operation": _LOW,
    "status": _LOW,
    "error_type": _MAYBE,
    "framework": _MAYBE,
    "service": _MAYBE,
    "session_id": "Nullable(String)",
    "user_id": "Nullable(String)",
    "task": "Nullable(String)",
    "version": _MAYBE,
    "resumes": f"Nullable({_TRACE})",
    "labels": _LABELS,
    "models": "Array(String)",
    "asked": "Nullable(String)",
    "answered": "Nullable(String)",
    "failures": "UInt64",
    "spans": "UInt64",
    "errors": "UInt64",
    "calls": "UInt64",
    "tools": "UInt64",
    "input_tokens": "Int64",
    "output_tokens": "Int64",
    "cache_read_tokens": "Int64",
    "cache_write_tokens": "Int64",
    "reasoning_tokens": "Int64",
    "cost_usd": "Float64",
    "unpriced": "UInt64",
    "cache_saving_usd": "Float64",
}


@dataclass(frozen=True)
class Table:
    """A table as both a single server and a cluster have it."""

    columns: Mapping[str, str]
    engine: str
    order: str
    time: str = ""
    """The expression of the time of a row, by whose day it is kept apart and goes."""
    shard: str = "cityHash64(trace_id)"
    more: tuple[str, ...] = ()
    """Indexes and projections."""
    settings: tuple[str, ...] = ()


def _index(column: str, kind: str) -> str:
    return f"INDEX of_{column} {column} TYPE {kind} GRANULARITY 1"


_BLOOM: Final = "bloom_filter(0.001)"
_BY_TRACE: Final = f"(intDiv(start_us, {FIVE_US}), trace_id, span_id)"
# Parts are inserted without projections and get them with their first merge: until then their rows are read as they are.
_LATE: Final = (
    "lightweight_mutation_projection_mode = 'rebuild'",
    "materialize_projections_on_insert = 0",
    "materialize_projections_on_merge = 1",
)
_WORDS: Final = tuple(f"INDEX {name} {of}" for name, of in INDEXES.items())

TABLES: Final[Mapping[str, Table]] = {
    "spans": Table(
        {**SPAN, **_WRITTEN, **_DERIVED},
        "MergeTree",
        _BY_TRACE,
        "start_us",
        more=(
            _index("trace_id", _BLOOM),
            _index("session_id", _BLOOM),
            _index("span_id", _BLOOM),
            _index("seq", "minmax"),
            *(f"PROJECTION {name} ({how})" for name, how in _PROJECTIONS.items()),
        ),
        settings=_LATE,
    ),
    "content": Table(
        {
            "start_us": _TIME,
            "trace_id": _TRACE,
            "span_id": _SPAN,
            "details": "Nullable(String) CODEC(ZSTD(1))",
            "text": "Nullable(String) CODEC(ZSTD(1))",
            "words": "String CODEC(ZSTD(1))",
            "batch": "UInt64",
        },
        "MergeTree",
        _BY_TRACE,
        "start_us",
        more=(_index("trace_id", _BLOOM), *_WORDS),
    ),
    "traces": Table(
        TRACE,
        "ReplacingMergeTree(spans)",
        "(hour, trace_id)",
        f"hour * {HOUR_US}",
        more=(_index("trace_id", _BLOOM), _index("session_id", _BLOOM)),
    ),
    "clashes": Table(
        {"trace_id": _TRACE, "span_id": _SPAN, "start_us": "Int64", "name": "String"},
        "ReplacingMergeTree",
        "(trace_id, span_id, start_us, name)",
        "start_us",
    ),
    "series": Table(
        {
            "id": "UInt64",
            **dict.fromkeys(
                ("framework", "operation", "provider", "model", "agent", "tool", "service"), "Nullable(String)"
            ),
            "root": "UInt8",
            "call": "UInt8",
        },
        "ReplacingMergeTree",
        "id",
        shard="id",
    ),
    "logs": Table(
        {
            "id": "UInt64",
            "time_us": _TIME,
            "level": _LOW,
            "event_type": _LOW,
            "message": "String CODEC(ZSTD(1))",
            "framework": _MAYBE,
            "service": _MAYBE,
            "session_id": _TEXT,
            "agent": _MAYBE,
            "trace_id": f"Nullable({_TRACE})",
            "span_id": f"Nullable({_SPAN})",
            "source": _LOW,
            "details": "Nullable(String) CODEC(ZSTD(3))",
            "words": "String CODEC(ZSTD(1))",
        },
        "MergeTree",
        "(time_us, id)",
        "time_us",
        shard="rand()",
        more=(_index("trace_id", _BLOOM), _index("id", "minmax"), *_WORDS),
    ),
    "running": Table(
        {
            "trace_id": _TRACE,
            "span_id": _SPAN,
            "parent_span_id": f"Nullable({_SPAN})",
            "start_us": "Int64",
            "name": "String",
            "operation": _LOW,
            "framework": _MAYBE,
            "session_id": "Nullable(String)",
            "agent": _MAYBE,
            "closed": "UInt8",
        },
        "ReplacingMergeTree(closed)",
        "(trace_id, span_id)",
    ),
    "metrics": Table(
        {
            "time_us": "Int64",
            "name": _LOW,
            "kind": _LOW,
            "unit": _LOW,
            "service": _MAYBE,
            "value": "Nullable(Float64)",
            "count": _WHOLE,
            "details": "String CODEC(ZSTD(1))",
        },
        "MergeTree",
        "(name, time_us)",
        "time_us",
        shard="cityHash64(name)",
    ),
    "positions": Table(
        {"source": "String", "position": "String", "at_ns": "UInt64"},
        "ReplacingMergeTree(at_ns)",
        "source",
        shard="cityHash64(source)",
    ),
    "marks": Table(
        {
            "trace_id": _TRACE,
            "span_id": f"Nullable({_SPAN})",
            "time_us": "Int64",
            "session_id": "Nullable(String)",
            "name": "String",
            "score": "Nullable(Float64)",
            "label": "Nullable(String)",
            "comment": "Nullable(String)",
            "made_by": "Nullable(String)",
            "same": "UInt64",
        },
        "ReplacingMergeTree",
        "(trace_id, time_us, same)",
        "time_us",
        more=(_index("trace_id", _BLOOM),),
    ),
    "tombstones": Table(
        {"kind": "String", "digest": "String", "until_us": "Int64"},
        "ReplacingMergeTree(until_us)",
        "(kind, digest)",
        shard="cityHash64(digest)",
    ),
    "facts": Table(
        {"name": "String", "value": "String", "at_ns": "UInt64"},
        "ReplacingMergeTree(at_ns)",
        "name",
        shard="cityHash64(name)",
    ),
    "deletions": Table(
        {
            "at_us": "Int64",
            "done_by": "String",
            "kind": "String",
            "traces": "UInt64",
            "spans": "UInt64",
            "logs": "UInt64",
            "compacted_us": _WHOLE,
        },
        "MergeTree",
        "at_us",
        shard="rand()",
    ),
}

_DAY: Final = "toDate(fromUnixTimestamp64Micro({}, 'UTC'))"
_ONE: Final = "non_replicated_deduplication_window = 1000"
_SEVERAL: Final = "replicated_deduplication_window = 10000"


def statements(name: str, database: str, cluster: str | None = None) -> list[str]:
    """What makes a table. On a cluster: one of its name and ``_local`` on each server, and one over all of them."""
    table = TABLES[name]
    on = f" ON CLUSTER '{cluster}'" if cluster else ""
    local = f"{name}_local" if cluster else name
    engine = table.engine
    if cluster:
        kind, bracket, arguments = engine.partition("(")
        place = "'/clickhouse/tables/{shard}/{uuid}', '{replica}'"
        engine = f"Replicated{kind}({place}{', ' + arguments if bracket else ')'}"
    parts = [*(f"{column} {kind}" for column, kind in table.columns.items()), *table.more]
    settings = ", ".join((_SEVERAL if cluster else _ONE, *table.settings, *([COLD] if table.time else ())))
    partition = f" PARTITION BY {_DAY.format(table.time)}" if table.time else ""
    made = [
        f"CREATE TABLE IF NOT EXISTS {database}.{local}{on} (\n    "
        + ",\n    ".join(parts)
        + f"\n) ENGINE = {engine}{partition} ORDER BY {table.order} SETTINGS {settings}"
    ]
    if cluster:
        made.append(
            f"CREATE TABLE IF NOT EXISTS {database}.{name}{on} AS {database}.{local} "
            f"ENGINE = Distributed('{cluster}', '{database}', '{local}', {table.shard})"
        )
    return made

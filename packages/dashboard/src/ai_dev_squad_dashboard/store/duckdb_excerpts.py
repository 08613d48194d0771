"""What is kept of traces beside their sums: what was asked and answered, by which models, and their tags and metadata.

Of what was said each batch adds the best that it knows, and whoever reads takes the best of all, so nothing is looked up while writing.
A label of a trace stands once, so that nothing has to be put together when all traces are told apart by their labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import duckdb

from .base import TraceRow
from .duckdb_columns import HEXED, TEXT, WHOLE, id_columns, registered
from .rows import SpanRow, label_pairs

__all__ = ["ANSWERED_PLACE", "ASKED_PLACE", "TRACE_ID", "described", "last_said", "write_excerpts", "write_labels"]

TRACE_ID: Final = "(trace_high::UHUGEINT << 64) | trace_low::UHUGEINT"
"""A trace's id out of the columns that ``id_columns`` makes."""

_BEHIND: Final = 1 << 62
"""What is added to the place of whatever is no root: a root's word counts before all others."""
_LATEST: Final = 1 << 61
_OF_SPAN: Final = f"CASE WHEN parent_span_id IS NULL THEN 0 ELSE {_BEHIND} END"
ASKED_PLACE: Final = f"{_OF_SPAN} + start_us"
ANSWERED_PLACE: Final = f"{_OF_SPAN} + {_LATEST} - start_us - duration_us"
"""The place of what a span says, as ``write_excerpts`` numbers it."""


# A trace mostly tells all of its labels with its first batch, so what is looked for is mostly there.
_MERGE_LABELS: Final = f"""
MERGE INTO labels l USING (
    SELECT {TRACE_ID} AS id, min(start_us) AS start_us, key, value FROM incoming GROUP BY id, key, value
) i ON l.trace_id = i.id AND l.key = i.key AND l.value = i.value AND l.start_us BETWEEN ? AND ?
WHEN MATCHED AND l.start_us > i.start_us THEN UPDATE SET start_us = i.start_us
WHEN NOT MATCHED THEN INSERT VALUES (i.id, i.start_us, i.key, i.value)
"""  # noqa: S608


def write_labels(
    connection: duckdb.DuckDBPyConnection, spans: Sequence[SpanRow], known: tuple[int, int] | None
) -> None:
    """The tags and metadata of the traces, each once. ``known``: when spans that are stored of these traces began, first and last."""
    starts: dict[tuple[str, str], int] = {}
    for span in spans:
        if span.labels is not None:
            starts.setdefault((span.trace_id, span.labels), span.start_us)
    found = [
        (trace_id, start_us, key, value)
        for (trace_id, text), start_us in starts.items()
        for key, value in label_pairs(text)
    ]
    if not found:
        return
    traces, times, keys, values = zip(*found, strict=True)
    columns = id_columns(traces, {})
    columns |= {"start_us": (WHOLE, times), "key": (TEXT, keys), "value": (TEXT, values)}
    with registered(connection, "incoming", columns):
        if known is not None:
            connection.execute(_MERGE_LABELS, list(known))
        else:
            connection.execute(
                f"INSERT INTO labels SELECT {TRACE_ID} AS id, min(start_us), key, value FROM incoming GROUP BY id, key, value"  # noqa: S608
            )


def write_excerpts(connection: duckdb.DuckDBPyConnection, spans: Sequence[SpanRow]) -> None:
    """What the spans say was asked and answered, and their models: of each trace the best."""
    best: dict[tuple[str, str, str], tuple[int, int, str]] = {}
    for span in spans:
        behind = _BEHIND if span.parent_span_id else 0
        if span.asked:
            _keep(best, (span.trace_id, "asked", ""), (behind + span.start_us, span.start_us, span.asked))
        if span.answered:
            place = behind + _LATEST - span.start_us - span.duration_us
            _keep(best, (span.trace_id, "answered", ""), (place, span.start_us, span.answered))
        if span.usage_source is not None and span.model:
            _keep(best, (span.trace_id, "model", span.model), (0, span.start_us, span.model))
    if not best:
        return
    traces, kinds, _ = zip(*best, strict=True)
    places, times, texts = zip(*best.values(), strict=True)
    columns = id_columns(traces, {})
    columns |= {"start_us": (WHOLE, times), "kind": (TEXT, kinds), "place": (WHOLE, places), "said": (TEXT, texts)}
    with registered(connection, "incoming", columns):
        connection.execute(f"INSERT INTO excerpts SELECT {TRACE_ID}, start_us, kind, place, said FROM incoming")  # noqa: S608


def _keep(best: dict[Any, tuple[int, int, str]], key: tuple[str, str, str], said: tuple[int, int, str]) -> None:
    known = best.get(key)
    if known is None or said < known:
        best[key] = said


def described(cursor: duckdb.DuckDBPyConnection, rows: Sequence[TraceRow]) -> tuple[TraceRow, ...]:
    """The rows with what was asked and answered, their models, and how many things went wrong on their own account."""
    if not rows:
        return ()
    ids = [str(int(row.trace_id, 16)) for row in rows]
    moments = [min(row.start_us for row in rows), max(map(_ended, rows))]
    found: dict[str, dict[str, Any]] = {row.trace_id: {} for row in rows}
    models: dict[str, set[str]] = {}
    best: dict[tuple[str, str], tuple[int, str]] = {}
    # No aggregate: to plan it takes longer than to put together here what few traces have.
    for trace_id, kind, *told in cursor.execute(
        f"SELECT {HEXED}, kind, place, said FROM excerpts "  # noqa: S608
        "WHERE trace_id IN (SELECT unnest(?::VARCHAR[])::UHUGEINT) AND start_us BETWEEN ? AND ?",
        [ids, *moments],
    ).fetchall():
        place, said = told
        if kind == "model":
            models.setdefault(trace_id, set()).add(said)
        else:
            best[trace_id, kind] = min(best.get((trace_id, kind), (place, said)), (place, said))
    for trace_id, names in models.items():
        found[trace_id]["models"] = tuple(sorted(names))
    for (trace_id, kind), (_, said) in best.items():
        found[trace_id][kind] = said
    if several := [number for number, row in zip(ids, rows, strict=True) if row.errors]:
        for trace_id, count in cursor.execute(
            "WITH f AS (SELECT trace_id, span_id, parent_span_id FROM failures "  # noqa: S608
            "WHERE trace_id IN (SELECT unnest(?::VARCHAR[])::UHUGEINT) AND start_us BETWEEN ? AND ?) "
            f"SELECT {HEXED}, count(*) FROM f ANTI JOIN f c ON c.trace_id = f.trace_id AND c.parent_span_id = f.span_id "
            "GROUP BY f.trace_id",
            [several, *moments],
        ).fetchall():
            found[trace_id]["failures"] = count
    return tuple(replace(row, **found[row.trace_id]) for row in rows)


def _ended(row: TraceRow) -> int:
    """When the last of its spans may have begun: anything, where clocks differ."""
    return _LATEST if row.skewed else row.start_us + row.duration_us


def last_said(
    cursor: duckdb.DuckDBPyConnection, sessions: Sequence[str], start_us: int, end_us: int
) -> dict[str, dict[str, Any]]:
    """Session → what was ``asked`` and ``answered`` in its newest run that says so, of runs in that span of time."""
    found: dict[str, dict[str, Any]] = {}
    for session_id, kind, said in cursor.execute(
        "WITH t AS (SELECT trace_id, session_id, start_us FROM traces WHERE session_id IN (SELECT unnest(?)) "
        "AND start_us >= ? AND start_us < ?) "
        "SELECT session_id, kind, arg_max(said, since) FROM ("
        "SELECT t.session_id, e.kind, t.start_us AS since, arg_min(e.said, e.place) AS said FROM excerpts e JOIN t USING (trace_id) "
        "WHERE e.kind <> 'model' GROUP BY ALL) GROUP BY ALL",
        [list(sessions), start_us, end_us],
    ).fetchall():
        found.setdefault(session_id, {})[kind] = said
    return found

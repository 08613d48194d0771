"""Marks of runs: each kept once, however often and by whatever way it comes, and added up beside what the runs cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import date, timedelta
from typing import Any, Final

import duckdb

from .base import Marked, MarkedBy, Selection
from .duckdb_answers import number
from .duckdb_columns import REAL, TEXT, WHOLE, id_columns, registered
from .duckdb_excerpts import TRACE_ID
from .duckdb_facts import Where, names_filter, traces_filter
from .marks import EVENT, OF_SPANS, SAME_US, Mark, in_order, mark_of, most_used
from .orders import known
from .rows import LogRow

__all__ = ["labels", "marked", "write_marks"]

_DAY_US: Final = 86_400_000_000
_EPOCH: Final = date(1970, 1, 1)
_SPAN_ID: Final = "nullif(i.span_id, 0)"
_KNOWN: Final = f"""
SELECT place FROM incoming i WHERE EXISTS (
    SELECT 1 FROM marks m WHERE m.time_us BETWEEN ? AND ? AND abs(m.time_us - i.time_us) <= {SAME_US} AND m.trace_id = {TRACE_ID}
    AND m.span_id IS NOT DISTINCT FROM {_SPAN_ID} AND m.name = i.name AND m.score IS NOT DISTINCT FROM i.score
    AND m.label IS NOT DISTINCT FROM i.label AND m.comment IS NOT DISTINCT FROM i.comment
)
"""  # noqa: S608
_INSERT: Final = f"""
INSERT INTO marks SELECT {TRACE_ID}, {_SPAN_ID}, time_us, session_id, name, score, label, comment, made_by FROM incoming i
WHERE place NOT IN (SELECT unnest(?::BIGINT[]))
"""  # noqa: S608

_OF_TRACES: Final = {
    "framework": "framework",
    "service": "service",
    "session": "session_id",
    "user": "user_id",
    "task": "task",
    "workflow": "CASE WHEN root_span_id IS NOT NULL THEN name END",
    "day": f"start_us // {_DAY_US}",
}
"""What a run has one of → where it stands."""


def write_marks(connection: duckdb.DuckDBPyConnection, logs: Sequence[LogRow]) -> list[LogRow]:
    """Keep the marks among the lines. Returns the lines without those that tell of a mark once more."""
    found = [
        (place, line, mark_of(line)) for place, line in enumerate(logs) if line.event_type == EVENT and line.trace_id
    ]
    if not found:
        return list(logs)
    again = _repeated(found)
    fresh = [each for each in found if each[0] not in again]
    columns = id_columns([line.trace_id for _, line, _ in fresh], {"span_id": [mark.span_id for *_, mark in fresh]})
    columns |= {"place": (WHOLE, [place for place, *_ in fresh])}
    columns |= {"time_us": (WHOLE, [mark.time_us for *_, mark in fresh])}
    columns |= {"session_id": (TEXT, [line.session_id for _, line, _ in fresh])}
    columns |= {name: (TEXT, [getattr(mark, name) for *_, mark in fresh]) for name in ("name", "label", "comment")}
    columns |= {"made_by": (TEXT, [mark.by for *_, mark in fresh]), "score": (REAL, [mark.score for *_, mark in fresh])}
    times = [mark.time_us for *_, mark in fresh]
    with registered(connection, "incoming", columns):
        rows = connection.execute(_KNOWN, [min(times) - SAME_US, max(times) + SAME_US]).fetchall()
        stored = [place for (place,) in rows]
        connection.execute(_INSERT, [stored])
    again.update(stored)
    return [line for place, line in enumerate(logs) if place not in again]


def _repeated(found: Collection[tuple[int, LogRow, Mark]]) -> set[int]:
    """The places of those that another one of the batch tells as well."""
    last: dict[tuple[Any, ...], int] = {}
    again = set()
    for place, line, mark in sorted(found, key=lambda each: (each[2].time_us, each[0])):
        key = (str(line.trace_id).lower(), mark.span_id, mark.name, mark.score, mark.label, mark.comment)
        if key in last and mark.time_us - last[key] <= SAME_US:
            again.add(place)
        else:
            last[key] = mark.time_us
    return again


def marked(
    cursor: duckdb.DuckDBPyConnection, selection: Selection, by: MarkedBy, good_score: float | None, limit: int
) -> Sequence[Marked]:
    """What was thought of the runs of a selection. A run speaks once for each name that was judged, by its newest score and label."""
    known(by, (*OF_SPANS, *_OF_TRACES), "put marks together by")
    if not number(cursor, "SELECT count(*) FROM marks"):
        return []
    where = traces_filter(selection)
    where.add("trace_id IN (SELECT trace_id FROM marks)")
    keys = _keys(cursor, selection, by, where)
    newest = "arg_max({0}, {{'at': time_us, 'said': {0}}}) FILTER ({0} IS NOT NULL)"
    rows = cursor.execute(
        "WITH runs AS MATERIALIZED (SELECT trace_id, start_us, name, root_span_id, framework, service, session_id, user_id, "  # noqa: S608
        f"task, cost_usd, unpriced FROM traces WHERE {where}), said AS (SELECT trace_id, name AS judged, "
        f"{newest.format('score')} AS score, {newest.format('label')} AS label FROM marks "
        f"WHERE trace_id IN (SELECT trace_id FROM runs) GROUP BY ALL), keyed AS ({keys}) "
        "SELECT key, judged, label, GROUPING(label), count(*), count(score), avg(score), stddev_samp(score), min(score), "
        "max(score), count(*) FILTER (score >= ?), sum(cost_usd), sum(unpriced)::BIGINT "
        "FROM runs JOIN said USING (trace_id) JOIN keyed USING (trace_id) GROUP BY GROUPING SETS ((key, judged), (key, judged, label))",
        [*where.values, *keys.values, good_score],
    ).fetchall()
    labelled: dict[tuple[Any, str], list[tuple[str, int]]] = defaultdict(list)
    for key, judged, label, whole, runs, *_ in rows:
        if not whole and label is not None:
            labelled[key, judged].append((label, runs))
    found = []
    for key, judged, _, whole, runs, scored, mean, deviation, lowest, highest, high, cost_usd, unpriced in rows:
        if whole:
            shown = str(_EPOCH + timedelta(days=key)) if by == "day" else key
            scores = scored, mean, deviation, lowest, highest
            told = most_used(labelled[key, judged])
            found.append(Marked(shown, judged, runs, *scores, told, high, cost_usd, unpriced))
    return in_order(found, by)[:limit]


def labels(cursor: duckdb.DuckDBPyConnection, selection: Selection, limit: int) -> tuple[str, ...]:
    """The labels of marks that were made since the selection began, the most used first."""
    rows = cursor.execute(
        f"SELECT label FROM marks WHERE time_us >= ? AND label IS NOT NULL GROUP BY label ORDER BY count(*) DESC, label LIMIT {int(limit)}",  # noqa: S608
        [selection.start_us],
    ).fetchall()
    return tuple(label for (label,) in rows)


def _keys(cursor: duckdb.DuckDBPyConnection, selection: Selection, by: str, where: Where) -> Where:
    """The question which keys the runs have, one or several each."""
    if by in _OF_TRACES:
        return Where([f"SELECT trace_id, {_OF_TRACES[by]} AS key FROM runs"], [])  # noqa: S608
    named = names_filter(selection)
    named.add(f"{by} IS NOT NULL")
    times = f"SELECT min(start_us), max(last_start_us) FROM traces WHERE {where}"  # noqa: S608
    first, last = cursor.execute(times, where.values).fetchone() or (None, None)
    question = (
        f"SELECT DISTINCT trace_id, {by} AS key FROM spans WHERE start_us BETWEEN ? AND ? AND {named} "  # noqa: S608
        "AND trace_id IN (SELECT trace_id FROM runs)"
    )
    return Where([question], [first, last, *named.values])

"""Runs, put together from the traces that resume one another; and which runs are worth laying side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import duckdb

from .base import Selection, TraceRow
from .duckdb_columns import split_trace_id
from .duckdb_excerpts import described
from .duckdb_facts import runs_filter, traces_filter
from .duckdb_rollup import HOUR_US
from .duckdb_together import announce, of_each
from .duckdb_traces import TRACE_COLUMNS, stored, trace_row
from .runs import Related, Relation, Run, TaskRuns, joined

__all__ = ["related", "run", "runs", "tasks"]

_MOST_PARTS: Final = 200
_NEAR_US: Final = 24 * HOUR_US
"""How far apart runs of different frameworks may have begun to be worth comparing by that alone."""

# From any part to all others: what it goes on with, and what goes on with it.
_PARTS: Final = f"""
WITH RECURSIVE links AS MATERIALIZED (
    SELECT unnest([trace_id, resumes]) AS one, unnest([resumes, trace_id]) AS other FROM traces WHERE resumes IS NOT NULL
),
chain AS (
    SELECT ?::UHUGEINT AS trace_id
    UNION SELECT l.other FROM chain c JOIN links l ON l.one = c.trace_id
)
SELECT trace_id FROM chain LIMIT {_MOST_PARTS}
"""  # noqa: S608

_RESUMED: Final = f"""
WITH RECURSIVE links AS MATERIALIZED (SELECT trace_id AS later, resumes AS earlier FROM traces WHERE resumes IS NOT NULL),
chain AS (
    SELECT unnest(?::VARCHAR[]::UHUGEINT[]) AS first, unnest(?::VARCHAR[]::UHUGEINT[]) AS trace_id
    UNION SELECT c.first, l.later FROM chain c JOIN links l ON l.earlier = c.trace_id
)
SELECT c.first, {TRACE_COLUMNS} FROM chain c JOIN traces USING (trace_id) WHERE trace_id <> c.first
"""  # noqa: S608


def run(
    cursor: duckdb.DuckDBPyConnection, trace_id: str, found: dict[Any, Any], beside: Sequence[str] = ()
) -> Run | None:
    """The whole run that a trace is of. ``beside``: traces that are asked for next."""
    number = split_trace_id(trace_id)
    if number is None:
        return None
    if beside:
        announce(found, (other for each in beside if (other := split_trace_id(each)) is not None))
    if ("run", number) not in found:
        known = stored(cursor, [number], found)
        if number in known and _continues(cursor, number, known[number].row, found):
            known = stored(cursor, [part for (part,) in cursor.execute(_PARTS, [number]).fetchall()], found)
        parts = sorted((each.row for each in known.values()), key=lambda row: (row.start_us, row.trace_id))
        found["run", number] = joined(parts) if number in known else None
    whole: Run | None = found["run", number]
    return whole


def _continues(cursor: duckdb.DuckDBPyConnection, number: int, row: TraceRow, found: dict[Any, Any]) -> bool:
    """Whether it goes on with another trace, or one with it. Most are a run by themselves, and to plan the search for more takes long."""

    def ask(numbers: Sequence[int]) -> dict[int, bool]:
        ids = ", ".join("?::UHUGEINT" for _ in numbers)
        later = cursor.execute(f"SELECT DISTINCT resumes FROM traces WHERE resumes IN ({ids})", numbers)  # noqa: S608
        return {each: True for (each,) in later.fetchall()}

    return row.resumes is not None or bool(of_each("continued", number, found, ask))


def runs(cursor: duckdb.DuckDBPyConnection, selection: Selection, names: Sequence[str], limit: int) -> tuple[Run, ...]:
    """The newest runs that began in a selection."""
    where = traces_filter(replace(selection, frameworks=()))
    # What goes on with a trace that is stored is a part of that one's run.
    where.add("(resumes IS NULL OR NOT EXISTS (SELECT 1 FROM traces e WHERE e.trace_id = traces.resumes))")
    if names:
        where.add("name IN (SELECT unnest(?))", list(names))
    if selection.frameworks:
        where.add("framework IN (SELECT unnest(?))", list(selection.frameworks))
    firsts = cursor.execute(
        f"SELECT {TRACE_COLUMNS} FROM traces WHERE {where} ORDER BY start_us DESC, trace_id DESC LIMIT {int(limit)}",  # noqa: S608
        where.values,
    ).fetchall()
    ids = [str(row[0]) for row in firsts]
    later = cursor.execute(_RESUMED, [ids, ids]).fetchall()
    rows = described(cursor, [trace_row(tuple(row)) for row in (*firsts, *(each[1:] for each in later))])
    parts = {first[0]: [row] for first, row in zip(firsts, rows, strict=False)}
    for (first, *_), row in zip(later, rows[len(firsts) :], strict=True):
        parts[first].append(row)
    return tuple(map(joined, parts.values()))


def tasks(cursor: duckdb.DuckDBPyConnection, selection: Selection, limit: int) -> tuple[TaskRuns, ...]:
    """The tasks of runs that began in a selection, those with most runs first."""
    where = runs_filter(selection)
    where.add("task IS NOT NULL AND start_us >= ? AND start_us < ?", selection.start_us, selection.end_us)
    if selection.frameworks:
        where.add("framework IN (SELECT unnest(?))", list(selection.frameworks))
    rows = cursor.execute(
        "SELECT task, count(*) AS runs, list_sort(list(DISTINCT framework) FILTER (framework IS NOT NULL)) FROM traces "  # noqa: S608
        f"WHERE {where} GROUP BY task ORDER BY runs DESC, task LIMIT {int(limit)}",
        where.values,
    ).fetchall()
    return tuple(TaskRuns(task, count, tuple(frameworks or ())) for task, count, frameworks in rows)


def related(cursor: duckdb.DuckDBPyConnection, trace_id: str, most: int, found: dict[Any, Any]) -> tuple[Related, ...]:
    """Runs to compare a trace's run with, the best reason first, each once, ``most`` for each reason."""
    whole = run(cursor, trace_id, found)
    if whole is None:
        return ()
    row = whole.row
    same = "name = ? AND framework IS NOT DISTINCT FROM ?"
    named = [row.name, row.framework]
    looked_for: tuple[tuple[Relation, str, list[Any], str], ...] = (
        ("task", "task = ?", [row.task], "framework"),
        ("session", "session_id = ?", [row.session_id], ""),
        ("version", f"{same} AND version IS NOT NULL AND version <> ?", [*named, row.version], "version"),
        ("earlier", f"{same} AND start_us < ?", [*named, row.start_us], "framework"),
        ("later", f"{same} AND start_us > ?", [*named, row.start_us], "framework"),
        ("framework", "framework <> ? AND abs(start_us - ?) < ?", [row.framework, row.start_us, _NEAR_US], "framework"),
    )
    own = [split_trace_id(part.trace_id) for part in whole.parts]
    not_own = ", ".join("?::UHUGEINT" for _ in own)
    questions: list[str] = []
    given: list[Any] = []
    for place, (_, condition, values, one_of_each) in enumerate(looked_for):
        # Of each framework, or version, the nearest: ten runs of one would leave no room for the others.
        others = (
            "SELECT trace_id, framework, version, abs(start_us - ?) AS away FROM traces "  # noqa: S608
            f"WHERE resumes IS NULL AND trace_id NOT IN ({not_own}) AND {condition}"
        )
        if one_of_each:
            others = (
                "SELECT min_by(trace_id, (away, trace_id)) AS trace_id, any_value(framework) AS framework, min(away) AS away "  # noqa: S608
                f"FROM ({others}) GROUP BY {one_of_each}"
            )
        questions.append(
            f"(SELECT {place} AS place, framework IS NOT DISTINCT FROM ? AS same, away, trace_id FROM ({others}) "  # noqa: S608
            f"ORDER BY same, away, trace_id LIMIT {int(most)})"
        )
        given += [row.framework, row.start_us, *own, *values]
    reasons: dict[int, Relation] = {}
    # All in one statement, whose parts the engine works on side by side.
    for place, _, _, number in sorted(cursor.execute(" UNION ALL ".join(questions), given).fetchall()):
        reasons.setdefault(number, looked_for[place][0])
    told = stored(cursor, list(reasons), found)
    return tuple(Related(relation, told[number].row) for number, relation in reasons.items())

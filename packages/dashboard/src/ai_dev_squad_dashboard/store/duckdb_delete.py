"""Deleting from the tables, so that every answer is that of a store which never had it.

Sums are not subtracted but made anew from the spans that stay: what is left after a subtraction of fractions is not what a
sum without them would be.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import duckdb

from .deletions import ATTRIBUTES, COLUMNS, Deletion, Extent, Subject
from .duckdb_answers import number, one
from .duckdb_columns import split_trace_id
from .duckdb_facts import Where
from .duckdb_rollup import reroll
from .duckdb_series import drop_unused

__all__ = ["choose", "choose_traces", "chosen_sessions", "extent", "line_numbers", "numbers", "recorded", "remove"]

_DOOMED: Final = "SELECT trace_id FROM doomed"
_SESSIONS: Final = "SELECT session_id FROM doomed_sessions"
_SUMMED: Final = "seq, start_us, duration_us, series, session_id, usage_source, cost_usd"
"""What roll-ups know of a span: no text, because what is put aside may be put on disk."""


def choose(connection: duckdb.DuckDBPyConnection, subject: Subject) -> None:
    """Note which traces are meant, in the connection's table ``doomed``: they go as a whole. In ``doomed_sessions`` stand sessions
    that consist of them.
    """
    _tables(connection)
    if subject.kind == "trace":
        trace_id = split_trace_id(subject.id)
        if trace_id is not None:
            connection.execute("INSERT INTO doomed VALUES (?::UHUGEINT)", [str(trace_id)])
        return
    column = COLUMNS[subject.kind]
    tables = ("spans", "traces", "running", "logs") if subject.kind == "session" else ("spans", "traces")
    found = " UNION ".join(
        f"SELECT trace_id FROM {table} WHERE {column} = ? AND trace_id IS NOT NULL"  # noqa: S608
        for table in tables
    )
    connection.execute(f"INSERT INTO doomed {found}", [subject.id] * len(tables))
    if subject.kind == "session":
        connection.execute("INSERT INTO doomed_sessions VALUES (?)", [subject.id])
    else:
        connection.execute(
            "INSERT INTO doomed_sessions SELECT session_id FROM traces WHERE session_id IS NOT NULL "  # noqa: S608
            f"GROUP BY session_id HAVING bool_and(trace_id IN ({_DOOMED}))"
        )


def choose_traces(connection: duckdb.DuckDBPyConnection, trace_ids: Iterable[str]) -> None:
    """The same for traces that are known."""
    _tables(connection)
    numbers = [str(int(trace_id, 16)) for trace_id in trace_ids]
    connection.execute("INSERT INTO doomed SELECT unnest(?::VARCHAR[])::UHUGEINT", [numbers])


def chosen_sessions(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The sessions that go as a whole."""
    return [session_id for (session_id,) in connection.execute(_SESSIONS).fetchall()]


def _tables(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("CREATE OR REPLACE TEMP TABLE doomed (trace_id UHUGEINT)")
    connection.execute("CREATE OR REPLACE TEMP TABLE doomed_sessions (session_id VARCHAR)")


def numbers(connection: duckdb.DuckDBPyConnection) -> list[int]:
    """What the index of words calls the traces that were chosen."""
    rows = connection.execute(f"SELECT first_seq FROM traces WHERE trace_id IN ({_DOOMED})").fetchall()  # noqa: S608
    return [first_seq for (first_seq,) in rows]


def line_numbers(connection: duckdb.DuckDBPyConnection, subject: Subject | None = None) -> list[int]:
    """The lines of logs that go with what was chosen."""
    where = _others(subject)["logs"]
    return [line for (line,) in connection.execute(f"SELECT id FROM logs WHERE {where}", where.values).fetchall()]  # noqa: S608


def extent(connection: duckdb.DuckDBPyConnection, subject: Subject) -> Extent:
    """How much there is of what ``choose`` chose."""
    row = one(
        connection,
        "SELECT count(*), coalesce(sum(spans), 0)::BIGINT, count(DISTINCT session_id), coalesce(sum(cost_usd), 0), "  # noqa: S608
        f"min(start_us), max(end_us) FROM traces WHERE trace_id IN ({_DOOMED})",
    )
    assert row is not None
    traces, spans, sessions, cost_usd, oldest_us, newest_us = row
    counts = {}
    for table, where in _others(subject).items():
        counts[table] = number(connection, f"SELECT count(*) FROM {table} WHERE {where}", where.values)  # noqa: S608
    return Extent(
        traces=traces,
        spans=spans,
        logs=counts["logs"],
        running=counts["running"],
        metrics=counts["metrics"],
        sessions=sessions,
        cost_usd=cost_usd,
        oldest_us=oldest_us,
        newest_us=newest_us,
    )


def remove(connection: duckdb.DuckDBPyConnection, subject: Subject | None = None) -> list[int]:
    """Delete what was chosen, and of ``subject`` what belongs to no trace, inside a transaction. The sums are corrected.

    Returns the numbers of series that are no longer used.
    """
    row = one(
        connection,
        f"SELECT min(start_us), max(last_start_us) FROM traces WHERE trace_id IN ({_DOOMED})",  # noqa: S608
    )
    span = list(row) if row is not None and row[0] is not None else None
    if span is not None:
        chosen = f"start_us BETWEEN ? AND ? AND trace_id IN ({_DOOMED})"
        connection.execute(f"CREATE OR REPLACE TEMP TABLE leaving AS SELECT {_SUMMED} FROM spans WHERE {chosen}", span)  # noqa: S608
        connection.execute(f"DELETE FROM spans WHERE {chosen}", span)  # noqa: S608
        reroll(connection, "leaving")
        connection.execute("DROP TABLE leaving")
        connection.execute(f"DELETE FROM traces WHERE trace_id IN ({_DOOMED})")  # noqa: S608
    for table, where in _others(subject).items():
        connection.execute(f"DELETE FROM {table} WHERE {where}", where.values)  # noqa: S608
    connection.execute("DROP TABLE doomed")
    connection.execute("DROP TABLE doomed_sessions")
    return drop_unused(connection)


def recorded(connection: duckdb.DuckDBPyConnection, limit: int) -> list[Deletion]:
    """What was deleted, newest first."""
    rows = connection.execute(
        f"SELECT at_us, done_by, kind, traces, spans, logs, compacted_us FROM deletions ORDER BY at_us DESC LIMIT {int(limit)}"  # noqa: S608
    ).fetchall()
    return [Deletion(*row) for row in rows]


def _others(subject: Subject | None) -> dict[str, Where]:
    """Table → which of its rows go, where that is not told by spans alone."""
    of_traces = f"trace_id IN ({_DOOMED})"
    found = {
        table: Where([f"({of_traces} OR session_id IN ({_SESSIONS}))"], []) for table in ("logs", "running", "marks")
    }
    found |= {table: Where([of_traces], []) for table in ("labels", "excerpts", "failures", "clashes", "carried")}
    either, values = ["false"], []
    for kind, names in ATTRIBUTES.items():
        for name in names:
            value = "json_extract_string(decode(details), ?)"
            if kind == "session":
                either.append(f"{value} IN ({_SESSIONS})")
                values.append(f'$.attributes."{name}"')
            elif subject is not None and subject.kind == kind:
                either.append(f"{value} = ?")
                values += [f'$.attributes."{name}"', subject.id]
    found["metrics"] = Where([f"({' OR '.join(either)})"], values)
    return found

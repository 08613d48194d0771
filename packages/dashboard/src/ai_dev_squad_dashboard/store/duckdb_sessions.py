"""Traces put together: sessions, and users or whatever else their metadata tells them apart by."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import duckdb

from .base import (
    Choices,
    Selection,
    Session,
    SessionOrder,
    SessionPage,
    TraceRow,
    User,
    UserOrder,
    UserPage,
)
from .choices import MOST_USERS, choices_of
from .duckdb_answers import one
from .duckdb_excerpts import described, last_said
from .duckdb_facts import Where, traces_filter
from .duckdb_order import after, counted
from .duckdb_traces import TRACE_COLUMNS, trace_row
from .orders import SESSION_ORDERS, USER_ORDERS, cursor_behind

__all__ = ["choices", "session", "sessions", "users"]


# Sums of money are rounded, because the last digits of a sum depend on the order in which it was added up, and a cursor has to
# find its place again.
_SESSION: Final = """
SELECT session_id, arg_min(framework, start_us) AS framework, min(start_us) AS start_us, max(end_us) AS end_us, count(*) AS turns,
    count(*) FILTER (status = 'error') AS errors, sum(calls)::BIGINT AS calls, sum(input_tokens) AS input_tokens,
    sum(output_tokens) AS output_tokens, round(sum(cost_usd), 9) AS cost_usd, sum(unpriced)::BIGINT AS unpriced,
    arg_max(name, start_us) AS last_name, arg_max(user_id, start_us) AS user_id,
    count(*) FILTER (status <> 'error' AND errors > 0) AS failed_steps, arg_min(service, start_us) AS service,
    string_agg(DISTINCT lower(name), chr(0)) AS names
FROM traces
"""
_SHOWN: Final = (
    "session_id, framework, start_us, end_us, turns, errors, calls, input_tokens, output_tokens, cost_usd, unpriced, "
    "last_name, user_id, failed_steps, service"
)
_USER: Final = """
SELECT {key} AS key, count(*) AS runs, count(*) FILTER (status = 'error') AS errors,
    count(*) FILTER (status <> 'error' AND errors > 0) AS failed_steps, count(DISTINCT session_id) AS sessions,
    sum(calls)::BIGINT AS calls, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
    round(sum(cost_usd), 9) AS cost_usd, sum(unpriced)::BIGINT AS unpriced, min(start_us) AS first_us, max(end_us) AS last_us
FROM traces {others}
"""

# The last condition holds always: the engine takes it for one that few rows meet, and so looks traces up among their labels rather than
# labels among the much wider traces, which takes a third less.
_LABELLED: Final = """
SELECT trace_id AS labelled, value FROM labels
WHERE key = ? AND start_us >= ? AND start_us <= (SELECT max(last_start_us) FROM traces WHERE start_us >= ? AND start_us < ?)
    AND strlen(value) >= least(start_us, 0)
"""

# Whoever has no name stands behind all others of the same value.
_PLACE: Final = "coalesce('1' || key, '2')"


def sessions(
    cursor: duckdb.DuckDBPyConnection,
    selection: Selection,
    *,
    text: str,
    order: SessionOrder,
    behind: str | None,
    limit: int,
) -> SessionPage:
    """Sessions put together from their traces in the selection. Each word occurs in a session's id or a trace's name."""
    where = traces_filter(selection)
    where.add("session_id IS NOT NULL")
    # The names are put together only where they are looked at.
    each = _SESSION if text.split() else _SESSION.replace("string_agg(DISTINCT lower(name), chr(0))", "NULL")
    relation = f"{each} WHERE {where} GROUP BY session_id"
    found = Where([], [])
    for word in text.split():
        found.add("(contains(lower(session_id), lower(?)) OR contains(names, lower(?)))", word, word)
    key, place = SESSION_ORDERS[order], Where([], [])
    if behind is not None:
        place = after(behind, "sessions", order, key, "session_id > ?")
    made = Where([f"SELECT * FROM ({relation}) WHERE {found}"], where.values + found.values)  # noqa: S608
    order_by = f"{key.expression} DESC, session_id"
    rows, total = counted(cursor, made, place, f"{_SHOWN}, {key.expression}", order_by, limit)
    page = rows[:limit]
    said = last_said(cursor, [row[0] for row in page], selection.start_us, selection.end_us) if page else {}
    more = cursor_behind("sessions", order, page[-1][-1], page[-1][0]) if len(rows) > limit else None
    return SessionPage(tuple(Session(*row[:-1], **said.get(row[0], {})) for row in page), more, total)


def session(
    cursor: duckdb.DuckDBPyConnection, session_id: str, limit: int
) -> tuple[Session, tuple[TraceRow, ...]] | None:
    """A session over all time, and its newest traces, oldest of them first."""
    row = one(
        cursor,
        f"SELECT {_SHOWN} FROM ({_SESSION} WHERE session_id = ? GROUP BY session_id)",  # noqa: S608
        [session_id],
    )
    if row is None:
        return None
    rows = cursor.execute(
        f"SELECT {TRACE_COLUMNS} FROM traces WHERE session_id = ? ORDER BY start_us DESC, trace_id DESC LIMIT {int(limit)}",  # noqa: S608
        [session_id],
    ).fetchall()
    said = last_said(cursor, [session_id], row[2], row[3] + 1).get(session_id, {})
    return replace(Session(*row), **said), described(cursor, [trace_row(each) for each in reversed(rows)])


def users(
    cursor: duckdb.DuckDBPyConnection,
    selection: Selection,
    *,
    key: str | None,
    text: str,
    order: UserOrder,
    behind: str | None,
    limit: int,
) -> UserPage:
    """Users, or the values of a member of metadata, put together from the traces in the selection."""
    where = traces_filter(selection)
    values: list[Any] = []
    if key is None:
        relation = _USER.format(key="user_id", others="")
    else:
        relation = _USER.format(key="l.value", others=f"LEFT JOIN ({_LABELLED}) l ON l.labelled = trace_id")
        values += [key, selection.start_us, selection.start_us, selection.end_us]
    relation, values = f"{relation} WHERE {where} GROUP BY ALL", values + where.values
    found = Where([], [])
    for word in text.split():
        found.add("contains(lower(key), lower(?))", word)
    sort, place = USER_ORDERS[order], Where([], [])
    if behind is not None:
        place = after(behind, "users", order, sort, f"{_PLACE} > ?")
    made = Where([f"SELECT * FROM ({relation}) WHERE {found}"], values + found.values)  # noqa: S608
    rows, total = counted(cursor, made, place, f"*, {sort.expression}", f"{sort.expression} DESC, {_PLACE}", limit)
    page = rows[:limit]
    more = None
    if len(rows) > limit:
        last = page[-1]
        more = cursor_behind("users", order, last[-1], "2" if last[0] is None else f"1{last[0]}")
    return UserPage(tuple(User(*row[:-1]) for row in page), more, total)


def choices(cursor: duckdb.DuckDBPyConnection, selection: Selection) -> Choices:
    """The users, tags and metadata of traces that began in the selection's time."""
    moments = [selection.start_us, selection.end_us]
    names = cursor.execute(
        "SELECT user_id FROM traces WHERE user_id IS NOT NULL AND start_us >= ? AND start_us < ? "  # noqa: S608
        f"GROUP BY user_id ORDER BY count(*) DESC, user_id LIMIT {MOST_USERS}",
        moments,
    ).fetchall()
    labels = cursor.execute(
        "SELECT key, value FROM (SELECT key, value, count(*) AS runs FROM labels WHERE start_us >= ? AND start_us < ? "
        "GROUP BY key, value) "
        "ORDER BY sum(runs) OVER (PARTITION BY key) DESC, key, runs DESC, value",
        moments,
    ).fetchall()
    return choices_of(names, labels)

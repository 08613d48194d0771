"""Traces put together: sessions, and users or whatever else their metadata tells them apart by."""

from __future__ import annotations

from typing import Final

from ai_dev_squad_dashboard.store.base import (
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
from ai_dev_squad_dashboard.store.choices import MOST_USERS, choices_of
from ai_dev_squad_dashboard.store.orders import SESSION_ORDERS, USER_ORDERS, Key, cursor_behind, place_of

from .client import Client, Rows
from .filters import began, behind, traces_filter
from .literals import Where, literal
from .rows import TRACE_COLUMNS, trace_row
from .schema import HOUR_US

__all__ = ["choices", "session", "sessions", "users"]

_WHEN: Final = "(start_us, trace_id)"

# Sums of money are rounded, because the last digits of a sum depend on the order in which it was added up, and a cursor has to
# find its place again.
_SUMS: Final = {
    "calls": "toInt64(sum(calls))",
    "input_tokens": "sum(input_tokens)",
    "output_tokens": "sum(output_tokens)",
    "cost_usd": "round(sum(cost_usd), 9)",
    "unpriced": "toInt64(sum(unpriced))",
}
_SESSION: Final = {
    "session_id": "assumeNotNull(session_id)",
    "framework": f"argMinIf(tuple(framework), {_WHEN}, framework IS NOT NULL).1",
    "start_us": "min(start_us)",
    "end_us": "max(end_us)",
    "turns": "count()",
    "errors": "countIf(status = 'error')",
    **_SUMS,
    "last_name": f"argMax(name, {_WHEN})",
    "user_id": f"argMaxIf(tuple(user_id), {_WHEN}, user_id IS NOT NULL).1",
    "failed_steps": "countIf(status <> 'error' AND errors > 0)",
    "service": f"argMinIf(tuple(service), {_WHEN}, service IS NOT NULL).1",
    "asked": f"argMaxIf(tuple(asked), {_WHEN}, asked IS NOT NULL).1",
    "answered": f"argMaxIf(tuple(answered), {_WHEN}, answered IS NOT NULL).1",
}
_USER: Final = {
    "runs": "count()",
    "errors": "countIf(status = 'error')",
    "failed_steps": "countIf(status <> 'error' AND errors > 0)",
    "sessions": "uniqExact(session_id)",
    **_SUMS,
    "first_us": "min(start_us)",
    "last_us": "max(end_us)",
}
# Whoever has no name stands behind all others of the same value.
_PLACE: Final = "ifNull(concat('1', key), '2')"


def _made(columns: dict[str, str], key: str, rows: str) -> str:
    """A question for ``columns`` and ``key``, whose aggregates do not meet the names that they get."""
    inner = ", ".join(f"{how} AS c_{name}" for name, how in columns.items())
    outer = ", ".join(f"c_{name} AS {name}" for name in columns)
    return f"SELECT key, {outer} FROM (SELECT {key} AS key, {inner} FROM {rows} GROUP BY key)"


def _page(
    client: Client, made: str, shown: str, columns: dict[str, str], place: Where, key: Key, tie: str, limit: int
) -> tuple[Rows, int]:
    """The first rows of ``shown``, and how many ``made`` has."""
    rows, ((total,),) = client.ask_all(
        f"SELECT key, {', '.join(columns)}, {key.expression} AS sorted_by FROM ({shown}) WHERE {place} "
        f"ORDER BY sorted_by DESC, {tie} LIMIT {int(limit) + 1}",
        f"SELECT count() FROM ({made})",
    )
    return rows, total


def sessions(
    client: Client, selection: Selection, *, text: str, order: SessionOrder, cursor: str | None, limit: int
) -> SessionPage:
    """Sessions put together from their traces in the selection. Each word occurs in a session's id or a trace's name."""
    where = traces_filter(selection).add("session_id IS NOT NULL")
    having = Where()
    for word in text.split():
        low = f"lowerUTF8({literal(word)})"
        having.add(
            f"(position(lowerUTF8(assumeNotNull(key)), {low}) > 0 OR countIf(position(lowerUTF8(name), {low}) > 0) > 0)"
        )

    def made_of(condition: Where) -> str:
        made = _made(_SESSION, "session_id", f"(SELECT * FROM traces FINAL WHERE {condition})")
        return made.replace("GROUP BY key)", f"GROUP BY key HAVING {having})")

    made = made_of(where)
    key, place = SESSION_ORDERS[order], Where()
    if cursor is not None:
        value, row_id = place_of(cursor, "sessions", order, key)
        place.add(behind(key.expression, value, f"session_id > {literal(row_id)}"))
    # Of what is not shown only what it is sorted by: to find the texts of all sessions takes most of the time.
    first = f"SELECT key FROM ({made}) WHERE {place} ORDER BY {key.expression} DESC, session_id LIMIT {int(limit) + 1}"
    shown = made_of(Where(str(where)).add(f"session_id IN ({first})"))
    rows, total = _page(client, made, shown, _SESSION, place, key, "session_id", limit)
    page = rows[:limit]
    more = cursor_behind("sessions", order, page[-1][-1], page[-1][0]) if len(rows) > limit else None
    return SessionPage(tuple(Session(*row[1:-1]) for row in page), more, total)


def session(client: Client, session_id: str, limit: int) -> tuple[Session, tuple[TraceRow, ...]] | None:
    """A session over all time, and its newest traces, oldest of them first."""
    mine = f"session_id = {literal(session_id)} AND intDiv(start_us, {HOUR_US}) = hour"
    made = _made(_SESSION, "session_id", f"(SELECT * FROM traces FINAL WHERE {mine})")
    rows = client.ask(f"SELECT {', '.join(_SESSION)} FROM ({made})")
    if not rows:
        return None
    newest = client.ask(
        f"SELECT {TRACE_COLUMNS} FROM traces FINAL WHERE {mine} ORDER BY start_us DESC, trace_id DESC LIMIT {int(limit)}"
    )
    return Session(*rows[0]), tuple(trace_row(row) for row in reversed(newest))


def users(
    client: Client,
    selection: Selection,
    *,
    key: str | None,
    text: str,
    order: UserOrder,
    cursor: str | None,
    limit: int,
) -> UserPage:
    """Users, or the values of a member of metadata, put together from the traces in the selection."""
    rows = f"(SELECT * FROM traces FINAL WHERE {traces_filter(selection)})"
    named = "user_id"
    if key is not None:
        of_key = f"arrayMap(pair -> toNullable(pair.2), arrayFilter(pair -> pair.1 = {literal(key)}, labels))"
        rows = f"(SELECT *, arrayJoin(if(empty({of_key}), [NULL], {of_key})) AS value FROM {rows})"
        named = "value"
    made, found = _made(_USER, named, rows), Where()
    for word in text.split():
        found.add(f"position(lowerUTF8(ifNull(key, '')), lowerUTF8({literal(word)})) > 0")
    if found:
        made = f"SELECT * FROM ({made}) WHERE {found}"
    sort, place = USER_ORDERS[order], Where()
    if cursor is not None:
        value, row_id = place_of(cursor, "users", order, sort)
        place.add(behind(sort.expression, value, f"{_PLACE} > {literal(row_id)}"))
    answer, total = _page(client, made, made, _USER, place, sort, _PLACE, limit)
    page = answer[:limit]
    more = None
    if len(answer) > limit:
        last = page[-1]
        more = cursor_behind("users", order, last[-1], "2" if last[0] is None else f"1{last[0]}")
    return UserPage(tuple(User(*row[:-1]) for row in page), more, total)


def choices(client: Client, selection: Selection) -> Choices:
    """The users, tags and metadata of traces that began in the selection's time."""
    within = began(selection.start_us, selection.end_us)
    names = client.ask(
        f"SELECT user_id FROM traces FINAL WHERE {within} AND user_id IS NOT NULL GROUP BY user_id "
        f"ORDER BY count() DESC, user_id LIMIT {MOST_USERS}"
    )
    labels = client.ask(
        "SELECT key, value FROM (SELECT pair.1 AS key, pair.2 AS value, count() AS runs FROM ("
        f"SELECT arrayJoin(labels) AS pair FROM traces FINAL WHERE {within}) GROUP BY key, value) "
        "ORDER BY sum(runs) OVER (PARTITION BY key) DESC, key, runs DESC, value"
    )
    return choices_of(names, labels)

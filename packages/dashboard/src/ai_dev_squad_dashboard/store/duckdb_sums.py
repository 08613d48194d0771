"""Timelines, tables by session, day and workflow, and calls without a price: what a summary does not hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any, Final

import duckdb

from . import duckdb_facts as facts
from .base import DrawnBy, Group, GroupBy, OrderBy, Point, Selection
from .duckdb_facts import Relation, Where, bins, names_filter, runs_filter, sessions, sums
from .duckdb_rollup import HOUR_US, SUMS, binned
from .percentiles import histogram, percentiles
from .summary import MONEY, sort_key

__all__ = ["KEYS", "groups", "timeline", "unpriced"]

_DAY_US: Final = 24 * HOUR_US
_EPOCH: Final = date(1970, 1, 1)

KEYS: Final[dict[str, str]] = {
    **{name: name for name in ("framework", "provider", "model", "agent", "tool", "operation", "service")},
    "program": "coalesce(framework, service)",
    "session": "session_id",
    "day": f"at_us // {_DAY_US}",
    "workflow": "name",
}
"""What rows are put together by → the expression on a relation of sums."""

_COUNTED: Final[dict[str, str]] = {"tool": "operation = 'execute_tool'", "agent": "operation = 'invoke_agent'"}
"""Which spans ``calls`` counts, where it is not model calls."""

_SHOWN: Final[dict[str, str]] = {"tool": _COUNTED["tool"], "agent": f"(call OR {_COUNTED['agent']})"}
"""Which spans make a row at all, where it is not model calls."""

_DRAWN: Final = ("spans", "errors", "cost_usd", "input_tokens", "output_tokens")
"""The sums of a timeline. A question takes its time for being planned, so it has no columns that nobody reads."""

_ORDER: Final[dict[str, str]] = {
    "cost": "cost_usd DESC, calls DESC, key NULLS LAST",
    "calls": "calls DESC, key NULLS LAST",
    "errors": "errors DESC, calls DESC, key NULLS LAST",
    "tokens": "input_tokens + output_tokens DESC, calls DESC, key NULLS LAST",
    "key": "key NULLS LAST",
}


def timeline(cursor: duckdb.DuckDBPyConnection, selection: Selection, step_us: int, by: DrawnBy) -> Sequence[Point]:
    """Sums per step and key."""
    if step_us < 1:
        raise ValueError(f"step_us {step_us!r} is not positive; use microseconds, such as 3_600_000_000")
    relation, values = _relation(cursor, selection, by, step_us, _DRAWN)
    # A condition on each sum takes longer than the sums do, and where only calls make a row there is nothing to choose.
    counted, called = (f" FILTER ({_COUNTED[by]})", " FILTER (call)") if by in _COUNTED else ("", "")
    rows = cursor.execute(
        f"SELECT at_us // {int(step_us)} * {int(step_us)} AS step, {KEYS[by]} AS key, "  # noqa: S608
        f"coalesce(sum(spans){counted}, 0), coalesce(sum(errors){counted}, 0), coalesce(sum(cost_usd){called}, 0), "
        f"coalesce(sum(input_tokens){called}, 0), coalesce(sum(output_tokens){called}, 0) "
        f"FROM ({relation}) WHERE {_SHOWN.get(by, 'call')} GROUP BY ALL ORDER BY step, key NULLS LAST",
        values,
    ).fetchall()
    return [Point(row[0], _name(by, row[1]), *row[2:]) for row in rows]


def groups(
    cursor: duckdb.DuckDBPyConnection, selection: Selection, by: GroupBy, *, order: OrderBy, limit: int, latency: bool
) -> Sequence[Group]:
    """A table by session, day or workflow."""
    keys: list[str | None] | None = None
    spread: dict[str | None, dict[int, int]] = {}
    if order == "p95":
        spread = _spread(cursor, selection, by, None)
        keys = sorted(spread, key=lambda key: -(percentiles(spread[key], 0.95)[0] or 0))[: limit + 100]
    relation, values = _relation(cursor, selection, by, _DAY_US)
    chosen, chosen_values = _chosen(by, keys)
    money = ", ".join(f"coalesce(sum({name}), 0) AS {name}" for name in MONEY)
    made = "calls" if by == "workflow" else "spans"
    ordered = f"ORDER BY {_ORDER[order]} LIMIT {int(limit)}" if order != "p95" else ""
    rows = cursor.execute(
        f"SELECT * FROM (SELECT {KEYS[by]} AS key, coalesce(sum(spans), 0) AS calls, "  # noqa: S608
        f"coalesce(sum(errors), 0) AS errors, {money}, sum(duration_us), coalesce(sum({made}), 0)::BIGINT "
        f"FROM ({relation}) WHERE call AND {chosen} GROUP BY 1) {ordered}",
        values + chosen_values,
    ).fetchall()
    if order != "p95":
        spread = _spread(cursor, selection, by, [row[0] for row in rows])
    answer = [_group(_name(by, row[0]), row, spread[row[0]], latency) for row in rows]
    return sorted(answer, key=lambda group: sort_key(group, order))[:limit]


def unpriced(
    cursor: duckdb.DuckDBPyConnection, selection: Selection, limit: int
) -> Sequence[tuple[str | None, str | None, int, str | None]]:
    """(provider, model, calls, reason) of calls without a known price, most calls first."""
    relation, values = facts.unpriced(cursor, selection)
    return cursor.execute(
        f"SELECT provider, model, sum(spans)::BIGINT AS calls, cost_reason FROM ({relation}) GROUP BY ALL "  # noqa: S608
        f"ORDER BY calls DESC, provider NULLS LAST, model NULLS LAST, cost_reason NULLS LAST LIMIT {int(limit)}",
        values,
    ).fetchall()


def _relation(
    cursor: duckdb.DuckDBPyConnection, selection: Selection, by: DrawnBy, step_us: int, columns: Iterable[str] = SUMS
) -> Relation:
    if by == "workflow":
        return _workflows(selection)
    if by == "session":
        return sessions(cursor, selection, step_us)
    return sums(cursor, selection, step_us, columns)


def _workflows(selection: Selection) -> Relation:
    """Runs with the sums of their traces, in the shape of a relation of sums."""
    where = Where([], [])
    where.add("start_us >= ? AND start_us < ?", selection.start_us, selection.end_us)
    runs = runs_filter(selection)
    where.add(str(runs), *runs.values)
    seen = names_filter(selection)
    if seen.conditions:
        where.add(
            f"trace_id IN (SELECT trace_id FROM spans WHERE start_us >= ? AND {seen})",  # noqa: S608
            selection.start_us,
            *seen.values,
        )
    relation = (
        "SELECT start_us AS at_us, name, true AS call, 1 AS spans, (status = 'error')::BIGINT AS errors, "  # noqa: S608
        "greatest(took_us, 0) AS duration_us, took_us >= 0 AS timed, "
        f"({binned('took_us')})::BIGINT AS bin, calls, {', '.join(MONEY)} "
        f"FROM (SELECT *, coalesce(root_duration_us, end_us - start_us) AS took_us FROM traces WHERE {where})"
    )
    return relation, where.values


def _spread(
    cursor: duckdb.DuckDBPyConnection, selection: Selection, by: GroupBy, keys: list[str | None] | None
) -> dict[str | None, dict[int, int]]:
    """The latency histogram of each key."""
    chosen, chosen_values = _chosen(by, keys)
    if by == "workflow":
        relation, values = _workflows(selection)
        relation = f"SELECT * REPLACE (timed::BIGINT AS spans) FROM ({relation})"  # noqa: S608
    elif by == "session":
        relation, values = sessions(cursor, selection, _DAY_US)
        relation = f"SELECT session_id, call, unnest(bins) AS bin, 1 AS spans FROM ({relation}) WHERE {chosen}"  # noqa: S608
        values, chosen, chosen_values = values + chosen_values, "true", []
    else:
        relation, values = bins(cursor, selection, _DAY_US)
    spread: dict[str | None, dict[int, int]] = defaultdict(dict)
    for key, number, spans in cursor.execute(
        f"SELECT {KEYS[by]} AS key, bin, sum(spans)::BIGINT FROM ({relation}) WHERE call AND {chosen} "  # noqa: S608
        "GROUP BY 1, 2",
        values + chosen_values,
    ).fetchall():
        own = spread[key]
        if spans:
            own[number] = spans
    return spread


def _chosen(by: GroupBy, keys: list[str | None] | None) -> Relation:
    """The condition that a row's key is one of ``keys``."""
    if keys is None:
        return "true", []
    nameless = f" OR {KEYS[by]} IS NULL" if None in keys else ""
    return f"({KEYS[by]} IN (SELECT unnest(?)){nameless})", [[key for key in keys if key is not None]]


def _name(by: DrawnBy, key: Any) -> str | None:
    """The key as it is shown: formatting a day once a row of the answer is faster than once a row of the tables."""
    return str(_EPOCH + timedelta(days=key)) if by == "day" else key


def _group(key: str | None, row: tuple[Any, ...], spread: dict[int, int], latency: bool) -> Group:
    _, calls, errors, *money, duration, made = row
    p50, p95, p99 = percentiles(spread, 0.5, 0.95, 0.99)
    mean = round(duration / calls) if calls else None
    return Group(*(key, calls, errors, *money, p50, p95, p99, mean, made, tuple(histogram(spread)) if latency else ()))

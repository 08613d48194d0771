"""Totals, timelines, tables by a key, and the names there are: questions that roll-ups answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import duckdb

from .base import Facets, Group, GroupBy, OrderBy, Point, Selection, Totals
from .duckdb_answers import one
from .duckdb_facts import Where, bins, names_filter, sums
from .duckdb_rollup import HOUR_US
from .percentiles import BINS_PER_OCTAVE, histogram, percentiles

__all__ = ["facets", "groups", "timeline", "totals", "unpriced"]

_DAY_US: Final = 24 * HOUR_US

_KEYS: Final[dict[str, str]] = {
    **{name: name for name in ("framework", "provider", "model", "agent", "tool", "operation", "service")},
    "session": "session_id",
    "day": f"strftime(make_timestamp(at_us // {_DAY_US} * {_DAY_US}), '%Y-%m-%d')",
    "workflow": "name",
}
"""What rows are put together by → the expression on a relation of sums."""

_COUNTED: Final[dict[str, str]] = {"tool": "operation = 'execute_tool'", "agent": "operation = 'invoke_agent'"}
"""Which spans ``calls`` counts, where it is not model calls."""

_SHOWN: Final[dict[str, str]] = {"tool": _COUNTED["tool"], "agent": f"(call OR {_COUNTED['agent']})"}
"""Which spans make a row at all, where it is not model calls."""

_MONEY: Final = (
    "cost_usd",
    "unpriced",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cache_saving_usd",
)

_ORDER: Final[dict[str, str]] = {
    "cost": "cost_usd DESC, calls DESC, key NULLS LAST",
    "calls": "calls DESC, cost_usd DESC, key NULLS LAST",
    "errors": "errors DESC, calls DESC, key NULLS LAST",
    "tokens": "input_tokens + output_tokens DESC, calls DESC, key NULLS LAST",
    "key": "key NULLS LAST",
}


def totals(cursor: duckdb.DuckDBPyConnection, selection: Selection) -> Totals:
    """What model calls cost and how runs went."""
    relation, values = sums(cursor, selection)
    row = one(
        cursor,
        "SELECT coalesce(sum(spans) FILTER (call), 0), coalesce(sum(errors) FILTER (call), 0), "  # noqa: S608
        "coalesce(sum(spans) FILTER (root), 0), coalesce(sum(errors) FILTER (root), 0), coalesce(sum(spans), 0), "
        "coalesce(sum(cost_usd) FILTER (call), 0), coalesce(sum(unpriced), 0), "
        "coalesce(sum(input_tokens) FILTER (call), 0), coalesce(sum(output_tokens) FILTER (call), 0), "
        "coalesce(sum(cache_read_tokens) FILTER (call), 0), coalesce(sum(cache_write_tokens) FILTER (call), 0), "
        "coalesce(sum(reasoning_tokens) FILTER (call), 0), coalesce(sum(estimated), 0), coalesce(sum(uncounted), 0), "
        "coalesce(sum(cache_saving_usd) FILTER (call), 0), sum(duration_us) FILTER (call) "
        f"FROM ({relation})",
        values,
    )
    assert row is not None
    *counts, duration = row
    relation, values = bins(cursor, selection)
    calls: dict[int, int] = {}
    runs: dict[int, int] = {}
    for number, by_call, by_run in cursor.execute(
        "SELECT bin, coalesce(sum(spans) FILTER (call), 0)::BIGINT, coalesce(sum(spans) FILTER (root), 0)::BIGINT "  # noqa: S608
        f"FROM ({relation}) WHERE call OR root GROUP BY bin",
        values,
    ).fetchall():
        calls[number], runs[number] = by_call, by_run
    mean = round(duration / counts[0]) if counts[0] else None
    return Totals(
        *counts,
        *percentiles(calls, 0.5, 0.95, 0.99),
        mean,
        *percentiles(runs, 0.5, 0.95, 0.99),
    )


def timeline(
    cursor: duckdb.DuckDBPyConnection, selection: Selection, step_us: int, by: GroupBy = "framework"
) -> Sequence[Point]:
    """Sums per step and key. Raises ``ValueError`` for a step that is not positive or an unknown key."""
    if step_us < 1:
        raise ValueError(f"step_us {step_us!r} is not positive; use microseconds, such as 3_600_000_000")
    relation, values = _relation(cursor, selection, by, step_us)
    counted = _COUNTED.get(by, "call")
    rows = cursor.execute(
        f"SELECT at_us // {int(step_us)} * {int(step_us)} AS step, {_KEYS[by]} AS key, "  # noqa: S608
        f"coalesce(sum(spans) FILTER ({counted}), 0) AS calls, coalesce(sum(errors) FILTER ({counted}), 0), "
        "coalesce(sum(cost_usd) FILTER (call), 0), coalesce(sum(input_tokens) FILTER (call), 0), "
        "coalesce(sum(output_tokens) FILTER (call), 0) "
        f"FROM ({relation}) WHERE {_SHOWN.get(by, 'call')} GROUP BY ALL ORDER BY step, key NULLS LAST",
        values,
    ).fetchall()
    return [Point(*row) for row in rows]


def groups(
    cursor: duckdb.DuckDBPyConnection,
    selection: Selection,
    by: GroupBy,
    *,
    order: OrderBy = "cost",
    limit: int = 50,
    latency: bool = False,
) -> Sequence[Group]:
    """A table by one key. Raises ``ValueError`` for an unknown key or order."""
    if order not in {*_ORDER, "p95"}:
        raise ValueError(f"order {order!r} is unknown; use one of {', '.join(_ORDER)} or p95")
    relation, values = _relation(cursor, selection, by, _DAY_US if by == "day" else None)
    counted, key = _COUNTED.get(by, "call"), _KEYS[by]
    shown = _SHOWN.get(by, "call")
    money = ", ".join(f"coalesce(sum({name}) FILTER (call), 0) AS {name}" for name in _MONEY)
    ordered = f"ORDER BY {_ORDER[order]} LIMIT {int(limit)}" if order != "p95" else ""
    rows = cursor.execute(
        f"SELECT {key} AS key, coalesce(sum(spans) FILTER ({counted}), 0) AS calls, "  # noqa: S608
        f"coalesce(sum(errors) FILTER ({counted}), 0) AS errors, {money}, sum(duration_us) FILTER ({counted}) "
        f"FROM ({relation}) WHERE {shown} GROUP BY 1 {ordered}",
        values,
    ).fetchall()
    spread = _spread(cursor, selection, by, None if order == "p95" else [row[0] for row in rows])
    answer = [_group(row, spread[row[0]], latency) for row in rows]
    if order == "p95":
        answer.sort(key=lambda group: (-(group.p95_us or -1), -group.calls, group.key is None, group.key or ""))
    return answer[:limit]


def facets(cursor: duckdb.DuckDBPyConnection, selection: Selection) -> Facets:
    """The names there are to choose from, each kind without its own filter's effect on the others."""
    relation, values = sums(cursor, selection)
    counts: dict[str, dict[str, int]] = {
        name: defaultdict(int) for name in ("framework", "provider", "model", "agent", "tool", "service")
    }
    for *names, spans in cursor.execute(
        f"SELECT {', '.join(counts)}, sum(spans)::BIGINT FROM ({relation}) GROUP BY ALL",  # noqa: S608
        values,
    ).fetchall():
        for each, name in zip(counts.values(), names, strict=True):
            if name is not None:
                each[name] += spans
    return Facets(*(tuple(sorted(each, key=lambda name: (-each[name], name))[:200]) for each in counts.values()))


def unpriced(
    cursor: duckdb.DuckDBPyConnection, selection: Selection, limit: int = 100
) -> Sequence[tuple[str | None, str | None, int, str | None]]:
    """(provider, model, calls, reason) of calls without a known price. Read from spans: roll-ups know no reasons."""
    where = names_filter(selection)
    where.add("start_us >= ? AND start_us < ?", selection.start_us, selection.end_us)
    where.add("usage_source IS NOT NULL AND cost_usd IS NULL")
    if selection.sessions:
        where.add("session_id IN (SELECT unnest(?))", list(selection.sessions))
    return cursor.execute(
        f"SELECT provider, model, count(*) AS calls, cost_reason FROM spans WHERE {where} GROUP BY ALL "  # noqa: S608
        f"ORDER BY calls DESC, provider NULLS LAST, model NULLS LAST, cost_reason NULLS LAST LIMIT {int(limit)}",
        where.values,
    ).fetchall()


def _relation(
    cursor: duckdb.DuckDBPyConnection, selection: Selection, by: GroupBy, step_us: int | None
) -> tuple[str, list[Any]]:
    if by not in _KEYS:
        raise ValueError(f"cannot group by {by!r}; use one of {', '.join(_KEYS)}")
    if by == "workflow":
        return _workflows(selection)
    return sums(cursor, selection, 0 if by == "session" else step_us)


def _workflows(selection: Selection) -> tuple[str, list[Any]]:
    """Root spans with the sums of their traces, in the shape of a relation of sums."""
    where = Where([], [])
    where.add("start_us >= ? AND start_us < ? AND root_span_id IS NOT NULL", selection.start_us, selection.end_us)
    if selection.sessions:
        where.add("session_id IN (SELECT unnest(?))", list(selection.sessions))
    seen = names_filter(selection)
    if seen.conditions:
        where.add(
            f"trace_id IN (SELECT trace_id FROM spans WHERE start_us >= ? AND {seen})",  # noqa: S608
            selection.start_us,
            *seen.values,
        )
    money = ", ".join(_MONEY)
    relation = (
        "SELECT start_us AS at_us, name, true AS call, 1 AS spans, (status = 'error')::BIGINT AS errors, "  # noqa: S608
        "root_duration_us AS duration_us, CASE WHEN root_duration_us > 1 THEN "
        f"ceil({BINS_PER_OCTAVE} * log2(root_duration_us)) ELSE 0 END::BIGINT AS bin, {money} FROM traces WHERE {where}"
    )
    return relation, where.values


def _spread(
    cursor: duckdb.DuckDBPyConnection, selection: Selection, by: GroupBy, keys: list[str | None] | None
) -> dict[str | None, dict[int, int]]:
    """The latency histogram of each key."""
    if by == "workflow":
        relation, values = _workflows(selection)
    else:
        relation, values = bins(cursor, selection, {"session": 0, "day": _DAY_US}.get(by))
    chosen = ""
    if keys is not None:
        chosen = f"AND ({_KEYS[by]} IN (SELECT unnest(?)){f' OR {_KEYS[by]} IS NULL' if None in keys else ''})"
        values = [*values, [key for key in keys if key is not None]]
    spread: dict[str | None, dict[int, int]] = defaultdict(dict)
    for key, number, spans in cursor.execute(
        f"SELECT {_KEYS[by]} AS key, bin, sum(spans)::BIGINT FROM ({relation}) "  # noqa: S608
        f"WHERE {_COUNTED.get(by, 'call')} {chosen} GROUP BY 1, 2",
        values,
    ).fetchall():
        spread[key][number] = spans
    return spread


def _group(row: tuple[Any, ...], spread: dict[int, int], latency: bool) -> Group:
    key, calls, errors, *money, duration = row
    return Group(
        key,
        calls,
        errors,
        *money,
        *percentiles(spread, 0.5, 0.95, 0.99),
        mean_us=round(duration / calls) if calls else None,
        latency=tuple(histogram(spread)) if latency else (),
    )

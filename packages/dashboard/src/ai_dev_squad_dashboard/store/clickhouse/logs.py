"""Log lines, what runs now, metrics, and model calls as entries of a ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ai_dev_squad.costs import CostEntry
from ai_dev_squad_dashboard.store.base import LogPage, MetricName, Selection
from ai_dev_squad_dashboard.store.cursors import pack, unpack
from ai_dev_squad_dashboard.store.ids import hex_bytes
from ai_dev_squad_dashboard.store.ledger import ENTRY_COLUMNS, entry_of
from ai_dev_squad_dashboard.store.rows import LogRow, OpenRow
from ai_dev_squad_dashboard.store.search_words import terms_of
from ai_dev_squad_dashboard.store.windows import SLACK_US

from .client import Client, Rows
from .filters import bounded, in_time, names_filter, spans_filter
from .literals import Where, fixed
from .numbering import settled_number
from .rows import LOG_COLUMNS, OPEN_COLUMNS, log_row, open_row
from .search import SEARCHING, has_words

__all__ = ["entries", "lines_of", "logs", "logs_of", "metric_names", "running", "running_of"]


def logs(
    client: Client,
    selection: Selection,
    *,
    levels: Sequence[str],
    event_types: Sequence[str],
    text: str,
    trace_id: str | None,
    before: str | None,
    after: str | None,
    settled_s: float,
    limit: int,
) -> LogPage:
    """Log lines. Filters by provider and model do not apply: lines have neither."""
    settled = f" WHERE id <= {settled_number(settled_s)}" if settled_s else ""
    newest, terms = client.number(f"SELECT max(id) FROM logs{settled}"), terms_of(text)
    where = Where(in_time(selection, "time_us"))
    where.among("framework", selection.frameworks).among("agent", selection.agents)
    where.among("service", selection.services).among("level", levels).among("event_type", event_types)
    runs = spans_filter(selection)
    where.add(str(runs) if runs else "")
    if trace_id is not None:
        own = hex_bytes(trace_id, 32)
        # An id that cannot be is the id of no line.
        where.add("0" if own is None else f"trace_id = {fixed(own)}")
    for condition in has_words(terms):
        where.add(condition)
    reading = SEARCHING if terms else None
    if not terms and text.strip():
        where.add("0")  # nothing in it is a word
    if after is not None:
        (last,) = unpack(after, "logs", int)
        where.add(f"id > {last}").add(f"id <= {newest}" if settled_s else "")
        rows = _select(client, where, "id", limit, reading)
        # A full page may have left lines behind: the next one starts at its end.
        newest = rows[-1][0] if len(rows) == limit else max(newest, int(last), *(row[0] for row in rows[-1:]))
        return LogPage(tuple(log_row(row[1:]) for row in rows), None, pack("logs", newest))
    if before is not None:
        time_us, number = unpack(before, "older logs", int, int)
        where.add(f"(time_us, id) < ({time_us}, {number})")
    # What has come since belongs to the tail.
    rows = _select(client, where.add(f"id <= {newest}"), "time_us DESC, id DESC", limit + 1, reading)
    more = pack("older logs", rows[limit - 1][1], rows[limit - 1][0]) if len(rows) > limit else None
    return LogPage(tuple(log_row(row[1:]) for row in rows[:limit]), more, pack("logs", newest))


def logs_of(
    client: Client, trace_id: bytes, start_us: int, end_us: int, limit: int, event_type: str | None = None
) -> tuple[LogRow, ...]:
    """The log lines of a trace, by time."""
    where = _near(trace_id, start_us, end_us).among("event_type", [event_type] if event_type else [])
    rows = _select(client, where, "time_us, id", limit)
    return tuple(log_row(row[1:]) for row in rows)


def lines_of(client: Client, trace_id: bytes, start_us: int, end_us: int) -> int:
    """How many log lines a trace has."""
    return client.number(f"SELECT count() FROM logs WHERE {_near(trace_id, start_us, end_us)}")


def running(client: Client, since_us: int, limit: int) -> Sequence[OpenRow]:
    """What has begun at ``since_us`` or later and not ended, newest first."""
    return _running(client, f"start_us >= {bounded(since_us)}", f"start_us DESC, span_id LIMIT {int(limit)}")


def running_of(client: Client, trace_id: bytes) -> Sequence[OpenRow]:
    """What of one trace has begun and not ended, oldest first."""
    return _running(client, f"trace_id = {fixed(trace_id)}", "start_us, span_id")


def metric_names(client: Client, limit: int) -> Sequence[MetricName]:
    """The metrics that have been received, by name."""
    rows = client.ask(
        "SELECT name, kind, unit, count(), max(time_us), argMax(tuple(value), time_us).1 FROM metrics "
        f"GROUP BY name, kind, unit ORDER BY name, kind, unit LIMIT {int(limit)}"
    )
    return [MetricName(*row) for row in rows]


def entries(client: Client, selection: Selection, limit: int) -> Sequence[CostEntry]:
    """The newest model calls, newest first."""
    where = names_filter(selection).add(in_time(selection)).add("call = 1")
    runs = spans_filter(selection)
    where.add(str(runs) if runs else "")
    rows = client.ask(
        f"SELECT {ENTRY_COLUMNS} FROM spans WHERE {where} ORDER BY start_us DESC, span_id LIMIT {int(limit)}"
    )
    if not rows:
        return []
    within = f"start_us BETWEEN {rows[-1][0]} AND {rows[0][0]} AND details IS NOT NULL"
    content = {
        (trace, span): told
        for trace, span, told in client.ask(
            f"SELECT trace_id, span_id, details FROM content WHERE {within} AND (trace_id, span_id) IN ("
            f"SELECT trace_id, span_id FROM spans WHERE {where} ORDER BY start_us DESC, span_id LIMIT {int(limit)})",
            as_bytes=True,
        )
    }
    return [entry_of((*row, content.get((row[2], row[3]))), row[2].hex(), row[3].hex()) for row in rows]


def _near(trace_id: bytes, start_us: int, end_us: int) -> Where:
    between = f"{bounded(start_us) - SLACK_US} AND {bounded(end_us) + SLACK_US}"
    return Where(f"trace_id = {fixed(trace_id)}", f"time_us BETWEEN {between}")


def _running(client: Client, condition: str, order: str) -> Sequence[OpenRow]:
    rows = client.ask(f"SELECT {OPEN_COLUMNS} FROM running FINAL WHERE closed = 0 AND {condition} ORDER BY {order}")
    return [open_row(row) for row in rows]


def _select(client: Client, where: Where, order: str, limit: int, settings: Mapping[str, Any] | None = None) -> Rows:
    return client.ask(
        f"SELECT id, {LOG_COLUMNS} FROM logs WHERE {where} ORDER BY {order} LIMIT {int(limit)}",
        as_bytes=True,
        settings=settings,
    )

"""The list of traces, and all of one."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any, Final

from ai_dev_squad_dashboard.store.base import (
    Fingerprint,
    Selection,
    Trace,
    TraceFilters,
    TraceOrder,
    TracePage,
)
from ai_dev_squad_dashboard.store.cursors import unpack
from ai_dev_squad_dashboard.store.ids import hex_bytes
from ai_dev_squad_dashboard.store.orders import AT_LEAST, TRACE_ORDERS, cursor_behind, place_of, total_in, value_of
from ai_dev_squad_dashboard.store.outline import LOOP, MOST_LOOPS, Outline, OutlineSpan
from ai_dev_squad_dashboard.store.rows import LogRow, SpanRow
from ai_dev_squad_dashboard.store.search_words import Term, terms_of
from ai_dev_squad_dashboard.store.unfinished import unfinished, unfinished_outline
from ai_dev_squad_dashboard.store.windows import growing

from .client import Client, Rows
from .filters import GROWS, began, behind, bounded, in_time, names_filter, of_runs, windows
from .literals import Where, fixed, literal
from .logs import lines_of, logs_of, running_of
from .rows import SPAN_COLUMNS, TRACE_COLUMNS, span_row, trace_row
from .search import SEARCHING, among_traces, found_within, newest_traces

__all__ = ["captured", "details", "fingerprints", "outline", "span", "trace", "traces"]

_BY_START: Final = "start_us, parent_span_id IS NOT NULL, seq"
_OUTLINE: Final = (
    "lower(hex(span_id)), lower(hex(parent_span_id)), start_us, duration_us, name, operation, status, agent, usage_source, "
    "cost_usd, input_tokens, output_tokens, error_type, substringUTF8(error_message, 1, 300), first_chunk_us"
)
NEWEST_AMONG: Final = 1_000
"""Spans among which a trace is looked for when the newest ones are, so that they are found at once though some times are busier."""
_COMPARED: Final = "(usage_source IS NOT NULL OR operation IN ('execute_tool', 'retrieval'))"


def traces(
    client: Client,
    selection: Selection,
    filters: TraceFilters,
    *,
    text: str,
    order: TraceOrder,
    after: str | None,
    limit: int,
    counted: bool,
) -> TracePage:
    """A page of traces. Filters by names, operation and tool hold for one and the same span; words for the whole trace."""
    terms = terms_of(text)
    if not terms and text.strip():
        return TracePage((), None)  # nothing in it is a word
    where = of_runs(selection).among("session_id", selection.sessions)
    _filter(where, filters)
    inside = names_filter(selection)
    for column in ("operation", "tool"):
        value = filters.get(column)
        inside.add(f"{column} = {literal(str(value))}" if value is not None else "")
    told = None if after is None else total_in(after, "traces", order)
    if counted and after is None and not terms and not (inside and order == "newest"):
        return _first_page(client, selection, where, inside, order, limit)
    total = None if terms else _total(client, where, inside, selection) if told is None and counted else told
    end_us = selection.end_us
    if after is not None:
        value, trace_id = _place(after, order)
        where.add(behind(TRACE_ORDERS[order].expression, value, f"trace_id < {fixed(trace_id)}"))
        if order == "newest":
            end_us = min(end_us, int(value) + 1)
    return _page(_rows(client, where, inside, terms, selection.start_us, end_us, limit + 1, order), order, limit, total)


def _first_page(
    client: Client, selection: Selection, where: Where, inside: Where, order: TraceOrder, limit: int
) -> TracePage:
    """The first traces of all in the order, and how many there are."""
    condition = _condition(where, inside, (), selection.start_us, selection.end_us)
    newest = (
        _newest(client, where, inside, selection.start_us, selection.end_us, limit + 1) if order == "newest" else None
    )
    rows, ((total,),) = client.ask_all(
        _ordered(newest or condition, order, limit + 1), f"SELECT count() FROM traces FINAL WHERE {condition}"
    )
    if newest is not None and len(rows) < min(total, limit + 1):
        rows = client.ask(_ordered(condition, order, limit + 1))
    return _page(rows, order, limit, total)


def _newest(client: Client, where: Where, inside: Where, start_us: int, end_us: int, limit: int) -> Where | None:
    """What holds for the newest traces, of which there are enough if spans are spread evenly; ``None`` where all are as good."""
    now_us = time.time_ns() // 1000
    times = (bounded(start_us), min(bounded(end_us), now_us))
    share = limit * NEWEST_AMONG / max(1.0, client.amounts.spans([times]))
    if where or inside or share > 0.5:
        return None
    return Where(began(int(times[1] - (times[1] - times[0]) * share), end_us))


def _page(rows: Rows, order: TraceOrder, limit: int, total: int | None) -> TracePage:
    page = tuple(map(trace_row, rows[:limit]))
    more = None
    if len(rows) > limit:
        more = cursor_behind("traces", order, value_of(page[-1], order), page[-1].trace_id, total)
    return TracePage(page, more, total)


def trace(client: Client, trace_id: str, limit: int) -> Trace | None:
    """A whole trace, also one of which nothing has finished yet."""
    own = hex_bytes(trace_id, 32)
    if own is None:
        return None
    running, row = client.side_by_side(lambda: tuple(running_of(client, own)), lambda: _row_of(client, own))
    if row is None:
        return unfinished(running, lambda start, end: logs_of(client, own, start, end, limit)) if running else None
    start, last, end = row[-3:]
    logs, clashes, spans = client.side_by_side(
        lambda: logs_of(client, own, start, end, limit),
        lambda: client.number(f"SELECT count() FROM clashes FINAL WHERE trace_id = {fixed(own)}"),
        lambda: client.ask(
            f"SELECT {SPAN_COLUMNS} FROM spans WHERE trace_id = {fixed(own)} AND start_us BETWEEN {start} AND {last} "
            f"ORDER BY {_BY_START} LIMIT {int(limit) + 1}"
        ),
    )
    return Trace(
        trace_row(row[:-3]),
        tuple(map(span_row, spans[:limit])),
        logs,
        running,
        len(spans) > limit,
        clashes,
    )


def outline(client: Client, trace_id: str, limit: int) -> Outline | None:
    """The operations of a trace, also of one of which nothing has finished yet."""
    own = hex_bytes(trace_id, 32)
    if own is None:
        return None
    running = tuple(running_of(client, own))
    row = _row_of(client, own)
    if row is None:
        if not running:
            return None
        return unfinished_outline(running, lambda start, end: logs_of(client, own, start, end, 20_000))
    start, last, end = row[-3:]
    spans: Rows = []
    if limit:  # sorting all of them for none would take as long as for some
        spans = client.ask(
            f"SELECT {_OUTLINE} FROM spans WHERE trace_id = {fixed(own)} AND start_us BETWEEN {start} AND {last} "
            f"ORDER BY {_BY_START} LIMIT {int(limit) + 1}"
        )
    return Outline(
        trace_row(row[:-3]),
        tuple(map(OutlineSpan._make, spans[:limit])),
        running,
        truncated=len(spans) > limit or not limit,
        clashes=client.number(f"SELECT count() FROM clashes FINAL WHERE trace_id = {fixed(own)}"),
        lines=lines_of(client, own, start, end),
        told=logs_of(client, own, start, end, MOST_LOOPS, LOOP),
    )


def span(client: Client, trace_id: str, span_id: str) -> tuple[SpanRow, tuple[LogRow, ...]] | None:
    """One span with its details and text, and its log lines."""
    of_trace, own = hex_bytes(trace_id, 32), hex_bytes(span_id, 16)
    times = _times_of(client, of_trace) if of_trace is not None else None
    if times is None or of_trace is None or own is None:
        return None
    start, last, end = times
    key = f"trace_id = {fixed(of_trace)} AND span_id = {fixed(own)} AND start_us BETWEEN {start} AND {last}"
    found = client.ask(f"SELECT {SPAN_COLUMNS}, batch FROM spans WHERE {key} ORDER BY arrived_us, batch LIMIT 1")
    if not found:
        return None
    # Who lost a race has left its content here: that of the span's own batch is meant.
    content = client.ask(
        f"SELECT details, text FROM content WHERE {key} ORDER BY batch != {found[0][-1]} LIMIT 1",
        as_bytes=True,
    )
    long, text = content[0] if content else (None, None)
    logs = logs_of(client, of_trace, start, end, 10_000)
    told = span_row(found[0][:-1], long, None if text is None else text.decode())
    return told, tuple(line for line in logs if line.span_id == span_id.lower())


def details(client: Client, trace_id: str, limit: int) -> Iterator[tuple[str, bytes]]:
    """(span_id, details) of each span of a trace that has details, by start."""
    for _, span_id, content in _content(client, trace_id, limit, "1"):
        yield span_id.hex(), content


def fingerprints(client: Client, trace_id: str, limit: int) -> dict[str, Fingerprint]:
    """What calls are compared by."""
    found = {}
    for _, span_id, content in _content(client, trace_id, limit, _COMPARED):
        told = _fingerprint(content)
        if told is not None:
            found[span_id.hex()] = told
    return found


def captured(client: Client, selection: Selection) -> tuple[int, int]:
    """Model calls with captured content, and all of them."""
    named = names_filter(selection).add(in_time(selection)).add("call = 1")
    of_content = f"SELECT trace_id, span_id FROM content WHERE {in_time(selection)} AND text IS NOT NULL"
    ((having, every),) = client.ask(
        f"SELECT countIf((trace_id, span_id) IN ({of_content})), count() FROM spans WHERE {named}"
    )
    return having, every


def _filter(where: Where, filters: TraceFilters) -> None:
    """The filters that hold for whole traces."""
    given: dict[str, Any] = {name: value for name, value in filters.items() if value is not None}
    status = given.get("status")
    if status == "failed_step":
        where.add("status <> 'error' AND errors > 0")
    elif status is not None:
        where.add(f"status = {literal(status)}")
    if "name" in given:
        where.add(f"name = {literal(given['name'])}")
    for name, expression in AT_LEAST.items():
        if name in given:
            where.add(f"{expression} >= {literal(given[name])}")
    if "error_group" in given:
        group = literal(given["error_group"])
        where.add(f"trace_id IN (SELECT trace_id FROM spans WHERE status = 'error' AND error_group = {group})")
    marked = _marked(given)
    where.add(f"trace_id IN (SELECT trace_id FROM marks WHERE {marked})" if marked else "")


def _marked(given: dict[str, Any]) -> Where:
    """On the marks: those that are asked for, one and the same."""
    where = Where()
    if "mark" in given:
        where.add("1" if given["mark"] == "any" else f"label = {literal(given['mark'])}")
    for name, sign in (("min_score", ">="), ("max_score", "<=")):
        where.add(f"score {sign} {literal(given[name])}" if name in given else "")
    return where.add("comment IS NOT NULL" if given.get("noted") else "")


def _place(cursor: str, order: TraceOrder) -> tuple[float, bytes]:
    value, row_id = place_of(cursor, "traces", order, TRACE_ORDERS[order])
    trace_id = hex_bytes(row_id, 32)
    if trace_id is None:
        unpack(cursor, "a trace")  # it was not made here
    assert trace_id is not None
    return value, trace_id


def _total(client: Client, where: Where, inside: Where, selection: Selection) -> int:
    """How many traces match."""
    condition = _condition(where, inside, (), selection.start_us, selection.end_us)
    return client.number(f"SELECT count() FROM traces FINAL WHERE {condition}")


def _rows(
    client: Client,
    where: Where,
    inside: Where,
    terms: tuple[Term, ...],
    start_us: int,
    end_us: int,
    limit: int,
    order: TraceOrder,
) -> Rows:
    """The first ``limit`` traces; the newest ones are looked for in windows that grow, where looking takes long."""
    whole = order != "newest" or not (inside or terms)
    rows: Rows = []
    if (
        order == "newest"
        and not terms
        and (newest := _newest(client, where, inside, start_us, end_us, limit)) is not None
    ):
        rows = client.ask(_ordered(newest, order, limit))
        if len(rows) >= limit:
            return rows
        rows = []
    if order == "newest" and terms:
        return _searched(client, where, inside, terms, start_us, end_us, limit)
    for begin, end in [(start_us, end_us)] if whole else windows(client, start_us, end_us):
        condition = _condition(where, inside, terms, begin, end)
        rows += client.ask(_ordered(condition, order, limit - len(rows)), settings=SEARCHING if terms else None)
        if len(rows) >= limit:
            break
    return rows


def _searched(
    client: Client, where: Where, inside: Where, terms: tuple[Term, ...], start_us: int, end_us: int, limit: int
) -> Rows:
    """The newest traces with words: looked for among the newest of all, then in the rest, where the indexes tell at once what is rare."""
    begin_us, last_us, took_us = newest_traces(client, start_us, end_us)
    rows: Rows = []
    for begin, end, last in ((begin_us, end_us, str(last_us)), (start_us, begin_us, _last_of(start_us, begin_us))):
        if begin >= end or len(rows) >= limit:
            break
        found = found_within(client, terms, f"start_us BETWEEN {bounded(begin)} AND {last}")
        if found:
            condition = _condition(where, inside, (), begin, end).add(f"trace_id IN ({', '.join(map(fixed, found))})")
            rows += client.ask(_ordered(condition, "newest", limit - len(rows)))
        if found is not None:
            continue
        for first, until in growing(begin, end, GROWS, took_us * GROWS):
            condition = _condition(where, inside, terms, first, until)
            rows += client.ask(_ordered(condition, "newest", limit - len(rows)), settings=SEARCHING)
            if len(rows) >= limit:
                break
    return rows


def _ordered(condition: Where, order: TraceOrder, limit: int) -> str:
    """The question for the first traces of those that the condition holds for."""
    return (
        f"SELECT {TRACE_COLUMNS} FROM traces FINAL WHERE {condition} "
        f"ORDER BY {TRACE_ORDERS[order].expression} DESC, trace_id DESC LIMIT {limit}"
    )


def _condition(where: Where, inside: Where, terms: Sequence[Term], start_us: int, end_us: int) -> Where:
    """What holds for a trace that began between these times."""
    found = Where(began(start_us, end_us)).add(str(where) if where else "")
    within = f"start_us BETWEEN {bounded(start_us)} AND {_last_of(start_us, end_us)}"
    found.add(f"trace_id IN (SELECT trace_id FROM spans WHERE {within} AND {inside})" if inside else "")
    return found.add(str(among_traces(tuple(terms), within)) if terms else "")


def _last_of(start_us: int, end_us: int) -> str:
    """When the last span of traces began that began between these times. The engine asks that first, and reads no newer part."""
    return f"(SELECT max(last_start_us) FROM traces WHERE {began(start_us, end_us)})"


def _row_of(client: Client, trace_id: bytes) -> tuple[Any, ...] | None:
    rows = client.ask(
        f"SELECT {TRACE_COLUMNS}, start_us, last_start_us, end_us FROM traces FINAL WHERE trace_id = {fixed(trace_id)} LIMIT 1"
    )
    return rows[0] if rows else None


def _times_of(client: Client, trace_id: bytes) -> tuple[int, int, int] | None:
    """When a trace began, when its last span did, and when it ended: a third of what all of its row takes to be planned."""
    rows = client.ask(
        f"SELECT start_us, last_start_us, end_us FROM traces FINAL WHERE trace_id = {fixed(trace_id)} LIMIT 1"
    )
    return (rows[0][0], rows[0][1], rows[0][2]) if rows else None


def _content(client: Client, trace_id: str, limit: int, condition: str) -> Iterator[tuple[int, bytes, bytes]]:
    """(batch, span, details) of the first spans of a trace that have some, by start."""
    own = hex_bytes(trace_id, 32)
    times = _times_of(client, own) if own is not None else None
    if times is None or own is None:
        return
    key = f"trace_id = {fixed(own)} AND start_us BETWEEN {times[0]} AND {times[1]}"
    wanted = client.ask(
        f"SELECT batch, span_id FROM spans WHERE {key} AND {condition} ORDER BY {_BY_START} LIMIT {int(limit)}"
    )
    places = {each: place for place, each in enumerate(wanted)}
    found = [
        tuple(each)
        for each in client.ask(
            f"SELECT batch, span_id, details FROM content WHERE {key} AND details IS NOT NULL",
            as_bytes=True,
        )
        if each[:2] in places
    ]
    yield from sorted(dict.fromkeys(found), key=lambda each: places[each[:2]])


def _fingerprint(content: bytes) -> Fingerprint | None:
    try:
        told = json.loads(content)
    except ValueError:
        return None
    given, came = (told.get("input"), told.get("output")) if isinstance(told, dict) else (None, None)
    if given is None and came is None:
        return None
    several = given if isinstance(given, list) else []
    return Fingerprint(
        None if given is None else _hash(given),
        None if given is None else _hash(several[-2:]),
        len(several),
        None if came is None else _hash(came),
    )


def _hash(value: object) -> int:
    text = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")

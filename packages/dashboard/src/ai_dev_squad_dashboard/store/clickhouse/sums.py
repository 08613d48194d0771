"""What model calls cost and how runs went: timelines, tables, histories, calls without a price."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, Final

from ai_dev_squad_dashboard.store.base import DrawnBy, Group, GroupBy, NamedBy, OrderBy, Point, Selection, Step
from ai_dev_squad_dashboard.store.history import COUNTS, MONEY, series_of, step_of
from ai_dev_squad_dashboard.store.percentiles import histogram, percentiles
from ai_dev_squad_dashboard.store.series import FIELDS, Key
from ai_dev_squad_dashboard.store.summary import MONEY as ALL_MONEY
from ai_dev_squad_dashboard.store.summary import NAMES, SUMS, sort_key, wanted_places

from .amounts import Range
from .client import Client
from .drawn import Row, days
from .filters import chosen, names_filter, traces_filter
from .hours import Memory, Sealed, told_of
from .literals import Where
from .pieces import DRAWN, Relation, relation
from .rootless import bin_of
from .schema import DAY_US, HOUR_US, UNTIMED
from .series import SeriesBook

__all__ = ["DRAWN_BY", "KEYS", "groups", "history", "timeline", "unpriced"]

_DAY: Final = "toDate(fromUnixTimestamp64Micro(at_us, 'UTC'))"
KEYS: Final = (*NAMES, "session", "day", "workflow")
"""What rows are put together by."""
DRAWN_BY: Final = (*KEYS, "program")
_GROUPED: Final = tuple(SUMS.index(name) for name in ("spans", "errors", *ALL_MONEY, "duration_us", "spans"))
"""Where the sums stand that a table shows."""
_COUNTED: Final[Mapping[str, str]] = {"tool": "operation = 'execute_tool'", "agent": "operation = 'invoke_agent'"}
"""Which spans ``calls`` counts, where it is not model calls."""
_SHOWN: Final[Mapping[str, str]] = {"tool": _COUNTED["tool"], "agent": f"(call OR {_COUNTED['agent']})"}
_PROVIDER, _MODEL, _CALL = (FIELDS.index(name) for name in ("provider", "model", "call"))
_NAMED: Final = "JOIN (SELECT * FROM series FINAL) n ON f.series = n.id"
_ORDER: Final[Mapping[str, str]] = {
    "cost": "m_cost_usd DESC, calls DESC, key NULLS LAST",
    "calls": "calls DESC, key NULLS LAST",
    "errors": "m_errors DESC, calls DESC, key NULLS LAST",
    "tokens": "m_input_tokens + m_output_tokens DESC, calls DESC, key NULLS LAST",
    "key": "key NULLS LAST",
}


def timeline(client: Client, selection: Selection, step_us: int, by: DrawnBy) -> Sequence[Point]:
    """Sums per step and key."""
    if step_us < 1:
        raise ValueError(f"step_us {step_us!r} is not positive; use microseconds, such as 3_600_000_000")
    counted, shown = _COUNTED.get(by, "call"), _SHOWN.get(by, "call")
    if by == "workflow":
        made = ", ".join(
            f"{name} AS a_{name}" for name in ("spans", "errors", "cost_usd", "input_tokens", "output_tokens")
        )
        source, key = (
            Relation(f"SELECT at_us, name AS key, 1 AS call, {made} FROM ({_workflows(selection)})", ""),
            "key",
        )
    elif by == "session":
        source = relation(client, selection, 1, ["at_us", "session_id"], DRAWN, names_filter(selection).add("call = 1"))
        source, key = Relation(f"SELECT *, 1 AS call FROM ({source})", source.settings), "session_id"
    else:
        key = _DAY if by == "day" else "coalesce(n.framework, n.service)" if by == "program" else f"n.{by}"
        named = names_filter(selection, "n.")
        summed = relation(client, selection, step_us, ["at_us", "series"], DRAWN)
        source = Relation(
            "SELECT f.at_us AS at_us, f.a_spans AS a_spans, f.a_errors AS a_errors, f.a_cost_usd AS a_cost_usd, "
            "f.a_input_tokens AS a_input_tokens, f.a_output_tokens AS a_output_tokens, n.call AS call, n.operation AS operation, "
            f"{'NULL' if by == 'day' else key} AS k FROM ({summed}) f {_NAMED} WHERE {named}",
            summed.settings,
        )
        key = _DAY if by == "day" else "k"
    money = ", ".join(f"sumIf(a_{name}, call)" for name in ("cost_usd", "input_tokens", "output_tokens"))
    rows = client.ask(
        f"SELECT intDiv(at_us, {step_us}) * {step_us} AS step, {key} AS shown_key, sumIf(a_spans, {counted}), "
        f"sumIf(a_errors, {counted}), {money} FROM ({source}) WHERE {shown} GROUP BY step, shown_key "
        f"ORDER BY step, shown_key NULLS LAST{source.settings}"
    )
    return [Point(step, _shown(key), *row) for step, key, *row in rows]


def groups(
    client: Client,
    names: Mapping[int, Key],
    selection: Selection,
    by: GroupBy,
    *,
    order: OrderBy,
    limit: int,
    latency: bool,
    drawn: Sequence[Row] | None,
    memory: Memory,
    sealed: Sealed | None,
) -> Sequence[Group]:
    """A table by session, day or workflow. ``drawn``: of the same selection, in steps of which none lies in two days."""
    if by == "day" and drawn is not None:
        rows = [(day, *(sums[place] for place in _GROUPED)) for day, sums in days(drawn).items()]
        told = told_of(
            *(client, memory, sealed, ("days", replace(selection, start_us=0, end_us=0))),
            lambda times: _spread(client, names, selection, by, None, times),
        )
    elif by == "session" and order != "p95":  # of which there may be many more than are shown
        rows = client.ask(_added(client, names, selection, by, f"ORDER BY {_ORDER[order]} LIMIT {int(limit)}"))
        told = client.ask(_spread(client, names, selection, by, [row[0] for row in rows])) if rows else []
    else:
        rows, told = client.ask_all(
            _added(client, names, selection, by, ""), _spread(client, names, selection, by, None)
        )
    spread: dict[str | None, dict[int, int]] = defaultdict(dict)
    for name, number, spans in told:
        if number != UNTIMED:
            of_name = spread[_shown(name)]
            of_name[number] = of_name.get(number, 0) + spans
    found = [_group((key := _shown(name), *row), spread.get(key, {}), latency) for name, *row in rows]
    return sorted(found, key=lambda group: sort_key(group, order))[:limit]


def _shown(key: date | str | None) -> str | None:
    """A key as it is told. A day is made a text here, not of each span."""
    return str(key) if isinstance(key, date) else key


def _added(client: Client, names: Mapping[int, Key], selection: Selection, by: GroupBy, ordered: str) -> str:
    """The question for the sums of each key."""
    made = "calls" if by == "workflow" else "spans"
    source, key = _group_source(client, names, selection, by)
    money = ", ".join(f"sum(a_{name}) AS m_{name}" for name in ALL_MONEY)
    return (
        f"SELECT {key} AS key, sum(a_spans) AS calls, sum(a_errors) AS m_errors, {money}, sum(a_duration_us), sum(a_{made}) "
        f"FROM ({source}) GROUP BY key {ordered}{source.settings}"
    )


def unpriced(
    client: Client, book: SeriesBook, memory: Memory, sealed: Sealed | None, selection: Selection, limit: int
) -> Sequence[tuple[str | None, str | None, int, str | None]]:
    """(provider, model, calls, reason) of calls without a known price, most calls first."""

    def question(times: Sequence[Range] | None) -> str:
        source = relation(
            *(client, selection, HOUR_US, ["series", "cost_reason"], ["spans"], Where("unpriced = 1")),
            by_hour_only=True,
            times=times,
        )
        return f"SELECT series, cost_reason, sum(a_spans) FROM ({source}) GROUP BY series, cost_reason{source.settings}"

    filters = wanted_places(selection)
    found: dict[tuple[str | None, str | None, str | None], int] = defaultdict(int)
    told = told_of(client, memory, sealed, ("unpriced",), question)
    names = book.names([series for series, *_ in told])
    for series, reason, spans in told:
        key = names[series]
        if all(key[place] in wanted for place, wanted in filters.items()):
            found[key[_PROVIDER], key[_MODEL], reason] += spans
    rows = sorted(found.items(), key=lambda each: (-each[1], *((name is None, name or "") for name in each[0])))
    return [(provider, model, calls, reason) for (provider, model, reason), calls in rows[:limit]]


def history(
    client: Client, names: Mapping[int, Key], selection: Selection, by: NamedBy, key: str | None, step_us: int
) -> Sequence[Step]:
    """How what is called ``key`` went in each step."""
    counted, calls = series_of(selection, by, key, names)
    spreads: dict[int, dict[int, int]] = defaultdict(dict)
    steps: dict[int, list[Any]] = defaultdict(lambda: [0] * (len(COUNTS) + len(MONEY)))
    at = f"intDiv(at_us, {int(step_us)}) * {int(step_us)} AS step"
    if counted:
        source = relation(client, selection, step_us, ["at_us", "bin"], ["spans"], _of(counted))
        asked = f"SELECT {at}, bin, sum(a_spans) FROM ({source}) GROUP BY step, bin{source.settings}"
        for step, each, spans in client.ask(asked):
            if each != UNTIMED:
                spreads[step][each] = spans
    if counted | calls:
        values = (*COUNTS, *MONEY)
        source = relation(client, selection, step_us, ["at_us", "series"], values, _of(counted | calls))
        added = ", ".join(f"sum(a_{name})" for name in values)
        asked = f"SELECT {at}, series, {added} FROM ({source}) GROUP BY step, series{source.settings}"
        for step, number, *sums in client.ask(asked):
            for place, value in enumerate(sums):
                if number in (counted if place < len(COUNTS) else calls):
                    steps[step][place] += value
    return [step_of(start_us, spreads[start_us], *steps[start_us]) for start_us in sorted(steps)]


def _of(series: frozenset[int]) -> Where:
    return Where(f"series IN ({', '.join(map(str, sorted(series)))})" if series else "0")


def _workflows(selection: Selection) -> str:
    """Runs with the sums of their traces."""
    where = traces_filter(selection)
    money = ", ".join(ALL_MONEY)
    return (
        "SELECT start_us AS at_us, name, 1 AS spans, status = 'error' AS errors, greatest(took_us, 0) AS duration_us, "
        f"if(took_us < 0, {UNTIMED}, {bin_of('took_us')}) AS bin, calls, {money} FROM (SELECT name, start_us, status, "
        f"ifNull(root_duration_us, end_us - start_us) AS took_us, calls, {money} FROM traces FINAL WHERE {where})"
    )


def _group_source(client: Client, names: Mapping[int, Key], selection: Selection, by: GroupBy) -> tuple[Relation, str]:
    """The rows that are put together, and the expression of their key."""
    named = names_filter(selection)
    if by == "workflow":
        made = ", ".join(f"{name} AS a_{name}" for name in ("spans", "errors", "duration_us", "calls", *ALL_MONEY))
        return Relation(f"SELECT name, {made} FROM ({_workflows(selection)})", ""), "name"
    if by == "session":
        if named:
            # No projection knows sessions and names.
            return relation(client, selection, 1, ["session_id"], where=named.add("call = 1")), "session_id"
        return relation(
            client, selection, HOUR_US, ["session_id"], where=Where("call = 1"), by_hour_only=True
        ), "session_id"
    return relation(client, selection, DAY_US, ["at_us"], where=_calls(names, selection)), _DAY


def _calls(names: Mapping[int, Key], selection: Selection) -> Where:
    """On the series: those of model calls with the names of the selection."""
    filters = wanted_places(selection)
    return _of(
        frozenset(
            number
            for number, key in names.items()
            if key[_CALL] and all(key[place] in wanted for place, wanted in filters.items())
        )
    )


def _spread(
    client: Client,
    names: Mapping[int, Key],
    selection: Selection,
    by: GroupBy,
    keys: list[str | None] | None,
    times: Sequence[Range] | None = None,
) -> str:
    """The question for the latency histogram of each key."""
    if by == "workflow":
        source, key = Relation(f"SELECT name AS key, bin, 1 AS a_spans FROM ({_workflows(selection)})", ""), "key"
    elif by == "session":
        named = names_filter(selection).add("call = 1")
        if keys is not None:
            named.add(chosen("session_id", keys))
        source, key = relation(client, selection, 1, ["session_id", "bin"], ["spans"], named), "session_id"
    else:
        source = relation(client, selection, DAY_US, ["at_us", "bin"], ["spans"], _calls(names, selection), times=times)
        key = _DAY
    return f"SELECT {key} AS shown_key, bin, sum(a_spans) FROM ({source}) GROUP BY shown_key, bin{source.settings}"


def _group(row: tuple[Any, ...], spread: Mapping[int, int], latency: bool) -> Group:
    key, calls, errors, *money, duration, made = row
    p50, p95, p99 = percentiles(spread, 0.5, 0.95, 0.99)
    mean = round(duration / calls) if calls else None
    return Group(*(key, calls, errors, *money, p50, p95, p99, mean, made, tuple(histogram(spread)) if latency else ()))

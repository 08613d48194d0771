"""Coding agents in a terminal: what each of them, each person and each model took, what their tools did, and what came of it.

Two things tell of them: events, which are stored as runs are, and metrics, which only count. Of what both count, a session of which
events came is told by those.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timezone
from typing import Any, Final, NamedTuple

import msgspec

from ai_dev_squad_dashboard.ingest.coding_agents import AGENTS, COUNTERS
from ai_dev_squad_dashboard.ingest.coding_events import person_of, session_of
from ai_dev_squad_dashboard.page import Page, Site
from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.store.base import Group, Growth, Point, Selection, Session, Store

from .timeline import Chart, chart

__all__ = ["PAGE", "CodingAgents", "CodingTool", "Work", "build"]

SHOWN: Final = ("cost", "tokens")
_DAY_US: Final = 86_400_000_000
_MOST: Final = 100
_MOST_PEOPLE: Final = 500
_MOST_SESSIONS: Final = 10_000
_NEWEST: Final = 20
_TOLD_BY_EVENTS: Final = frozenset(
    {"sessions", "requests", "cost_usd", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"}
    | {"reasoning_tokens"}
)

_BILLED: Final = frozenset({"input_tokens", "output_tokens"})
_SAYING_COST: Final = frozenset(counter.agent for counter in COUNTERS.values() if counter.counts == "cost_usd")


@dataclass(frozen=True)
class Work:
    """What one agent, person or model took and did, or what was done on one day. What nobody counts is 0."""

    key: str | None
    """``None``: nobody says."""
    sessions: int = 0
    requests: int = 0
    failed: int = 0
    """Requests to a model that failed."""
    input_tokens: int = 0
    """With those read from a cache, and written to it."""
    output_tokens: int = 0
    """With those of reasoning."""
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: float = 0.0
    """What the agent says, or what the tokens cost by our prices: nobody's bill, least of all where a subscription pays."""
    unpriced_calls: int = 0
    unpriced_tokens: int = 0
    """Tokens that metrics counted, of an agent whose metrics say nothing of money."""
    lines_added: int = 0
    lines_removed: int = 0
    commits: int = 0
    pull_requests: int = 0
    active_s: float = 0.0
    """Seconds in which somebody typed or the agent worked."""


@dataclass(frozen=True)
class CodingTool:
    """A tool of a coding agent."""

    tool: str
    calls: int
    accepted: int
    """Calls that were allowed, by whoever or whatever decides."""
    refused: int
    failed: int
    p50_us: int | None
    p95_us: int | None


@dataclass(frozen=True)
class CodingAgents:
    """The coding agents."""

    show: str
    """What is drawn over time: ``cost`` or ``tokens``."""
    total: Work
    agents: tuple[Work, ...]
    """By agent, the dearest first."""
    people: tuple[Work, ...]
    """By person; tokens of caches and reasoning are not told apart."""
    models: tuple[Work, ...]
    days: tuple[Work, ...]
    """By day, UTC, ascending."""
    tools: tuple[CodingTool, ...]
    """The most called first."""
    sessions: tuple[Session, ...]
    """The newest of which events came."""
    chart: Chart
    metrics_left_out: bool
    """Whether a filter is set by which metrics cannot be chosen, so that what only they count is missing."""


class _Told(NamedTuple):
    """A growth of a metric, understood."""

    growth: Growth
    agent: str
    given: Mapping[str, Any]
    fields: tuple[str, ...]


class _Sums:
    """Numbers by key and field, until they are rows."""

    def __init__(self) -> None:
        self._sums: dict[str | None, dict[str, float]] = defaultdict(lambda: defaultdict(float))

    def add(self, key: str | None, **numbers: float) -> None:
        for name, number in numbers.items():
            self._sums[key][name] += number

    def rows(self) -> tuple[Work, ...]:
        """The dearest first."""
        rows = [_work(key, numbers) for key, numbers in self._sums.items()]
        return tuple(sorted(rows, key=lambda row: (-row.cost_usd, -row.input_tokens - row.output_tokens, str(row.key))))


def build(site: Site, query: Query) -> CodingAgents:
    """The coding agents of the span of time, by their events and metrics."""
    show = query.choice("show", SHOWN, "cost")
    store, asked = site.store, query.selection
    names = tuple(name for name in AGENTS if not asked.frameworks or name in asked.frameworks)
    selection = replace(asked, frameworks=names)
    agents, people, models, days = _Sums(), _Sums(), _Sums(), _Sums()
    points: list[Point] = []
    if names:
        _events(store, selection, agents, people, models, days)
        points += store.timeline(selection, query.step_us, "framework")
        for told in _metrics(store, selection):
            numbers = _counted(told)
            agents.add(told.agent, **numbers)
            people.add(person_of(told.given), **numbers)
            days.add(_day(told.growth.start_us), **numbers)
            if told.given.get("model"):
                models.add(str(told.given["model"]), **numbers)
            points.append(_point(told, query.step_us))
    value = (
        (lambda point: point.cost_usd) if show == "cost" else (lambda point: point.input_tokens + point.output_tokens)
    )
    rows = agents.rows()
    return CodingAgents(
        show=show,
        total=_total(rows),
        agents=rows,
        people=people.rows()[:_MOST],
        models=models.rows()[:_MOST],
        days=tuple(sorted(days.rows(), key=lambda row: str(row.key))),
        tools=_tools(store, selection) if names else (),
        sessions=tuple(store.sessions(selection, limit=_NEWEST).rows) if names else (),
        chart=chart(points, asked, query.step_us, value),
        metrics_left_out=_beyond_metrics(asked),
    )


def _events(store: Store, selection: Selection, agents: _Sums, people: _Sums, models: _Sums, days: _Sums) -> None:
    """What is told by events, put together."""
    for sums, by, order in ((models, "model", "cost"), (days, "day", "key")):
        for group in store.groups(selection, by, order=order, limit=10 * _MOST):  # type: ignore[arg-type]
            sums.add(group.key, **_numbers(group))
    for group in store.groups(selection, "framework", limit=_MOST):
        own = replace(selection, frameworks=(group.key or "",))
        users = store.users(own, limit=_MOST_PEOPLE).rows
        agents.add(group.key, sessions=sum(user.sessions for user in users), **_numbers(group))
        for user in users:
            people.add(
                user.key,
                sessions=user.sessions,
                requests=user.calls,
                input_tokens=user.input_tokens,
                output_tokens=user.output_tokens,
                cost_usd=user.cost_usd,
                unpriced_calls=user.unpriced_calls,
            )


def _numbers(group: Group) -> dict[str, float]:
    return {
        "requests": group.model_calls,
        "failed": group.errors,
        "input_tokens": group.input_tokens,
        "output_tokens": group.output_tokens,
        "cache_read_tokens": group.cache_read_tokens,
        "cache_write_tokens": group.cache_write_tokens,
        "reasoning_tokens": group.reasoning_tokens,
        "cost_usd": group.cost_usd,
        "unpriced_calls": group.unpriced_calls,
    }


def _metrics(store: Store, selection: Selection) -> Iterator[_Told]:
    """What metrics count within the selection, without what events have told."""
    if _beyond_metrics(selection):
        return
    names = [name for name, counter in COUNTERS.items() if counter.agent in selection.frameworks]
    found = [
        told
        for growth in store.growth(names, selection.start_us, selection.end_us, _step(selection))
        if (told := _understood(growth)) is not None and _chosen(told, selection)
    ]
    if not found:
        return
    whole = replace(selection, models=())
    told_of = {group.key for group in store.groups(whole, "session", order="tokens", limit=_MOST_SESSIONS)}
    known = {
        (agent, user.key)
        for agent in selection.frameworks
        for user in store.users(replace(whole, frameworks=(agent,)), limit=_MOST_PEOPLE).rows
        if user.calls
    }
    for told in found:
        session = session_of(told.given)
        by_events = session in told_of if session else (told.agent, person_of(told.given)) in known
        counted = tuple(name for name in told.fields if not (by_events and name in _TOLD_BY_EVENTS))
        if counted:
            yield told._replace(fields=counted)


def _counted(told: _Told) -> dict[str, float]:
    numbers = dict.fromkeys(told.fields, told.growth.value)
    if told.agent not in _SAYING_COST and not _BILLED.isdisjoint(told.fields):
        numbers["unpriced_tokens"] = told.growth.value
    return numbers


def _step(selection: Selection) -> int:
    """Charts of a day or less have finer steps than days."""
    return 3_600_000_000 if selection.end_us - selection.start_us <= 8 * _DAY_US else _DAY_US


def _understood(growth: Growth) -> _Told | None:
    counter = COUNTERS[growth.name]
    try:
        given = _attributes(growth.attributes)
    except msgspec.MsgspecError:
        return None
    counted = counter.kinds.get(str(given.get(counter.by)), ()) if counter.by else (counter.counts,)
    return _Told(growth, counter.agent, given, counted) if counted else None


_attributes = msgspec.json.Decoder(dict[str, Any]).decode


def _chosen(told: _Told, selection: Selection) -> bool:
    """Whether the point is of those that the filters leave over."""
    of = (
        (selection.models, str(told.given.get("model"))),
        (selection.users, person_of(told.given)),
        (selection.sessions, session_of(told.given)),
        (selection.services, told.growth.service),
    )
    return all(value in wanted for wanted, value in of if wanted)


def _beyond_metrics(selection: Selection) -> bool:
    return bool(selection.providers or selection.agents or selection.tasks or selection.labels)


def _point(told: _Told, step_us: int) -> Point:
    """As a point of the chart."""
    value, counted = told.growth.value, told.fields
    return Point(
        start_us=told.growth.start_us // step_us * step_us,
        key=told.agent,
        calls=0,
        errors=0,
        cost_usd=value if "cost_usd" in counted else 0.0,
        input_tokens=round(value) if "input_tokens" in counted else 0,
        output_tokens=round(value) if "output_tokens" in counted else 0,
    )


def _tools(store: Store, selection: Selection) -> tuple[CodingTool, ...]:
    ends: dict[str, dict[str, int]] = defaultdict(dict)
    for end in store.tool_ends(selection):
        ends[end.tool][end.status] = end.calls
    return tuple(
        CodingTool(
            tool=group.key,
            calls=group.calls,
            accepted=group.calls - ends[group.key].get("cancelled", 0),
            refused=ends[group.key].get("cancelled", 0),
            failed=ends[group.key].get("error", 0),
            p50_us=group.p50_us,
            p95_us=group.p95_us,
        )
        for group in store.groups(selection, "tool", order="calls", limit=_MOST)
        if group.key is not None
    )


def _total(rows: Iterable[Work]) -> Work:
    sums: dict[str, float] = defaultdict(float)
    for row in rows:
        for field in fields(Work):
            if field.name != "key":
                sums[field.name] += getattr(row, field.name)
    return _work(None, sums)


def _work(key: str | None, numbers: Mapping[str, float]) -> Work:
    whole = {name: round(number) for name, number in numbers.items() if name not in _REAL}
    return Work(key, **whole, **{name: numbers[name] for name in _REAL if name in numbers})  # type: ignore[arg-type]


_REAL: Final = ("cost_usd", "active_s")


def _day(start_us: int) -> str:
    return datetime.fromtimestamp(start_us / 1_000_000, timezone.utc).date().isoformat()


PAGE = Page(
    "coding",
    "/coding",
    "/api/coding",
    "Coding agents",
    build,
    CodingAgents,
    navigation="Coding agents",
    default_range="7d",
    parameters=("show",),
)

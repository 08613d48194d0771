"""Which rows a selection means, as conditions; and the windows of time in which what is looked for is looked for first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ai_dev_squad_dashboard.store.base import Selection
from ai_dev_squad_dashboard.store.selection import FILTERS
from ai_dev_squad_dashboard.store.windows import FIRST_US, growing

from .client import Client
from .literals import Where, literal, many
from .schema import HOUR_US

__all__ = [
    "GROWS",
    "began",
    "behind",
    "bounded",
    "chosen",
    "in_time",
    "names_filter",
    "of_runs",
    "spans_filter",
    "traces_filter",
    "windows",
]

GROWS: Final = 16
"""How many times as long each window is as the one before."""
_WORTH_ASKING: Final = 4_000
"""Traces that are read in the time that one more statement takes to be planned."""
_MOST_US: Final = 1 << 62


def bounded(moment: int) -> int:
    """A moment that can be added to."""
    return max(-_MOST_US, min(_MOST_US, moment))


def in_time(selection: Selection, column: str = "start_us") -> str:
    """The condition on a time."""
    return f"{column} >= {bounded(selection.start_us)} AND {column} < {bounded(selection.end_us)}"


def names_filter(selection: Selection, alias: str = "") -> Where:
    """The filters by names, on a table with a column for each."""
    where = Where()
    for column, field in FILTERS.items():
        where.among(f"{alias}{column}", getattr(selection, field))
    return where


def of_runs(selection: Selection) -> Where:
    """The filters that choose runs, but for those by session, on the table of traces."""
    where = Where().among("user_id", selection.users).among("task", selection.tasks)
    for key in dict.fromkeys(key for key, _ in selection.labels):
        pairs = ", ".join(f"({literal(key)}, {literal(value)})" for name, value in selection.labels if name == key)
        where.add(f"hasAny(labels, [{pairs}])")
    return where


def spans_filter(selection: Selection) -> Where:
    """The filters that choose runs, on a table with the ids of sessions and traces."""
    where = Where().among("session_id", selection.sessions)
    runs = of_runs(selection)
    return where.add(f"trace_id IN (SELECT trace_id FROM traces FINAL WHERE {runs})" if runs else "")


def began(start_us: int, end_us: int) -> str:
    """On the table of traces: the row of the hour in which a trace began, and it began between these times."""
    start_us, end_us = bounded(start_us), bounded(end_us)
    return (
        f"hour >= intDiv({start_us}, {HOUR_US}) AND hour <= intDiv({end_us}, {HOUR_US}) AND intDiv(start_us, {HOUR_US}) = hour "
        f"AND start_us >= {start_us} AND start_us < {end_us}"
    )


def traces_filter(selection: Selection) -> Where:
    """On the table of traces: those that began in the selection's time, are its runs, and have a span with its names."""
    where = Where(began(selection.start_us, selection.end_us)).among("session_id", selection.sessions)
    runs, named = of_runs(selection), names_filter(selection)
    where.add(str(runs) if runs else "")
    return where.add(
        f"trace_id IN (SELECT trace_id FROM spans WHERE start_us >= {bounded(selection.start_us)} AND {named})"
        if named
        else ""
    )


def windows(client: Client, start_us: int, end_us: int) -> Iterator[tuple[int, int]]:
    """The time in which there are traces of this span of time, newest first, in windows that grow, so that what is common is found at
    once.
    """
    ((rows, oldest, newest),) = client.ask("SELECT count(), min(start_us), max(start_us) FROM traces")
    if not rows:
        return
    start_us, end_us = max(start_us, oldest), min(end_us, newest + 1)
    yield from growing(start_us, end_us, GROWS, max(FIRST_US, (newest - oldest) * _WORTH_ASKING // rows))


def chosen(column: str, keys: list[str | None]) -> str:
    """The condition that a column has one of ``keys``, of which one may be ``None``."""
    named = [key for key in keys if key is not None]
    conditions = [f"{column} IN {many(named)}"] if named else []
    if len(named) < len(keys):
        conditions.append(f"{column} IS NULL")
    return f"({' OR '.join(conditions)})" if conditions else "0"


def behind(expression: str, value: float, tie: str) -> str:
    """The condition that a row comes behind one whose key is ``value``; ``tie`` says it of rows whose key is the same."""
    return f"({expression} < {value!r} OR ({expression} = {value!r} AND {tie}))"

"""Runs, put together from the traces that resume one another; and which runs are worth laying side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from ai_dev_squad_dashboard.store.base import Selection, TraceRow
from ai_dev_squad_dashboard.store.ids import hex_bytes
from ai_dev_squad_dashboard.store.runs import Related, Relation, Run, TaskRuns, joined

from .client import Client
from .filters import began, of_runs, traces_filter
from .literals import Where, fixed, literal
from .rows import TRACE_COLUMNS, trace_row
from .schema import HOUR_US

__all__ = ["related", "run", "runs", "tasks"]

_MOST_PARTS: Final = 200
_NEAR_US: Final = 24 * HOUR_US
"""How far apart runs of different frameworks may have begun to be worth comparing by that alone."""
_ONCE: Final = f"intDiv(start_us, {HOUR_US}) = hour"


def run(client: Client, trace_id: str) -> Run | None:
    """The whole run that a trace is of."""
    own = hex_bytes(trace_id, 32)
    if own is None:
        return None
    links: dict[bytes, set[bytes]] = defaultdict(set)
    for one, other in client.ask(
        f"SELECT trace_id, assumeNotNull(resumes) FROM traces FINAL WHERE {_ONCE} AND resumes IS NOT NULL"
    ):
        links[one].add(other)
        links[other].add(one)
    found = _rows(client, _reached(own, links))
    return joined(found) if any(row.trace_id == trace_id.lower() for row in found) else None


def runs(client: Client, selection: Selection, names: Sequence[str], limit: int) -> tuple[Run, ...]:
    """The newest runs that began in a selection."""
    where = traces_filter(replace(selection, frameworks=()))
    # What goes on with a trace that is stored is a part of that one's run.
    where.add("(resumes IS NULL OR assumeNotNull(resumes) NOT IN (SELECT trace_id FROM traces))")
    where.among("name", names).among("framework", selection.frameworks)
    firsts = client.ask(
        f"SELECT {TRACE_COLUMNS} FROM traces FINAL WHERE {where} ORDER BY start_us DESC, trace_id DESC LIMIT {int(limit)}"
    )
    if not firsts:
        return ()
    later: dict[bytes, set[bytes]] = defaultdict(set)
    for one, other in client.ask(
        f"SELECT trace_id, assumeNotNull(resumes) FROM traces FINAL WHERE {_ONCE} AND resumes IS NOT NULL"
    ):
        later[other].add(one)
    chains = {row[0]: _reached(row[0], later) - {row[0]} for row in firsts}
    parts = {row.trace_id: row for row in _rows(client, set().union(*chains.values()))}
    return tuple(
        joined([trace_row(row), *(parts[each.hex()] for each in chains[row[0]] if each.hex() in parts)])
        for row in firsts
    )


def tasks(client: Client, selection: Selection, limit: int) -> tuple[TaskRuns, ...]:
    """The tasks of runs that began in a selection, those with most runs first."""
    where = of_runs(selection).add(began(selection.start_us, selection.end_us)).add("task IS NOT NULL")
    where.among("session_id", selection.sessions).among("framework", selection.frameworks)
    rows = client.ask(
        "SELECT assumeNotNull(task) AS label, count() AS runs, arraySort(groupUniqArrayIf(assumeNotNull(framework), "
        f"framework IS NOT NULL)) FROM traces FINAL WHERE {where} GROUP BY label ORDER BY runs DESC, label LIMIT {int(limit)}"
    )
    return tuple(TaskRuns(task, count, tuple(frameworks)) for task, count, frameworks in rows)


def related(client: Client, trace_id: str, most: int) -> tuple[Related, ...]:
    """Runs to compare a trace's run with, the best reason first, each once, ``most`` for each reason."""
    whole = run(client, trace_id)
    if whole is None:
        return ()
    row, own = whole.row, _ids([bytes.fromhex(part.trace_id) for part in whole.parts])
    same = Where(f"name = {literal(row.name)}", _is("framework", row.framework))
    looked_for: tuple[tuple[Relation, str, str], ...] = (
        ("task", _equals("task", row.task), "framework"),
        ("session", _equals("session_id", row.session_id), ""),
        ("version", f"{same} AND {_differs('version', row.version)}", "version"),
        ("earlier", f"{same} AND start_us < {row.start_us}", "framework"),
        ("later", f"{same} AND start_us > {row.start_us}", "framework"),
        (
            "framework",
            f"{_differs('framework', row.framework)} AND abs(start_us - {row.start_us}) < {_NEAR_US}",
            "framework",
        ),
    )
    # Which ones, and only then their texts: to read those of all that come into question takes most of the time.
    told = client.ask_all(
        *(
            f"SELECT trace_id FROM (SELECT trace_id, framework, version, abs(start_us - {row.start_us}) AS away FROM traces FINAL "
            # Of each framework, or version, the nearest: ten runs of one would leave no room for the others.
            f"WHERE {_ONCE} AND resumes IS NULL AND trace_id NOT IN ({own}) AND {condition} ORDER BY away, trace_id "
            f"{f'LIMIT 1 BY {one_of_each}' if one_of_each else ''}) "
            f"ORDER BY {_is('framework', row.framework)}, away, trace_id LIMIT {int(most)}"
            for _, condition, one_of_each in looked_for
        )
    )
    reasons: dict[bytes, Relation] = {}
    for (relation, _, _), found in zip(looked_for, told, strict=True):
        for (other,) in found:
            reasons.setdefault(other, relation)
    rows = {each.trace_id: each for each in _rows(client, reasons)}
    return tuple(Related(relation, rows[other.hex()]) for other, relation in reasons.items() if other.hex() in rows)


def _reached(start: bytes, links: dict[bytes, set[bytes]]) -> set[bytes]:
    """What can be reached, in however many steps."""
    found, left = {start}, [start]
    while left:
        for other in links.get(left.pop(), ()):
            if other not in found:
                found.add(other)
                left.append(other)
    return found


def _rows(client: Client, traces: Collection[bytes]) -> list[TraceRow]:
    if not traces:
        return []
    rows = client.ask(
        f"SELECT {TRACE_COLUMNS} FROM traces FINAL WHERE {_ONCE} AND trace_id IN ({_ids(traces)}) "
        "ORDER BY start_us, trace_id"
    )
    return [trace_row(row) for row in rows[: _MOST_PARTS * max(1, len(traces))]]


def _ids(traces: Collection[bytes]) -> str:
    return ", ".join(map(fixed, traces))


def _equals(column: str, value: str | None) -> str:
    return "0" if value is None else f"{column} = {literal(value)}"


def _differs(column: str, value: str | None) -> str:
    return "0" if value is None else f"({column} IS NOT NULL AND {column} <> {literal(value)})"


def _is(column: str, value: str | None) -> str:
    return f"{column} IS NULL" if value is None else f"ifNull({column} = {literal(value)}, 0)"

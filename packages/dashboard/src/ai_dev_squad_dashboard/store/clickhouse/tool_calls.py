"""What tools cost: the model calls that they make themselves, however deep beneath them, and what is read of their results.

Spans come in any order, so what is beneath a tool is told when it is asked for. Only traces in which something is are walked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from ai_dev_squad_dashboard.store.base import Selection, ToolCalls, ToolEnds, ToolInput, ToolStep

from .client import Client
from .filters import bounded, in_time, names_filter, spans_filter
from .literals import Where, literal

__all__ = ["tool_calls", "tool_ends", "tool_inputs", "tool_steps"]

_TOOL: Final = "operation = 'execute_tool' AND tool IS NOT NULL"


def tool_inputs(client: Client, selection: Selection, limit: int) -> Sequence[ToolInput]:
    """What each tool's results took in the input of model calls, the dearest first."""
    rows = client.ask(
        "SELECT each.1 AS tool, count(), sum(each.2) AS tokens, ifNull(sum(each.3), 0) AS usd, countIf(each.3 IS NULL) FROM ("
        f"SELECT arrayJoin(carried) AS each FROM spans WHERE {_read_in(selection)}) GROUP BY tool "
        f"ORDER BY usd DESC, tokens DESC, tool LIMIT {int(limit)}"
    )
    return [ToolInput(*row) for row in rows]


def tool_calls(client: Client, selection: Selection, limit: int) -> Sequence[ToolCalls]:
    """Each tool's own model calls, the dearest first."""
    sums: dict[str, list[Any]] = defaultdict(lambda: [0, 0.0, 0, 0, 0.0, 0])
    for tool, own, _, cost_usd in _beneath(client, selection):
        for place in (0, 3) if own else (0,):
            sums[tool][place] += 1
            sums[tool][place + 1] += cost_usd or 0.0
            sums[tool][place + 2] += cost_usd is None
    found = [ToolCalls(tool, *each) for tool, each in sums.items()]
    return sorted(found, key=lambda each: (-each.cost_usd, -each.calls, each.tool))[:limit]


def tool_steps(client: Client, selection: Selection, tool: str, step_us: int) -> Sequence[ToolStep]:
    """What one tool cost in each step, by its own model calls and by what was read of its results."""
    made: dict[int, float] = defaultdict(float)
    for beneath, _, start_us, cost_usd in _beneath(client, selection):
        if beneath == tool:
            made[start_us // step_us * step_us] += cost_usd or 0.0
    read: dict[int, float] = dict(
        client.ask(
            f"SELECT intDiv(start_us, {int(step_us)}) * {int(step_us)} AS step, ifNull(sum(each.3), 0) FROM (SELECT start_us, "
            f"arrayJoin(carried) AS each FROM spans WHERE {_read_in(selection)}) WHERE each.1 = {literal(tool)} GROUP BY step"
        )
    )
    return [ToolStep(at, made.get(at, 0.0), read.get(at, 0.0)) for at in sorted({*made, *read})]


def tool_ends(client: Client, selection: Selection, limit: int) -> Sequence[ToolEnds]:
    """How often each tool ended in which way."""
    runs = spans_filter(selection)
    where = names_filter(selection).add(in_time(selection)).add(_TOOL).add(str(runs) if runs else "")
    rows = client.ask(
        f"SELECT assumeNotNull(tool) AS called, status, count() AS calls FROM spans WHERE {where} GROUP BY called, status "
        f"ORDER BY calls DESC, called, status LIMIT {int(limit)}"
    )
    return [ToolEnds(*row) for row in rows]


def _whole_runs(selection: Selection) -> Where:
    """The filters by runs, where all of a trace counts, also what names no session itself."""
    where = spans_filter(replace(selection, sessions=()))
    if selection.sessions:
        of_session = Where().among("session_id", selection.sessions)
        where.add(f"trace_id IN (SELECT trace_id FROM traces FINAL WHERE {of_session})")
    return where


def _read_in(selection: Selection) -> Where:
    """Model calls of the selection in whose input results of tools stood."""
    runs, named = _whole_runs(selection), names_filter(selection)
    where = Where(in_time(selection), "notEmpty(carried)").add(str(runs) if runs else "")
    return where.add(str(named) if named else "")


def _beneath(client: Client, selection: Selection) -> Iterator[tuple[str, bool, int, float | None]]:
    """(tool, whether no other tool stands between, start, cost) of each model call of the selection and each tool above it."""
    end_us = bounded(selection.end_us)
    ((reaching, first),) = client.ask(
        "SELECT count(), min(start_us) FROM traces FINAL "
        f"WHERE last_start_us >= {bounded(selection.start_us)} AND start_us < {end_us} AND tools > 0"
    )
    if not reaching:
        return
    runs = _whole_runs(selection)
    place = Where(f"start_us >= {first} AND start_us < {end_us}").add(str(runs) if runs else "")
    tools = f"SELECT trace_id, span_id FROM spans WHERE {place} AND {_TOOL}"
    walked = (
        f"SELECT trace_id FROM spans WHERE {place} AND parent_span_id IS NOT NULL "
        f"AND (trace_id, assumeNotNull(parent_span_id)) IN ({tools})"
    )
    called = names_filter(selection).add("call = 1").add(f"start_us >= {bounded(selection.start_us)}")
    rows = client.ask(
        f"SELECT trace_id, span_id, parent_span_id, if({_TOOL}, tool, NULL), start_us, cost_usd, {called} FROM spans "
        f"WHERE {place} AND trace_id IN ({walked})"
    )
    spans = {(row[0], row[1]): (row[2], row[3]) for row in rows}
    for trace, _, parent, _, start_us, cost_usd, counts in rows:
        if counts:
            for depth, tool in enumerate(_above(spans, trace, parent)):
                yield tool, depth == 0, start_us, cost_usd


def _above(
    spans: dict[tuple[bytes, bytes], tuple[bytes | None, str | None]], trace: bytes, parent: bytes | None
) -> list[str]:
    """The names of the tools above, the nearest first, each once. What says that it is above itself ends there."""
    names: dict[str, None] = {}
    seen = set()
    while parent is not None and parent not in seen and (trace, parent) in spans:
        seen.add(parent)
        parent, tool = spans[trace, parent]
        if tool is not None:
            names[tool] = None
    return list(names)

"""How one tool, model or agent went over time: calls, failures, latency and cost in each step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar, get_args

from ai_dev_squad_dashboard.page import Page, Site
from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.store.base import Group, NamedBy, Step, ToolCalls, ToolInput, ToolStep

from .recent_answers import calls_of_tools, recent
from .timeline import Chart, Series, starts_of

__all__ = ["BY", "PAGE", "History", "build"]

BY: Final[tuple[NamedBy, ...]] = get_args(NamedBy)
_EVERY: Final = 1_000_000
"""More names than a store keeps apart."""
_P50, _P95, _OK, _FAILED, _COST, _INPUT, _OUTPUT = 3, 5, 1, 2, 3, 3, 1
_Row = TypeVar("_Row", ToolCalls, ToolInput)
_Step = TypeVar("_Step", Step, ToolStep)
_SPENT: Final[tuple[tuple[str, int, Callable[[ToolStep], float]], ...]] = (
    ("its model calls", _COST, lambda step: step.made_usd),
    ("read, estimated", _P95, lambda step: step.read_usd),
)


@dataclass(frozen=True)
class History:
    """How one tool, model, agent or whatever else has a name went over time."""

    steps: tuple[Step, ...]
    """Ascending; steps in which nothing happened are left out."""
    by: NamedBy
    """What has the name."""
    name: str | None
    """``None`` for what has no name."""
    group: Group | None
    """The whole span of time; ``None`` where nothing of that name happened in it."""
    step_us: int
    calls: Chart
    """Those that went well, and those that failed; of an agent its runs."""
    latency: Chart
    """The 50th and the 95th percentile of each step, in microseconds."""
    cost: Chart
    """USD of the model calls that carry the name; of a tool, of those beneath it, and of what later ones read of its results."""
    tokens: Chart
    spent: tuple[ToolStep, ...]
    """What a tool cost in each step; empty for all else."""
    made: ToolCalls | None
    """A tool's own model calls in the whole span of time; ``None`` where it made none."""
    read: ToolInput | None
    """What its results took in the input of later model calls, an estimate; ``None`` where none is known to have read one."""


def build(site: Site, query: Query) -> History:
    """One name, by steps of the span of time."""
    by: NamedBy = query.choice("by", BY, "tool")  # type: ignore[assignment]
    name = query.get("name") or None
    store, selection = site.store, query.selection
    steps = tuple(store.history(selection, by, name, query.step_us))
    groups = store.groups(selection, by, limit=_EVERY)
    tool = name if by == "tool" else None
    spent = (
        ()
        if tool is None
        else recent(store, query, ("steps", tool), lambda: tuple(store.tool_steps(selection, tool, query.step_us)))
    )
    starts = starts_of(
        [*(step.start_us for step in steps), *(step.start_us for step in spent)], selection, query.step_us
    )

    made, read = (_series(*one, spent, starts, 0) for one in _SPENT)
    cost = Chart(query.step_us, starts, (made, read), made.total + read.total)

    def chart(*series: tuple[str, int, Callable[[Step], float | None]], missing: float | None = 0) -> Chart:
        drawn = tuple(_series(*one, steps, starts, missing) for one in series)
        return Chart(query.step_us, starts, drawn, sum(one.total for one in drawn))

    return History(
        steps=steps,
        by=by,
        name=name,
        group=next((group for group in groups if group.key == name), None),
        step_us=query.step_us,
        calls=chart(("ok", _OK, lambda step: step.calls - step.errors), ("failed", _FAILED, lambda step: step.errors)),
        latency=chart(("p50", _P50, lambda step: step.p50_us), ("p95", _P95, lambda step: step.p95_us), missing=None),
        cost=chart(("cost", _COST, lambda step: step.cost_usd)) if tool is None else cost,
        tokens=chart(
            ("input", _INPUT, lambda step: step.input_tokens), ("output", _OUTPUT, lambda step: step.output_tokens)
        ),
        spent=spent,
        made=_named(() if tool is None else calls_of_tools(store, query), tool),
        read=_named(() if tool is None else store.tool_inputs(selection, _EVERY), tool),
    )


def _named(rows: Sequence[_Row], tool: str | None) -> _Row | None:
    return next((row for row in rows if row.tool == tool), None)


def _series(
    key: str,
    hue: int,
    value: Callable[[_Step], float | None],
    steps: Sequence[_Step],
    starts: Sequence[int],
    missing: float | None,
) -> Series:
    found = {step.start_us: value(step) for step in steps}
    values = tuple(found.get(start, missing) for start in starts)
    return Series(key, hue, values, sum(each or 0 for each in values))


PAGE = Page("history", "/history", "/api/history", "Over time", build, History, parameters=("by", "name"))

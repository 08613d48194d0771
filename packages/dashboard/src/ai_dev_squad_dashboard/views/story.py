"""A run told for people who do not read traces: what was asked, who did what in order, what it cost, what failed, the answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ai_dev_squad.runs import MODEL_OPERATIONS
from ai_dev_squad_dashboard.page import Page, Site
from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.store.runs import Run

from .agent_turns import agent_turns
from .transcript import Said
from .tree import TreeRow
from .whole_run import load_run, said_in_run, traces_of, tree_of

__all__ = ["PAGE", "Mishap", "Step", "StoryView", "Used", "build"]

MOST_STEPS: Final = 200
_TOOLS: Final = frozenset({"execute_tool", "retrieval"})


@dataclass(frozen=True)
class Used:
    """A model or a tool, and how often a step used it."""

    name: str
    times: int


@dataclass(frozen=True)
class Mishap:
    """Something that did not go well."""

    name: str
    error_type: str
    message: str
    span_id: str
    trace_id: str


@dataclass(frozen=True)
class Step:
    """What one agent did until another one began."""

    agent: str
    """Empty for work that carries no agent's name."""
    models: tuple[Used, ...]
    tools: tuple[Used, ...]
    mishaps: tuple[Mishap, ...]
    duration_us: int
    cost_usd: float
    unpriced: int
    waited_before_us: int
    """How long the run waited for a person before this step; 0 where it went straight on."""


@dataclass(frozen=True)
class StoryView:
    """One run in one page."""

    run: Run
    asked: Said | None
    answered: Said | None
    steps: tuple[Step, ...]
    left_out: int
    """Steps that are not told, because there are too many."""
    mishaps: int
    running: int
    """Operations that have not ended."""


def build(site: Site, query: Query, trace_id: str) -> StoryView:
    """The story of the run that a trace is of. Raises ``NotFoundError``."""
    run = load_run(site, trace_id)
    rows = tree_of(traces_of(site, run), query.now_us)
    steps = _steps(agent_turns(rows), run)
    asked, answered = said_in_run(site, run)
    return StoryView(
        run=run,
        asked=asked,
        answered=answered,
        steps=steps[:MOST_STEPS],
        left_out=max(0, len(steps) - MOST_STEPS),
        mishaps=sum(len(step.mishaps) for step in steps),
        running=sum(row.status == "running" for row in rows),
    )


def _steps(turns: Sequence[TreeRow], run: Run) -> tuple[Step, ...]:
    told: list[Step] = []
    part = 0
    for place, turn in enumerate(turns):
        if turn.depth != 1:
            continue
        inside = turns[place + 1 : place + 1 + turn.children]
        waited = sum(run.waited_before(number) for number in range(part + 1, turn.part + 1))
        part = max(part, turn.part)
        told.append(
            Step(
                agent=turn.agent or "",
                models=_used(inside, MODEL_OPERATIONS),
                tools=_used(inside, _TOOLS),
                mishaps=tuple(_mishap(row, run) for row in inside if row.status == "error"),
                duration_us=turn.duration_us,
                cost_usd=turn.cost_usd,
                unpriced=turn.unpriced,
                waited_before_us=waited,
            )
        )
    return tuple(told)


def _used(rows: Sequence[TreeRow], operations: frozenset[str]) -> tuple[Used, ...]:
    counts = Counter(row.name for row in rows if row.operation in operations)
    return tuple(Used(name, times) for name, times in counts.items())


def _mishap(row: TreeRow, run: Run) -> Mishap:
    return Mishap(
        row.name, row.error_type or "error", row.error_message or "", row.span_id, run.parts[row.part].trace_id
    )


PAGE = Page("story", "/traces/<trace_id>/story", "/api/traces/<trace_id>/story", "Story", build, StoryView)

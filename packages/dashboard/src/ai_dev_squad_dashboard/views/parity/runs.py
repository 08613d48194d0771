"""Your runs by framework: the same questions to the real runs of each, from the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from ai_dev_squad_dashboard.hues import hues
from ai_dev_squad_dashboard.page import Site
from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.store.base import Group, Totals
from ai_dev_squad_dashboard.store.runs import TaskRuns

from .same_work import SameWork, same_work

__all__ = ["Column", "Measure", "RealRuns", "Workflow", "build"]

COLUMNS = 6
WORKFLOWS = 20
TASKS = 30

Unit = Literal["count", "share", "usd", "us"]


@dataclass(frozen=True)
class Column:
    """A framework."""

    framework: str
    hue: int
    totals: Totals
    tool_calls: int
    tool_errors: int


@dataclass(frozen=True)
class Measure:
    """One line of the matrix."""

    section: str
    name: str
    unit: Unit
    """``count``, ``share`` of 1, ``usd`` or ``us`` (microseconds)."""
    values: tuple[float | None, ...]
    """One for each column; ``None`` where there is nothing to measure."""


@dataclass(frozen=True)
class Workflow:
    """Runs of one name. ``cells`` has one entry for each column, ``None`` where that framework has none of it."""

    name: str
    cells: tuple[Group | None, ...]


@dataclass(frozen=True)
class RealRuns:
    """The frameworks side by side, as the store knows them."""

    columns: tuple[Column, ...]
    left_out: int
    """Frameworks that are not shown, because they have the fewest calls."""
    measures: tuple[Measure, ...]
    workflows: tuple[Workflow, ...]
    """By name: those that most frameworks have come first."""
    tasks: tuple[TaskRuns, ...]
    """What programs say that their runs are asked to do."""
    same: SameWork | None
    """The runs of one task, or of names that were chosen as the same work; ``null`` where neither was chosen."""


def build(site: Site, query: Query) -> RealRuns:
    """Totals of each framework in the span of time, its runs by name, and the distributions of what is the same work."""
    store = site.store
    groups = [group for group in store.groups(query.selection, "framework", order="calls", limit=50) if group.key]
    names = sorted(str(group.key) for group in groups[:COLUMNS])
    colours = hues(names)
    columns, workflows = [], []
    for name in names:
        selection = replace(query.selection, frameworks=(name,))
        tools = [tool for tool in store.groups(selection, "tool", order="calls", limit=200) if tool.key is not None]
        columns.append(
            Column(
                framework=name,
                hue=colours[name],
                totals=store.totals(selection),
                tool_calls=sum(tool.calls for tool in tools),
                tool_errors=sum(tool.errors for tool in tools),
            )
        )
        workflows.append({group.key: group for group in store.groups(selection, "workflow", order="calls", limit=50)})
    return RealRuns(
        columns=tuple(columns),
        left_out=len(groups) - len(columns),
        measures=tuple(
            Measure(section, name, unit, tuple(of(column) for column in columns))
            for section, name, unit, of in _MEASURES
        ),
        workflows=_side_by_side(workflows),
        tasks=tuple(store.tasks(replace(query.selection, tasks=()), limit=TASKS)),
        same=same_work(site, query),
    )


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


Of = Callable[[Column], "float | None"]

_MEASURES: tuple[tuple[str, str, Unit, Of], ...] = (
    ("Work", "Runs", "count", lambda of: of.totals.runs),
    ("Work", "Model calls", "count", lambda of: of.totals.calls),
    ("Work", "Tool calls", "count", lambda of: of.tool_calls),
    ("Reliability", "Runs that succeeded", "share", lambda of: _share(of.totals.runs - of.totals.run_errors, of.totals.runs)),
    ("Reliability", "Model calls that failed", "share", lambda of: _share(of.totals.call_errors, of.totals.calls)),
    ("Reliability", "Tool calls that failed", "share", lambda of: _share(of.tool_errors, of.tool_calls)),
    ("Speed", "A run, p50", "us", lambda of: of.totals.run_p50_us),
    ("Speed", "A run, p95", "us", lambda of: of.totals.run_p95_us),
    ("Speed", "A model call, p50", "us", lambda of: of.totals.p50_us),
    ("Speed", "A model call, p95", "us", lambda of: of.totals.p95_us),
    ("Money and tokens", "Cost", "usd", lambda of: of.totals.cost_usd),
    ("Money and tokens", "Cost of a run", "usd", lambda of: _share(of.totals.cost_usd, of.totals.runs)),
    ("Money and tokens", "Calls without a known price", "count", lambda of: of.totals.unpriced_calls),
    ("Money and tokens", "Input tokens", "count", lambda of: of.totals.input_tokens),
    ("Money and tokens", "Output tokens", "count", lambda of: of.totals.output_tokens),
    ("Money and tokens", "Input read from a cache", "share", lambda of: _share(of.totals.cache_read_tokens, of.totals.input_tokens)),
)  # fmt: skip
"""Section, name, unit, and where the number comes from."""


def _side_by_side(workflows: list[dict[str | None, Group]]) -> tuple[Workflow, ...]:
    names = {key for column in workflows for key in column if key}
    rows = [Workflow(name, tuple(column.get(name) for column in workflows)) for name in names]

    def weight(row: Workflow) -> tuple[int, int, str]:
        cells = [cell for cell in row.cells if cell is not None]
        return -len(cells), -sum(cell.calls for cell in cells), row.name

    return tuple(sorted(rows, key=weight)[:WORKFLOWS])

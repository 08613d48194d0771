"""Two runs side by side: where they differ in time, tokens, money and in what they did."""

from __future__ import annotations

from dataclasses import dataclass

from ai_dev_squad_dashboard.page import NotFoundError, Page, Site
from ai_dev_squad_dashboard.query import Query, QueryError
from ai_dev_squad_dashboard.store.base import TraceRow
from ai_dev_squad_dashboard.views.agent_turns import agent_turns
from ai_dev_squad_dashboard.views.alignment import align
from ai_dev_squad_dashboard.views.tree import TreeRow, build_tree

__all__ = ["PAGE", "CompareView", "ComparedRow", "Measure", "build", "compare"]

MAX_ROWS = 2000
WAYS = ("tree", "agents")


@dataclass(frozen=True)
class Measure:
    """One number of both runs. ``unit`` is ``us``, ``usd`` or empty for a count."""

    name: str
    unit: str
    left: float
    right: float

    @property
    def change(self) -> float:
        """How much more the right one has."""
        return self.right - self.left


@dataclass(frozen=True)
class ComparedRow:
    """One line: an operation of both runs, or of one of them. Tokens and money include what lies below."""

    depth: int
    left: TreeRow | None
    right: TreeRow | None
    verdict: str
    """``same``, ``status`` (ended differently), ``other`` (something else did it), ``left only`` or ``right only``."""
    change_us: int | None
    """How much longer the right one took; ``None`` where there is one only."""
    change_tokens: int | None
    change_usd: float | None


@dataclass(frozen=True)
class CompareView:
    """Two runs side by side; ``None`` for one that was not chosen yet."""

    left: TraceRow | None
    right: TraceRow | None
    by: str
    """``tree``: operation by operation; ``agents``: by turns of agents, without what each framework wraps around them."""
    measures: tuple[Measure, ...]
    rows: tuple[ComparedRow, ...]
    left_only: int
    right_only: int
    different: int
    """Pairs that ended differently, or where something else did the work."""
    truncated: bool
    """True when a run has more operations than are compared."""


def build(site: Site, query: Query) -> CompareView:
    """The runs that ``a`` and ``b`` in the URL name, or ``t`` given twice, as the list of traces sends it."""
    chosen = query.all("t")
    if len(chosen) > 2:
        raise QueryError(f"{len(chosen)} traces were chosen; two can be compared: choose two in the list of traces")
    a, b = (query.get("a") or (chosen[0] if chosen else "")), (query.get("b") or (chosen[1] if chosen[1:] else ""))
    left, right = _load(site, query, a), _load(site, query, b)
    if left is None or right is None:
        by = query.choice("by", WAYS, "tree")
        return CompareView(left and left[0], right and right[0], by, (), (), 0, 0, 0, truncated=False)
    # Frameworks wrap the same work differently; seen as turns of agents it is the same again.
    usual = "tree" if left[0].framework == right[0].framework else "agents"
    return compare(*left, *right, by=query.choice("by", WAYS, usual))


def compare(
    left: TraceRow, ours: tuple[TreeRow, ...], right: TraceRow, theirs: tuple[TreeRow, ...], *, by: str = "tree"
) -> CompareView:
    """Two runs with their trees, compared."""
    if by == "agents":
        ours, theirs = agent_turns(ours), agent_turns(theirs)
    cut = max(len(ours), len(theirs)) > MAX_ROWS
    ours, theirs = _top(ours), _top(theirs)
    rows = tuple(
        _compared(
            None if pair.left is None else ours[pair.left],
            None if pair.right is None else theirs[pair.right],
            pair.depth,
        )
        for pair in align(ours, theirs)
    )
    return CompareView(
        left=left,
        right=right,
        by=by,
        measures=(
            Measure("Duration", "us", left.duration_us, right.duration_us),
            Measure("Cost", "usd", left.cost_usd, right.cost_usd),
            Measure("Input tokens", "", left.input_tokens, right.input_tokens),
            Measure("Output tokens", "", left.output_tokens, right.output_tokens),
            Measure("Model calls", "", left.calls, right.calls),
            Measure("Tool calls", "", left.tools, right.tools),
            Measure("Spans", "", left.spans, right.spans),
            Measure("Errors", "", left.errors, right.errors),
        ),
        rows=rows,
        left_only=sum(row.verdict == "left only" for row in rows),
        right_only=sum(row.verdict == "right only" for row in rows),
        different=sum(row.verdict in {"status", "other"} for row in rows),
        truncated=cut,
    )


def _top(rows: tuple[TreeRow, ...]) -> tuple[TreeRow, ...]:
    # Parents stand before children, so that a beginning is a tree as well.
    return rows[:MAX_ROWS]


def _load(site: Site, query: Query, trace_id: str) -> tuple[TraceRow, tuple[TreeRow, ...]] | None:
    if not trace_id:
        return None
    trace = site.store.trace(trace_id)
    if trace is None:
        raise NotFoundError(f"trace {trace_id} is not in the store; choose two in the list of traces")
    return trace.row, build_tree(trace.spans, trace.running, query.now_us)


def _compared(left: TreeRow | None, right: TreeRow | None, depth: int) -> ComparedRow:
    if left is None or right is None:
        return ComparedRow(depth, left, right, "left only" if right is None else "right only", None, None, None)
    if left.status != right.status:
        verdict = "status"
    elif depth and (left.operation, left.name) != (right.operation, right.name):
        verdict = "other"
    else:
        verdict = "same"
    tokens = right.input_tokens + right.output_tokens - left.input_tokens - left.output_tokens
    return ComparedRow(
        depth, left, right, verdict, right.duration_us - left.duration_us, tokens, right.cost_usd - left.cost_usd
    )


PAGE = Page("compare", "/compare", "/api/compare", "Compare", build, CompareView, parameters=("a", "b", "t", "by"))

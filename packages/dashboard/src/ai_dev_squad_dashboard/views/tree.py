"""A trace as a tree of rows: finished and running operations, parents before children, whatever arrived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ai_dev_squad.runs import MODEL_OPERATIONS
from ai_dev_squad_dashboard.store.clocks import EARLY_US, LATE_US
from ai_dev_squad_dashboard.store.outline import OutlineSpan
from ai_dev_squad_dashboard.store.rows import OpenRow, SpanRow

from .critical_path import critical_path

__all__ = ["TreeRow", "build_tree", "failures", "join_trees"]

"""The operations that have tokens and a price of their own."""


@dataclass(slots=True)
class TreeRow:
    """One operation of a trace. ``*_us`` are microseconds, money is USD.

    Not frozen, for a trace may have ten thousand of them and freezing takes longer than all the rest.
    """

    span_id: str
    parent: int | None
    """The parent's place among the rows; ``None`` at the top."""
    depth: int
    children: int
    """Operations directly below."""
    below: int
    """All operations below: the rows that follow and fold away."""
    name: str
    operation: str
    status: str
    """As the store has it, and ``running`` while the operation has not ended."""
    agent: str | None
    start_us: int
    """Since 1970."""
    duration_us: int
    """So far, while it runs."""
    orphan: bool = False
    """True when the operation has a parent that has not arrived."""
    critical_us: int = 0
    """How long the run waited for just this operation, not for one below it."""
    error_type: str | None = None
    error_message: str | None = None
    model_calls: int = 0
    """Model calls here and below, as tokens and money are sums here and below."""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0
    """Model calls whose cost is unknown, hence not in ``cost_usd``."""
    first_chunk_us: int | None = None
    at_us: int = 0
    """How long after the beginning of the run it started, without the time that the run waited to be resumed."""
    part: int = 0
    """Which of the run's traces it is in, from 0."""
    resumed_after_us: int | None = None
    """How long the run had waited for whoever resumed it, on the first row of a later part."""
    loop: int = 0
    """Which of the run's loops it is a step of, from 1; 0 for none."""
    skew_us: int = 0
    """How far ahead of its parent's clock its own is, where what it says cannot be; then ``start_us`` is where its parent began, and
    what is below moves along."""
    set_back_us: int = 0
    """How far its clock was set back while it ran: nobody knows how long it took."""
    attempt: int = 0
    """1 for a first try that was repeated, 2 for its first repetition, and so on; 0 where nothing was repeated."""


def build_tree(spans: Sequence[SpanRow | OutlineSpan], running: Sequence[OpenRow], now_us: int) -> tuple[TreeRow, ...]:
    """The rows in the order of the page. Every operation stands there once, whatever its parent says of it."""
    rows = [_finished(span) for span in spans]
    parents = [span.parent_span_id for span in spans]
    known = {span.span_id for span in spans}
    for opened in running:
        if opened.span_id not in known:
            known.add(opened.span_id)
            rows.append(_running(opened, now_us))
            parents.append(opened.parent_span_id)
    placed = _place(rows, parents)
    _put_right(placed)
    _add_up(placed)
    _count_attempts(placed)
    begin = min((row.start_us for row in placed), default=0)
    for row in placed:
        row.at_us = row.start_us - begin
    path = critical_path([(row.parent, row.start_us, row.start_us + row.duration_us) for row in placed])
    for step in path:
        placed[step.place].critical_us += step.end - step.start
    return tuple(placed)


def join_trees(trees: Sequence[tuple[TreeRow, ...]]) -> tuple[TreeRow, ...]:
    """The trees of one run's traces, oldest first, as one: what the later ones did stands below the root of the first.

    A later root is no operation of its own: it is the same run going on. How it ended is how the whole ended.
    """
    first, *others = [tree for tree in trees if tree] or [()]
    if not others:
        return first
    root = first[0]
    rows = [root, *_hung(first, root, 1)]
    for part, tree in enumerate(others, start=1):
        resumed = tree[0]
        for row in tree:
            row.at_us, row.part = row.at_us + root.duration_us, part
        rows += _hung(tree, root, len(rows))
        _go_on(root, resumed)
        root.duration_us = max(row.at_us + row.duration_us for row in tree)
    root.children, root.below = sum(row.parent == 0 for row in rows), len(rows) - 1
    return tuple(rows)


def failures(rows: Sequence[TreeRow]) -> tuple[int, ...]:
    """Where errors arose: first what other operations failed of in turn, then what somebody dealt with, each by time.

    Operations that only passed an error on are left out.
    """
    failed = [index for index, row in enumerate(rows) if row.status == "error"]
    passed_on: set[int] = set()
    serious: set[int] = set()
    for index in failed:
        parent = rows[index].parent
        if parent is not None and rows[parent].status == "error" and rows[parent].error_type == rows[index].error_type:
            passed_on.add(parent)
            serious.add(index)
    arose = [index for index in failed if index not in passed_on]
    return tuple(sorted(arose, key=lambda index: (index not in serious, rows[index].start_us, index)))


def _finished(span: SpanRow | OutlineSpan) -> TreeRow:
    call = span.usage_source is not None
    return TreeRow(
        span_id=span.span_id,
        parent=None,
        depth=0,
        children=0,
        below=0,
        name=span.name,
        operation=span.operation,
        status=span.status,
        agent=span.agent,
        start_us=span.start_us,
        duration_us=max(span.duration_us, 0),
        set_back_us=max(-span.duration_us, 0),
        orphan=span.parent_span_id is not None,
        error_type=span.error_type,
        error_message=None if span.error_message is None else span.error_message[:300],
        model_calls=int(call),
        input_tokens=span.input_tokens or 0,
        output_tokens=span.output_tokens or 0,
        cost_usd=span.cost_usd or 0.0,
        unpriced=int(call and span.cost_usd is None),
        first_chunk_us=span.first_chunk_us,
    )


def _running(opened: OpenRow, now_us: int) -> TreeRow:
    return TreeRow(
        span_id=opened.span_id,
        parent=None,
        depth=0,
        children=0,
        below=0,
        name=opened.name,
        operation=opened.operation,
        status="running",
        agent=opened.agent,
        start_us=opened.start_us,
        duration_us=max(now_us - opened.start_us, 0),
        orphan=opened.parent_span_id is not None,
    )


def _place(rows: list[TreeRow], parents: Sequence[str | None]) -> list[TreeRow]:
    # Those of one start stay as they came.
    order = sorted(range(len(rows)), key=lambda index: rows[index].start_us)
    at = {row.span_id: index for index, row in enumerate(rows)}
    below: dict[int, list[int]] = {}
    tops = []
    for index in order:
        parent = at.get(parents[index] or "")
        if parent is None or parent == index:
            tops.append(index)
        else:
            below.setdefault(parent, []).append(index)
    placed: list[TreeRow] = []
    seen: set[int] = set()
    # Spans whose parents form a ring hang on no top; each ring is opened at its earliest span.
    for top in (*tops, *order):
        stack: list[tuple[int, int | None, int]] = [(top, None, 0)]
        while stack:
            index, parent_place, depth = stack.pop()
            if index in seen:
                continue
            seen.add(index)
            place = len(placed)
            inside = [child for child in below.get(index, ()) if child not in seen]
            row = rows[index]
            row.parent, row.depth, row.children = parent_place, depth, len(inside)
            row.orphan = row.orphan and parent_place is None
            placed.append(row)
            stack.extend((child, place, depth + 1) for child in reversed(inside))
    return placed


def _put_right(rows: list[TreeRow]) -> None:
    """Move what another clock has told of to where its parent began: an hour of difference would hide all the rest."""
    for row in rows:
        if row.parent is None:
            continue
        above = rows[row.parent]
        row.start_us -= above.skew_us
        row.skew_us = above.skew_us
        begun, ended = above.start_us, above.start_us + above.duration_us
        late = above.status != "running" and not above.set_back_us and row.start_us > ended + LATE_US
        if row.start_us < begun - EARLY_US or late:
            row.skew_us += row.start_us - begun
            row.start_us = begun


def _add_up(rows: list[TreeRow]) -> None:
    for index in range(len(rows) - 1, -1, -1):
        row = rows[index]
        if row.parent is None:
            continue
        above = rows[row.parent]
        above.below += 1 + row.below
        _add(above, row)


def _hung(tree: tuple[TreeRow, ...], root: TreeRow, offset: int) -> tuple[TreeRow, ...]:
    """The rows of a tree but for its root, as they stand from ``offset`` on in the tree of ``root``: all of them below it."""
    for row in tree[1:]:
        above = tree[row.parent] if row.parent else root
        row.depth = above.depth + 1
        if row.parent is None:
            _add(root, row)
        row.parent = offset + row.parent - 1 if row.parent else 0
    return tree[1:]


def _go_on(root: TreeRow, resumed: TreeRow) -> None:
    """Let the root of a run say what a later part says of the whole."""
    root.status, root.error_type, root.error_message = resumed.status, resumed.error_type, resumed.error_message
    root.critical_us += resumed.critical_us
    _add(root, resumed)


def _add(above: TreeRow, row: TreeRow) -> None:
    above.model_calls += row.model_calls
    above.input_tokens += row.input_tokens
    above.output_tokens += row.output_tokens
    above.cost_usd += row.cost_usd
    above.unpriced += row.unpriced


def _count_attempts(rows: list[TreeRow]) -> None:
    """Number what was tried again: neighbours with the same parent, operation, name and agent, where the one before failed."""
    last: dict[int | None, int] = {}
    for index, row in enumerate(rows):
        before = last.get(row.parent)
        last[row.parent] = index
        if before is None or row.operation not in MODEL_OPERATIONS | {"execute_tool"}:
            continue
        earlier = rows[before]
        if earlier.status == "error" and (earlier.operation, earlier.name, earlier.agent) == (
            row.operation,
            row.name,
            row.agent,
        ):
            earlier.attempt = earlier.attempt or 1
            row.attempt = earlier.attempt + 1

"""A run seen as its agents' turns, so that runs of different frameworks can be laid side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ai_dev_squad_dashboard.views.tree import TreeRow

__all__ = ["agent_turns"]


def agent_turns(rows: Sequence[TreeRow]) -> tuple[TreeRow, ...]:
    """The tree without what each framework wraps around the work: the root, turns of agents, and in them what they did.

    What an agent did without another one beginning anything in between is a turn. It lasts from its first start to its last end.
    """
    if not rows:
        return ()
    root = replace(rows[0], children=0, below=0)
    work = sorted((row for row in rows[1:] if not row.children), key=lambda row: row.at_us)
    result = [root]
    turn: TreeRow | None = None
    for row in work:
        if turn is None or turn.agent != row.agent:
            turn = _turn(row)
            result.append(turn)
            root.children += 1
            root.below += 1
        place = len(result) - 1 - turn.children
        result.append(replace(row, parent=place, depth=2, orphan=False))
        _include(turn, row)
        root.below += 1
    return tuple(result)


def _turn(first: TreeRow) -> TreeRow:
    return TreeRow(
        span_id=first.span_id,
        parent=0,
        depth=1,
        children=0,
        below=0,
        name=first.agent or "(no agent)",
        operation="invoke_agent",
        status="ok",
        agent=first.agent,
        start_us=first.start_us,
        duration_us=0,
        at_us=first.at_us,
        part=first.part,
    )


def _include(turn: TreeRow, row: TreeRow) -> None:
    turn.children += 1
    turn.below += 1
    turn.duration_us = max(turn.duration_us, row.at_us + row.duration_us - turn.at_us)
    turn.critical_us += row.critical_us
    turn.model_calls += row.model_calls
    turn.input_tokens += row.input_tokens
    turn.output_tokens += row.output_tokens
    turn.cost_usd += row.cost_usd
    turn.unpriced += row.unpriced
    if row.status == "running":
        turn.status = "running"

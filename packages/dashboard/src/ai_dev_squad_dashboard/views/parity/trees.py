"""The span trees of several frameworks side by side: which operation of one is which of the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ai_dev_squad_dashboard.lab_results import LabNode

__all__ = ["TreeItem", "TreeRow", "align_trees"]

MAX_ITEMS: Final = 160
MAX_DEPTH: Final = 12

_WEIGHTS: Final = {
    "chat": 8.0, "text_completion": 8.0, "generate_content": 8.0, "embeddings": 8.0,
    "execute_tool": 8.0, "invoke_agent": 6.0, "invoke_workflow": 5.0,
}  # fmt: skip
"""What the same work is worth: model and tool calls are what frameworks have in common, steps are their own."""


@dataclass(frozen=True)
class TreeItem:
    """An operation of one framework."""

    depth: int
    operation: str
    name: str
    status: str
    span_id: str
    start_ms: float
    duration_ms: float


@dataclass(frozen=True)
class TreeRow:
    """Operations that are the same work. ``items`` has one entry for each framework, ``None`` where it has none."""

    items: tuple[TreeItem | None, ...]


def align_trees(trees: Sequence[Sequence[LabNode]]) -> tuple[tuple[TreeRow, ...], int]:
    """Every operation once, in the order of its own framework; and how many operations are left out, being too many."""
    flat = [_flatten(tree) for tree in trees]
    left_out = sum(max(0, len(items) - MAX_ITEMS) for items in flat)
    rows: list[list[TreeItem | None]] = []
    for at, items in enumerate(flat):
        rows = _merge(rows, items[:MAX_ITEMS], at)
    return tuple(TreeRow(tuple(row)) for row in rows), left_out


def _flatten(roots: Sequence[LabNode]) -> list[TreeItem]:
    found: list[TreeItem] = []
    stack = [(node, 0) for node in reversed(roots)]
    while stack:
        node, depth = stack.pop()
        found.append(
            TreeItem(
                min(depth, MAX_DEPTH), node.operation, node.name, node.status, node.span_id, node.start_ms,
                node.duration_ms,
            )
        )  # fmt: skip
        stack.extend((child, depth + 1) for child in reversed(node.children))
    return found


def _merge(rows: list[list[TreeItem | None]], items: Sequence[TreeItem], at: int) -> list[list[TreeItem | None]]:
    """Lay one more framework beside the rows: the pairing that is worth most, keeping both orders (Needleman and Wunsch)."""
    if not rows:
        return [[*[None] * at, item] for item in items]
    worth = [[0.0] * (len(items) + 1) for _ in range(len(rows) + 1)]
    for row in range(len(rows) - 1, -1, -1):
        for item in range(len(items) - 1, -1, -1):
            apart = max(worth[row + 1][item], worth[row][item + 1])
            pair = _likeness(rows[row], items[item])
            worth[row][item] = max(apart, pair + worth[row + 1][item + 1]) if pair > 0 else apart
    merged: list[list[TreeItem | None]] = []
    row = item = 0
    while row < len(rows) or item < len(items):
        if row < len(rows) and item < len(items):
            pair = _likeness(rows[row], items[item])
            if pair > 0 and worth[row][item] == pair + worth[row + 1][item + 1]:
                merged.append([*rows[row], items[item]])
                row, item = row + 1, item + 1
                continue
        if item == len(items) or (row < len(rows) and worth[row][item] == worth[row + 1][item]):
            merged.append([*rows[row], None])
            row += 1
        else:
            merged.append([*[None] * at, items[item]])
            item += 1
    return merged


def _likeness(row: Sequence[TreeItem | None], item: TreeItem) -> float:
    return max((_alike(other, item) for other in row if other is not None), default=0.0)


def _alike(one: TreeItem, other: TreeItem) -> float:
    if one.operation != other.operation:
        # Runs are compared as wholes, however each framework calls its own.
        return 3.0 if one.depth == other.depth == 0 else 0.0
    same_name = one.name == other.name
    if one.operation == "execute_tool" and not same_name:
        return 2.0
    likeness = _WEIGHTS.get(one.operation, 1.0) + (2.0 if same_name else 0.0)
    return max(0.5, likeness - 0.25 * abs(one.depth - other.depth))

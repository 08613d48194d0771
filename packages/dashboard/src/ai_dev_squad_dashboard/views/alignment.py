"""Two trees side by side: which operation of one is which of the other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

__all__ = ["Pair", "TreeNode", "align"]


class TreeNode(Protocol):
    """What is compared."""

    @property
    def parent(self) -> int | None: ...
    @property
    def operation(self) -> str: ...
    @property
    def name(self) -> str: ...


class Pair(NamedTuple):
    """One line of the comparison: places in the two trees, ``None`` where there is no counterpart."""

    left: int | None
    right: int | None
    depth: int


# Counterparts are looked for in this order: the same thing, the same work done by something else, another kind of the same name.
KEYS: tuple[Callable[[TreeNode], Any], ...] = (
    lambda item: (item.operation, item.name),
    lambda item: item.name,
    lambda item: item.operation,
)


def align(left: Sequence[TreeNode], right: Sequence[TreeNode]) -> tuple[Pair, ...]:
    """Every operation of both trees once, parents before children, in the order of the left one as far as it goes.

    The first tops belong together. Below a pair, the nth child with some operation and name belongs to the nth such child on
    the other side; what remains is matched by name alone, then by operation alone. Rows stand parents before children.
    """
    below_left, below_right = _below(left), _below(right)
    pairs: list[Pair] = []
    tops = _match(left, right, below_left[None], below_right[None], tops=True)
    stack = [Pair(a, b, 0) for a, b in reversed(tops)]
    while stack:
        pair = stack.pop()
        pairs.append(pair)
        inner_left = below_left[pair.left] if pair.left is not None else []
        inner_right = below_right[pair.right] if pair.right is not None else []
        inside = _match(left, right, inner_left, inner_right)
        stack.extend(Pair(a, b, pair.depth + 1) for a, b in reversed(inside))
    return tuple(pairs)


def _below(items: Sequence[TreeNode]) -> dict[int | None, list[int]]:
    children: dict[int | None, list[int]] = defaultdict(list)
    for index, item in enumerate(items):
        children[item.parent].append(index)
    return children


def _match(
    left: Sequence[TreeNode], right: Sequence[TreeNode], ours: list[int], theirs: list[int], *, tops: bool = False
) -> list[tuple[int | None, int | None]]:
    partner: dict[int, int] = {}
    taken: set[int] = set()
    if tops and ours and theirs:
        # Two runs are compared as wholes, however each framework calls its own.
        partner[ours[0]] = theirs[0]
        taken.add(theirs[0])
    for key in KEYS:
        waiting: dict[Any, list[int]] = defaultdict(list)
        for index in theirs:
            if index not in taken:
                waiting[key(right[index])].append(index)
        for candidates in waiting.values():
            candidates.reverse()
        for index in ours:
            if index not in partner and (candidates := waiting.get(key(left[index]), [])):
                partner[index] = candidates.pop()
                taken.add(partner[index])
    return _in_order(ours, theirs, partner)


def _in_order(ours: list[int], theirs: list[int], partner: dict[int, int]) -> list[tuple[int | None, int | None]]:
    """Pairs in our order; what only they have comes before the pair that it stands before on their side."""
    position = {index: place for place, index in enumerate(theirs)}
    matched = set(partner.values())
    result: list[tuple[int | None, int | None]] = []
    shown = 0
    for index in ours:
        other = partner.get(index)
        if other is not None:
            result.extend((None, lonely) for lonely in theirs[shown : position[other]] if lonely not in matched)
            shown = max(shown, position[other])
        result.append((index, other))
    result.extend((None, lonely) for lonely in theirs[shown:] if lonely not in matched)
    return result

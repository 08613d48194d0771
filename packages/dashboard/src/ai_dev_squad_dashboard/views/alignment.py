"""Trees side by side: which operation of one is which of the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

__all__ = ["Aligned", "Pair", "TreeNode", "align", "align_all"]


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


class Aligned(NamedTuple):
    """One line of a comparison of several trees. Also a ``TreeNode``, so that a further tree can be aligned with it."""

    parent: int | None
    """The place of the line above it in the tree."""
    operation: str
    name: str
    depth: int
    places: tuple[int | None, ...]
    """Where the operation stands in each tree, ``None`` where there is no counterpart."""


_KINDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("chat", "text_completion", "generate_content"), "model"),
    **dict.fromkeys(("invoke_workflow", "invoke_agent", "task"), "work"),
}
"""What frameworks call the same sort of operation differently → one word for it."""


def _kind(item: TreeNode) -> str:
    return _KINDS.get(item.operation, item.operation)


def _folded(item: TreeNode) -> str:
    """A name however it is written: ``dev-squad`` is ``DevSquad``."""
    return "".join(filter(str.isalnum, item.name.casefold())) or item.name


# Counterparts are looked for in this order: the same thing, the same kind under nearly the same name, another kind of that name,
# and last whatever is of the same kind, by order.
KEYS: tuple[Callable[[TreeNode], Any], ...] = (
    lambda item: (item.operation, item.name),
    lambda item: (_kind(item), _folded(item)),
    _folded,
    _kind,
)


def align(left: Sequence[TreeNode], right: Sequence[TreeNode]) -> tuple[Pair, ...]:
    """Every operation of both trees once, parents before children, in the order of the left one as far as it goes.

    The first tops belong together. Below a pair, the nth child with some operation and name belongs to the nth such child on
    the other side; what remains is matched by name alone, then by kind and order. Rows stand parents before children.
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


def align_all(trees: Sequence[Sequence[TreeNode]]) -> tuple[Aligned, ...]:
    """Every operation of all trees once, parents before children, in the order of the first one as far as it goes.

    Each tree is aligned with all before it, so what only the second and the third have meets as well.
    """
    lines: list[Aligned] = []
    for number, tree in enumerate(trees):
        merged: list[Aligned] = []
        above: list[int] = []
        for pair in align(lines, tree):
            known = None if pair.left is None else lines[pair.left]
            item: TreeNode = tree[pair.right] if known is None and pair.right is not None else known  # type: ignore[assignment]
            places = (*((None,) * number if known is None else known.places), pair.right)
            del above[pair.depth :]
            merged.append(Aligned(above[-1] if above else None, item.operation, item.name, pair.depth, places))
            above.append(len(merged) - 1)
        lines = merged
    return tuple(lines)


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

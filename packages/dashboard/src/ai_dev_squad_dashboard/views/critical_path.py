"""The critical path: what a run was waiting for at each moment, so that a person sees where time can be won."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Step", "critical_path"]


class Step(NamedTuple):
    """A stretch of time that one span is answerable for. Times are in the unit of the spans'."""

    place: int
    """The span's index in the sequence that was given."""
    start: int
    end: int


def critical_path(spans: Sequence[tuple[int | None, int, int]]) -> tuple[Step, ...]:
    """The steps of the path, earliest first: they cover the first root's time exactly, without overlap.

    ``spans``: (index of the parent or ``None``, start, end), parents before children. From the end backwards: a span waited for
    the child that ended last, before that for the child that ended last before that one began, and was itself at work between.
    A child that ended while a later one on the path was already running was not waited for.
    """
    children: dict[int, list[int]] = {}
    for index, (parent, _, _) in enumerate(spans):
        if parent is not None:
            children.setdefault(parent, []).append(index)
    root = next((index for index, (parent, _, _) in enumerate(spans) if parent is None), None)
    if root is None:
        return ()
    steps: list[Step] = []
    # Of a place, its window and whether its children are still to be looked at. Plain tuples: a trace may have 100,000 spans.
    # Deep traces must not meet the interpreter's recursion limit.
    work: list[tuple[int, int, int, bool]] = [(root, spans[root][1], spans[root][2], True)]
    while work:
        place, begin, cursor, whole = work.pop()
        if whole and place in children:
            work.extend(_backwards(place, begin, cursor, spans, children[place]))
        elif cursor > begin:
            steps.append(Step(place, begin, cursor))
    steps.reverse()
    return tuple(steps)


def _backwards(
    place: int, begin: int, cursor: int, spans: Sequence[tuple[int | None, int, int]], children: list[int]
) -> list[tuple[int, int, int, bool]]:
    """What a span's window consists of, earliest first: stretches of its own, and windows of its children."""
    parts: list[tuple[int, int, int, bool]] = []
    if len(children) > 1:
        children.sort(key=lambda index: (spans[index][2], spans[index][1]), reverse=True)
    until = cursor
    for child in children:
        _, start, end = spans[child]
        start, end = max(start, begin), min(end, until)
        if end > cursor or start >= end:
            continue
        parts.append((place, end, cursor, False))
        parts.append((child, start, end, True))
        cursor = start
    parts.append((place, begin, cursor, False))
    parts.reverse()
    return parts

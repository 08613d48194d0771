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


class _Window(NamedTuple):
    place: int
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
    # Deep traces must not meet the interpreter's recursion limit.
    work: list[_Window | Step] = [_Window(root, spans[root][1], spans[root][2])]
    while work:
        item = work.pop()
        if isinstance(item, Step):
            steps.append(item)
        else:
            work.extend(_backwards(item, spans, children.get(item.place, ())))
    return tuple(step for step in reversed(steps) if step.end > step.start)


def _backwards(
    window: _Window, spans: Sequence[tuple[int | None, int, int]], children: Sequence[int]
) -> list[_Window | Step]:
    """What a span's window consists of, earliest first."""
    parts: list[_Window | Step] = []
    cursor = window.end
    for child in sorted(children, key=lambda index: (spans[index][2], spans[index][1]), reverse=True):
        start, end = max(spans[child][1], window.start), min(spans[child][2], window.end)
        if end > cursor or start >= end:
            continue
        parts.append(Step(window.place, end, cursor))
        parts.append(_Window(child, start, end))
        cursor = start
    parts.append(Step(window.place, window.start, cursor))
    parts.reverse()
    return parts

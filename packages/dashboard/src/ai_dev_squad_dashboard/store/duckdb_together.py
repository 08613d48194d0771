"""Traces that a page asks for one after the other, told of by one statement: to plan it takes longer than to read their rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

__all__ = ["announce", "of_each", "unasked"]

_Told = TypeVar("_Told")


def announce(found: dict[Any, Any], numbers: Iterable[int]) -> None:
    """Say which traces the questions that have ``found`` in common are about."""
    found["together"] = tuple(dict.fromkeys(numbers))


def unasked(kind: str, numbers: Iterable[int], found: dict[Any, Any]) -> list[int]:
    """Of what ``kind`` tells, the traces that were not asked about: none when those with ``numbers`` all were, else also those announced."""
    if all((kind, number) in found for number in numbers):
        return []
    both = dict.fromkeys([*numbers, *found.get("together", ())])
    return [number for number in both if (kind, number) not in found]


def of_each(
    kind: str, number: int, found: dict[Any, Any], ask: Callable[[Sequence[int]], Mapping[int, _Told]]
) -> _Told | None:
    """What ``ask`` tells of a trace, asked for once with all that were announced; ``None`` for one of which it tells nothing."""
    if wanted := unasked(kind, [number], found):
        told = ask(wanted)
        found.update({(kind, each): told.get(each) for each in wanted})
    answer: _Told | None = found[kind, number]
    return answer

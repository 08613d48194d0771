"""What a page asks of several traces one after the other is asked of the store once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ai_dev_squad_dashboard.store.duckdb_together import announce, of_each


def test_traces_that_were_announced_are_asked_for_once() -> None:
    """Of one of which nothing is told nothing is asked again, and one that was not announced is asked for when it comes."""
    asked: list[list[int]] = []

    def spans(numbers: Sequence[int]) -> dict[int, int]:
        asked.append([*numbers])
        return {number: number * 10 for number in numbers if number != 2}

    found: dict[Any, Any] = {}
    announce(found, [3, 1, 2, 3])
    assert [of_each("spans", number, found, spans) for number in (1, 2, 3, 2, 4, 4)] == [10, None, 30, None, 40, 40]
    assert asked == [[1, 3, 2], [4]]


def test_without_an_announcement_each_trace_is_asked_for_by_itself() -> None:
    """As outside of a snapshot, where nothing may be kept."""
    asked: list[list[int]] = []
    for number in (1, 2, 1):
        assert of_each("spans", number, {}, lambda numbers: asked.append([*numbers]) or dict.fromkeys(numbers, 5)) == 5
    assert asked == [[1], [2], [1]]

"""A timeline that is told with the sums of each series: to plan a statement of its own takes longer than to read its rows.

Names are not joined but known here, and told to the engine as the numbers of the series that are drawn.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from operator import add
from typing import Any, Final, TypeAlias

from ai_dev_squad_dashboard.store.base import DrawnBy, Point, Selection
from ai_dev_squad_dashboard.store.series import FIELDS, Key
from ai_dev_squad_dashboard.store.summary import SUMS, wanted_places

from .amounts import Range
from .client import Client
from .pieces import Relation, relation

__all__ = ["Drawn", "Row", "days", "drawn", "joined", "points"]

_PLAIN: Final = frozenset({"framework", "provider", "model", "operation", "service", "program"})
"""By which model calls are drawn, and nothing else."""
_MOST: Final = 2_000
"""Series in one statement: a server refuses statements of more than 256 KiB."""
_POINT: Final = tuple(SUMS.index(name) for name in ("spans", "errors", "cost_usd", "input_tokens", "output_tokens"))
_EPOCH: Final = date(1970, 1, 1)
_FRAMEWORK, _SERVICE, _CALL = (FIELDS.index(name) for name in ("framework", "service", "call"))


Row: TypeAlias = tuple[int, str | None, tuple[Any, ...]]
"""A step, a key, and the sums of its model calls in the order of ``SUMS``."""


@dataclass(frozen=True)
class Drawn:
    """What is drawn."""

    step_us: int
    by: DrawnBy
    keys: tuple[str | None, ...]
    places: Mapping[int, int]
    """The number of each series that is known → the place of its key, from 1 on; 0 for one that is not drawn."""

    def relation(
        self, client: Client, selection: Selection, *, with_before: bool, times: Sequence[Range] | None = None
    ) -> Relation:
        """The sums of each series, with the ``step`` and the ``place`` of what is drawn; 0 and 0 for all else."""
        source = relation(
            client, selection, self.step_us, ["at_us", "is_now", "series"], with_before=with_before, times=times
        )
        numbers = [number for number, place in self.places.items() if place]
        places = [self.places[number] for number in numbers]
        return Relation(
            f"SELECT *, is_now * transform(series, {numbers}, {places}, 0) AS place, "
            f"if(place = 0, 0, intDiv(at_us, {self.step_us}) * {self.step_us}) AS step FROM ({source})",
            source.settings,
        )

    def rows(self, told: Iterable[tuple[int, int, tuple[Any, ...]]], seen: Collection[int]) -> list[Row] | None:
        """What is drawn, from (step, place, sums), ascending; ``None`` if one of the series that were ``seen`` was not known."""
        if not self.places.keys() >= set(seen):
            return None
        return _in_order((step, self.keys[place - 1], sums) for step, place, sums in told)


def drawn(names: Mapping[int, Key], selection: Selection, step_us: int, by: DrawnBy) -> Drawn | None:
    """The model calls of a selection by step and key; ``None`` where they have to be asked for by themselves."""
    if by not in _PLAIN or step_us < 1:
        return None
    filters = wanted_places(selection)
    key_of = {
        number: _key(key, by)
        for number, key in names.items()
        if key[_CALL] and all(key[place] in wanted for place, wanted in filters.items())
    }
    if not 0 < len(key_of) <= _MOST:
        return None
    keys = tuple(dict.fromkeys(key_of.values()))
    place_of = {key: place for place, key in enumerate(keys, 1)}
    return Drawn(step_us, by, keys, {number: place_of[key_of[number]] if number in key_of else 0 for number in names})


def joined(one: Iterable[Row], other: Iterable[Row]) -> list[Row]:
    """The rows of two parts of a time."""
    found = {(step, key): sums for step, key, sums in one}
    for step, key, sums in other:
        known = found.get((step, key))
        found[step, key] = sums if known is None else tuple(map(add, known, sums))
    return _in_order((*place, sums) for place, sums in found.items())


def points(rows: Iterable[Row]) -> list[Point]:
    """The timeline."""
    return [Point(step, key, *(sums[place] for place in _POINT)) for step, key, sums in rows]


def days(rows: Iterable[Row]) -> dict[str, list[Any]]:
    """The sums of each day, where no step lies in two."""
    found: dict[str, list[Any]] = {}
    for step, _, sums in rows:
        day = str(_EPOCH + timedelta(microseconds=step))
        found[day] = [*map(add, found.get(day, [0] * len(SUMS)), sums)]
    return found


def _in_order(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row[0], row[1] is None, row[1] or ""))


def _key(key: Key, by: DrawnBy) -> str | None:
    names: Sequence[str | None] = key[:_CALL]
    if by == "program":
        return next((name for name in (names[_FRAMEWORK], names[_SERVICE]) if name is not None), None)
    return names[FIELDS.index(by)]

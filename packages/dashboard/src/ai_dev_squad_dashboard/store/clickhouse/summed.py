"""What a page's numbers are made from: the sums and histograms of each series, over a span of time and over the one before it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import add
from typing import Any, TypeVar

from ai_dev_squad_dashboard.store.base import Selection
from ai_dev_squad_dashboard.store.summary import SUMS, Rootless, Summary

from .amounts import Range
from .client import Client, Rows
from .drawn import Drawn, Row, joined
from .earlier import KINDS, Earlier, earlier
from .hours import Memory, Sealed, hours_of
from .pieces import relation
from .rootless import may_lack_roots, rootless
from .schema import DAY_US, UNTIMED
from .series import SeriesBook

__all__ = ["Summed", "summarise"]


@dataclass(frozen=True)
class Summed:
    """What one look at the sums comes to."""

    now: Summary
    before: Summary | None
    """Of the selection's names only."""
    drawn: Sequence[Row] | None
    """What was to be drawn; ``None`` where it has to be asked for by itself."""
    sealed: Sealed | None
    """How the whole hours were found, where they are remembered."""


def summarise(
    client: Client,
    book: SeriesBook,
    memory: Memory,
    selection: Selection,
    *,
    with_before: bool = False,
    too: Drawn | None = None,
) -> Summed:
    """The sums and histograms of each series over a selection's time and runs, whatever the names; the same of the time before it,
    of the selection's names; and what is drawn of them: all out of the same two statements, as planning one takes longer than
    reading its rows. Of whole hours that are as they were nothing is asked again.
    """
    kinds = earlier(book.known, selection) if with_before else None
    look = _Look(client, selection, with_before, too, kinds)
    told, lacking, sealed = look.remembered(memory)
    if not told.is_whole:  # another process has stored what has new names
        kinds, look = None, _Look(client, selection, with_before, too, None)
        told, lacking = look.asked()
    alone = look.rootless() if lacking else ([], [])
    names = book.names([*told.sums[1], *(() if kinds else told.sums[0])])
    before = Summary(names, told.sums[0], told.spreads[0], alone[0]).filtered(selection)
    if kinds:
        before = Summary(KINDS, told.sums[0], told.spreads[0], list(before.rootless_chosen()))
    return Summed(
        Summary(names, told.sums[1], told.spreads[1], alone[1]),
        before if with_before else None,
        None if too is None else told.rows,
        sealed,
    )


@dataclass(frozen=True)
class _Told:
    """What the engine answers, of the time before and of now."""

    sums: tuple[dict[int, tuple[Any, ...]], ...]
    spreads: tuple[dict[int, dict[int, int]], ...]
    rows: list[Row] | None
    is_whole: bool
    """Whether all series of the time before were known."""

    def __add__(self, other: _Told) -> _Told:
        rows = None
        if self.rows is not None and other.rows is not None:
            rows = joined(self.rows, other.rows)
        return _Told(
            tuple(_merged(*both, _sum) for both in zip(self.sums, other.sums, strict=True)),
            tuple(_merged(*both, _counts) for both in zip(self.spreads, other.spreads, strict=True)),
            rows,
            self.is_whole and other.is_whole,
        )


@dataclass(frozen=True)
class _Look:
    """What is asked for, over some time or other."""

    client: Client
    selection: Selection
    with_before: bool
    too: Drawn | None
    kinds: Earlier | None

    def asked(self) -> tuple[_Told, Rows]:
        """All of it, and whether there may be traces without a root."""
        sums, spread, lacking = self.client.ask_all(*self._questions(None), self._lacking)
        return self._told(sums, spread), lacking

    def remembered(self, memory: Memory) -> tuple[_Told, Rows, Sealed | None]:
        """The same, of whole hours from memory, and how those were found."""
        client, hours = self.client, hours_of(self.client, self.selection, with_before=self.with_before)
        drawn = None if self.too is None else (self.too.step_us, self.too.by)
        if hours is None or memory.pauses(key := (self._names, self.with_before, drawn, hours.whole)):
            return *self.asked(), None
        question = hours.question(client, self.selection, with_before=self.with_before)
        sums, spread, lacking, seal = client.ask_all(*self._questions(hours.edges), self._lacking, question)
        around, sealed = self._told(sums, spread), Sealed(hours, question, seal)
        known: _Told | None = memory.recall(key, seal)
        if known is None:
            known = self._told(*client.ask_all(*self._questions(hours.whole)))
            if known.is_whole and sealed.holds(client):
                memory.keep(key, seal, known)
        return known + around, lacking, sealed

    def rootless(self) -> tuple[list[Rootless], list[Rootless]]:
        """Traces without a root."""
        found: tuple[list[Rootless], list[Rootless]] = ([], [])
        for is_now, *row in self.client.ask(rootless(self.selection, with_before=self.with_before)):
            found[is_now].append(Rootless(*row))
        return found

    @property
    def _names(self) -> Selection:
        return replace(self.selection, start_us=0, end_us=0)

    @property
    def _lacking(self) -> str:
        return may_lack_roots(self.selection, with_before=self.with_before)

    def _questions(self, times: Sequence[Range] | None) -> tuple[str, str]:
        """For the sums, and for the histograms."""
        client, selection, too = self.client, self.selection, self.too
        added = ", ".join(f"sum(a_{name})" for name in SUMS)
        number = "series" if self.kinds is None else self.kinds.number
        keys = ["is_now", "series"]
        counted = relation(
            *(client, selection, DAY_US, [*keys, "bin"], ["spans"]), with_before=self.with_before, times=times
        )
        if too is None:
            source = relation(client, selection, DAY_US, keys, with_before=self.with_before, times=times)
            asked = (
                f"SELECT 0, 0, is_now, {number} AS own, {added} FROM ({source}) GROUP BY is_now, own{source.settings}"
            )
        else:
            source = too.relation(client, selection, with_before=self.with_before, times=times)
            asked = (
                f"SELECT step, place, is_now, {number} AS own, {added} FROM ({source}) "
                f"GROUP BY GROUPING SETS ((is_now, own), (step, place)){source.settings}"
            )
        return (
            asked,
            f"SELECT is_now, {number} AS own, bin, sum(a_spans) FROM ({counted}) GROUP BY is_now, own, bin{counted.settings}",
        )

    def _told(self, added_up: Rows, spread: Rows) -> _Told:
        sums: tuple[dict[int, tuple[Any, ...]], ...] = ({}, {})
        spreads: tuple[dict[int, dict[int, int]], ...] = (defaultdict(dict), defaultdict(dict))
        steps: list[tuple[int, int, tuple[Any, ...]]] = []
        for step, place, is_now, own, *row in added_up:
            if place:
                steps.append((step, place, tuple(row)))
            elif own:  # what is not drawn stands together, and is in the sums of its series
                sums[is_now][own] = tuple(row)
        for is_now, own, each, spans in spread:
            if each != UNTIMED:
                spreads[is_now][own][each] = spans
        rows = [] if self.too is None else self.too.rows(steps, sums[1])
        return _Told(sums, spreads, rows, self.kinds is None or self.kinds.is_whole(sums[0]))


_Value = TypeVar("_Value")


def _merged(
    one: Mapping[int, _Value], other: Mapping[int, _Value], added: Callable[[_Value, _Value], _Value]
) -> dict[int, _Value]:
    found = dict(one)
    for number, value in other.items():
        found[number] = added(found[number], value) if number in found else value
    return found


def _sum(one: tuple[Any, ...], other: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(map(add, one, other))


def _counts(one: dict[int, int], other: dict[int, int]) -> dict[int, int]:
    return _merged(one, other, add)

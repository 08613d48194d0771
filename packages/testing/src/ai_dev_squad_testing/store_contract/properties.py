"""What holds for any rows: answers equal those that are computed from the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from operator import add
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ai_dev_squad_dashboard.engine import (
    SUMS,
    BadCursorError,
    Batch,
    FigureName,
    Group,
    GroupBy,
    NamedBy,
    Point,
    Selection,
    SpanRow,
    Store,
    Subject,
    Totals,
    Unpriced,
)
from ai_dev_squad_testing.store_contract.harness import Opens
from ai_dev_squad_testing.store_contract.oracle import Oracle
from ai_dev_squad_testing.store_contract.random_rows import FIGURES_OF_ROWS, SUMS_OF_ROWS, TRACES_OF_ROWS
from ai_dev_squad_testing.store_contract.sample import ALL, T0, near

__all__ = ["StoreProperties"]


class StoreProperties(Opens):
    """What holds for any rows, tried with ``examples`` random sets of them."""

    def tried(self, **about: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Callable[[], None]]:
        """Make of a function of random values one that tries some."""

        def of(holds: Callable[..., None]) -> Callable[[], None]:
            slow = [HealthCheck.differing_executors, HealthCheck.too_slow]
            return settings(max_examples=self.examples, deadline=None, suppress_health_check=slow)(
                given(**about)(holds)
            )

        return of

    def test_foreign_cursors_are_refused(self) -> None:
        """A cursor that the store did not give out is an error of its own kind, whatever it is."""

        @self.tried(cursor=st.text(max_size=40))
        def holds(cursor: str) -> None:
            with self.opened() as store:
                for ask in (
                    lambda: store.traces(ALL, cursor=cursor),
                    lambda: store.traces(ALL, cursor=cursor, order="cost"),
                    lambda: store.sessions(ALL, cursor=cursor),
                    lambda: store.users(ALL, cursor=cursor),
                    lambda: store.logs(ALL, cursor=cursor),
                    lambda: store.logs(ALL, after=cursor),
                ):
                    with pytest.raises(BadCursorError):
                        ask()

        holds()

    def test_sums_are_those_of_the_rows(self) -> None:
        """Whatever arrives in whatever order and is deleted in between, every sum equals the one computed from the rows that
        stay.
        """

        @self.tried(**SUMS_OF_ROWS)
        def holds(
            batches: list[list[SpanRow]], selection: Selection, step: int, gone: set[int], key: str | None
        ) -> None:
            traces = [row.trace_id for batch in batches for row in batch]
            deleted = {traces[place] for place in gone if place < len(traces)}
            oracle = Oracle([row for batch in batches for row in batch if row.trace_id not in deleted])
            with self.opened() as store:
                for place, batch in enumerate(batches):
                    store.write(Batch(spans=batch))
                    _page(store, selection, step)  # whatever is remembered of it
                    if place == len(batches) // 2:
                        for trace_id in deleted:
                            store.delete(Subject("trace", trace_id), by="a test", at_us=T0)
                near(store.totals(selection), oracle.totals(selection))
                for found, period in zip(store.with_previous(selection), (selection, selection.before), strict=True):
                    near(found, oracle.totals(period))
                assert store.facets(selection) == oracle.facets(selection)
                for by in get_args(GroupBy):
                    if by == "workflow":
                        continue
                    exact = oracle.groups(selection, by)
                    measured = store.groups(selection, by, limit=1000, latency=True)
                    assert {group.key for group in measured} == set(exact)
                    for group in measured:
                        near(group, exact[group.key])
                        ((_, timed),) = exact[group.key].latency
                        assert sum(count for _, count in group.latency) == timed
                    points = store.timeline(selection, step, by)
                    expected = oracle.timeline(selection, step, by)
                    assert [(point.start_us, point.key) for point in points] == [(p.start_us, p.key) for p in expected]
                    for point, exact_point in zip(points, expected, strict=True):
                        near(point, exact_point)
                for _ in range(2):
                    now, before, points, days, unpriced = _page(store, selection, step)
                    near(now, oracle.totals(selection))
                    near(before, oracle.totals(selection.before))
                    for point, exact_point in zip(points, oracle.timeline(selection, step, "program"), strict=True):
                        near(point, exact_point)
                    exact = oracle.groups(selection, "day")
                    assert {group.key for group in days} == set(exact)
                    for group in days:
                        near(group, replace(exact[group.key], latency=()))
                    assert sum(calls for _, _, calls, _ in unpriced) == now.unpriced_calls
                named: tuple[NamedBy, ...] = ("agent", "model", "tool")
                for name in named:
                    steps = oracle.history(selection, name, key, step)
                    for passed, exact_step in zip(store.history(selection, name, key, step), steps, strict=True):
                        near(passed, exact_step)

        holds()

    def test_figures_are_those_of_the_rows(self) -> None:
        """However what arrived is divided by numbers, each span is in one figure, and their sums are those of the rows."""

        @self.tried(**FIGURES_OF_ROWS)
        def holds(
            batches: list[list[SpanRow]],
            by: tuple[FigureName, ...],
            step: int,
            now: int,
            since: int | None,
            latency: bool,
        ) -> None:
            found: dict[tuple[Any, ...], tuple[int, ...]] = {}
            since_us = None if since is None else T0 + since
            with self.opened() as store:
                after = 0
                for batch in batches:
                    store.write(Batch(spans=batch))
                    newest = store.newest_span(after)
                    assert newest > after if batch else newest == after
                    for each in store.figures(
                        after, newest, by=by, step_us=step, now_us=T0 + now, since_us=since_us, latency=latency
                    ):
                        key = (*each[: SUMS.start], each.bin)
                        sums: Any = each[SUMS]
                        found[key] = tuple(map(add, found.get(key, (0,) * 6), sums))
                    after = newest
            oracle = Oracle([row for batch in batches for row in batch])
            assert found == oracle.figures(by, step, T0 + now, since_us, latency=latency)

        holds()

    def test_traces_are_those_of_the_rows(self) -> None:
        """Whatever arrives in whatever order, every trace is summed up as if it had come at once."""

        @self.tried(**TRACES_OF_ROWS)
        def holds(batches: list[list[SpanRow]], frameworks: tuple[str, ...]) -> None:
            oracle = Oracle([row for batch in batches for row in batch])
            with self.opened() as store:
                for batch in batches:
                    store.write(Batch(spans=batch))
                for row in store.traces(ALL).rows:
                    expected = oracle.traces()[row.trace_id]
                    assert asdict(row) == {**expected, "cost_usd": pytest.approx(expected["cost_usd"], abs=1e-9)}
                    trace = store.trace(row.trace_id)
                    assert trace is not None
                    of_trace = [each for each in oracle.spans if each.trace_id == row.trace_id]
                    assert sorted(trace.spans) == sorted(each._replace(details=None, text=None) for each in of_trace)
                assert {row.trace_id for row in store.traces(ALL).rows} == set(oracle.traces())
                selection = replace(ALL, frameworks=frameworks)
                exact = oracle.groups(selection, "workflow")
                measured = store.groups(selection, "workflow")
                assert {group.key for group in measured} == set(exact)
                for group in measured:
                    near(group, exact[group.key])

        holds()


def _page(
    store: Store, selection: Selection, step: int
) -> tuple[Totals, Totals, Sequence[Point], Sequence[Group], Sequence[Unpriced]]:
    """What a page asks at one moment."""
    with store.snapshot():
        return (
            *store.with_previous(selection, drawn=(step, "program")),
            store.timeline(selection, step, "program"),
            store.groups(selection, "day", limit=1000),
            store.unpriced(selection, limit=1000),
        )

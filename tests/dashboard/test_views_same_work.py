"""The frameworks' own runs of the same work: distributions, and no winner where none can be told."""

from __future__ import annotations

from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad_dashboard.page import Site
from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.store import open_memory_store
from ai_dev_squad_dashboard.store.rows import Batch, SpanRow
from ai_dev_squad_dashboard.views.parity import runs
from ai_dev_squad_dashboard.views.parity.spread import Share, Spread, lowest, share_of, spread_of

NOW = 1_800_000_000_000_000
SECOND = 1_000_000


@pytest.fixture
def site():
    """What pages ask, over an empty store."""
    store = open_memory_store()
    yield Site(store, None, None, tuple)
    store.close()


def run(number, framework, seconds, *, task="refund", name="squad", status="ok", cost=0.5, **more):
    """A run of one model call."""
    return SpanRow(
        *(f"{number:032x}", f"{1:016x}", None, NOW - number * 60 * SECOND, seconds * SECOND, name, "chat", status, framework),
        task=task, usage_source="provider", input_tokens=100, output_tokens=10 * number, cost_usd=cost, **more,
    )  # fmt: skip


def built(site, *arguments):
    """The page's answer at the moment of the rows."""
    return runs.build(site, Query.parse(list(arguments), default="7d", clock=lambda: NOW / 1e6))


def test_runs_of_a_task_are_distributions_by_framework(site):
    """Medians, quartiles and intervals of runs that succeeded; failures apart; the lowest only where it is beyond doubt."""
    spans = [run(number, "langgraph", 10 + number) for number in range(1, 8)]
    spans += [run(number + 10, "crewai", 1 + number, name="Crew") for number in range(1, 8)]
    spans += [run(30, "crewai", 90, name="Crew", status="error"), run(31, "crewai", 5, name="Crew", status="cancelled")]
    spans += [run(40, "autogen", 1, task="other")]
    site.store.write(Batch(spans=spans))

    same = built(site, ("task", "refund")).same

    assert [(side.framework, side.runs, side.succeeded, side.unended) for side in same.sides] == [
        ("crewai", 9, 7, 1),
        ("langgraph", 7, 7, 0),
    ]
    assert same.sides[0].failed == share_of(1, 8)
    rows = {row.name: row for row in same.rows}
    assert rows["Duration"].spreads == (
        Spread(7, 2 * SECOND, 3.5 * SECOND, 5 * SECOND, 6.5 * SECOND, 8 * SECOND, 2 * SECOND, 8 * SECOND),
        Spread(7, 11 * SECOND, 12.5 * SECOND, 14 * SECOND, 15.5 * SECOND, 17 * SECOND, 11 * SECOND, 17 * SECOND),
    )
    assert {name: row.lowest for name, row in rows.items()} == {
        "Duration": 0, "Cost": None, "Tokens": 1, "Model calls": None, "Tool calls": None
    }  # fmt: skip
    assert same.missing == ()


def test_what_stands_in_the_way_of_comparing_is_said(site):
    """Too few runs, calls without a price, several tasks, one framework only: each in words, and nothing is lowest."""
    spans = [run(number, "langgraph", 50) for number in range(1, 8)]
    spans += [run(n + 10, "crewai", 1, cost=None if n == 1 else 0.1, task="other") for n in range(1, 8)]
    spans += [run(20, "autogen", 1)]
    site.store.write(Batch(spans=spans))

    same = built(site, ("name", "squad")).same
    assert same.missing == (
        "These are 2 tasks: different work costs differently, so nothing is called lowest. Choose one.",
        "A median's interval takes 6 runs that succeeded: autogen has 1.",
        "Runs with calls of unknown price are left out of cost: 1 of crewai.",
    )
    assert {row.lowest for row in same.rows} == {None}
    alone = built(site, ("task", "other")).same
    assert alone.missing[0].startswith("Only crewai has runs of it here")
    assert built(site, ("task", "absent")).same.sides == ()
    assert [(task.task, task.runs, task.frameworks) for task in built(site).tasks] == [
        ("refund", 8, ("autogen", "langgraph")),
        ("other", 7, ("crewai",)),
    ]


def test_a_resumed_run_counts_once(site):
    """Its parts are one run of one duration, also where the first one alone carries the label."""
    parts = [run(2, "langgraph", 3, status="interrupted"), run(1, "langgraph", 4, task=None, resumes=f"{2:032x}")]
    site.store.write(Batch(spans=parts))
    (side,) = built(site, ("task", "refund")).same.sides
    assert (side.runs, side.succeeded, side.unended, side.resumed) == (1, 1, 0, 1)


@pytest.mark.parametrize("n, rank", [(5, None), (6, 1), (8, 1), (9, 2), (20, 6), (100, 40), (1001, 469)])
def test_the_interval_of_a_median_is_that_of_the_sign_test(n, rank):
    """The ranks of the published tables; fewer than six values have none."""
    spread = spread_of(list(range(1, n + 1)))
    assert (spread.low, spread.high) == ((None, None) if rank is None else (rank, n + 1 - rank))


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=60))
def test_a_spread_is_in_order_whatever_the_values(values):
    """Lowest, quartiles, median and highest ascend, and an interval encloses the median."""
    spread = spread_of(values)
    ascending = [spread.lowest, spread.first_quartile, spread.median, spread.third_quartile, spread.highest]
    assert ascending == sorted(ascending)
    assert spread.median == median(values)
    if spread.low is not None:
        assert spread.lowest <= spread.low <= spread.median <= spread.high <= spread.highest


def test_the_interval_of_a_share_and_of_nothing():
    """Wilson's: it does not leave 0 to 1, also where nothing or everything failed."""
    assert share_of(0, 10) == Share(10, 0, 0.0, pytest.approx(0.0), pytest.approx(0.27753, abs=1e-4))
    assert share_of(3, 3).low == pytest.approx(0.4385, abs=1e-3)
    assert share_of(0, 0) is spread_of([]) is lowest({}) is None

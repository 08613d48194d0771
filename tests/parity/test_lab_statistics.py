"""Medians with their uncertainty: what differs from run to run is not told as if it didn't."""

from __future__ import annotations

from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_dev_squad_dashboard.lab_results import LabInterval, LabMeasure
from ai_dev_squad_parity.lab.statistics import interval, measure, winner

VALUES = st.lists(st.floats(min_value=0, max_value=1e6, allow_nan=False), min_size=1, max_size=12)
JITTER = st.lists(st.integers(min_value=0, max_value=30), min_size=3, max_size=8)
MEASURES = st.fixed_dictionaries(
    {
        name: st.builds(
            lambda base, jitter: measure([float(base + extra) for extra in jitter], "ms"),
            st.sampled_from([0, 20, 100]),
            JITTER,
        )
        for name in ("langgraph", "crewai", "autogen")
    }
)


def test_an_interval_says_how_sure_the_median_is():
    """The 95 % percentile-bootstrap interval, the same at every call."""
    values = [10.0, 11.0, 12.0, 13.0, 30.0]
    assert measure(values, "ms") == LabMeasure(
        median=12.0, values=(10.0, 11.0, 12.0, 13.0, 30.0), unit="ms", interval=LabInterval(low=10.0, high=30.0)
    )


@pytest.mark.parametrize("values", [(), (1.0,), (1.0, 2.0), (3.0, 3.0, 3.0, 3.0)])
def test_nothing_is_made_up_from_too_little(values):
    """One or two values, or equal ones, have no interval; none have no measure."""
    found = measure(values, "calls")
    assert found == (LabMeasure(median=median(values), values=values, unit="calls") if values else None)


@settings(max_examples=25, deadline=None)
@given(VALUES)
def test_the_same_values_have_the_same_interval_around_their_median(values):
    """An interval is within the values, holds their median, and does not change from call to call."""
    found = interval(values, resamples=200)
    assert found == interval(values, resamples=200)
    if found is None:
        assert len(values) < 3 or min(values) == max(values)
    else:
        assert min(values) <= found.low <= found.high <= max(values)


def test_a_winner_is_clear_of_all_others():
    """The smallest median wins when its interval ends before the others' begin."""
    measures = {
        "fast": measure([1.0, 1.1, 1.2], "ms"),
        "slow": measure([5.0, 5.5, 6.0], "ms"),
        "slower": measure([7.0, 7.5, 8.0], "ms"),
    }
    assert winner(measures) == "fast"


@pytest.mark.parametrize(
    "values,unit,expected",
    [
        ({"a": [1.0, 3.0, 5.0], "b": [4.0, 6.0, 8.0]}, "ms", None),  # intervals overlap
        ({"a": [1.0], "b": [9.0]}, "ms", None),  # one run of something that varies
        ({"a": [1.0, 1.0], "b": [9.0, 9.0]}, "MiB", None),
        ({"a": [1.0], "b": [2.0]}, "calls", "a"),  # what is counted is exact
        ({"a": [2.0], "b": [2.0]}, "calls", None),
        ({"a": [1.0]}, "calls", None),
    ],
)
def test_no_winner_is_named_where_there_is_none(values, unit, expected):
    """Overlap, a single run, a draw, or nobody to compare with: nobody wins."""
    assert winner({name: measure(numbers, unit) for name, numbers in values.items()}) == expected


@settings(max_examples=40, deadline=None)
@given(MEASURES)
def test_whoever_wins_is_below_everybody_else_and_nobody_else_wins(measures):
    """There is a winner exactly where one interval ends before all others begin."""

    def low(found: LabMeasure) -> float:
        return found.interval.low if found.interval else found.median

    def high(found: LabMeasure) -> float:
        return found.interval.high if found.interval else found.median

    clear = [
        name
        for name, found in measures.items()
        if all(high(found) < low(rest) for other, rest in measures.items() if other != name)
    ]
    assert winner(measures) == (clear[0] if clear else None)

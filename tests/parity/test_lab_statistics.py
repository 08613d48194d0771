"""Medians with their uncertainty: what differs from run to run is not told as if it didn't."""

from __future__ import annotations

from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_dev_squad_dashboard.lab_results import LabInterval, LabMeasure
from ai_dev_squad_parity.lab.statistics import interval, measure

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

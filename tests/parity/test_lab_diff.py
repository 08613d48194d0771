"""What became worse between two runs, and what is never called worse."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad_dashboard.lab_results import LabCheck, LabMeasure
from ai_dev_squad_parity.lab.diff import Change, Difference, compare, text

sys.path.insert(0, str(Path(__file__).parent))
from lab_matrix import cell, matrix, ms


def check(ok: bool) -> LabCheck:
    """A check of tokens."""
    return LabCheck(name="tokens", ok=ok, captured="0 in", truth="7 in")


def test_a_verdict_and_a_check_that_broke_are_regressions():
    """Both are named: the verdict with its reason, the check with what was captured and what is true."""
    old = matrix(cell(checks=(check(True),)))
    new = matrix(cell(verdict="fails", reason="tokens: 0 in", checks=(check(False),)))

    assert compare(old, new) == Difference(
        regressions=(
            Change("ask", "langgraph", "verdict", "passes", "fails: tokens: 0 in"),
            Change("ask", "langgraph", "check", "ok", "0 in, not 7 in", "tokens"),
        ),
        improvements=(),
    )
    assert compare(new, old) == Difference(
        regressions=(),
        improvements=(
            Change("ask", "langgraph", "verdict", "fails: tokens: 0 in", "passes"),
            Change("ask", "langgraph", "check", "0 in, not 7 in", "ok", "tokens"),
        ),
    )


def test_a_cell_that_is_gone_is_a_regression_and_a_new_one_is_none():
    """A run of fewer cells cannot hide one."""
    old, new = matrix(cell(), cell("crewai")), matrix(cell(), cell("autogen"))

    assert compare(old, new) == Difference(
        regressions=(Change("ask", "crewai", "cell", "passes", "gone"),),
        improvements=(Change("ask", "autogen", "cell", "not there", "passes"),),
    )


@pytest.mark.parametrize(
    "old, new, regressed",
    [
        (ms(10, 11, 12, low=10, high=12), ms(20, 21, 22, low=20, high=22), True),
        (ms(10, 11, 12, low=10, high=12), ms(11, 15, 22, low=11, high=22), False),
        (ms(100, 101, 102, low=100, high=102), ms(103, 105, 107, low=103, high=107), False),
        (ms(10), ms(99), False),
    ],
    ids=["apart and more", "overlapping", "apart by less than a tenth", "one value each"],
)
def test_a_time_is_worse_only_where_intervals_are_apart_and_it_grew_by_a_tenth(old, new, regressed):
    """What varies from run to run is compared by intervals, and not at all where there are fewer than three values."""
    found = compare(matrix(cell(measures={"wall": old})), matrix(cell(measures={"wall": new})))

    assert [change.what for change in found.regressions] == (["wall"] if regressed else [])


@pytest.mark.parametrize("name, unit", [("tokens", "tokens"), ("calls", "calls"), ("cost", "USD")])
def test_a_count_needs_no_repeats(name, unit):
    """The same task that needs more tokens, calls or money is a regression from one run to the next."""
    old = matrix(cell(measures={name: LabMeasure(median=100, values=(100,), unit=unit)}))
    new = matrix(cell(measures={name: LabMeasure(median=150, values=(150,), unit=unit)}))

    assert [(change.kind, change.what) for change in compare(old, new).regressions] == [("measure", name)]
    assert compare(new, old).regressions == ()


def test_less_quality_is_worse():
    """Quality is the one measure of which more is better."""
    good, bad = (
        matrix(cell(measures={"quality": LabMeasure(median=value, values=(value,) * 3, unit="ratio")}))
        for value in (1.0, 0.2)
    )

    assert [change.what for change in compare(good, bad).regressions] == ["quality"]
    assert compare(bad, good).regressions == ()


def test_times_of_different_machines_are_not_compared():
    """A slower machine is no regression, which is said; tokens are compared all the same."""
    slow = {"wall": ms(90, 91, 92, low=90, high=92), "tokens": LabMeasure(median=9, values=(9,), unit="tokens")}
    fast = {"wall": ms(10, 11, 12, low=10, high=12), "tokens": LabMeasure(median=1, values=(1,), unit="tokens")}
    found = compare(matrix(cell(measures=fast)), matrix(cell(measures=slow), machine={"cores": 64}))

    assert [change.what for change in found.regressions] == ["tokens"]
    assert found.notes == (
        "times and memory are not compared: the runs are of different machines, interpreters or numbers of jobs",
    )


def test_versions_that_changed_are_named():
    """Whoever looks for the cause sees which release came between."""
    newer = matrix(cell(), versions={"langgraph": {"langgraph": "1.3.0"}})

    assert compare(matrix(cell()), newer).notes == ("langgraph: langgraph 1.2.22 became 1.3.0",)


def test_the_difference_reads_as_lines():
    """One line for each change, and how many regressions there are."""
    old, new = matrix(cell(), cell("crewai", "fails")), matrix(cell(verdict="fails", reason="boom"), cell("crewai"))

    assert text(compare(old, new)) == (
        "regressed  ask on langgraph, verdict: passes → fails: boom\n"
        "better     ask on crewai, verdict: fails → passes\n"
        "1 regression"
    )
    assert text(compare(new, new)) == "no regressions"


VALUES = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=5)


@given(VALUES, st.sampled_from(["passes", "adapter can't", "framework can't", "fails"]))
def test_a_run_is_never_worse_than_itself(values, verdict):
    """Comparing a run with itself finds nothing."""
    run = matrix(cell(verdict=verdict, checks=(check(False),), measures={"wall": ms(*values)}))

    assert compare(run, run) == Difference((), ())


@given(VALUES, VALUES)
def test_what_is_worse_one_way_is_better_the_other_way(first, second):
    """Regressions of old to new are the improvements of new to old."""
    old, new = (matrix(cell(measures={"wall": ms(*values)})) for values in (first, second))
    there, back = compare(old, new), compare(new, old)

    assert len(there.regressions) == len(back.improvements)
    assert len(there.improvements) == len(back.regressions)

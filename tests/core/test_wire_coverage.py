"""The self-check of the wire: what is counted, what it says, and what a journal keeps of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad import Coverage
from ai_dev_squad.wire.coverage import SelfCheck, Unannounced


def test_calls_are_counted_and_told_once() -> None:
    """Everything counted so far is one thing, what came since the last telling another."""
    check = SelfCheck()
    for what in ("seen", "captured", "seen", "unobserved"):
        check.count(what)
    check.count_unannounced("langgraph", "thread pool", "task research")
    first, second = check.untold(), check.untold()
    check.count("unseen")  # is told of with the next call that is seen

    assert first == Coverage(2, 1, 1, 0, (Unannounced(1, "langgraph", "thread pool", "task research"),))
    assert second is None
    assert check.untold() is None
    assert check.coverage() == Coverage(2, 1, 1, 1, (Unannounced(1, "langgraph", "thread pool", "task research"),))
    check.count("seen")
    assert check.untold() == Coverage(seen=1, unseen=1)


def test_it_says_so_in_a_sentence() -> None:
    """The three places with the most calls are named."""
    places = tuple(Unannounced(calls, "langgraph", "own client", f"task {calls}") for calls in (20, 8, 2, 1))
    assert str(Coverage(1204, 1204, unannounced=places)) == (
        "1,204 of 1,204 model calls captured; 31 of them announced by no framework: "
        "own client in task 20 (20), own client in task 8 (8), own client in task 2 (2), …"
    )
    assert str(Coverage(3, 1, 2, 4, (Unannounced(1, None, "thread", None),))) == (
        "1 of 3 model calls captured; 1 of them announced by no framework: thread (1); 2 outside of observed runs; "
        "4 more announced by a framework and not seen on the wire"
    )


def test_places_are_bounded() -> None:
    """A name that changes with each run can't fill the memory."""
    check = SelfCheck()
    for number in range(1000):
        check.count_unannounced("langgraph", "own client", f"task {number}")
    found = check.coverage().unannounced
    assert len(found) == 201
    assert found[0] == Unannounced(800, "langgraph", "own client", "(other)")


_PLACES = st.builds(
    Unannounced,
    st.integers(1, 99),
    st.sampled_from(["langgraph", None]),
    st.sampled_from(["thread", "own client"]),
    st.sampled_from(["task a", None]),
)


@given(st.lists(st.builds(Coverage, *[st.integers(0, 9)] * 4, st.lists(_PLACES, max_size=1).map(tuple)), max_size=5))
def test_lines_add_up(told: list[Coverage]) -> None:
    """What is written in parts is the whole."""
    whole = Coverage.summed(part.as_metadata() for part in told)
    for name in ("seen", "captured", "unobserved", "unseen"):
        assert getattr(whole, name) == sum(getattr(part, name) for part in told)
    calls = sum(item.calls for part in told for item in part.unannounced)
    assert sum(item.calls for item in whole.unannounced) == calls


@pytest.mark.parametrize(
    "line", [{}, {"seen": "7"}, {"seen": -1}, {"seen": True}, {"unannounced": 3}, {"unannounced": [3, {"calls": None}]}]
)
def test_what_is_no_count_counts_nothing(line: dict[str, object]) -> None:
    """Anybody may write a journal."""
    assert Coverage.summed([line]) == Coverage()

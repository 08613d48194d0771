"""Points of a timeline as the numbers of a chart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad_dashboard.layout import hues
from ai_dev_squad_dashboard.store.base import Point, Selection
from ai_dev_squad_dashboard.views.timeline import Chart, Series, chart


def point(start, key, cost):
    """A point whose cost is what counts."""
    return Point(start, key, 1, 0, cost, 10, 1)


def cost(at):
    """The value that the charts here show."""
    return at.cost_usd


def test_every_step_is_there_and_the_largest_series_comes_first():
    """Steps where nothing happened are zero, and the step that the selection begins within is whole."""
    points = [
        point(100, "crewai", 1.0),
        point(120, "langgraph", 2.0),
        point(120, None, 0.25),
        point(130, "crewai", 4.0),
    ]

    assert chart(points, Selection(105, 131), 10, cost) == Chart(
        step_us=10,
        starts=(100, 110, 120, 130),
        series=(
            Series("crewai", 2, (1.0, 0.0, 0.0, 4.0), 5.0),
            Series("langgraph", 1, (0.0, 0.0, 2.0, 0.0), 2.0),
            Series(None, 4, (0.0, 0.0, 0.25, 0.0), 0.25),
        ),
        total=7.25,
    )


def test_nothing_is_an_empty_chart():
    """No points leave the steps and no series."""
    assert chart([], Selection(0, 30), 10, cost) == Chart(10, (30,)[:0], (), 0)


def test_more_than_eight_series_are_put_together():
    """The seven largest keep their names; the sum of the others is one grey series."""
    points = [point(0, f"m{number}", 10.0 - number) for number in range(10)]

    found = chart(points, Selection(0, 10), 10, cost)

    assert [(series.key, series.total) for series in found.series] == [
        *((f"m{number}", 10.0 - number) for number in range(7)),
        ("(others)", 6.0),
    ]
    assert sorted(series.hue for series in found.series) == [0, 1, 2, 3, 5, 6, 7, 8]


def test_a_span_of_time_without_beginning_begins_where_the_first_point_is():
    """`to=` alone does not draw fifty years."""
    found = chart([point(1_000, "a", 1.0)], Selection(0, 1_025), 10, cost)

    assert found.starts == (1_000, 1_010, 1_020)


@given(
    st.lists(st.tuples(st.integers(0, 99), st.sampled_from("abcdefghijkl"), st.integers(0, 9)), max_size=60),
    st.integers(0, 40),
)
def test_a_chart_loses_nothing(numbers, start):
    """Whatever lies in its steps is in its total, and every series has a number for each step."""
    points = [point(at // 10 * 10, key, value) for at, key, value in numbers]

    found = chart(points, Selection(start, 100), 10, cost)

    assert found.total == sum(at.cost_usd for at in points if at.start_us >= found.starts[0])
    assert all(len(series.values) == len(found.starts) for series in found.series)


def test_a_framework_has_the_same_colour_everywhere():
    """Others have theirs from their name, never a known framework's beside it, and are told apart as long as colours last."""
    mine = hues(["mine"])["mine"]
    assert mine in {5, 6, 7, 8}
    for others in (["crewai", None], ["langgraph", "autogen", "crewai"], [None]):
        assert hues(["mine", *others])["mine"] == mine
    assert hues(["mine", "crewai", None]) == {"crewai": 2, "mine": mine, None: 4}
    assert sorted(hues([str(number) for number in range(11)]).values()) == [*range(1, 12)]
    assert set(hues([*(str(number) for number in range(9)), "crewai"]).values()) == {2, 4, 5, 6, 7, 8}

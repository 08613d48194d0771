"""What JSON cannot hold becomes a description, in a line that says the rest."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad.events.sanitise import encode_safely, safe_value
from ai_dev_squad.schema import JournalLine

AT = datetime(2026, 3, 1, tzinfo=timezone.utc)


class Stranger:
    """Nothing that JSON knows."""


HERE = f"<{Stranger.__module__}.Stranger>"


def line(metadata: Any) -> JournalLine:
    return JournalLine(timestamp=AT, level="INFO", event_type="custom.event", message="said", metadata=metadata)


@pytest.mark.parametrize(
    "value, safe",
    [
        (None, None),
        (True, True),
        (1.5, 1.5),
        ("plain", "plain"),
        ("a\ud800b", "a\\ud800b"),
        (2**4096 - 1, 2**4096 - 1),
        (-(2**4096) + 1, -(2**4096) + 1),
        (2**4096, "<int of 4097 bits>"),
        (AT, AT),
        (b"bytes", b"bytes"),
        (Stranger(), HERE),
        (Stranger, "<type>"),
        ([1, (2, Stranger())], [1, [2, HERE]]),
        ({3}, [3]),
        (frozenset({3}), [3]),
        ({"a": {"b": Stranger()}}, {"a": {"b": HERE}}),
        ({True: 1, 2: 2, None: 3, 1.5: 4}, {"True": 1, "2": 2, "None": 3, "1.5": 4}),
        ({("a", 1, ("b",)): 1}, {"(a, 1, (b))": 1}),
        ({tuple(range(12)): 1}, {"(0, 1, 2, 3, 4, 5, 6, 7, 8, 9)": 1}),
        ({2**4096 - 1: 1}, {str(2**4096 - 1): 1}),
        ({2**4096: 1}, {"<int>": 1}),
        ({"a\udfffb": 1}, {"a\\udfffb": 1}),
        ({Stranger: 1}, {"<type>": 1}),
    ],
)
def test_each_kind_of_value_has_a_safe_form(value: Any, safe: Any) -> None:
    """What JSON can hold stays what it is; of the rest its kind and its measure are said, and keys become text."""
    assert (safe_value(value), type(safe_value(value))) == (safe, type(safe))


def test_of_a_thousand_elements_the_first_are_kept_and_the_others_counted() -> None:
    """A list and a dictionary of a thousand are whole; of a longer one the end says how many are missing."""
    assert safe_value(list(range(1000))) == list(range(1000))
    assert safe_value(list(range(1001))) == [*range(1000), "<1 more>"]
    assert safe_value({str(i): i for i in range(1000)}) == {str(i): i for i in range(1000)}
    assert safe_value({str(i): i for i in range(1003)}) == {**{str(i): i for i in range(1000)}, "...": "<3 more>"}


def test_twenty_levels_are_kept() -> None:
    """What lies deeper is left out, and its place says why."""
    value: Any = "bottom"
    for _ in range(21):
        value = [value]
    expected: Any = "<list left out: too deep or too much>"
    for _ in range(20):
        expected = [expected]

    assert safe_value(value) == expected
    assert safe_value(value[0]) == value[0]


def test_ten_thousand_values_are_visited() -> None:
    """A line of more costs no more time than these: containers that come after them are left out."""
    rows = [[0] * 99 for _ in range(200)]

    assert safe_value(rows) == [*rows[:100], *["<list left out: too deep or too much>"] * 100]


def test_only_a_container_within_itself_is_a_cycle() -> None:
    """One that stands in two places is written twice."""
    shared: list[Any] = [1]
    ring: dict[str, Any] = {"shared": [shared, shared]}
    ring["ring"] = [ring]

    assert safe_value(ring) == {"shared": [[1], [1]], "ring": ["<dict that contains itself>"]}


def test_one_bad_value_costs_itself_alone() -> None:
    """Everything else of the line is as it was."""
    assert encode_safely(line({"good": [1, "two"], "bad": Stranger()})) == (
        b'{"schema":1,"timestamp":"2026-03-01T00:00:00Z","level":"INFO","event_type":"custom.event","message":"said",'
        b'"metadata":{"good":[1,"two"],"bad":"' + HERE.encode() + b'"}}\n'
    )


def test_what_is_no_line_at_all_is_told_as_lost() -> None:
    """Somebody's own object in place of a line: the journal says that there was an event, and what kept it out."""
    told = json.loads(encode_safely(Stranger()))

    assert datetime.fromisoformat(told.pop("timestamp")).utcoffset() == timedelta()
    assert told == {
        "schema": 1,
        "level": "ERROR",
        "event_type": "telemetry.dropped",
        "message": "an event could not be written as JSON",
        "metadata": {"dropped": 1, "reason": "not_encodable", "type": HERE[1:-1], "error": "AttributeError"},
    }


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()))
    | st.builds(Stranger),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3) | st.integers() | st.tuples(st.booleans()), inner, max_size=3)
    ),
)


@given(VALUES)
def test_every_line_is_one_line_of_json(value: Any) -> None:
    """Whatever was logged, a reader finds one object, and in it who wrote what."""
    encoded = encode_safely(line({"value": value}))

    assert encoded.count(b"\n") == 1
    assert {name: part for name, part in json.loads(encoded).items() if name != "metadata"} == {
        "schema": 1,
        "timestamp": "2026-03-01T00:00:00Z",
        "level": "INFO",
        "event_type": "custom.event",
        "message": "said",
    }

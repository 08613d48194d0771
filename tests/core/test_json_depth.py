"""How deep JSON may be nested."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad.json_depth import MAX_DEPTH, is_too_deep

VALUES = st.recursive(
    st.none() | st.integers() | st.text(alphabet='[]{}"\\a', max_size=400),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
)


@pytest.mark.parametrize("opening,closing", [("[", "]"), ('{"a":', "}")])
def test_the_bound_is_exact(opening, closing):
    """As deep as is allowed passes, one more does not."""
    assert not is_too_deep((opening * MAX_DEPTH + "1" + closing * MAX_DEPTH).encode())
    assert is_too_deep((opening * (MAX_DEPTH + 1) + "1" + closing * (MAX_DEPTH + 1)).encode())


def test_what_stands_side_by_side_is_not_deep():
    """Ten thousand small objects are no deeper than one."""
    assert not is_too_deep(json.dumps([{"a": [1]}] * 10_000).encode())


@given(VALUES)
def test_brackets_in_texts_do_not_count(value):
    """Whatever texts have in them, a shallow value is shallow."""
    assert not is_too_deep(json.dumps([value] * 60).encode())


def _depth(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(_depth, inner), default=0)


@given(VALUES, st.integers(MAX_DEPTH - 6, MAX_DEPTH + 1), st.integers(0, 3))
def test_it_is_the_deepest_that_counts(value, around, shallow):
    """Wherever it stands, and whatever stands beside it."""
    deep = value
    for _ in range(around):
        deep = [deep]
    whole = [value] * shallow + [deep] + [value] * shallow
    assert is_too_deep(json.dumps(whole).encode()) == (_depth(whole) > MAX_DEPTH)

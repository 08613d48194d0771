"""Which operation of one run is which of the others."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad_dashboard.views.alignment import Aligned, Pair, align, align_all


class Item(NamedTuple):
    """An operation, as far as alignment looks at it."""

    parent: int | None
    operation: str
    name: str


@st.composite
def trees(draw):
    """Trees of a few operations and names, so that much of it repeats."""
    items = []
    for index in range(draw(st.integers(0, 14))):
        parent = None if index == 0 else draw(st.one_of(st.none(), st.integers(0, index - 1)))
        items.append(Item(parent, draw(st.sampled_from(["chat", "tool"])), draw(st.sampled_from(["a", "b", "c"]))))
    return items


def test_children_are_paired_by_operation_name_and_occurrence():
    """The second call of a model belongs to its second call, whatever else stands between; what one side lacks stays alone."""
    left = [Item(None, "run", "squad"), Item(0, "chat", "gpt"), Item(0, "tool", "read"), Item(0, "chat", "gpt")]
    right = [Item(None, "run", "Squad"), Item(0, "chat", "gpt"), Item(0, "chat", "gpt"), Item(0, "tool", "write")]
    assert align(left[:3], right) == (Pair(0, 0, 0), Pair(1, 1, 1), Pair(None, 2, 1), Pair(2, 3, 1))
    assert align(left, right[:3]) == (Pair(0, 0, 0), Pair(1, 1, 1), Pair(2, None, 1), Pair(3, 2, 1))


def test_the_same_work_by_another_model_or_another_kind_of_operation_is_a_pair():
    """Where no twin is left, an equal name counts before an equal operation."""
    left = [Item(None, "run", "x"), Item(0, "task", "coder"), Item(0, "chat", "gpt-4o")]
    right = [Item(None, "run", "y"), Item(0, "chat", "gpt-4o-mini"), Item(0, "invoke_agent", "coder")]
    assert align(left, right) == (Pair(0, 0, 0), Pair(1, 2, 1), Pair(2, 1, 1))


def test_what_only_one_side_has_keeps_its_whole_tree():
    """Below an operation without counterpart everything is alone, one level deeper each."""
    left = [Item(None, "run", "x")]
    right = [Item(None, "run", "x"), Item(0, "task", "coder"), Item(1, "chat", "gpt"), Item(1, "tool", "read")]
    assert align(left, right) == (Pair(0, 0, 0), Pair(None, 1, 1), Pair(None, 2, 2), Pair(None, 3, 2))
    assert align([], []) == ()


def test_frameworks_meet_by_kind_and_order_whatever_they_call_it():
    """The same name in another spelling is the same; where names say nothing, the first of a kind is the first of that kind."""
    graph = [Item(None, "invoke_workflow", "dev-squad"), Item(0, "task", "plan_node"), Item(0, "chat", "gpt-4o")]
    crew = [Item(None, "invoke_workflow", "DevSquad"), Item(0, "invoke_agent", "Planner"), Item(0, "chat", "GPT-4o")]
    flow = [
        Item(None, "invoke_agent", "GraphFlow"),
        Item(0, "execute_tool", "search"),
        Item(0, "text_completion", "other"),
    ]
    assert align_all([graph, crew, flow]) == (
        Aligned(None, "invoke_workflow", "dev-squad", 0, (0, 0, 0)),
        Aligned(0, "task", "plan_node", 1, (1, 1, None)),
        Aligned(0, "execute_tool", "search", 1, (None, None, 1)),
        Aligned(0, "chat", "gpt-4o", 1, (2, 2, 2)),
    )


def test_what_the_first_run_lacks_meets_between_the_others():
    """An operation of the second and the third run is one line."""
    short = [Item(None, "run", "x")]
    long = [Item(None, "run", "x"), Item(0, "execute_tool", "search"), Item(1, "chat", "gpt")]
    assert [line.places for line in align_all([short, long, long])] == [(0, 0, 0), (None, 1, 1), (None, 2, 2)]
    assert [line.parent for line in align_all([short, long])] == [None, 0, 1]
    assert align_all([]) == ()


@given(st.lists(trees(), max_size=4))
def test_every_operation_of_every_run_stands_once(runs):
    """However many are compared, nothing is lost or repeated, and what hangs together stays together."""
    lines = align_all(runs)
    for number, tree in enumerate(runs):
        places = [line.places[number] for line in lines if line.places[number] is not None]
        assert sorted(places) == list(range(len(tree)))
        for line in lines:
            if line.places[number] is not None:
                above = tree[line.places[number]].parent
                assert above == (None if line.parent is None else lines[line.parent].places[number])


@given(trees(), trees())
def test_every_operation_is_compared_once_and_pairs_have_paired_parents(left, right):
    """Nothing is lost or repeated; parents stand before children; swapping the sides swaps the pairs."""
    pairs = align(left, right)
    assert sorted(pair.left for pair in pairs if pair.left is not None) == list(range(len(left)))
    assert sorted(pair.right for pair in pairs if pair.right is not None) == list(range(len(right)))
    partner = {pair.left: pair.right for pair in pairs if pair.left is not None and pair.right is not None}
    for ours, theirs in partner.items():
        above, below = left[ours].parent, right[theirs].parent
        assert (above is None) == (below is None)
        if above is not None:
            assert partner[above] == below
    swapped = {(pair.right, pair.left) for pair in align(right, left)}
    assert {(pair.left, pair.right) for pair in pairs} == swapped


@given(trees())
def test_a_run_compared_with_itself_differs_in_nothing(items):
    """Every operation is its own counterpart, in its own order."""
    pairs = align(items, items)
    assert all(pair.left == pair.right for pair in pairs)

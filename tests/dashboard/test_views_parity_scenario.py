"""An open cell: programs beside one another, trees aligned, and captured calls against the truth."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad_dashboard.ingest.queue import IngestQueue
from ai_dev_squad_dashboard.lab_results import LabCall, LabNode
from ai_dev_squad_dashboard.page import NotFoundError, Site
from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.settings import DashboardSettings
from ai_dev_squad_dashboard.store import open_memory_store
from ai_dev_squad_dashboard.store.rows import Batch, SpanRow
from ai_dev_squad_dashboard.views.parity import scenario
from ai_dev_squad_dashboard.views.parity.calls import CallPair, pair_calls
from ai_dev_squad_dashboard.views.parity.programs import Piece, highlight, side_by_side
from ai_dev_squad_dashboard.views.parity.scenario import PastVerdicts, TraceLink
from ai_dev_squad_dashboard.views.parity.trees import align_trees

sys.path.insert(0, str(Path(__file__).parent))

import parity_files


@pytest.fixture
def site(tmp_path):
    """A site whose log directory has results of the lab."""
    parity_files.fill(tmp_path / "logs")
    store = open_memory_store()
    queue = IngestQueue(store, max_pending_rows=100)
    yield Site(store, queue, DashboardSettings(logs=(tmp_path / "logs",), db=tmp_path / "d"), sources=tuple)
    queue.close()
    store.close()


def test_a_cell_opens_with_the_framework_that_was_asked_for_first(site):
    """Its evidence stands beside the others', with the scenarios before and after."""
    view = scenario.build(site, Query.parse([("framework", "crewai")]), "plain_call")

    assert (view.focus, view.frameworks) == ("crewai", ("crewai", "langgraph", "autogen"))
    assert [(side.framework, side.version, side.cell.verdict) for side in view.columns] == [
        ("crewai", "1.15.30", "passes"),
        ("langgraph", "1.2.22", "passes"),
        ("autogen", "0.7.5", "adapter can't"),
    ]
    assert (view.previous, view.next) == ("handoff", "tool_call")
    assert [part.name for part in view.programs] == ["", "build", "run"]
    assert [row.name for row in view.checks][:3] == ["answer", "script", "calls"]
    assert [row.name for row in view.measures] == [
        "wall", "framework", "observation", "calls", "tokens", "cost", "memory", "import",
    ]  # fmt: skip
    assert view.history == (
        PastVerdicts("2026-11-22T18:22:50Z", view.run.created_us, True, ("passes", "passes", "adapter can't")),
        PastVerdicts("2026-11-21T08:00:00Z", view.history[1].created_us, False, ("passes", "fails", "passes")),
    )


def test_a_trace_is_linked_when_the_store_has_it(site):
    """The lab's journals may be somewhere else, and a link into nothing helps nobody."""
    trace_id = parity_files.cell(parity_files.real(), "plain_call", "crewai")["trace_ids"][0]

    def traces():
        view = scenario.build(site, Query.parse([]), "plain_call")
        return next(side.traces for side in view.columns if side.framework == "crewai")

    assert traces() == (TraceLink(trace_id, stored=False),)
    site.store.write(Batch(spans=[SpanRow(trace_id, "1" * 16, None, 1, 1, "crew", "invoke_workflow")]))
    assert traces() == (TraceLink(trace_id, stored=True),)


def test_a_scenario_that_is_not_there_is_told(site, tmp_path):
    """And where nothing can be read at all, why."""
    with pytest.raises(NotFoundError, match="the lab's run has no scenario 'nothing'; /parity-matrix lists them"):
        scenario.build(site, Query.parse([]), "nothing")

    (tmp_path / "other" / "parity").mkdir(parents=True)
    (tmp_path / "other" / "parity" / "parity.json").write_text("{")
    broken = Site(site.store, site.queue, DashboardSettings(logs=(tmp_path / "other",), db=tmp_path / "d"), tuple)
    with pytest.raises(NotFoundError, match=r"parity\.json is no result of the lab"):
        scenario.build(broken, Query.parse([]), "plain_call")


def test_a_lost_call_stands_beside_its_truth(site):
    """What was captured is the same; what was not is named."""
    view = scenario.build(site, Query.parse([]), "tool_call")

    crew = next(side for side in view.columns if side.framework == "crewai")
    assert [(pair.verdict, pair.captured is not None) for pair in crew.calls] == [("same", True), ("missed", False)]
    assert crew.output.endswith("<script>window.hacked = 1</script>")


def call(tokens, who="a", status="ok", **more):
    """A model call."""
    return LabCall("m", agent=who, status=status, input_tokens=tokens, output_tokens=1, **more)


def true(tokens, who="a", status="ok", **more):
    """A model call as the server knows it."""
    return LabCall("m", role=who, status=status, input_tokens=tokens, output_tokens=1, **more)


def test_calls_find_their_truth_in_any_order():
    """By who made them and their tokens, then by less; what has no counterpart says which kind of nothing it is."""
    captured = [call(2, "b"), call(1, "a"), call(9, "c"), call(None, "d", "error"), call(4)]
    truth = [true(1, "a"), true(2, "b"), true(7, "c"), true(None, "a", "http_429")]

    assert pair_calls(captured, truth) == (
        CallPair(captured[0], truth[1], "same", ()),
        CallPair(captured[1], truth[0], "same", ()),
        CallPair(captured[2], truth[2], "differs", ("input_tokens",)),
        CallPair(captured[3], truth[3], "same", ()),
        CallPair(captured[4], None, "invented", ()),
    )
    assert pair_calls([], [true(1), true(None, status="http_429")]) == (
        CallPair(None, true(1), "missed", ()),
        CallPair(None, true(None, status="http_429"), "retried", ()),
    )
    assert pair_calls([call(None, status="error")], []) == (CallPair(call(None, status="error"), None, "unseen", ()),)


def test_a_zero_that_nobody_told_is_no_difference():
    """Cached and reasoning tokens that are missing are none; a cost is compared to a billionth."""
    captured = call(1, cost_usd=0.1 + 0.2)
    assert pair_calls([captured], [true(1, cached_tokens=0, cost_usd=0.3)])[0].verdict == "same"
    assert pair_calls([captured], [true(1, cached_tokens=5, cost_usd=0.4)])[0].differing == (
        "cached_tokens",
        "cost_usd",
    )


def test_programs_stand_part_by_part():
    """A function of all of them is one row; a line that nobody else has is the framework's own."""
    one = "from crewai import Crew\n\ndef helper():\n    pass\n\ndef run(x):\n    return x\n"
    two = "def run(x):\n    return x + 1\n"

    parts = side_by_side([one, None, two])

    assert [part.name for part in parts] == ["", "run"]
    head, body = parts
    assert head.sources[1:] == (None, None)
    assert [(line.number, line.own) for line in head.sources[0].lines] == [
        (1, True), (2, False), (3, True), (4, True),
    ]  # fmt: skip
    assert head.sources[0].lines[0].pieces == (
        Piece("from", "keyword"), Piece(" ", ""), Piece("crewai", ""), Piece(" ", ""), Piece("import", "keyword"),
        Piece(" ", ""), Piece("Crew", "own"),
    )  # fmt: skip
    assert [(line.number, line.own) for line in body.sources[0].lines] == [(6, False), (7, True)]
    assert [(line.number, line.own) for line in body.sources[2].lines] == [(1, False), (2, True)]


def test_functions_in_another_order_are_not_torn_apart():
    """Programs that define the same functions the other way round are shown whole."""
    parts = side_by_side(["def a(): 1\ndef b(): 2\n", "def b(): 2\ndef a(): 1\n"])

    assert [(part.name, [len(source.lines) for source in part.sources]) for part in parts] == [("", [2, 2])]


def test_a_decorator_belongs_to_its_function():
    """The row begins where the decorator stands."""
    parts = side_by_side(["import x\n@x.y\ndef run(): ...\n", "def run(): ...\n"])

    assert [line.number for line in parts[1].sources[0].lines] == [2, 3]


def test_colours_follow_the_language():
    """Keywords, strings over several lines, comments, numbers and what is defined."""
    assert highlight('def f():  # why\n    """a\n    b"""\n    return 1\n') == (
        (Piece("def", "keyword"), Piece(" ", ""), Piece("f", "def"), Piece("(", ""), Piece(")", ""), Piece(":", ""),
         Piece("  ", ""), Piece("# why", "comment")),
        (Piece("    ", ""), Piece('"""a', "string")),
        (Piece('    b"""', "string"),),
        (Piece("    ", ""), Piece("return", "keyword"), Piece(" ", ""), Piece("1", "number")),
    )  # fmt: skip


@given(
    st.text(max_size=200)
    | st.lists(st.sampled_from(["def ", "'", '"""', "(", "\n", "\\", "f'{", "#", "x", "\x0c", " "])).map("".join)
)
def test_no_character_of_a_program_is_lost(text):
    """Whatever it is, Python or not, what is shown is what was written."""
    assert ["".join(piece.text for piece in line) for line in highlight(text)] == text.splitlines()


def node(operation, name, *children):
    """An operation."""
    return LabNode(operation, name, "ok", f"{operation}-{name}", 0.0, 1.0, children)


def shown(trees):
    """The aligned trees as names."""
    rows, left_out = align_trees(trees)
    assert left_out == 0
    return [tuple(item and item.name for item in row.items) for row in rows]


def test_the_same_work_stands_in_one_row():
    """Model and tool calls meet, whatever steps each framework puts around them."""
    graph = [node("invoke_workflow", "LangGraph", node("task", "model", node("chat", "gpt")), node("task", "tools", node("execute_tool", "look_up")), node("task", "model", node("chat", "gpt")))]  # fmt: skip
    crew = [node("invoke_agent", "clerk", node("chat", "gpt"), node("execute_tool", "look_up"), node("chat", "gpt"))]

    assert shown([graph, crew, ()]) == [
        ("LangGraph", "clerk", None),
        ("model", None, None),
        ("gpt", "gpt", None),
        ("tools", None, None),
        ("look_up", "look_up", None),
        ("model", None, None),
        ("gpt", "gpt", None),
    ]


trees = st.recursive(
    st.builds(node, st.sampled_from(["chat", "task", "execute_tool"]), st.sampled_from("abc")),
    lambda inner: st.builds(
        lambda operation, name, children: node(operation, name, *children),
        st.sampled_from(["invoke_agent", "task"]),
        st.sampled_from("abc"),
        st.lists(inner, max_size=3),
    ),
    max_leaves=12,
)


@given(st.lists(st.lists(trees, max_size=2), min_size=1, max_size=4))
def test_every_operation_stands_once_in_its_own_order(forests):
    """However different the trees are, each column read alone is that framework's tree."""

    def flat(nodes, depth=0):
        for one in nodes:
            yield depth, one.operation, one.name
            yield from flat(one.children, depth + 1)

    rows, _ = align_trees(forests)

    for at, forest in enumerate(forests):
        items = [row.items[at] for row in rows if row.items[at] is not None]
        assert [(item.depth, item.operation, item.name) for item in items] == list(flat(forest))
    assert all(len(row.items) == len(forests) and any(row.items) for row in rows)


def test_very_long_trees_are_cut_and_it_is_told():
    """What is left out is counted."""
    rows, left_out = align_trees([[node("chat", "gpt") for _ in range(200)]])

    assert (len(rows), left_out) == (160, 40)

"""How whatever arrived of a run becomes one tree, and what the run waited for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad_dashboard.store.rows import OpenRow, SpanRow
from ai_dev_squad_dashboard.views.agent_graph import AgentGraph, build_graph
from ai_dev_squad_dashboard.views.agent_turns import agent_turns
from ai_dev_squad_dashboard.views.critical_path import Step, critical_path
from ai_dev_squad_dashboard.views.tree import build_tree, failures

TRACE = "a" * 32


def span(number, parent, start, duration, *, operation="task", name=None, **more):
    """A span whose id is its number."""
    return SpanRow(
        trace_id=TRACE,
        span_id=f"{number:016x}",
        parent_span_id=None if parent is None else f"{parent:016x}",
        start_us=start,
        duration_us=duration,
        name=name or f"n{number}",
        operation=operation,
        **more,
    )


def call(number, parent, start, duration, *, tokens=(10, 2), cost=0.5, **more):
    """A model call."""
    return span(
        number,
        parent,
        start,
        duration,
        operation="chat",
        usage_source="provider",
        input_tokens=tokens[0],
        output_tokens=tokens[1],
        cost_usd=cost,
        **more,
    )


def outline(rows):
    """The tree as one line for each row."""
    return [f"{'  ' * row.depth}{row.name} {row.status}" for row in rows]


def test_children_of_one_start_stand_as_they_came():
    """Parallel calls that begin together are not sorted by their ids or lengths."""
    rows = build_tree([span(1, None, 0, 100), span(9, 1, 5, 1), span(3, 1, 5, 50), span(7, 1, 5, 20)], [], 0)
    assert [row.name for row in rows] == ["n1", "n9", "n3", "n7"]


def test_a_tree_stands_parents_first_and_sums_up_what_is_below():
    """Children come by start, and tokens, money and calls of a row include those below it, an unknown price being counted."""
    rows = build_tree(
        [
            span(1, None, 0, 100, name="root"),
            call(4, 3, 55, 30, tokens=(7, 1), cost=None, name="late"),
            span(3, 1, 50, 40, name="second"),
            call(2, 1, 5, 40, name="first"),
        ],
        [],
        now_us=1000,
    )
    assert outline(rows) == ["root ok", "  first ok", "  second ok", "    late ok"]
    root = rows[0]
    assert (root.children, root.below, root.model_calls, root.input_tokens, root.output_tokens) == (2, 3, 2, 17, 3)
    assert (root.cost_usd, root.unpriced) == (0.5, 1)
    assert [row.critical_us for row in rows] == [20, 40, 10, 30]
    assert sum(row.critical_us for row in rows) == root.duration_us


def test_operations_that_have_begun_are_rows_until_their_span_arrives():
    """A running operation lasts until now, and one whose span is there already is not shown a second time."""
    opened = [
        OpenRow(TRACE, f"{number:016x}", parent, 10, f"n{number}", "task")
        for number, parent in ((1, None), (2, f"{1:016x}"))
    ]
    rows = build_tree([span(2, 1, 10, 5)], opened, now_us=70)
    assert outline(rows) == ["n1 running", "  n2 ok"]
    assert rows[0].duration_us == 60


def test_a_span_whose_parent_has_not_arrived_stands_at_the_top_and_says_so():
    """The root of a trace is no orphan, a span below something unknown is one."""
    rows = build_tree([span(1, None, 0, 9), span(5, 4, 1, 2), span(6, 5, 1, 1)], [], now_us=0)
    assert [(row.name, row.depth, row.orphan) for row in rows] == [
        ("n1", 0, False),
        ("n5", 0, True),
        ("n6", 1, False),
    ]


def test_spans_whose_parents_form_a_ring_are_all_shown():
    """A ring is opened at its earliest span, and a span that is its own parent stands at the top."""
    rows = build_tree([span(1, 3, 5, 1), span(2, 1, 6, 1), span(3, 2, 7, 1), span(4, 4, 8, 1)], [], now_us=0)
    assert outline(rows) == ["n4 ok", "n1 ok", "  n2 ok", "    n3 ok"]


def test_repeated_tries_are_numbered_where_one_failed_before_the_next():
    """Two failures and a success of one call are tries 1, 2 and 3; a second call after a success is no repetition."""
    rows = build_tree(
        [
            span(9, None, 0, 100),
            *(
                call(number, 9, number * 10, 5, name="gpt", status=status)
                for number, status in enumerate(("error", "error", "ok", "ok"))
            ),
        ],
        [],
        now_us=0,
    )
    assert [row.attempt for row in rows] == [0, 1, 2, 3, 0]


def test_failures_lead_to_where_the_fatal_error_arose():
    """First the origin of the error that reached the root, then an error that was dealt with; who passed it on is left out."""
    late = {"status": "error", "error_type": "Timeout"}
    rows = build_tree(
        [
            span(1, None, 0, 100, name="root", **late),
            span(2, 1, 1, 90, name="agent", **late),
            span(3, 2, 2, 5, name="early", status="error", error_type="NotFound"),
            span(4, 2, 20, 60, name="origin", **late),
        ],
        [],
        now_us=0,
    )
    assert [rows[place].name for place in failures(rows)] == ["origin", "early"]


def test_the_critical_path_waits_for_whoever_ended_last():
    """Of two children side by side the one that ended last counts; between children the parent itself was at work."""
    spans = [(None, 0, 100), (0, 10, 40), (0, 12, 60), (0, 70, 95)]
    assert critical_path(spans) == (
        Step(0, 0, 12),
        Step(2, 12, 60),
        Step(0, 60, 70),
        Step(3, 70, 95),
        Step(0, 95, 100),
    )
    assert critical_path([]) == ()


@st.composite
def forests(draw):
    """Spans with any times below any earlier span."""
    count = draw(st.integers(1, 25))
    spans = []
    for index in range(count):
        parent = None if index == 0 else draw(st.one_of(st.none(), st.integers(0, index - 1)))
        start = draw(st.integers(0, 60))
        spans.append((parent, start, start + draw(st.integers(0, 60))))
    return spans


@given(forests())
def test_the_critical_path_covers_the_run_exactly_once(spans):
    """Whatever the times are, the steps follow one another without a gap from the root's start to its end."""
    steps = critical_path(spans)
    _, start, end = spans[0]
    assert sum(step.end - step.start for step in steps) == end - start
    moments = [start, *(step.end for step in steps)]
    assert [step.start for step in steps] == moments[:-1]
    assert moments[-1] == end
    for step in steps:
        _, low, high = spans[step.place]
        assert low <= step.start < step.end <= high


def test_what_another_clock_says_stands_where_its_parent_began():
    """A subtree an hour ahead, or two seconds behind, moves as one and says so; started in passing, or queued, is none."""
    hour, second = 3_600_000_000, 1_000_000
    rows = build_tree(
        [
            span(1, None, 0, 100),
            span(2, 1, hour + 10, 50),
            span(3, 2, hour + 20, 5),
            span(4, 1, -2 * second, 50),
            span(5, 1, 30 * second, 5),
            span(6, 1, 40, -7),
        ],
        [],
        now_us=0,
    )
    assert {int(row.span_id): (row.start_us, row.skew_us, row.duration_us, row.set_back_us) for row in rows} == {
        1: (0, 0, 100, 0),
        2: (0, hour + 10, 50, 0),
        3: (10, hour + 10, 5, 0),
        4: (0, -2 * second, 50, 0),
        5: (30 * second, 0, 5, 0),
        6: (40, 0, 0, 7),
    }


@given(
    st.lists(
        st.tuples(
            st.integers(0, 12), st.one_of(st.none(), st.integers(0, 14)), st.integers(0, 99), st.integers(-5, 50)
        ),
        unique_by=lambda item: item[0],
        max_size=13,
    )
)
def test_every_span_is_in_the_tree_once_whatever_its_parent_is(items):
    """Missing parents, rings and negative durations lose nothing, repeat nothing, and depth follows the parents."""
    rows = build_tree([span(*item) for item in items], [], now_us=0)
    assert sorted(row.span_id for row in rows) == sorted(f"{number:016x}" for number, *_ in items)
    for place, row in enumerate(rows):
        if row.parent is None:
            assert row.depth == 0
        else:
            assert row.parent < place
            assert row.depth == rows[row.parent].depth + 1
        inside = rows[place + 1 : place + 1 + row.below]
        assert all(other.depth > row.depth for other in inside)
        assert sum(other.depth == row.depth + 1 for other in inside) == row.children
    build_graph(rows)
    agent_turns(rows)


def test_the_graph_shows_who_worked_after_whom():
    """Turns under one workflow are joined in order, side by side where they ran so, back to an earlier agent as well."""
    agents = [("planner", 0, 10), ("coder", 12, 20), ("tester", 13, 18), ("reviewer", 34, 5), ("coder", 40, 9)]
    rows = build_tree(
        [
            span(1, None, 0, 100, operation="invoke_workflow", name="squad", agent="squad"),
            *(
                span(number, 1, start, duration, operation="invoke_agent", name=agent, agent=agent)
                for number, (agent, start, duration) in enumerate(agents, 2)
            ),
        ],
        [],
        now_us=0,
    )
    graph = build_graph(rows)
    assert [(node.name, node.turns) for node in graph.nodes] == [
        ("planner", 1),
        ("coder", 2),
        ("tester", 1),
        ("reviewer", 1),
    ]
    assert {(edge.source, edge.target, edge.kind): edge.count for edge in graph.edges} == {
        ("planner", "coder", "next"): 1,
        ("planner", "tester", "next"): 1,
        ("coder", "reviewer", "next"): 1,
        ("tester", "reviewer", "next"): 1,
        ("reviewer", "coder", "next"): 1,
    }
    columns = [node.x for node in graph.nodes]
    assert columns[0] < columns[1] == columns[2] < columns[3]
    assert len({(node.x, node.y) for node in graph.nodes}) == 4


def test_the_graph_tells_calls_and_hand_offs_apart():
    """An agent inside another one's turn was called; one that follows a turn which ended as a hand-off was handed control."""
    rows = build_tree(
        [
            span(1, None, 0, 100, operation="invoke_workflow", name="swarm", agent="swarm"),
            span(2, 1, 0, 10, operation="invoke_agent", name="triage", agent="triage", status="handoff"),
            span(3, 1, 10, 80, operation="invoke_agent", name="expert", agent="expert"),
            span(4, 3, 20, 30, operation="invoke_agent", name="helper", agent="helper"),
        ],
        [],
        now_us=0,
    )
    assert [(edge.source, edge.target, edge.kind, edge.count) for edge in build_graph(rows).edges] == [
        ("expert", "helper", "call", 1),
        ("triage", "expert", "handoff", 1),
    ]


def test_one_agent_alone_is_no_graph():
    """There is nothing to draw."""
    rows = build_tree([span(1, None, 0, 9, operation="invoke_agent", name="writer", agent="writer")], [], now_us=0)
    assert build_graph(rows) == AgentGraph((), (), 0, 0, 0)


def test_agent_turns_forget_what_a_framework_wraps_around_the_work():
    """Crews and graphs with the same agents, calls and tools look the same as turns."""
    crew = [
        span(1, None, 0, 100, operation="invoke_workflow", name="Crew"),
        span(2, 1, 0, 50, name="plan_task", agent="Crew"),
        span(3, 2, 1, 48, operation="invoke_agent", name="planner", agent="planner"),
        call(4, 3, 2, 40, name="gpt", agent="planner"),
        span(5, 1, 50, 50, name="code_task", agent="Crew"),
        call(6, 5, 52, 20, name="gpt", agent="coder"),
        span(7, 5, 75, 5, operation="execute_tool", name="read", agent="coder"),
    ]
    graph = [
        span(1, None, 0, 100, operation="invoke_workflow", name="graph"),
        call(4, 1, 2, 40, name="gpt", agent="planner"),
        call(6, 1, 52, 20, name="gpt", agent="coder"),
        span(7, 1, 75, 5, operation="execute_tool", name="read", agent="coder"),
    ]
    seen = [agent_turns(build_tree(spans, [], now_us=0)) for spans in (crew, graph)]
    assert (
        outline(seen[0])[1:]
        == outline(seen[1])[1:]
        == ["  planner ok", "    gpt ok", "  coder ok", "    gpt ok", "    read ok"]
    )
    assert [(row.duration_us, row.cost_usd) for row in seen[0] if row.depth == 1] == [(40, 0.5), (28, 0.5)]

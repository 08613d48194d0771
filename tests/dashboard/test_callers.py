"""Runs inside an application's own spans: a journal tells of the run, and of the span around it nobody or OTLP does.

Reported of others, where such a run is in no count, or is taken for one of which a part is missing:
https://github.com/SigNoz/signoz/issues/10215, https://github.com/Arize-ai/phoenix/issues/2069.
"""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from ai_dev_squad import operations
from ai_dev_squad.context import attached
from ai_dev_squad_dashboard.ingest.from_journal import rows
from ai_dev_squad_dashboard.page import Site
from ai_dev_squad_dashboard.store import Store, open_memory_store
from ai_dev_squad_dashboard.store.base import Selection
from ai_dev_squad_dashboard.store.percentiles import bin_of, middle_us
from ai_dev_squad_dashboard.store.rows import Batch, SpanRow
from ai_dev_squad_dashboard.views.run_tree import load_tree
from ai_dev_squad_testing import capture

ALL = Selection(0, 1 << 62)


@pytest.fixture
def journal() -> tuple[Batch, SpanRow]:
    """What the journal tells of two agents inside one request of an application; and the request's span."""
    tracer = TracerProvider().get_tracer("the application's")
    with capture() as captured, tracer.start_as_current_span("POST /chat") as request:
        for name in ("planner", "coder"):
            agent = operations.start(operations.AGENT, name, framework="test")
            with attached(agent):
                operations.start(operations.TASK, "think", framework="test", parent=agent).stop()
            agent.stop()
    told = [rows(line, 1 << 60) for line in captured.lines]
    own = request.get_span_context()
    caller = SpanRow(
        trace_id=f"{own.trace_id:032x}", span_id=f"{own.span_id:016x}", parent_span_id=None, name="POST /chat",
        operation="other", start_us=min(each.span.start_us for each in told if each.span) - 1, duration_us=1_000_000,
    )  # fmt: skip
    spans = tuple(each.span for each in told if each.span is not None)
    return Batch(spans=spans, opened=tuple(each.opened for each in told if each.opened is not None)), caller


def tree(store: Store, trace_id: str) -> tuple[list[str], bool]:
    """The run's tree, one line for each operation; and whether something is missing of it."""
    found = load_tree(Site(store, None, None, tuple), trace_id, 1 << 60)  # type: ignore[arg-type]
    return [f"{'  ' * row.depth}{row.name}" for row in found.rows], found.partial


def test_a_run_inside_a_request_that_nobody_sends_is_a_run(journal: tuple[Batch, SpanRow]) -> None:
    """Each agent counts, its time is in the percentiles, and nothing is said to be missing."""
    batch, caller = journal
    store = open_memory_store()
    store.write(batch)

    totals = store.totals(ALL)
    assert (totals.runs, totals.run_p50_us is not None) == (2, True)
    assert tree(store, caller.trace_id) == (["planner", "  think", "coder", "  think"], False)
    store.close()


@pytest.mark.parametrize("first", ["the journal", "the request"])
def test_where_the_requests_span_arrives_as_well_its_runs_stand_below_it(
    journal: tuple[Batch, SpanRow], first: str
) -> None:
    """In whichever order the two arrive."""
    batch, caller = journal
    batches: list[Any] = [batch, Batch(spans=(caller,))]
    store = open_memory_store()
    for each in batches if first == "the journal" else reversed(batches):
        store.write(each)

    assert tree(store, caller.trace_id) == (["POST /chat", "  planner", "    think", "  coder", "    think"], False)
    assert [row.name for row in store.traces(ALL).rows] == ["POST /chat"]
    store.close()


def test_a_trace_whose_root_never_arrives_is_a_run() -> None:
    """Spans of others below one that is sent elsewhere: as long as all of it, failed as its first span did, under its name."""
    trace_id, shared = "ab" * 16, {"framework": "langchain", "service": "desk"}
    spans = (
        SpanRow(trace_id, "01" * 8, "ff" * 8, 1_000, 500, "agent", "invoke_agent", "error", **shared),
        SpanRow(trace_id, "02" * 8, "01" * 8, 1_100, 900, "search", "execute_tool", **shared),
    )
    store = open_memory_store()
    store.write(Batch(spans=spans))

    for chosen in (ALL, Selection(0, 1 << 62, frameworks=("langchain",), services=("desk",))):
        totals = store.totals(chosen)
        assert (totals.runs, totals.run_errors, totals.run_p50_us) == (1, 1, middle_us(bin_of(1_000)))
    for other in (Selection(0, 1 << 62, frameworks=("crewai",)), Selection(0, 1 << 62, models=("m",))):
        assert store.totals(other).runs == 0
    assert [(group.key, group.calls, group.errors) for group in store.groups(ALL, "workflow")] == [("agent", 1, 1)]

    store.write(Batch(spans=(SpanRow(trace_id, "ff" * 8, None, 900, 2_000, "POST /chat", "other"),)))
    totals = store.totals(ALL)
    assert (totals.runs, totals.run_errors) == (1, 0)
    store.close()

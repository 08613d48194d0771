"""What every store must answer. An engine's test inherits ``StoreContract`` and says how to open a store."""

from __future__ import annotations

import csv
import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, astuple, replace
from datetime import datetime, timezone
from operator import add
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_oracle import Oracle

from ai_dev_squad import Usage
from ai_dev_squad.costs import CostEntry
from ai_dev_squad.schema import Cost
from ai_dev_squad_dashboard.store import BadCursorError, Selection, Store, StoreError
from ai_dev_squad_dashboard.store.base import (
    Choices,
    ErrorExample,
    ErrorGroup,
    Facets,
    Found,
    Group,
    GroupBy,
    Marked,
    MarkedBy,
    MetricName,
    OrderBy,
    Point,
    Session,
    Step,
    ToolCalls,
    ToolInput,
    ToolStep,
    Totals,
    TraceOrder,
    TraceRow,
    User,
    UserPage,
    Written,
)
from ai_dev_squad_dashboard.store.capabilities import Capability
from ai_dev_squad_dashboard.store.copying import Copied, copy_store, differences
from ai_dev_squad_dashboard.store.deletions import Subject
from ai_dev_squad_dashboard.store.figures import FIGURE_NAMES, NANO, SUMS, Figure, FigureName, Kind
from ai_dev_squad_dashboard.store.outline import OutlineSpan
from ai_dev_squad_dashboard.store.percentiles import bin_of
from ai_dev_squad_dashboard.store.rows import Batch, Carried, LogRow, MetricRow, OpenRow, SpanRow
from ai_dev_squad_dashboard.store.runs import TaskRuns

__all__ = [
    "ALL",
    "DAY",
    "FIGURES_OF_ROWS",
    "HOUR",
    "MINUTE",
    "SECOND",
    "SUMS_OF_ROWS",
    "T0",
    "TRACES_OF_ROWS",
    "StoreContract",
    "StoreProperties",
    "morning",
    "near",
    "span",
]

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
T0 = 1_800_000_000 * SECOND  # 2027-01-15T08:00:00Z, a whole hour
ALL = Selection(0, T0 + 1000 * DAY)

RUN = "0af7651916cd43dd8448eb211c80319c"
OTHER_RUN = "ffffffffffffffffffffffffffffffff"


def span(
    trace: str, number: int, parent: int | None, start_us: int, duration_us: int, name: str, **more: Any
) -> SpanRow:
    """A span with a short number for an id."""
    more.setdefault("operation", "other")
    above = None if parent is None else f"{parent:016x}"
    return SpanRow(trace, f"{number:016x}", above, start_us, duration_us, name, **more)


def morning() -> Batch:
    """Two runs: a crew that asked a model twice and used a tool in vain, and a bare call of another program."""
    crew = {"framework": "crewai", "service": "squad", "session_id": "monday", "user_id": "ada"}
    call = {
        **crew,
        "operation": "chat",
        "agent": "planner",
        "provider": "openai",
        "model": "gpt-4o",
        "usage_source": "provider",
    }
    return Batch(
        spans=[
            span(
                RUN, 1, None, T0, 9 * SECOND, "plan the week", operation="invoke_workflow", **crew,
                labels='{"tenant":"acme","tag":["beta","eu"]}',
            ),
            span(RUN, 2, 1, T0 + SECOND, 8 * SECOND, "planner", operation="invoke_agent", agent="planner", **crew),
            span(
                RUN, 3, 2, T0 + 2 * SECOND, 2 * SECOND, "gpt-4o", **call, input_tokens=100, output_tokens=20,
                cache_read_tokens=64, cache_write_tokens=4, reasoning_tokens=8, cost_usd=0.25, price="openai/gpt-4o",
                price_date="2026-10-01", price_source="genai-prices", cache_saving_usd=0.05, first_chunk_us=300_000,
                source="journal", instrumentation="ai_dev_squad", ingested_us=T0 + 10 * SECOND,
                details=b'{"attributes":{"ai_dev_squad.attempt":2},"metadata":{"prompt_hash":"abc"}}',
                text="Plan the week of 100% of the TEAM", asked="Plan the week", answered="Which days?",
            ),
            span(
                RUN, 4, 2, T0 + 5 * SECOND, SECOND, "calendar", operation="execute_tool", agent="planner", tool="calendar",
                status="error", error_type="TimeoutError", error_message="the calendar did not answer", **crew,
            ),
            span(
                RUN, 5, 2, T0 + 6 * SECOND, SECOND, "gpt-4o", **{**call, "usage_source": "estimated"}, input_tokens=50,
                cost_reason="no price for gpt-4o", text="week_end", asked="Any day", answered="Done.",
            ),
            span(
                OTHER_RUN, 1, None, T0 + 30 * MINUTE, 4 * SECOND, "llama", operation="chat", model="llama",
                usage_source="missing", status="error", error_type="500", cost_reason="local",
            ),
        ],
        logs=[
            LogRow(T0 + SECOND, "INFO", "agent.start", "planner begins", "crewai", "squad", "monday", "planner", RUN, f"{2:016x}"),
            LogRow(T0 + 6 * SECOND, "ERROR", "tool.result", "calendar failed", "crewai", None, "monday", "planner", RUN, f"{4:016x}", "journal", b'{"retry":1}'),
            LogRow(T0 + 30 * MINUTE, "INFO", "log", "Hello World", source="otlp"),
        ],
        metrics=[
            MetricRow(T0, "gen_ai.client.token.usage", "histogram", "{token}", "squad", 120.0, 2, b"{}"),
            MetricRow(T0 + MINUTE, "gen_ai.client.token.usage", "histogram", "{token}", "squad", 150.0, 3, b"{}"),
            MetricRow(T0, "queue", "gauge", "1", None, None, None, b"{}"),
        ],
        positions={"journal:/a": "17", "journal:/b": "4"},
    )  # fmt: skip


def mark(
    trace: str,
    place: str,
    *,
    name: str = "helpful",
    score: float | None = None,
    label: str | None = None,
    note: str | None = None,
    later: int = 0,
) -> LogRow:
    """What somebody thinks of a run a day later, as a line (``metadata``) or a record (``attributes``) tells it."""
    said = {"name": name, "score.value": score, "score.label": label, "explanation": note}
    details = {place: {f"gen_ai.evaluation.{key}": value for key, value in said.items() if value is not None}}
    message = json.dumps(details).encode()
    return LogRow(T0 + DAY + later, "INFO", "gen_ai.evaluation.result", "", trace_id=trace, details=message)


CREW_ROW = TraceRow(
    RUN, f"{1:016x}", "plan the week", "invoke_workflow", "crewai", "squad", "monday", "ok", None, T0, 9 * SECOND,
    spans=5, errors=1, calls=2, tools=1, input_tokens=150, output_tokens=20, cost_usd=0.25, unpriced_calls=1,
    user_id="ada", models=("gpt-4o",), asked="Plan the week", answered="Done.", failures=1,
)  # fmt: skip
LLAMA_ROW = TraceRow(
    OTHER_RUN, f"{1:016x}", "llama", "chat", None, None, None, "error", "500", T0 + 30 * MINUTE, 4 * SECOND,
    spans=1, errors=1, calls=1, tools=0, input_tokens=0, output_tokens=0, cost_usd=0.0, unpriced_calls=1,
    models=("llama",), failures=1,
)  # fmt: skip


def near(measured: Any, exact: Any) -> None:
    """The same, but for percentiles (5 % or a microsecond off) and the last digits of money."""
    for name, value in asdict(exact).items():
        found = getattr(measured, name)
        if name.endswith(("p50_us", "p95_us", "p99_us")) and value is not None:
            assert found == pytest.approx(value, rel=0.05, abs=1), name
        elif name.endswith("_usd"):
            assert found == pytest.approx(value, abs=1e-9), name
        elif name != "latency":
            assert found == value, name


NAMES = st.sampled_from([None, "a", "b", "c"])
OPERATIONS = ("invoke_workflow", "invoke_agent", "execute_tool", "chat", "other")


@st.composite
def spans(draw: st.DrawFn) -> SpanRow:
    """Any span: of few traces and names, over three days, so that everything meets."""
    operation = draw(st.sampled_from(OPERATIONS))
    call = operation == "chat"
    count = st.none() | st.integers(0, 10_000)
    return SpanRow(
        trace_id=f"{draw(st.integers(1, 6)):032x}",
        span_id=f"{draw(st.integers(1, 1 << 63)):016x}",
        parent_span_id=draw(st.none() | st.just(f"{7:016x}")),
        start_us=T0 + draw(st.integers(0, 3 * DAY) | st.integers(0, 200).map(lambda minutes: minutes * MINUTE)),
        duration_us=draw(st.integers(-5, 5) | st.integers(0, 10 * HOUR)),
        name=draw(st.sampled_from(["one", "two"])),
        operation=operation,
        status=draw(st.sampled_from(["ok", "error", "cancelled"])),
        framework=draw(NAMES),
        service=draw(NAMES),
        session_id=draw(NAMES),
        user_id=draw(NAMES),
        labels=draw(st.sampled_from([None, None, '{"tenant":"a"}', '{"tenant":"b","tag":"new"}'])),
        agent=draw(NAMES),
        tool=draw(NAMES) if operation == "execute_tool" else None,
        provider=draw(NAMES) if call else None,
        model=draw(NAMES) if call else None,
        error_type=draw(NAMES),
        task=draw(NAMES),
        version=draw(NAMES),
        resumes=draw(st.none() | st.integers(7, 9).map("{:032x}".format)),
        input_tokens=draw(count) if call else None,
        output_tokens=draw(count) if call else None,
        cache_read_tokens=draw(count) if call else None,
        cache_write_tokens=draw(count) if call else None,
        reasoning_tokens=draw(count) if call else None,
        usage_source=draw(st.sampled_from(["provider", "estimated", "missing"])) if call else None,
        cost_usd=draw(st.none() | st.floats(0, 100)) if call else None,
        cache_saving_usd=draw(st.none() | st.floats(0, 10)) if call else None,
    )


def _each_once(batches: list[list[SpanRow]]) -> list[list[SpanRow]]:
    seen: set[tuple[str, str]] = set()
    return [
        [row for row in batch if (row.trace_id, row.span_id) not in seen and not seen.add((row.trace_id, row.span_id))]  # type: ignore[func-returns-value]
        for batch in batches
    ]


BATCHES = st.lists(st.lists(spans(), max_size=12), min_size=1, max_size=6).map(_each_once)


@st.composite
def selections(draw: st.DrawFn) -> Selection:
    """Any time, on and off the edges of minutes and hours, and any filters."""
    moments = (
        st.integers(-HOUR, 3 * DAY)
        | st.integers(0, 72).map(lambda n: n * HOUR)
        | st.integers(0, 300).map(lambda n: n * MINUTE)
    )
    start, end = sorted((T0 + draw(moments), T0 + draw(moments)))
    names = st.just(()) | st.lists(st.sampled_from(["a", "b", "absent"]), max_size=2).map(tuple)
    pairs = st.sampled_from(
        [(), (("tenant", "a"),), (("tenant", "a"), ("tenant", "b")), (("tenant", "b"), ("tag", "new"))]
    )
    return Selection(start, end, *(draw(names) for _ in range(7)), labels=draw(pairs))


def needs(store: Store, capability: Capability) -> None:
    """Skip where the engine says that it lacks it."""
    if capability in store.lacks:
        pytest.skip(f"this engine lacks {capability}: {store.lacks[capability]}")


class Opens:
    """Define ``opened`` in a class whose name begins with ``Test``, and inherit one of the classes below."""

    def opened(self) -> AbstractContextManager[Store]:
        """An empty store, closed afterwards."""
        raise NotImplementedError


class StoreContract(Opens):
    """What is asked of known rows."""

    @pytest.fixture
    def store(self) -> Iterator[Store]:
        """An empty store."""
        with self.opened() as store:
            yield store

    @pytest.fixture(scope="class")
    @classmethod
    def asked(cls) -> Iterator[Store]:
        """A store with the morning's runs that several tests ask and none writes to."""
        with cls().opened() as store:
            store.write(morning())
            yield store

    @pytest.fixture
    def filled(self, store: Store) -> Store:
        """A store with the morning's runs, for one test."""
        assert store.write(morning()) == Written(spans=6, duplicates=0, logs=3)
        return store

    def test_an_empty_store_answers_every_question(self, store: Store) -> None:
        """A store without rows has zeros, empty lists and nothing, never an error."""
        totals = store.totals(ALL)
        assert set(asdict(totals).values()) == {0, None}
        assert [*store.timeline(ALL, HOUR), *store.running(0), *store.metric_names(), *store.unpriced(ALL)] == []
        assert [group for by in get_args(GroupBy) for group in store.groups(ALL, by)] == []
        assert store.traces(ALL).rows == store.sessions(ALL).rows == store.logs(ALL).rows == ()
        assert store.traces(ALL, text="word", operation="chat").rows == ()
        assert store.outline(RUN) is store.trace(RUN) is store.span(RUN, f"{1:016x}") is store.session("monday") is None
        assert list(store.details(RUN)) == [] == list(store.entries(ALL))
        assert store.runs(ALL) == store.related(RUN) == store.tasks(ALL) == ()
        assert store.run(RUN) is None
        assert store.facets(ALL) == Facets((), (), (), (), (), ())
        assert (store.position("journal:/a"), store.positions()) == (None, {})
        state = store.state()
        assert (state.spans, state.logs, state.traces, state.oldest_us, state.newest_us) == (0, 0, 0, None, None)

    def test_totals_of_two_runs(self, asked: Store) -> None:
        """Money and tokens are those of model calls; runs are roots; unknown is counted, not added as zero."""
        near(
            asked.totals(ALL),
            Totals(
                calls=3, call_errors=1, runs=2, run_errors=1, spans=6, cost_usd=0.25, unpriced_calls=2, input_tokens=150,
                output_tokens=20, cache_read_tokens=64, cache_write_tokens=4, reasoning_tokens=8, estimated_calls=1,
                uncounted_calls=1, cache_saving_usd=0.05, p50_us=2 * SECOND, p95_us=4 * SECOND, p99_us=4 * SECOND,
                mean_us=2_333_333, run_p50_us=4 * SECOND, run_p95_us=9 * SECOND, run_p99_us=9 * SECOND,
            ),
        )  # fmt: skip

    def test_totals_beside_those_of_the_time_before(self, asked: Store) -> None:
        """A selection is compared with its names over an equally long span of time that ends where it begins."""
        late = Selection(T0 + 20 * MINUTE, T0 + 40 * MINUTE)
        assert late.before == Selection(T0, T0 + 20 * MINUTE)
        assert asked.with_previous(late) == (asked.totals(late), asked.totals(late.before))
        now, before = asked.with_previous(replace(late, frameworks=("crewai",)))
        assert (now.spans, before.spans, before.cost_usd) == (0, 5, 0.25)

    def test_questions_at_one_moment_do_not_see_what_is_written_meanwhile(self, store: Store) -> None:
        """Inside the block every answer is of the same rows, whoever writes; other threads and later questions see the new ones."""

        def seen() -> list[Any]:
            return [
                *(
                    store.totals(ALL).spans,
                    store.with_previous(ALL)[0].spans,
                    sum(p.calls for p in store.timeline(ALL, DAY)),
                ),
                *(len(store.traces(ALL).rows), sum(group.calls for group in store.groups(ALL, "session"))),
                *(store.state().spans, len(store.facets(ALL).models), len(store.logs(ALL).rows)),
            ]

        needs(store, "snapshot")
        elsewhere: list[list[Any]] = []
        with store.snapshot():
            before = seen()
            store.write(morning())
            with store.snapshot():
                assert seen() == before == [0] * 8
            other = threading.Thread(target=lambda: elsewhere.append(seen()))
            other.start()
            other.join()
            assert seen() == before
        assert [seen()] == elsewhere == [[6, 6, 3, 2, 3, 6, 2, 3]]

    def test_a_question_that_fails_at_one_moment_leaves_the_next_one_to_be_asked(self, filled: Store) -> None:
        """A mistake in one question is its own, and the block ends as any other."""
        with filled.snapshot():
            with pytest.raises(BadCursorError):
                filled.traces(ALL, cursor="nonsense")
            assert filled.totals(ALL).spans == 6
        assert filled.write(morning()).duplicates == 6

    def test_content_is_read_while_other_questions_are_asked_at_one_moment(self, filled: Store) -> None:
        """An answer that comes piece by piece is not ended by the next question."""
        with filled.snapshot():
            pieces = filled.details(RUN)
            first = next(pieces)
            assert filled.totals(ALL).spans == 6
            assert [first, *pieces] == [
                (row.span_id, row.details) for row in morning().spans if row.details is not None
            ]

    def test_a_timeline_leaves_out_empty_steps(self, asked: Store) -> None:
        """A point per step and framework, ascending, ``None`` being a framework as well."""
        assert asked.timeline(ALL, 15 * MINUTE) == [
            Point(T0, "crewai", calls=2, errors=0, cost_usd=0.25, input_tokens=150, output_tokens=20),
            Point(T0 + 30 * MINUTE, None, calls=1, errors=1, cost_usd=0.0, input_tokens=0, output_tokens=0),
        ]

    def test_how_a_tool_an_agent_and_a_model_went_over_time(self, asked: Store) -> None:
        """One step for each in which it did something, with its own calls, failures, latency and the money that carries its name."""
        (tool,) = asked.history(ALL, "tool", "calendar", 15 * MINUTE)
        near(tool, Step(T0, 1, 1, SECOND, SECOND, 0.0, 0, 0, 0))
        (agent,) = asked.history(ALL, "agent", "planner", 15 * MINUTE)
        near(agent, Step(T0, 1, 0, 8 * SECOND, 8 * SECOND, 0.25, 1, 150, 20))
        (model,) = asked.history(ALL, "model", "llama", 15 * MINUTE)
        near(model, Step(T0 + 30 * MINUTE, 1, 1, 4 * SECOND, 4 * SECOND, 0.0, 1, 0, 0))
        assert asked.history(ALL, "tool", "nothing of that name", HOUR) == []
        assert asked.history(replace(ALL, agents=("nobody",)), "tool", "calendar", HOUR) == []

    def test_what_results_of_tools_took_in_later_calls(self, store: Store) -> None:
        """Added up by tool over the model calls of the selection, the dearest first; gone with their run; a span counts once."""
        call = {"operation": "chat", "usage_source": "provider"}
        rows = [
            span(RUN, 1, None, T0, 1, "a", **call, model="gpt-4o", session_id="monday",
                 carried=(Carried("grep", 100, 0.25), Carried("read", 10, None))),
            span(RUN, 2, None, T0 + MINUTE, 1, "b", **call, model="llama", carried=(Carried("grep", 50, 0.5),)),
            span(OTHER_RUN, 3, None, T0 + HOUR, 1, "c", **call, model="llama", carried=(Carried("read", 5, 0.125),)),
            span(OTHER_RUN, 4, None, T0 + HOUR, 1, "d", operation="chat", carried=(Carried("read", 5, 0.125),)),
        ]  # fmt: skip
        store.write(Batch(spans=rows))
        store.write(Batch(spans=rows))
        grep, read = ToolInput("grep", 2, 150, 0.75, 0), ToolInput("read", 2, 15, 0.125, 1)
        assert store.tool_inputs(ALL) == [grep, read]
        assert store.tool_inputs(ALL, limit=1) == [grep]
        assert store.tool_inputs(replace(ALL, start_us=T0 + 1)) == [
            ToolInput("grep", 1, 50, 0.5, 0),
            ToolInput("read", 1, 5, 0.125, 0),
        ]
        assert store.tool_inputs(replace(ALL, models=("gpt-4o",))) == [
            ToolInput("grep", 1, 100, 0.25, 0),
            ToolInput("read", 1, 10, 0.0, 1),
        ]
        assert store.tool_inputs(replace(ALL, sessions=("monday",))) == [grep, ToolInput("read", 1, 10, 0.0, 1)]
        store.delete(Subject("trace", RUN), by="a test", at_us=T0)
        assert store.tool_inputs(ALL) == [ToolInput("read", 1, 5, 0.125, 0)]

    def test_model_calls_that_tools_make_themselves(self, store: Store) -> None:
        """What is beneath a tool, however deep and in whatever order it came: own calls add up over tools, once each."""
        tool, chat = {"operation": "execute_tool"}, {"operation": "chat", "usage_source": "provider"}
        rows = [
            span(RUN, 1, None, T0, 9 * SECOND, "run", session_id="monday"),
            span(RUN, 2, 1, T0 + 1, SECOND, "research", **tool, tool="research"),
            span(RUN, 3, 2, T0 + 2, 1, "agent", operation="invoke_agent"),
            span(RUN, 4, 3, T0 + MINUTE, 1, "m", **chat, model="m", cost_usd=0.25),
            span(RUN, 5, 3, T0 + 4, 1, "search", **tool, tool="search"),
            span(RUN, 6, 5, T0 + 5, 1, "m", **chat, model="n", cost_usd=0.5),
            span(RUN, 7, 5, T0 + 6, 1, "again", **tool, tool="search"),
            span(RUN, 8, 7, T0 + 7, 1, "m", **chat, model="n"),
            span(RUN, 9, 1, T0 + 8, 1, "m", **chat, model="m", cost_usd=1.0),
            # The same ids in another trace, and spans that say they are above each other.
            span(OTHER_RUN, 3, 2, T0 + 9, 1, "m", **chat, model="m", cost_usd=2.0),
            span(OTHER_RUN, 10, 11, T0 + 9, 1, "turn", **tool, tool="turn"),
            span(OTHER_RUN, 11, 10, T0 + 9, 1, "m", **chat, model="m", cost_usd=4.0),
        ]  # fmt: skip
        for some in (rows[7:], rows[3:7], rows[:3]):
            store.write(Batch(spans=some))
        research, search = (
            ToolCalls("research", 3, 0.75, 1, 1, 0.25, 0),
            ToolCalls("search", 2, 0.5, 1, 2, 0.5, 1),
        )
        turn = ToolCalls("turn", 1, 4.0, 0, 1, 4.0, 0)
        assert store.tool_calls(ALL) == [turn, research, search]
        assert store.tool_calls(ALL, limit=1) == [turn]
        assert store.tool_calls(replace(ALL, start_us=T0 + MINUTE)) == [ToolCalls("research", 1, 0.25, 0, 1, 0.25, 0)]
        assert store.tool_calls(replace(ALL, models=("n",))) == [ToolCalls("research", 2, 0.5, 1, 0, 0.0, 0), search]
        assert store.tool_calls(replace(ALL, sessions=("monday",))) == [research, search]
        assert store.tool_calls(replace(ALL, users=("ada",))) == []
        assert store.tool_steps(ALL, "research", MINUTE) == [
            ToolStep(T0, 0.5, 0.0),
            ToolStep(T0 + MINUTE, 0.25, 0.0),
        ]

    def test_what_a_tool_cost_over_time(self, store: Store) -> None:
        """Its own model calls, and what later ones read of it, each in its step."""
        call = {"operation": "chat", "usage_source": "provider"}
        rows = [
            span(RUN, 1, None, T0, 9, "grep", operation="execute_tool", tool="grep"),
            span(RUN, 2, 1, T0, 1, "m", **call, model="m", cost_usd=0.25),
            span(RUN, 3, None, T0 + MINUTE, 1, "m", **call, carried=(Carried("grep", 7, 0.5), Carried("read", 1, 1.0))),
        ]
        store.write(Batch(spans=rows))
        assert store.tool_steps(ALL, "grep", MINUTE) == [ToolStep(T0, 0.25, 0.0), ToolStep(T0 + MINUTE, 0.0, 0.5)]
        assert store.tool_steps(replace(ALL, models=("m",)), "grep", MINUTE) == [ToolStep(T0, 0.25, 0.0)]
        assert store.tool_steps(ALL, "nothing of that name", MINUTE) == []

    def test_tools_are_counted_by_their_calls(self, asked: Store) -> None:
        """A tool's row counts its calls and has no money; its histogram holds them."""
        (tool,) = asked.groups(ALL, "tool", latency=True)
        near(tool, Group("calendar", 1, 1, 0.0, 0, 0, 0, 0, 0, 0, 0.0, SECOND, SECOND, SECOND, SECOND))
        ((upper, count),) = tool.latency
        assert count == 1
        assert SECOND <= upper <= SECOND * 1.1

    def test_an_agent_has_the_money_of_the_calls_that_carry_its_name(self, asked: Store) -> None:
        """Agents count invocations; calls without an agent stand under ``None``, so the money adds up."""
        planner, nobody = asked.groups(ALL, "agent")
        near(
            planner,
            Group("planner", 1, 0, 0.25, 1, 150, 20, 64, 4, 8, 0.05, 8 * SECOND, 8 * SECOND, 8 * SECOND, 8 * SECOND, 2),
        )
        near(nobody, Group(None, 0, 0, 0.0, 1, 0, 0, 0, 0, 0, 0.0, None, None, None, None, 1))

    @pytest.mark.parametrize(
        "order, keys",
        [
            ("cost", ["gpt-4o", "llama"]),
            ("calls", ["gpt-4o", "llama"]),
            ("errors", ["llama", "gpt-4o"]),
            ("p95", ["llama", "gpt-4o"]),
            ("tokens", ["gpt-4o", "llama"]),
            ("key", ["gpt-4o", "llama"]),
        ],
    )
    def test_groups_in_every_order(self, asked: Store, order: OrderBy, keys: list[str]) -> None:
        """The largest first, but by key ascending."""
        assert [group.key for group in asked.groups(ALL, "model", order=order)] == keys
        assert [group.key for group in asked.groups(ALL, "model", order=order, limit=1)] == keys[:1]
        workflows = [{"gpt-4o": "plan the week"}.get(key, key) for key in keys]
        if order in {"calls", "key"}:
            workflows.sort()
        if order == "p95":
            workflows.reverse()
        assert [group.key for group in asked.groups(ALL, "workflow", order=order)] == workflows

    @pytest.mark.parametrize("wrong", [{"by": "colour"}, {"by": "model", "order": "size"}])
    def test_unknown_keys_and_orders_are_refused(self, asked: Store, wrong: dict[str, Any]) -> None:
        """A word that is not allowed is an error that names it, not a part of a question to the engine."""
        with pytest.raises(ValueError, match=r"colour|size"):
            asked.groups(ALL, **wrong)
        with pytest.raises(ValueError, match="cannot tell the history of a 'session'"):
            asked.history(ALL, "session", "monday", HOUR)  # type: ignore[arg-type]

    def test_the_list_of_traces(self, asked: Store) -> None:
        """Traces stand newest first, with the name and status of their root and the sums of their spans."""
        page = asked.traces(ALL)
        assert (page.rows, page.next, page.total) == ((LLAMA_ROW, CREW_ROW), None, 2)

    @pytest.mark.parametrize(
        "filters, found",
        [
            ({"status": "error"}, [LLAMA_ROW]),
            ({"status": "failed_step"}, [CREW_ROW]),
            ({"min_tokens": 170, "min_calls": 2, "min_spans": 5, "min_errors": 1}, [CREW_ROW]),
            ({"min_tokens": 171}, []),
            ({"min_calls": 3}, []),
            ({"min_spans": 6}, []),
            ({"min_errors": 2}, []),
            ({"status": "ok"}, [CREW_ROW]),
            ({"operation": "invoke_agent"}, [CREW_ROW]),
            ({"tool": "calendar"}, [CREW_ROW]),
            ({"tool": "calendar", "operation": "chat"}, []),
            ({"name": "llama"}, [LLAMA_ROW]),
            ({"name": "planner"}, []),
            ({"min_duration_us": 5 * SECOND}, [CREW_ROW]),
            ({"min_cost_usd": 0.2}, [CREW_ROW]),
            ({"text": "PLAN team"}, [CREW_ROW]),
            ({"text": "answer timeout"}, [CREW_ROW]),
            ({"text": "plan answer"}, [CREW_ROW]),
            ({"text": "plan 500"}, []),
            ({"text": "100%"}, [CREW_ROW]),
            ({"text": "1%0"}, []),
            ({"text": "week_end"}, [CREW_ROW]),
            ({"text": "week-end"}, [CREW_ROW]),
            ({"text": "alenda"}, [CREW_ROW]),
            ({"text": "ok"}, []),
            ({"text": "?!"}, []),
            ({"text": "500"}, [LLAMA_ROW]),
            ({"text": "'); DROP TABLE spans; --"}, []),
        ],
        ids=str,
    )
    def test_filters_of_the_list_of_traces(self, asked: Store, filters: dict[str, Any], found: list[TraceRow]) -> None:
        """Filters go together; words are found as parts of names, errors and content of a trace, in any case."""
        assert list(asked.traces(ALL, **filters).rows) == found

    @pytest.mark.parametrize(
        "selection, found",
        [
            (replace(ALL, models=("gpt-4o",)), [CREW_ROW]),
            (replace(ALL, models=("gpt-4o", "llama")), [LLAMA_ROW, CREW_ROW]),
            (replace(ALL, agents=("planner",), providers=("openai",)), [CREW_ROW]),
            (replace(ALL, services=("squad",), models=("llama",)), []),
            (replace(ALL, sessions=("monday",)), [CREW_ROW]),
            (replace(ALL, frameworks=("autogen",)), []),
            (replace(ALL, users=("ada", "bob")), [CREW_ROW]),
            (replace(ALL, users=("bob",)), []),
            (replace(ALL, labels=(("tag", "new"), ("tag", "eu"), ("tenant", "acme"))), [CREW_ROW]),
            (replace(ALL, labels=(("tag", "eu"), ("tenant", "other"))), []),
            (Selection(T0, T0 + 30 * MINUTE), [CREW_ROW]),
            (Selection(T0 + 1, T0 + 30 * MINUTE + 1), [LLAMA_ROW]),
        ],
        ids=str,
    )
    def test_traces_of_a_selection(self, asked: Store, selection: Selection, found: list[TraceRow]) -> None:
        """A trace is in a selection when it began in its time and one of its spans has its names."""
        assert list(asked.traces(selection).rows) == found

    def test_traces_by_what_somebody_thinks_of_them(self, filled: Store) -> None:
        """With any mark, with a label, with a note, and with a score of one and the same mark, told by a journal or over OTLP."""
        filled.write(
            Batch(
                logs=[
                    mark(RUN, "metadata", score=0.25, label="bad"),
                    mark(RUN, "attributes", score=1, label="good", note="!"),
                ]
            )
        )
        for filters, found in (
            ({"mark": "any"}, 1), ({"mark": "good"}, 1), ({"mark": "so so"}, 0), ({"min_score": 1.0}, 1), ({"min_score": 1.5}, 0),
            ({"max_score": 0.25}, 1), ({"max_score": 0.0}, 0), ({"mark": "good", "max_score": 0.5}, 0),
            ({"noted": True}, 1), ({"noted": True, "mark": "good"}, 1), ({"noted": True, "mark": "bad"}, 0), ({"noted": False}, 2),
        ):  # fmt: skip
            assert len(filled.traces(ALL, **filters).rows) == found, filters
        assert filled.mark_labels(ALL) == ("bad", "good")

    def test_a_mark_that_comes_twice_is_one(self, store: Store) -> None:
        """By a journal and over OTLP, in one batch or two, within a second; what differs in anything, or comes later, is another."""
        line, event = (mark(RUN, place, score=1, label="good") for place in ("metadata", "attributes"))
        late = event._replace(time_us=event.time_us + 900_000)
        others = [
            mark(RUN, "attributes", score=1, label="good", note="yes"),
            mark(RUN, "attributes", score=0.5, label="good"),
            mark(OTHER_RUN, "attributes", score=1, label="good"),
            event._replace(span_id=f"{3:016x}"),
            event._replace(time_us=event.time_us + 3 * SECOND),
        ]
        store.write(Batch(logs=[line, event]))
        store.write(Batch(logs=[late, line, *others]))
        assert len(store.logs(replace(ALL, end_us=T0 + 2 * DAY)).rows) == 6
        if "sql" not in store.lacks:
            assert store.sql("SELECT count(*) FROM marks").rows == ((6,),)

    def test_what_was_thought_of_runs_beside_what_they_cost(self, filled: Store) -> None:
        """A run speaks once for each name that was judged, by its newest score and its newest label, and with its whole cost."""
        logs = [
            mark(RUN, "metadata", score=0.25, label="bad"),
            mark(RUN, "attributes", score=0.75, label="good", later=2 * SECOND),
            mark(RUN, "attributes", note="a note alone changes nothing", later=4 * SECOND),
            mark(RUN, "attributes", name="fast", score=3),
            mark(OTHER_RUN, "attributes", score=0.25, label="bad"),
            mark("d" * 32, "attributes", score=1, label="good"),
        ]
        filled.write(Batch(logs=logs))
        fast = ("fast", 1, 1, 3.0, None, 3.0, 3.0, (), 1, 0.25, 1)
        crew = ("helpful", 1, 1, 0.75, None, 0.75, 0.75, (("good", 1),), 1, 0.25, 1)
        llama = ("helpful", 1, 1, 0.25, None, 0.25, 0.25, (("bad", 1),), 0, 0.0, 1)
        both = ("helpful", 2, 2, 0.5, pytest.approx(0.125**0.5), 0.25, 0.75, (("bad", 1), ("good", 1)), 1, 0.25, 2)
        expected: dict[MarkedBy, list[tuple[Any, ...]]] = {
            "model": [("gpt-4o", *fast), ("gpt-4o", *crew), ("llama", *llama)],
            "provider": [("openai", *fast), ("openai", *crew)],
            "agent": [("planner", *fast), ("planner", *crew)],
            "tool": [("calendar", *fast), ("calendar", *crew)],
            "framework": [("crewai", *fast), ("crewai", *crew), (None, *llama)],
            "service": [("squad", *fast), ("squad", *crew), (None, *llama)],
            "session": [("monday", *fast), ("monday", *crew), (None, *llama)],
            "user": [("ada", *fast), ("ada", *crew), (None, *llama)],
            "task": [(None, *both), (None, *fast)],
            "workflow": [("llama", *llama), ("plan the week", *fast), ("plan the week", *crew)],
            "day": [("2027-01-15", *fast), ("2027-01-15", *both)],
        }
        for by, rows in expected.items():
            found = filled.marked(ALL, by, good_score=0.75)
            assert [astuple(row) for row in found] == rows, by
        assert filled.marked(replace(ALL, models=("llama",)), "day", limit=1) == [Marked("2027-01-15", *llama)]
        assert filled.marked(replace(ALL, start_us=T0 + DAY), "model") == []
        with pytest.raises(ValueError, match="'colour'; use one of model, provider"):
            filled.marked(ALL, "colour")  # type: ignore[arg-type]
        filled.delete(Subject("trace", RUN), by="a test", at_us=T0)
        assert filled.marked(ALL, "day") == [Marked("2027-01-15", *llama[:-3], 0, *llama[-2:])]
        if "sql" not in filled.lacks:
            assert filled.sql("SELECT count(*) FROM marks WHERE comment IS NOT NULL").rows == ((0,),)

    def test_a_user_and_a_label_hold_for_the_whole_trace(self, filled: Store) -> None:
        """Sums, sessions and log lines are those of the traces of a user, also what names nobody itself."""
        late = span(RUN, 9, 2, T0 + 7 * SECOND, 1, "late", operation="chat", usage_source="missing", cost_usd=1.0)
        filled.write(Batch(spans=[late]))
        for chosen in (replace(ALL, users=("ada",)), replace(ALL, labels=(("tenant", "acme"),))):
            assert (filled.totals(chosen).spans, filled.totals(chosen).cost_usd) == (6, 1.25)
            assert [row.session_id for row in filled.sessions(chosen).rows] == ["monday"]
            assert filled.logs(chosen).rows == (morning().logs[1], morning().logs[0])
            assert {entry.trace_id for entry in filled.entries(chosen)} == {RUN}
        assert filled.totals(replace(ALL, users=("eve",))).spans == 0

    def test_pages_of_traces_miss_nothing_and_repeat_nothing(self, store: Store) -> None:
        """Following the cursors gives every trace once, also those that began in the same microsecond."""
        store.write(Batch(spans=[span(f"{n:032x}", 1, None, T0 + n // 3, 1, "run") for n in range(1, 21)]))
        for filters in ({}, {"text": "run"}, {"order": "cost"}, {"order": "spans", "name": "run"}):
            seen, cursor = [], None
            while True:
                page = store.traces(ALL, cursor=cursor, limit=6, **filters)
                assert page.total == (None if "text" in filters else 20)
                seen += [int(row.trace_id, 16) for row in page.rows]
                cursor = page.next
                if cursor is None:
                    break
            assert seen == list(range(20, 0, -1))

    def test_pages_stay_put_while_rows_arrive(self, store: Store) -> None:
        """What arrives between two pages neither shifts nor repeats a row; how many there are was told when the list was begun."""
        store.write(Batch(spans=[span(f"{n:032x}", 1, None, T0 + n, 1, "run") for n in range(1, 5)]))
        first = store.traces(ALL, limit=2)
        store.write(Batch(spans=[span(f"{n:032x}", 1, None, T0 + n, 1, "run") for n in range(5, 9)]))
        second = store.traces(ALL, limit=2, cursor=first.next)
        assert [int(row.trace_id, 16) for row in (*first.rows, *second.rows)] == [4, 3, 2, 1]
        assert (first.total, second.total, store.traces(ALL, limit=2).total) == (4, 4, 8)

    @pytest.mark.parametrize("order", get_args(TraceOrder))
    def test_traces_in_every_order(self, store: Store, order: TraceOrder) -> None:
        """The largest stand first, page by page, and none is missed or repeated, however many are alike."""
        rows = [
            span(f"{n:032x}", 1, None, T0 + n, n % 5, "run", operation="chat", usage_source="provider", cost_usd=n % 7 / 10,
                 input_tokens=n % 4, output_tokens=1, status="error" if n % 3 == 0 else "ok")
            for n in range(1, 41)
        ]  # fmt: skip
        rows += [span(f"{n:032x}", 2, 1, T0 + n, 1, "step") for n in range(5, 12)]
        store.write(Batch(spans=rows))
        wanted = {
            "newest": lambda row: row.start_us,
            "cost": lambda row: row.cost_usd,
            "duration": lambda row: row.duration_us,
            "tokens": lambda row: row.input_tokens + row.output_tokens,
            "errors": lambda row: row.errors,
            "spans": lambda row: row.spans,
            "calls": lambda row: row.calls,
        }[order]
        seen, cursor = [], None
        while True:
            page = store.traces(ALL, order=order, cursor=cursor, limit=7)
            seen += page.rows
            cursor = page.next
            if cursor is None:
                break
        assert seen == sorted(
            store.traces(ALL, limit=100).rows, key=lambda row: (wanted(row), row.trace_id), reverse=True
        )
        assert len(seen) == 40
        with pytest.raises(BadCursorError):
            store.traces(
                ALL, order="cost" if order != "cost" else "spans", cursor=store.traces(ALL, order=order, limit=1).next
            )

    @pytest.mark.parametrize("ask", ["traces", "sessions", "users", "errors"])
    def test_unknown_orders_of_lists_are_refused(self, asked: Store, ask: str) -> None:
        """A word that is not allowed is an error that names it."""
        with pytest.raises(ValueError, match="colour"):
            getattr(asked, ask)(ALL, order="colour")

    def test_users(self, asked: Store) -> None:
        """Each user has the sums of their traces; what names nobody stands under ``None``; metadata tells others apart."""
        ada = User("ada", 1, 0, 1, 1, 2, 150, 20, 0.25, 1, T0, T0 + 9 * SECOND)
        nobody = User(None, 1, 1, 0, 0, 1, 0, 0, 0.0, 1, T0 + 30 * MINUTE, T0 + 30 * MINUTE + 4 * SECOND)
        assert asked.users(ALL) == UserPage((ada, nobody), None, 2)
        assert asked.users(ALL, order="errors").rows == asked.users(ALL, order="newest").rows == (nobody, ada)
        assert asked.users(ALL, text="AD").rows == (ada,)
        assert asked.users(replace(ALL, models=("llama",))).rows == (nobody,)
        assert asked.users(ALL, key="tenant").rows == (replace(ada, key="acme"), nobody)
        assert [row.key for row in asked.users(ALL, key="tag").rows] == ["beta", "eu", None]
        assert asked.choices(ALL) == Choices(("ada",), (("tag", ("beta", "eu")), ("tenant", ("acme",))))

    def test_choices_count_runs(self, store: Store) -> None:
        """What two runs are tagged with comes before what one is, in however many batches that one arrives."""
        for number in range(3):
            store.write(
                Batch(spans=[span("a" * 32, number, number or None, T0 + number, 1, "step", labels='{"tag":"long"}')])
            )
        for trace in ("b" * 32, "c" * 32):
            store.write(Batch(spans=[span(trace, 1, None, T0, 1, "run", labels='{"tag":"short"}')]))
        assert store.choices(ALL).labels == (("tag", ("short", "long")),)

    def test_pages_of_users(self, store: Store) -> None:
        """Cursors lead through users of the same cost without loss, whoever has no name last."""
        store.write(
            Batch(
                spans=[span(f"{n:032x}", 1, None, T0 + n, 1, "run", user_id=f"u{n}" if n else None) for n in range(9)]
            )
        )
        seen, cursor = [], None
        while True:
            page = store.users(ALL, cursor=cursor, limit=2)
            seen += [row.key for row in page.rows]
            cursor = page.next
            if cursor is None:
                break
        assert (seen, page.total) == ([*(f"u{n}" for n in range(1, 9)), None], 9)

    def test_errors_are_grouped_by_what_failed_and_how(self, store: Store) -> None:
        """Numbers and ids in messages are folded, ancestors of a failure count no more, and runs can be asked for."""
        rows = []
        for n in range(1, 6):
            text = f"request {n * 7919} of 0af7651916cd43dd8448eb211c8031{n:02d} took {n}.5 s"
            failed = {"status": "error", "error_type": "TimeoutError", "error_message": text}
            rows += [
                span(f"{n:032x}", 1, None, T0 + n * MINUTE, 9, "squad", operation="invoke_workflow", framework="crewai", **failed),
                span(f"{n:032x}", 2, 1, T0 + n * MINUTE + 1, 5, "search", operation="execute_tool", tool="search", framework="crewai", **failed),
            ]  # fmt: skip
        rows.append(span(f"{9:032x}", 1, None, T0, 1, "m", operation="chat", status="error"))
        store.write(Batch(spans=rows[:4]))
        store.write(Batch(spans=rows[4:]))
        hour = Selection(T0, T0 + 24 * MINUTE)
        search, model = store.errors(hour)
        trend = [0] * 24
        trend[1:6] = [1] * 5
        assert search == ErrorGroup(
            search.id, "TimeoutError", "execute_tool", "search", "request # of # took # s", 5, 5, T0 + MINUTE + 1,
            T0 + 5 * MINUTE + 1, tuple(trend),
            tuple(ErrorExample(f"{n:032x}", f"{2:016x}", T0 + n * MINUTE + 1) for n in (5, 4, 3)),
        )  # fmt: skip
        assert (model.error_type, model.operation, model.message, model.count) == ("_OTHER", "chat", "", 1)
        assert store.errors(hour, order="first") == (search, model)
        assert store.errors(hour, group=model.id) == (model,)
        assert store.errors(replace(hour, frameworks=("crewai",))) == (search,)
        assert [int(row.trace_id, 16) for row in store.traces(ALL, error_group=search.id).rows] == [5, 4, 3, 2, 1]
        assert {row.failures for row in store.traces(ALL).rows} == {1}

    def test_cursors_of_another_list_are_refused(self, asked: Store) -> None:
        """A cursor of logs leads nowhere in the list of traces."""
        newest = asked.logs(ALL).newest
        assert newest is not None
        with pytest.raises(BadCursorError):
            asked.traces(ALL, cursor=newest)

    def test_a_whole_trace(self, asked: Store) -> None:
        """A trace has its spans by start without their content, and its log lines by time."""
        trace = asked.trace(RUN)
        assert trace is not None
        batch = morning()
        assert trace.row == CREW_ROW
        assert list(trace.spans) == [
            row._replace(details=None, text=None, asked=None, answered=None) for row in batch.spans[:5]
        ]
        assert list(trace.logs) == batch.logs[:2]
        assert (trace.running, trace.truncated) == ((), False)

    def test_the_outline_of_a_trace(self, filled: Store) -> None:
        """The same spans, of each what a tree shows; of the log lines their number. Without spans it is asked for to see what changed."""
        trace, outline = filled.trace(RUN), filled.outline(RUN)
        assert trace is not None
        assert outline is not None
        assert outline.row == trace.row
        assert [span._asdict() for span in outline.spans] == [
            {name: getattr(span, name) for name in OutlineSpan._fields} for span in trace.spans
        ]
        assert (outline.lines, outline.told, outline.running, outline.truncated) == (len(trace.logs), (), (), False)
        assert filled.outline(RUN, limit=2) == replace(outline, spans=outline.spans[:2], truncated=True)
        assert filled.outline(RUN, limit=0) == replace(outline, spans=(), truncated=True)

    @pytest.mark.parametrize(
        "text, found",
        [
            (RUN, [Found("trace", RUN, RUN, "plan the week", T0, exact=True)]),
            (f" '{RUN.upper()}'\n", [Found("trace", RUN, RUN, "plan the week", T0, exact=True)]),
            ("0AF76519-16cd-43dd-8448-eb211c80319c", [Found("trace", RUN, RUN, "plan the week", T0, exact=True)]),
            ("0af76519", [Found("trace", RUN, RUN, "plan the week", T0, exact=False)]),
            ("0af76519…", [Found("trace", RUN, RUN, "plan the week", T0, exact=False)]),
            ("0af7651", []),
            (f"{4:016X}", [Found("span", f"{4:016x}", RUN, "calendar", T0 + 5 * SECOND, exact=True)]),
            (f"00-{RUN}-{4:016x}-01", [Found("span", f"{4:016x}", RUN, "calendar", T0 + 5 * SECOND, exact=True)]),
            (f"00-{RUN}-{'9' * 16}-01", [Found("trace", RUN, RUN, "plan the week", T0, exact=True)]),
            (
                f"{1:016x}",
                [
                    Found("span", f"{1:016x}", OTHER_RUN, "llama", T0 + 30 * MINUTE, exact=True),
                    Found("span", f"{1:016x}", RUN, "plan the week", T0, exact=True),
                ],
            ),
            ("monday", [Found("session", "monday", None, "plan the week", T0, exact=True)]),
            ("mond…", [Found("session", "monday", None, "plan the week", T0, exact=False)]),
            ("mond", []),
            ("MONDAY", []),
            ("", []),
            ("…", []),
            ("'); DROP TABLE spans; --", []),
        ],
    )
    def test_what_an_id_names(self, asked: Store, text: str, found: list[Found]) -> None:
        """An id opens what it names as it is copied: in any case, with dashes, in quotes, as a header, or its beginning."""
        assert list(asked.find(text)) == found

    def test_a_user_has_an_id_as_well(self, store: Store) -> None:
        """Whom runs were for is found by the whole id, or its beginning."""
        store.write(Batch(spans=[span(RUN, 1, None, T0, 1, "run", user_id="ann@example.com")]))
        assert list(store.find("ann@example.com")) == [Found("user", "ann@example.com", None, "run", T0, exact=True)]
        assert [one.exact for one in store.find("ann@ex")] == [False]

    def test_what_runs_has_an_id_as_well(self, store: Store) -> None:
        """A trace of which nothing has finished yet is found, under the name of its root, once."""
        opened = [OpenRow(RUN, f"{n:016x}", None if n == 1 else f"{1:016x}", T0 - n, f"op {n}", "chat") for n in (2, 1)]
        store.write(Batch(opened=opened))
        assert list(store.find(RUN)) == [Found("trace", RUN, RUN, "op 1", T0 - 1, exact=True)]
        store.write(Batch(spans=[span(RUN, 1, None, T0, 1, "done")]))
        assert list(store.find(RUN)) == [Found("trace", RUN, RUN, "done", T0, exact=True)]

    def test_a_long_trace_is_cut_and_says_so(self, asked: Store) -> None:
        """No more spans than asked for."""
        trace = asked.trace(RUN, limit=2)
        assert trace is not None
        assert ([row.name for row in trace.spans], trace.truncated) == (["plan the week", "planner"], True)

    def test_spans_of_one_start_stand_as_they_came(self, store: Store) -> None:
        """However long they lasted and whatever their ids are; the root before what is in it."""
        store.write(Batch(spans=[span(RUN, 9, 1, T0, 5, "first"), span(RUN, 3, 1, T0, 50, "second")]))
        store.write(Batch(spans=[span(RUN, 7, 1, T0, 500, "third"), span(RUN, 1, None, T0, 500, "root")]))
        trace = store.trace(RUN)
        assert trace is not None
        assert [row.name for row in trace.spans] == ["root", "first", "second", "third"]

    @pytest.mark.parametrize("trace_id", ["", "zz", "0" * 32, "'", "0af7651916cd43dd8448eb211c80319g"])
    def test_there_is_no_such_trace(self, asked: Store, trace_id: str) -> None:
        """An unknown or impossible id finds nothing."""
        assert asked.trace(trace_id) is None
        assert asked.span(trace_id, f"{1:016x}") is None
        assert asked.span(RUN, trace_id) is None

    def test_one_span_with_all_that_is_known(self, asked: Store) -> None:
        """A span comes back exactly as it was written, with its own log lines."""
        batch = morning()
        assert asked.span(RUN, f"{3:016x}") == (batch.spans[2]._replace(asked=None, answered=None), ())
        assert asked.span(RUN, f"{4:016x}") == (batch.spans[3], (batch.logs[1],))

    def test_details_of_a_trace(self, asked: Store) -> None:
        """Details are read for all spans that have some, to download a trace."""
        assert list(asked.details(RUN)) == [(f"{3:016x}", morning().spans[2].details)]

    def test_calls_are_compared_by_what_was_captured(self, store: Store) -> None:
        """Equal arguments, messages and results have equal marks; what was not captured has none; other operations are left out."""

        def call(number: int, operation: str, given: object, came: object, **more: Any) -> SpanRow:
            content = {"input": given, "output": came}
            details = json.dumps({key: value for key, value in content.items() if value is not None}).encode()
            return span(RUN, number, None, T0 + number, 1, "x", operation=operation, details=details, **more)

        chat = {"model": "gpt-4o", "usage_source": "provider"}
        store.write(
            Batch(
                spans=[
                    call(1, "execute_tool", {"word": "fig"}, "nothing"),
                    call(2, "execute_tool", {"word": "fig"}, "found"),
                    call(3, "execute_tool", {"word": "fog"}, "nothing"),
                    call(4, "execute_tool", {"word": "fig"}, None),
                    call(5, "execute_tool", None, None),
                    call(6, "invoke_agent", "a", "b"),
                    call(7, "chat", ["a", "b", "c"], ["d"], **chat),
                    call(8, "chat", ["b", "c"], ["d"], **chat),
                ]
            )
        )
        marks = store.fingerprints(RUN)
        assert sorted(marks) == [f"{number:016x}" for number in (1, 2, 3, 4, 7, 8)]
        one, two, three, four, seven, eight = (marks[key] for key in sorted(marks))
        assert one.given == two.given == four.given != three.given
        assert one.came == three.came != two.came
        assert four.came is None
        assert (seven.messages, eight.messages) == (3, 2)
        assert (seven.newest, seven.came) == (eight.newest, eight.came)
        assert seven.given != eight.given
        assert store.fingerprints("f" * 32) == {}

    def test_a_run_that_was_resumed_is_one(self, store: Store) -> None:
        """From any of its traces the whole run is found: money and tokens added up, the time of waiting apart."""
        call = {
            "operation": "chat",
            "usage_source": "provider",
            "input_tokens": 10,
            "output_tokens": 5,
            "cost_usd": 0.5,
        }
        first, second, third, other = (f"{n:032x}" for n in (1, 2, 3, 4))
        asked = span(
            first, 1, None, T0, 2 * SECOND, "refund", framework="langgraph", status="interrupted", task="refund", **call
        )
        store.write(Batch(spans=[asked, span(other, 1, None, T0 + 5, 1, "refund", framework="crewai")]))
        store.write(
            Batch(
                spans=[
                    span(third, 1, None, T0 + 90 * SECOND, SECOND, "refund", resumes=second, **call),
                    span(
                        second,
                        1,
                        None,
                        T0 + 62 * SECOND,
                        3 * SECOND,
                        "refund",
                        resumes=first,
                        status="interrupted",
                        **call,
                    ),
                ]
            )
        )
        runs = store.runs(ALL)
        assert [[part.trace_id for part in run.parts] for run in runs] == [[other], [first, second, third]]
        whole = runs[1]
        assert whole.row == TraceRow(
            first, f"{1:016x}", "refund", "chat", "langgraph", None, None, "ok", None, T0, 6 * SECOND, spans=3, errors=0,
            calls=3, tools=0, input_tokens=30, output_tokens=15, cost_usd=1.5, unpriced_calls=0, task="refund",
        )  # fmt: skip
        assert whole.waited_us == 85 * SECOND
        assert [store.run(trace_id) for trace_id in (first, second, third)] == [whole] * 3
        assert store.run(other) == runs[0]
        assert store.run("nonsense") is store.run(f"{9:032x}") is None
        assert store.runs(replace(ALL, start_us=T0 + SECOND)) == ()
        assert [run.row.trace_id for run in store.runs(replace(ALL, tasks=("refund",)))] == [first]
        assert [run.row.trace_id for run in store.runs(replace(ALL, frameworks=("crewai",)), names=("refund",))] == [
            other
        ]
        assert store.runs(ALL, names=("absent",)) == store.runs(ALL, limit=0) == ()

    def test_runs_that_resume_each_other_are_one(self, store: Store) -> None:
        """What a sender says makes no circle that is followed for ever, and no trace goes on with itself or with nonsense."""
        one, two, three = (f"{n:032x}" for n in (1, 2, 3))
        store.write(
            Batch(
                spans=[
                    span(one, 1, None, T0, 1, "a", resumes=two),
                    span(two, 1, None, T0 + 1, 1, "b", resumes=one),
                    span(three, 1, None, T0 + 2, 1, "c", resumes=three),
                    span(three, 2, 1, T0 + 2, 1, "d", resumes="' OR 1"),
                ]
            )
        )
        circle = store.run(two)
        assert circle is not None
        assert [part.trace_id for part in circle.parts] == [one, two]
        alone = store.run(three)
        assert alone is not None
        assert (alone.row.resumes, len(alone.parts)) == (None, 1)

    def test_runs_worth_comparing(self, store: Store) -> None:
        """The same task on other frameworks, the session, another version, the ones before and after: each once."""
        mine = {"framework": "langgraph", "version": "2", "session_id": "s", "task": "refund"}
        rows = [
            span(f"{1:032x}", 1, None, T0, 1, "squad", **mine),
            span(f"{2:032x}", 1, None, T0 + HOUR, 1, "Crew", framework="crewai", task="refund"),
            span(f"{3:032x}", 1, None, T0 + 2 * HOUR, 1, "Crew", framework="crewai", task="refund"),
            span(f"{4:032x}", 1, None, T0 + MINUTE, 1, "other", framework="langgraph", session_id="s"),
            span(f"{5:032x}", 1, None, T0 - 9 * DAY, 1, "squad", framework="langgraph", version="1"),
            span(f"{6:032x}", 1, None, T0 - HOUR, 1, "squad", framework="langgraph", version="2"),
            span(f"{7:032x}", 1, None, T0 + HOUR, 1, "squad", framework="langgraph", version="2"),
            span(f"{8:032x}", 1, None, T0 + 3 * HOUR, 1, "flow", framework="autogen"),
            span(f"{9:032x}", 1, None, T0 + 3 * DAY, 1, "far", framework="other"),
        ]
        store.write(Batch(spans=rows))
        found = [(related.relation, int(related.row.trace_id, 16)) for related in store.related(f"{1:032x}")]
        assert found == [("task", 2), ("session", 4), ("version", 5), ("earlier", 6), ("later", 7), ("framework", 8)]
        assert store.related("f" * 32) == ()
        assert store.tasks(ALL) == (TaskRuns("refund", 3, ("crewai", "langgraph")),)
        assert store.tasks(replace(ALL, frameworks=("autogen",))) == ()

    def test_all_spans_of_a_task(self, filled: Store) -> None:
        """A task is of whole runs: every question about it counts all their spans, also those that do not carry its name."""
        spans = [
            span("a" * 32, 1, None, T0, 9, "root", operation="invoke_workflow", task="refund", framework="crewai"),
            span(
                "a" * 32,
                2,
                1,
                T0,
                4,
                "gpt-4o",
                operation="chat",
                usage_source="provider",
                cost_usd=2.0,
                framework="crewai",
            ),
        ]
        filled.write(Batch(spans=spans, logs=[LogRow(T0, "INFO", "log", "paid", trace_id="a" * 32)]))
        refund = replace(ALL, tasks=("refund", "absent"))
        totals = filled.totals(refund)
        assert (totals.spans, totals.calls, totals.runs, totals.cost_usd) == (2, 1, 1, 2.0)
        assert [row.trace_id for row in filled.traces(refund).rows] == ["a" * 32]
        assert [line.message for line in filled.logs(refund).rows] == ["paid"]
        assert [(group.key, group.calls) for group in filled.groups(refund, "workflow")] == [("root", 1)]
        assert [(group.key, group.cost_usd) for group in filled.groups(refund, "session")] == [(None, 2.0)]
        assert len(filled.entries(refund)) == 1
        assert filled.totals(replace(ALL, tasks=("absent",))).spans == 0

    def test_sessions(self, asked: Store) -> None:
        """A session puts its traces together."""
        monday = Session(
            "monday",
            "crewai",
            T0,
            T0 + 9 * SECOND,
            1,
            0,
            2,
            150,
            20,
            0.25,
            1,
            "plan the week",
            "ada",
            1,
            "squad",
            "Plan the week",
            "Done.",
        )
        page = asked.sessions(ALL)
        assert (page.rows, page.next, page.total) == ((monday,), None, 1)
        assert asked.session("monday") == (monday, (CREW_ROW,))
        assert asked.session("tuesday") is None
        assert asked.sessions(ALL, text="MON").rows == asked.sessions(ALL, text="week").rows == (monday,)
        assert asked.sessions(ALL, text="tue").rows == asked.sessions(replace(ALL, models=("llama",))).rows == ()

    def test_pages_of_sessions(self, store: Store) -> None:
        """The most recently active first, each once."""
        rows = [span(f"{n:032x}", 1, None, T0 + n, 1, "run", session_id=f"s{n % 7}") for n in range(1, 15)]
        store.write(Batch(spans=rows))
        seen, cursor = [], None
        while True:
            page = store.sessions(ALL, cursor=cursor, limit=3)
            seen += [row.session_id for row in page.rows]
            cursor = page.next
            if cursor is None:
                break
        assert seen == ["s0", "s6", "s5", "s4", "s3", "s2", "s1"]
        first = store.sessions(ALL, order="turns", limit=3)
        second = store.sessions(ALL, order="turns", limit=9, cursor=first.next)
        assert [row.session_id for row in (*first.rows, *second.rows)] == [f"s{n}" for n in range(7)]

    def test_log_lines_and_their_filters(self, asked: Store) -> None:
        """Lines stand newest first; each filter narrows them."""
        first, second, third = morning().logs
        assert asked.logs(ALL).rows == (third, second, first)
        assert asked.logs(ALL, levels=["ERROR"]).rows == (second,)
        assert asked.logs(ALL, event_types=["agent.start", "log"]).rows == (third, first)
        assert asked.logs(ALL, text="WORLD hello").rows == (third,)
        assert asked.logs(ALL, text="wörld HÉLLO").rows == (third,)
        assert asked.logs(ALL, trace_id=RUN).rows == (second, first)
        assert asked.logs(ALL, trace_id="none").rows == ()
        assert asked.logs(replace(ALL, agents=("planner",), services=("squad",))).rows == (first,)
        assert asked.logs(replace(ALL, sessions=("tuesday",))).rows == ()
        assert asked.logs(Selection(T0, T0 + 2 * SECOND)).rows == (first,)

    def test_older_pages_of_logs(self, store: Store) -> None:
        """Cursors lead through lines of the same microsecond without loss."""
        store.write(Batch(logs=[LogRow(T0 + n // 4, "INFO", "log", str(n)) for n in range(10)]))
        seen, cursor = [], None
        while True:
            page = store.logs(ALL, cursor=cursor, limit=3)
            seen += [row.message for row in page.rows]
            cursor = page.next
            if cursor is None:
                break
        assert seen == [str(n) for n in range(9, -1, -1)]

    def test_the_tail_of_the_logs(self, filled: Store) -> None:
        """After a cursor come the lines stored since, in the order they came, however old they say they are."""
        tail = filled.logs(ALL).newest
        assert tail is not None
        assert filled.logs(ALL, after=tail).rows == ()
        late = [LogRow(T0 - n, "INFO", "log", f"late {n}") for n in range(5)]
        filled.write(Batch(logs=late))
        page = filled.logs(ALL, after=tail, limit=3)
        assert list(page.rows) == late[:3]
        assert page.newest is not None
        page = filled.logs(ALL, after=page.newest, limit=3)
        assert list(page.rows) == late[3:]
        assert page.newest is not None
        assert filled.logs(ALL, after=page.newest).rows == ()

    def test_a_tail_under_writing_gives_each_line_once(self, store: Store) -> None:
        """A first page and what came after it miss and repeat no line, while lines are stored one by one."""

        def write() -> None:
            for n in range(120):
                store.write(Batch(logs=[LogRow(T0 + n, "INFO", "log", str(n))]))

        writer = threading.Thread(target=write)
        writer.start()
        page = store.logs(ALL, limit=1_000)
        seen = [row.message for row in reversed(page.rows)]
        while page.rows or writer.is_alive():
            page = store.logs(ALL, after=page.newest, limit=1_000)
            seen += [row.message for row in page.rows]
        writer.join()
        seen += [row.message for row in store.logs(ALL, after=page.newest).rows]
        assert seen == [str(n) for n in range(120)]

    def test_a_line_that_comes_by_two_ways_is_one_and_lines_of_two_are_two(self, store: Store) -> None:
        """Lines of a journal count once however they come, in one batch or in two; whose they are and what they say tells them apart."""
        line = LogRow(T0, "INFO", "log", "again", session_id="monday", agent="planner", details=b'{"metadata":{"n":1}}')
        others = [
            line._replace(session_id="tuesday"),
            line._replace(agent=None),
            line._replace(details=b'{"metadata":{"n":2}}'),
            line._replace(details=None),
            line._replace(trace_id=RUN, span_id=f"{1:016x}"),
        ]
        store.write(Batch(logs=[line, line, others[0]], relayed=True))
        store.write(Batch(logs=[*others, line]))
        store.write(Batch(logs=[line, *others], relayed=True))
        assert sorted(map(repr, store.logs(ALL).rows)) == sorted(map(repr, [line, *others]))

    def test_who_reads_on_is_given_parts(self, store: Store) -> None:
        """From a number on, the newest of so many spans: what lies between is as many; behind the newest there is nothing."""
        store.write(Batch(spans=[span(RUN, n, None, T0 + n, 1, "x") for n in range(1, 6)]))
        places = [0]
        for _ in range(4):
            places.append(store.newest_span(places[-1], at_most=2))
        figures = [
            sum(figure.count for figure in store.figures(after, until, by=(), step_us=MINUTE, now_us=T0 + MINUTE))
            for after, until in itertools.pairwise(places)
        ]
        assert (figures, places[-1]) == ([2, 2, 1, 0], store.newest_span())

    def test_what_runs_disappears_when_its_span_arrives(self, store: Store) -> None:
        """An operation is shown from its beginning to its end, whichever of the two is told first."""
        begun = [OpenRow(RUN, f"{n:016x}", None if n == 1 else f"{1:016x}", T0 + n, "x", "chat") for n in (1, 2, 3)]
        store.write(Batch(opened=begun))
        store.write(Batch(opened=begun))
        assert store.running(T0) == begun[::-1]
        assert store.running(T0, limit=1) == begun[:-2:-1]
        trace = store.trace(RUN)
        assert trace is not None
        assert (trace.row.status, trace.row.spans, trace.running) == ("running", 0, tuple(begun))
        store.write(Batch(spans=[span(RUN, 3, 1, T0 + 3, 1, "x"), span(RUN, 4, 1, T0 + 4, 1, "x")]))
        assert store.running(T0) == [begun[1], begun[0]]
        late = OpenRow(RUN, f"{4:016x}", None, T0 + 4, "x", "chat")
        both = OpenRow(RUN, f"{5:016x}", None, T0 + 5, "x", "chat")
        store.write(Batch(opened=[late, both], spans=[span(RUN, 5, 1, T0 + 5, 1, "x")]))
        assert store.running(T0) == [begun[1], begun[0]]
        assert store.running(T0 + 2) == [begun[1]]
        assert store.running(T0 + 3) == []

    def test_facets(self, asked: Store) -> None:
        """The names to choose from, most used first."""
        assert asked.facets(ALL) == Facets(
            ("crewai",), ("openai",), ("gpt-4o", "llama"), ("planner",), ("calendar",), ("squad",)
        )

    def test_entries_of_the_ledger(self, asked: Store) -> None:
        """Model calls, newest first, as the advice report reads them."""
        entry = asked.entries(ALL)[2]
        assert entry == CostEntry(
            timestamp=datetime(2027, 1, 15, 8, 0, 2, tzinfo=timezone.utc), model_name="gpt-4o", provider="openai",
            input_tokens=100, output_tokens=20, cost_usd=0.25, duration_ms=2000.0, session_id="monday", agent_id="planner",
            user_id="ada",
            framework="crewai", trace_id=RUN, span_id=f"{3:016x}", status="ok",
            usage=Usage(
                input_tokens=100, output_tokens=20, cache_read_input_tokens=64, cache_write_input_tokens=4,
                reasoning_output_tokens=8, source="provider",
            ),
            cost=Cost(usd=0.25, price="openai/gpt-4o", price_date="2026-10-01", price_source="genai-prices"),
            prompt_hash="abc", attempt=2,
        )  # fmt: skip
        assert [each.model_name for each in asked.entries(ALL)] == ["llama", "gpt-4o", "gpt-4o"]
        assert [each.model_name for each in asked.entries(replace(ALL, sessions=("monday",)), limit=1)] == ["gpt-4o"]
        assert asked.entries(ALL)[1].estimated

    def test_unpriced_calls(self, asked: Store) -> None:
        """Calls without a price, with the reason."""
        assert list(asked.unpriced(ALL)) == [
            ("openai", "gpt-4o", 1, "no price for gpt-4o"),
            (None, "llama", 1, "local"),
        ]
        assert list(asked.unpriced(replace(ALL, models=("llama",)))) == [(None, "llama", 1, "local")]

    def test_figures_of_what_arrived(self, filled: Store) -> None:
        """Spans after a number, with the names that were asked for, at the step in which they ended, and not after now."""
        newest = filled.newest_span()
        asked = {"by": ("agent", "model"), "step_us": MINUTE, "now_us": T0 + 30 * MINUTE + SECOND, "latency": True}
        found = filled.figures(0, newest, **asked)
        minute = {"time_us": T0 // MINUTE * MINUTE}
        late = {"time_us": (T0 + 30 * MINUTE) // MINUTE * MINUTE}
        call = {"agent": "planner", "model": "gpt-4o", "bin": bin_of(2 * SECOND), "duration_us": 2 * SECOND}
        expected = [
            Figure(Kind.SPAN | Kind.RUN, **minute, bin=bin_of(9 * SECOND), duration_us=9 * SECOND),
            Figure(Kind.SPAN | Kind.AGENT, **minute, agent="planner", bin=bin_of(8 * SECOND), duration_us=8 * SECOND),
            Figure(Kind.SPAN | Kind.CALL, **minute, **call, cost_nano=NANO // 4, input_tokens=100, output_tokens=20,
                   first_bin=bin_of(300_000), cache_read_tokens=64, cache_write_tokens=4, reasoning_tokens=8),
            Figure(Kind.SPAN | Kind.TOOL, **minute, agent="planner", errors=1, bin=bin_of(SECOND), duration_us=SECOND),
            Figure(Kind.SPAN | Kind.CALL, **minute, **{**call, "bin": bin_of(SECOND), "duration_us": SECOND}, input_tokens=50, unpriced=1),
            Figure(Kind.SPAN | Kind.RUN | Kind.CALL, **late, model="llama", errors=1, bin=bin_of(4 * SECOND), duration_us=4 * SECOND,
                   unpriced=1),
        ]  # fmt: skip
        whole = [each._replace(kinds=int(each.kinds)) for each in expected]
        assert sorted(found, key=repr) == sorted(whole, key=repr)
        assert [filled.newest_span(newest), filled.newest_span(newest + 5)] == [newest, newest]
        assert filled.figures(newest, newest, **asked) == []

    def test_metric_names(self, asked: Store) -> None:
        """Metrics by name with their newest value, ``None`` where that is unknown."""
        assert list(asked.metric_names()) == [
            MetricName("gen_ai.client.token.usage", "histogram", "{token}", 2, T0 + MINUTE, 150.0),
            MetricName("queue", "gauge", "1", 1, T0, None),
        ]

    def test_positions(self, filled: Store) -> None:
        """The newest position of each source counts, and the others stay."""
        filled.write(Batch(positions={"journal:/a": "99"}))
        assert filled.positions() == {"journal:/a": "99", "journal:/b": "4"}
        assert filled.position("journal:/a") == "99"

    def test_a_span_counts_once(self, filled: Store) -> None:
        """The same span again, in another batch or the same one, changes nothing: the first one wins."""
        before = (filled.totals(ALL), filled.traces(ALL), filled.state().spans)
        again = [row._replace(name="again", cost_usd=9.0, duration_us=1) for row in morning().spans]
        assert filled.write(Batch(spans=again)) == Written(spans=0, duplicates=6, logs=0)
        assert (filled.totals(ALL), filled.traces(ALL), filled.state().spans) == before
        new = span(RUN, 77, 1, T0 + 3 * HOUR, 1, "late")
        assert filled.write(Batch(spans=[new, again[0], new._replace(name="x")])) == Written(1, 2, 0)
        found = filled.span(RUN, new.span_id)
        assert found is not None
        assert found[0].name == "late"

    def test_an_id_that_comes_twice_for_different_spans_is_counted(self, filled: Store) -> None:
        """The first is kept and the other is told once, however often it is sent; the same span again is none."""
        kept = span("1" * 32, 1, None, T0, SECOND, "kept")
        other = kept._replace(start_us=T0 + MINUTE, name="other")
        renamed = kept._replace(name="chat", operation="chat")
        assert filled.write(Batch(spans=[kept, other, kept])) == Written(1, 2, 0, clashes=1)
        assert filled.write(Batch(spans=[other, kept._replace(start_us=T0 + 5)])) == Written(0, 2, 0)
        assert filled.write(Batch(spans=[renamed])) == Written(0, 1, 0, clashes=1)
        found = filled.trace("1" * 32)
        assert found is not None
        assert ([each.name for each in found.spans], found.clashes) == (["kept"], 2)

    @pytest.mark.parametrize(
        "away, skewed", [(HOUR, True), (-HOUR, True), (-2 * SECOND, True), (30 * SECOND, False), (-SECOND, False)]
    )
    def test_a_clock_that_differs_stretches_no_run(self, store: Store, away: int, skewed: bool) -> None:
        """A run whose operations cannot have been when they say lasts as long as its root, and says why; it keeps its model."""
        call = {"operation": "chat", "model": "m", "usage_source": "provider"}
        rows = [span(RUN, 1, None, T0, SECOND, "run"), span(RUN, 2, 1, T0 + away, SECOND, "m", **call)]
        store.write(Batch(spans=rows))
        (row,) = store.traces(ALL).rows
        stretched = max(T0, T0 + away) + SECOND - min(T0, T0 + away)
        assert (row.duration_us, row.skewed, row.models) == (SECOND if skewed else stretched, skewed, ("m",))
        assert len(store.traces(ALL, min_duration_us=2 * SECOND).rows) == (row.duration_us >= 2 * SECOND)
        assert store.totals(ALL).run_p95_us == pytest.approx(SECOND, rel=0.05)

    def test_a_clock_that_was_set_back_is_in_no_percentile(self, store: Store) -> None:
        """What ended before it began has no duration; it counts, and its trace does not end before it begins."""
        call = {"operation": "chat", "model": "m", "usage_source": "provider", "session_id": "s"}
        store.write(Batch(spans=[span(RUN, 1, None, T0, -SECOND, "m", **call)]))
        assert (store.totals(ALL).calls, store.totals(ALL).p95_us, store.totals(ALL).run_p95_us) == (1, None, None)
        store.write(Batch(spans=[span(f"{n:032x}", 1, None, T0, SECOND, "m", **call) for n in range(1, 8)]))
        for by in ("model", "session", "workflow"):
            (group,) = store.groups(ALL, by)
            assert (group.calls, group.mean_us) == (8, 7 * SECOND // 8)
            assert group.p50_us == pytest.approx(SECOND, rel=0.05)
        assert [row.duration_us for row in store.traces(ALL, order="duration").rows] == [*[SECOND] * 7, 0]
        found = store.span(RUN, f"{1:016x}")
        assert found is not None
        assert found[0].duration_us == -SECOND

    def test_a_batch_is_all_or_nothing(self, filled: Store) -> None:
        """A row that cannot be stored leaves nothing of its batch behind, and the next batch is stored."""
        before = (filled.state().spans, filled.state().logs, filled.positions())
        bad = Batch(
            spans=[span("1" * 32, 1, None, T0, 1, "fine", agent="new"), span("no id", 2, None, T0, 1, "bad")],
            logs=[LogRow(T0, "INFO", "log", "x")],
            positions={"journal:/a": "1000"},
        )
        with pytest.raises(StoreError, match="no id"):
            filled.write(bad)
        with pytest.raises(StoreError, match="start_us"):
            filled.write(Batch(spans=[span("1" * 32, 1, None, 1 << 70, 1, "far")], positions={"a": "b"}))
        assert (filled.state().spans, filled.state().logs, filled.positions()) == before
        assert filled.write(Batch(spans=bad.spans[:1])) == Written(1, 0, 0)
        assert filled.facets(ALL).agents == ("planner", "new")

    def test_hostile_text_comes_back_as_it_was(self, store: Store) -> None:
        """NUL, lone surrogates, markup, quotes and ten megabytes are only text."""
        texts = ["a\x00b", "<script>", "'; DROP TABLE spans", "\u202e\x1b[31m", "\U0001f600", "x" * 10_000_000, ""]
        rows = [
            span(RUN, n + 1, None, T0 + n, 1, text, text=text, details=text.encode()) for n, text in enumerate(texts)
        ]
        store.write(Batch(spans=[*rows, span(RUN, 99, None, T0, 1, "\ud800", error_message="\udfff!")]))
        found = [store.span(RUN, row.span_id) for row in rows]
        assert [each[0] for each in found if each] == rows
        broken = store.span(RUN, f"{99:016x}")
        assert broken is not None
        assert (broken[0].name, broken[0].error_message) == ("?", "?!")

    def test_retention_deletes_whole_days(self, store: Store) -> None:
        """What is older goes with its day: spans, traces, log lines, sums; the rest is as before."""
        midnight = T0 // DAY * DAY
        rows = [
            span(
                f"{n + 1:032x}",
                1,
                None,
                midnight + n * DAY // 2,
                5,
                "run",
                operation="chat",
                usage_source="provider",
                cost_usd=1.0,
                session_id="s",
            )
            for n in range(8)
        ]
        store.write(Batch(spans=rows, logs=[LogRow(row.start_us, "INFO", "log", "x") for row in rows]))
        assert store.retain(oldest_us=midnight + DAY) == 2
        assert store.retain(oldest_us=midnight + DAY + 1) == 2
        assert store.retain(oldest_us=midnight) == 0
        assert [row.start_us for row in store.traces(ALL).rows] == [row.start_us for row in rows[:3:-1]]
        assert (store.totals(ALL).calls, store.totals(ALL).cost_usd) == (4, 4.0)
        assert [group.calls for by in ("session", "model", "day", "workflow") for group in store.groups(ALL, by)] == [
            4,
            4,
            2,
            2,
            4,
        ]
        assert len(store.logs(ALL).rows) == 4
        assert store.trace(rows[0].trace_id) is None
        assert store.write(Batch(spans=rows)) == Written(4, 4, 0)

    def test_export(self, asked: Store, tmp_path: Path) -> None:
        """Rows leave as JSON lines, CSV and Parquet, oldest first."""
        target = tmp_path / "new" / "spans.jsonl"
        assert asked.export("spans", ALL, target, "jsonl") == 6
        lines = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
        first = {key: value for key, value in lines[2].items() if value is not None}
        expected = {
            key: value
            for key, value in morning().spans[2]._asdict().items()
            if value is not None and key not in {"asked", "answered", "carried"}
        }
        assert first == {**expected, "details": json.loads(expected["details"])}
        assert asked.export("logs", replace(ALL, frameworks=("crewai",)), target, "jsonl") == 2
        assert asked.export("spans", Selection(T0, T0 + 1), tmp_path / "one.csv", "csv") == 1
        with (tmp_path / "one.csv").open(encoding="utf-8", newline="") as file:
            (row,) = csv.DictReader(file)
        assert (row["trace_id"], row["parent_span_id"], row["name"], row["start_us"]) == (
            RUN,
            "",
            "plan the week",
            str(T0),
        )
        assert asked.export("spans", ALL, tmp_path / "it's.parquet", "parquet") == 6
        assert (tmp_path / "it's.parquet").read_bytes()[:4] == b"PAR1"
        with pytest.raises(ValueError, match="xlsx"):
            asked.export("spans", ALL, target, "xlsx")

    def test_a_spreadsheet_runs_nothing(self, store: Store, tmp_path: Path) -> None:
        """In CSV a text that a spreadsheet would take for a formula begins with an apostrophe; a number does not."""
        names = ["=1+1", "+1", "-1", "@x", "\tx", "plain"]
        store.write(Batch(spans=[span(RUN, n + 1, None, T0 + n, -1, name) for n, name in enumerate(names)]))
        store.export("spans", ALL, tmp_path / "x.csv", "csv")
        with (tmp_path / "x.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["name"] for row in rows] == ["'=1+1", "'+1", "'-1", "'@x", "'\tx", "plain"]
        assert {row["duration_us"] for row in rows} == {"-1"}

    def test_all_rows_move_to_another_store(self, store: Store) -> None:
        """Rows come out in pieces and go into a store of the same engine once, with what was deleted and how far sources are read."""
        store.write(morning())
        store.write(
            Batch(
                logs=[mark(RUN, "metadata", score=0.5)], opened=[OpenRow("b" * 32, f"{1:016x}", None, T0, "on", "task")]
            )
        )
        store.delete(Subject("trace", OTHER_RUN), by="ada", at_us=T0 + DAY)
        with self.opened() as copy:
            assert copy_store(store, copy, "store", limit=4) == Copied(spans=5, logs=4, metrics=3)
            assert differences(store, copy) == []
            assert copy.span(RUN, f"{3:016x}") == store.span(RUN, f"{3:016x}")
            assert copy.traces(ALL).rows == store.traces(ALL).rows
            assert copy_store(store, copy, "store", limit=4) == Copied(resumed=True)
            copy.write(Batch(spans=[span(OTHER_RUN, 2, None, T0, SECOND, "again")]))
            assert differences(store, copy) == []

    def test_a_closed_store_says_so(self, store: Store) -> None:
        """Closing twice is harmless; whoever asks afterwards is told."""
        store.close()
        store.close()
        with pytest.raises(StoreError, match="closed"):
            store.totals(ALL)
        with pytest.raises(StoreError, match="closed"):
            store.write(morning())


# Each class that inherits these is another store, so the same test in several of them is no mistake.
_properties = settings(max_examples=15, suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow])


# What the properties below are about, for engines that look at fewer examples of it.
SUMS_OF_ROWS: dict[str, Any] = {
    "batches": BATCHES,
    "selection": selections(),
    "step": st.sampled_from([1, MINUTE, 15 * MINUTE, HOUR, DAY, 7 * MINUTE + 1]),
    "gone": st.sets(st.integers(0, 70), max_size=1),
    "key": NAMES,
}
FIGURES_OF_ROWS: dict[str, Any] = {
    "batches": BATCHES,
    "by": st.sets(st.sampled_from(FIGURE_NAMES), max_size=3).map(tuple),
    "step": st.sampled_from([SECOND, 5 * SECOND, 15 * MINUTE, HOUR]),
    "now": st.integers(0, 4 * DAY),
    "since": st.none() | st.integers(0, 3 * DAY),
    "latency": st.booleans(),
}
TRACES_OF_ROWS: dict[str, Any] = {"batches": BATCHES, "frameworks": st.just(()) | st.just(("a",))}


class StoreProperties(Opens):
    """What holds for any rows."""

    @given(st.text(max_size=40))
    @_properties
    def test_foreign_cursors_are_refused(self, cursor: str) -> None:
        """A cursor that the store did not give out is an error of its own kind, whatever it is."""
        with self.opened() as store:
            for ask in (
                lambda: store.traces(ALL, cursor=cursor),
                lambda: store.traces(ALL, cursor=cursor, order="cost"),
                lambda: store.sessions(ALL, cursor=cursor),
                lambda: store.users(ALL, cursor=cursor),
                lambda: store.logs(ALL, cursor=cursor),
                lambda: store.logs(ALL, after=cursor),
            ):
                with pytest.raises(BadCursorError):
                    ask()

    @_properties
    @given(**SUMS_OF_ROWS)
    def test_sums_are_those_of_the_rows(
        self, batches: list[list[SpanRow]], selection: Selection, step: int, gone: set[int], key: str | None
    ) -> None:
        """Whatever arrives in whatever order and is deleted in between, every sum equals the one computed from the rows that
        stay.
        """
        traces = [row.trace_id for batch in batches for row in batch]
        deleted = {traces[place] for place in gone if place < len(traces)}
        oracle = Oracle([row for batch in batches for row in batch if row.trace_id not in deleted])
        with self.opened() as store:
            for place, batch in enumerate(batches):
                store.write(Batch(spans=batch))
                if place == len(batches) // 2:
                    for trace_id in deleted:
                        store.delete(Subject("trace", trace_id), by="a test", at_us=T0)
            near(store.totals(selection), oracle.totals(selection))
            for found, period in zip(store.with_previous(selection), (selection, selection.before), strict=True):
                near(found, oracle.totals(period))
            assert store.facets(selection) == oracle.facets(selection)
            for by in get_args(GroupBy):
                if by == "workflow":
                    continue
                exact = oracle.groups(selection, by)
                measured = store.groups(selection, by, limit=1000, latency=True)
                assert {group.key for group in measured} == set(exact)
                for group in measured:
                    near(group, exact[group.key])
                    ((_, timed),) = exact[group.key].latency
                    assert sum(count for _, count in group.latency) == timed
                points = store.timeline(selection, step, by)
                expected = oracle.timeline(selection, step, by)
                assert [(point.start_us, point.key) for point in points] == [(p.start_us, p.key) for p in expected]
                for point, exact_point in zip(points, expected, strict=True):
                    near(point, exact_point)
            for by in ("agent", "model", "tool"):
                steps = oracle.history(selection, by, key, step)
                for found, exact_step in zip(store.history(selection, by, key, step), steps, strict=True):
                    near(found, exact_step)

    @_properties
    @given(**FIGURES_OF_ROWS)
    def test_figures_are_those_of_the_rows(
        self,
        batches: list[list[SpanRow]],
        by: tuple[FigureName, ...],
        step: int,
        now: int,
        since: int | None,
        latency: bool,
    ) -> None:
        """However what arrived is divided by numbers, each span is in one figure, and their sums are those of the rows."""
        found: dict[tuple[Any, ...], tuple[int, ...]] = {}
        since_us = None if since is None else T0 + since
        with self.opened() as store:
            after = 0
            for batch in batches:
                store.write(Batch(spans=batch))
                newest = store.newest_span(after)
                assert newest > after if batch else newest == after
                for each in store.figures(
                    after, newest, by=by, step_us=step, now_us=T0 + now, since_us=since_us, latency=latency
                ):
                    key = (*each[: SUMS.start], each.bin)
                    found[key] = tuple(map(add, found.get(key, (0,) * 6), each[SUMS]))
                after = newest
        oracle = Oracle([row for batch in batches for row in batch])
        assert found == oracle.figures(by, step, T0 + now, since_us, latency=latency)

    @_properties
    @given(**TRACES_OF_ROWS)
    def test_traces_are_those_of_the_rows(self, batches: list[list[SpanRow]], frameworks: tuple[str, ...]) -> None:
        """Whatever arrives in whatever order, every trace is summed up as if it had come at once."""
        oracle = Oracle([row for batch in batches for row in batch])
        with self.opened() as store:
            for batch in batches:
                store.write(Batch(spans=batch))
            for row in store.traces(ALL).rows:
                expected = oracle.traces()[row.trace_id]
                assert asdict(row) == {**expected, "cost_usd": pytest.approx(expected["cost_usd"], abs=1e-9)}
                trace = store.trace(row.trace_id)
                assert trace is not None
                of_trace = [each for each in oracle.spans if each.trace_id == row.trace_id]
                assert sorted(trace.spans) == sorted(each._replace(details=None, text=None) for each in of_trace)
            assert {row.trace_id for row in store.traces(ALL).rows} == set(oracle.traces())
            selection = replace(ALL, frameworks=frameworks)
            exact = oracle.groups(selection, "workflow")
            measured = store.groups(selection, "workflow")
            assert {group.key for group in measured} == set(exact)
            for group in measured:
                near(group, exact[group.key])

"""Sums, timelines, tables and what else is counted over a selection."""

from __future__ import annotations

import itertools
import json
import threading
from dataclasses import asdict, replace
from datetime import datetime, timezone
from typing import Any, get_args

import pytest

from ai_dev_squad import Usage
from ai_dev_squad.costs import CostEntry
from ai_dev_squad.schema import Cost
from ai_dev_squad_dashboard.engine import (
    NANO,
    BadCursorError,
    Batch,
    Facets,
    Figure,
    Group,
    GroupBy,
    Kind,
    LogRow,
    MetricName,
    MetricRow,
    OrderBy,
    Point,
    Selection,
    Step,
    Store,
    ToolEnds,
    Totals,
    bin_of,
)
from ai_dev_squad_testing.store_contract.harness import Opens, needs
from ai_dev_squad_testing.store_contract.sample import (
    ALL,
    DAY,
    HOUR,
    MINUTE,
    OTHER_RUN,
    RUN,
    SECOND,
    T0,
    morning,
    near,
    span,
)

__all__ = ["Sums"]


class Sums(Opens):
    """Sums, timelines, tables and what else is counted over a selection."""

    def test_an_empty_store_answers_every_question(self, store: Store) -> None:
        """A store without rows has zeros, empty lists and nothing, never an error."""
        totals = store.totals(ALL)
        assert set(asdict(totals).values()) == {0, None}
        assert [*store.timeline(ALL, HOUR), *store.running(0), *store.metric_names(), *store.unpriced(ALL)] == []
        assert [group for by in get_args(GroupBy) for group in store.groups(ALL, by)] == []
        assert [*store.traces(ALL).rows, *store.sessions(ALL).rows, *store.logs(ALL).rows] == []
        assert store.traces(ALL, text="word", operation="chat").rows == ()
        assert {store.outline(RUN), store.trace(RUN), store.span(RUN, f"{1:016x}"), store.session("monday")} == {None}
        assert list(store.details(RUN)) == [] == list(store.entries(ALL))
        assert [*store.runs(ALL), *store.related(RUN), *store.tasks(ALL)] == []
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
        """Inside the block every answer is of the same rows, whoever writes; other threads and later questions see the
        new ones.
        """

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
        """One step for each in which it did something, with its own calls, failures, latency and the money that carries
        its name.
        """
        (tool,) = asked.history(ALL, "tool", "calendar", 15 * MINUTE)
        near(tool, Step(T0, 1, 1, SECOND, SECOND, 0.0, 0, 0, 0))
        (agent,) = asked.history(ALL, "agent", "planner", 15 * MINUTE)
        near(agent, Step(T0, 1, 0, 8 * SECOND, 8 * SECOND, 0.25, 1, 150, 20))
        (model,) = asked.history(ALL, "model", "llama", 15 * MINUTE)
        near(model, Step(T0 + 30 * MINUTE, 1, 1, 4 * SECOND, 4 * SECOND, 0.0, 1, 0, 0))
        assert asked.history(ALL, "tool", "nothing of that name", HOUR) == []
        assert asked.history(replace(ALL, agents=("nobody",)), "tool", "calendar", HOUR) == []

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
        asked: dict[str, Any] = {
            "by": ("agent", "model"),
            "step_us": MINUTE,
            "now_us": T0 + 30 * MINUTE + SECOND,
            "latency": True,
        }
        found = filled.figures(0, newest, **asked)
        minute: dict[str, Any] = {"time_us": T0 // MINUTE * MINUTE}
        late: dict[str, Any] = {"time_us": (T0 + 30 * MINUTE) // MINUTE * MINUTE}
        call: dict[str, Any] = {
            "agent": "planner",
            "model": "gpt-4o",
            "bin": bin_of(2 * SECOND),
            "duration_us": 2 * SECOND,
        }
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

    def test_growth_of_metrics(self, store: Store) -> None:
        """Counts since the point before are added; of counts since a start the differences, also across steps and from before the
        span of time; a count that begins anew loses nothing, and what came twice counts once.
        """

        def point(at_us: int, value: float, temporality: str, since_us: int, **given: str) -> MetricRow:
            told = {"attributes": given, "temporality": temporality, "start_us": since_us}
            return MetricRow(at_us, "used", "sum", "1", "squad", value, None, json.dumps(told).encode())

        batch = Batch(
            metrics=[
                point(T0, 5, "delta", T0 - MINUTE, by="ada"),
                point(T0 + MINUTE, 7, "delta", T0, by="ada"),
                point(T0 + DAY, 1, "delta", T0 + MINUTE, by="ada"),
                point(T0 - MINUTE, 40, "cumulative", T0 - HOUR, by="bob"),
                point(T0 + MINUTE, 50, "cumulative", T0 - HOUR, by="bob"),
                point(T0 + DAY, 90, "cumulative", T0 - HOUR, by="bob"),
                point(T0 + DAY + MINUTE, 4, "cumulative", T0 - HOUR, by="bob"),
                point(T0 + DAY + HOUR, 2, "cumulative", T0 + DAY + MINUTE, by="bob"),
                point(T0, 100, "cumulative", 0, by="eve"),
                point(T0 + MINUTE, 130, "cumulative", 0, by="eve"),
                MetricRow(T0, "used", "gauge", "1", None, 9.0, None, b'{"attributes":{}}'),
                MetricRow(T0, "used", "sum", "1", None, 9.0, None, b'{"attributes":{}}'),
            ]
        )
        store.write(batch)
        store.write(batch)
        found = store.growth(["used", "other"], T0, T0 + 2 * DAY, DAY)
        shown = [(each.start_us, each.name, each.service, json.loads(each.attributes), each.value) for each in found]
        first, second = T0 // DAY * DAY, T0 // DAY * DAY + DAY
        assert shown == [
            (first, "used", "squad", {"by": "ada"}, 12.0),
            (first, "used", "squad", {"by": "bob"}, 10.0),
            (first, "used", "squad", {"by": "eve"}, 30.0),
            (second, "used", "squad", {"by": "ada"}, 1.0),
            (second, "used", "squad", {"by": "bob"}, 46.0),
        ]
        assert list(store.growth(["other"], T0, T0 + DAY, DAY)) == []
        assert list(store.growth([], T0, T0 + DAY, DAY)) == []

    def test_how_tools_ended(self, store: Store) -> None:
        """Each tool by each way in which it ended, within the selection, the most frequent first."""
        tool: dict[str, Any] = {"operation": "execute_tool", "framework": "crewai"}
        store.write(
            Batch(
                spans=[
                    span(RUN, 1, None, T0, 9, "squad"),
                    *(span(RUN, n, 1, T0 + n, 1, "edit", tool="edit", **tool) for n in (2, 3)),
                    span(RUN, 4, 1, T0 + 4, 1, "edit", tool="edit", status="error", **tool),
                    span(RUN, 5, 1, T0 + 5, -1, "bash", tool="bash", status="cancelled", **tool),
                    span(RUN, 6, 1, T0 + 6, 1, "bash", tool="bash", operation="execute_tool"),
                    span(OTHER_RUN, 7, None, T0 + DAY, 1, "bash", tool="bash", **tool),
                ]
            )
        )
        of_crewai = Selection(T0, T0 + DAY, frameworks=("crewai",))
        assert list(store.tool_ends(of_crewai)) == [
            ToolEnds("edit", "ok", 2),
            ToolEnds("bash", "cancelled", 1),
            ToolEnds("edit", "error", 1),
        ]
        assert list(store.tool_ends(of_crewai, limit=1)) == [ToolEnds("edit", "ok", 2)]

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

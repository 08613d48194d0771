"""What stands beside cost: what tools took, what people think of runs, what failed."""

from __future__ import annotations

import json
from dataclasses import astuple, replace
from typing import Any

import pytest

from ai_dev_squad_dashboard.engine import (
    Batch,
    Carried,
    ErrorExample,
    ErrorGroup,
    Marked,
    MarkedBy,
    Selection,
    SpanRow,
    Store,
    Subject,
    ToolCalls,
    ToolInput,
    ToolStep,
)
from ai_dev_squad_testing.store_contract.harness import Opens
from ai_dev_squad_testing.store_contract.sample import ALL, DAY, HOUR, MINUTE, OTHER_RUN, RUN, SECOND, T0, mark, span

__all__ = ["Beside"]


class Beside(Opens):
    """What stands beside cost: what tools took, what people think of runs, what failed."""

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
        """By a journal and over OTLP, in one batch or two, within a second; what differs in anything, or comes later,
        is another.
        """
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

    def test_calls_are_compared_by_what_was_captured(self, store: Store) -> None:
        """Equal arguments, messages and results have equal marks; what was not captured has none; other operations are
        left out.
        """

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

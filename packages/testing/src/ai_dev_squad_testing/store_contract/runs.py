"""Runs that were resumed, and runs worth comparing."""

from __future__ import annotations

from dataclasses import replace

from ai_dev_squad_dashboard.engine import Batch, Selection, Store, TaskRuns, TraceRow
from ai_dev_squad_testing.store_contract.harness import Opens
from ai_dev_squad_testing.store_contract.sample import ALL, DAY, HOUR, MINUTE, SECOND, T0, span

__all__ = ["Runs"]


class Runs(Opens):
    """Runs that were resumed, and runs worth comparing."""

    def test_a_run_that_was_resumed_is_one(self, store: Store) -> None:
        """From any of its traces the whole run is found: money and tokens added up, the time of waiting apart."""
        call = {
            "operation": "chat",
            "usage_source": "provider",
            "input_tokens": 10,
            "output_tokens": 5,
            "cost_usd": 0.5,
            "model": "gpt-4o",
        }
        first, second, third, other = (f"{n:032x}" for n in (1, 2, 3, 4))
        asked = span(
            first, 1, None, T0, 2 * SECOND, "refund", framework="langgraph", status="interrupted", task="refund",
            asked="Refund it", answered="Shall I?", **call,
        )  # fmt: skip
        store.write(Batch(spans=[asked, span(other, 1, None, T0 + 5, 1, "refund", framework="crewai")]))
        store.write(
            Batch(
                spans=[
                    span(
                        third, 1, None, T0 + 90 * SECOND, SECOND, "refund", resumes=second, answered="Done",
                        **{**call, "model": "claude"},
                    ),
                    span(third, 2, 1, T0 + 90 * SECOND, 1, "mail", operation="execute_tool", status="error"),
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
        )  # fmt: skip
        runs = store.runs(ALL)
        assert [[part.trace_id for part in run.parts] for run in runs] == [[other], [first, second, third]]
        rows = {row.trace_id: row for row in store.traces(ALL).rows}
        assert [run.parts for run in runs] == [(rows[other],), (rows[first], rows[second], rows[third])]
        whole = runs[1]
        assert whole.row == TraceRow(
            first, f"{1:016x}", "refund", "chat", "langgraph", None, None, "ok", None, T0, 6 * SECOND, spans=4, errors=1,
            calls=3, tools=1, input_tokens=30, output_tokens=15, cost_usd=1.5, unpriced_calls=0, task="refund",
            models=("claude", "gpt-4o"), asked="Refund it", answered="Done", failures=1,
        )  # fmt: skip
        assert whole.waited_us == 85 * SECOND
        assert [store.run(trace_id) for trace_id in (first, second, third)] == [whole] * 3
        assert store.run(other) == runs[0]
        chosen = (other, third, "nonsense", f"{9:032x}", first)
        with store.snapshot():
            assert [store.run(trace_id, beside=chosen) for trace_id in chosen] == [runs[0], whole, None, None, whole]
            assert [trace and trace.row for trace in map(store.trace, chosen)] == [
                runs[0].row,
                whole.parts[2],
                None,
                None,
                whole.parts[0],
            ]
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
            span(
                f"{4:032x}", 1, None, T0 + MINUTE, 1, "other", framework="langgraph", session_id="s", asked="What now?"
            ),
            span(f"{5:032x}", 1, None, T0 - 9 * DAY, 1, "squad", framework="langgraph", version="1"),
            span(f"{6:032x}", 1, None, T0 - HOUR, 1, "squad", framework="langgraph", version="2"),
            span(f"{7:032x}", 1, None, T0 + HOUR, 1, "squad", framework="langgraph", version="2"),
            span(f"{8:032x}", 1, None, T0 + 3 * HOUR, 1, "flow", framework="autogen"),
            span(f"{9:032x}", 1, None, T0 + 3 * DAY, 1, "far", framework="other"),
        ]
        store.write(Batch(spans=rows))
        found = [(related.relation, int(related.row.trace_id, 16)) for related in store.related(f"{1:032x}")]
        assert found == [("task", 2), ("session", 4), ("version", 5), ("earlier", 6), ("later", 7), ("framework", 8)]
        told = {row.trace_id: row for row in store.traces(Selection(0, T0 + DAY)).rows}
        assert [related.row for related in store.related(f"{1:032x}")] == [
            told[f"{number:032x}"] for _, number in found
        ]
        assert told[f"{4:032x}"].asked == "What now?"
        assert store.related("f" * 32) == ()
        assert store.tasks(ALL) == (TaskRuns("refund", 3, ("crewai", "langgraph")),)
        assert store.tasks(replace(ALL, frameworks=("autogen",))) == ()

    def test_a_run_its_trace_and_runs_like_it_are_of_one_moment(self, store: Store) -> None:
        """What a page is told of a trace by one question, others tell it as well, and the page after it is told anew."""
        first, second = (f"{n:032x}" for n in (1, 2))
        store.write(Batch(spans=[span(number, 1, None, T0, SECOND, "refund") for number in (first, second)]))

        def told() -> list[TraceRow]:
            run, trace, outline = store.run(first), store.trace(first), store.outline(first)
            assert run is not None
            assert trace is not None
            assert outline is not None
            like = [each.row for each in store.related(second) if each.row.trace_id == first]
            return [*run.parts, trace.row, outline.row, *like]

        with store.snapshot():
            before = told()
            if "snapshot" not in store.lacks:
                store.write(Batch(spans=[span(first, 2, 1, T0 + 1, SECOND, "mail", status="error")]))
            assert told() == before
        store.write(Batch(spans=[span(first, 3, 1, T0 + 2, SECOND, "call")]))
        after = told()
        assert [row.errors for row in after] == [0 if "snapshot" in store.lacks else 1] * len(before)
        assert after == [store.traces(Selection(T0, T0 + 1), name="refund").rows[-1]] * len(before)

"""Lists of traces, sessions and users: their rows, filters, orders and pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import pytest

from ai_dev_squad_dashboard.engine import (
    BadCursorError,
    Batch,
    Choices,
    LogRow,
    Selection,
    Session,
    Store,
    TraceOrder,
    TraceRow,
    User,
    UserPage,
)
from ai_dev_squad_testing.store_contract.harness import Opens, pages
from ai_dev_squad_testing.store_contract.sample import (
    ALL,
    CREW_ROW,
    LLAMA_ROW,
    MINUTE,
    RUN,
    SECOND,
    T0,
    WORDS,
    morning,
    span,
)

__all__ = ["Lists"]


class Lists(Opens):
    """Lists of traces, sessions and users: their rows, filters, orders and pages."""

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

    def test_what_a_word_finds(self, store: Store) -> None:
        """Case, accents and width do not matter; three letters find longer words; ids are found by their beginning. In lines of logs as
        in traces.
        """
        texts = {text: n for n, text in enumerate(dict.fromkeys(text for _, text, _ in WORDS), 1)}
        store.write(
            Batch(
                spans=[span(f"{n:032x}", 1, None, T0 + n, 1, "run", text=text) for text, n in texts.items()],
                logs=[LogRow(T0 + n, "INFO", "log", text) for text, n in texts.items()],
            )
        )
        traces, lines = [], []
        for query, text, _ in WORDS:
            found = {int(row.trace_id, 16) for row in store.traces(ALL, text=query).rows}
            traces.append((query, text, texts[text] in found))
            lines.append((query, text, text in {row.message for row in store.logs(ALL, text=query).rows}))
        assert traces == lines == list(WORDS)

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
        questions: tuple[dict[str, Any], ...] = (
            {},
            {"text": "run"},
            {"order": "cost"},
            {"order": "spans", "name": "run"},
        )
        for filters in questions:
            found = list(pages(store.traces, limit=6, **filters))
            assert {page.total for page in found} == {None if "text" in filters else 20}
            assert [int(row.trace_id, 16) for page in found for row in page.rows] == list(range(20, 0, -1))

    def test_pages_stay_put_while_rows_arrive(self, store: Store) -> None:
        """What arrives between two pages neither shifts nor repeats a row; how many there are was told when the list
        was begun.
        """
        store.write(Batch(spans=[span(f"{n:032x}", 1, None, T0 + n, 1, "run") for n in range(1, 5)]))
        first = store.traces(ALL, limit=2)
        store.write(Batch(spans=[span(f"{n:032x}", 1, None, T0 + n, 1, "run") for n in range(5, 9)]))
        second = store.traces(ALL, limit=2, cursor=first.next)
        assert [int(row.trace_id, 16) for row in (*first.rows, *second.rows)] == [4, 3, 2, 1]
        assert (first.total, second.total, store.traces(ALL, limit=2).total) == (4, 4, 8)

    def test_a_page_whose_total_nobody_shows(self, store: Store) -> None:
        """Where it is not counted how many there are, the rows and the pages behind them are the same."""
        store.write(Batch(spans=[span(f"{n:032x}", 1, None, T0 + n, 1, "run") for n in range(1, 5)]))
        first = store.traces(ALL, limit=2, counted=False)
        second = store.traces(ALL, limit=2, cursor=first.next, counted=False)
        assert [int(row.trace_id, 16) for row in (*first.rows, *second.rows)] == [4, 3, 2, 1]
        assert (first.total, second.total) == (None, None)

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
        largest: dict[str, Callable[[TraceRow], Any]] = {
            "newest": lambda row: row.start_us,
            "cost": lambda row: row.cost_usd,
            "duration": lambda row: row.duration_us,
            "tokens": lambda row: row.input_tokens + row.output_tokens,
            "errors": lambda row: row.errors,
            "spans": lambda row: row.spans,
            "calls": lambda row: row.calls,
        }
        seen = [row for page in pages(store.traces, order=order, limit=7) for row in page.rows]
        assert seen == sorted(
            store.traces(ALL, limit=100).rows, key=lambda row: (largest[order](row), row.trace_id), reverse=True
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
        """What two runs are tagged with comes before what one is, in however many batches, and in whatever order, that
        one arrives.
        """
        for number in (2, 0, 1):
            store.write(
                Batch(spans=[span("a" * 32, number, number or None, T0 + number, 1, "step", labels='{"tag":"long"}')])
            )
        assert store.choices(Selection(T0, T0 + 1)).labels == (("tag", ("long",)),)
        for trace in ("b" * 32, "c" * 32):
            store.write(Batch(spans=[span(trace, 1, None, T0, 1, "run", labels='{"tag":"short"}')]))
        assert store.choices(ALL).labels == (("tag", ("short", "long")),)
        assert [(row.key, row.runs) for row in store.users(ALL, key="tag", order="runs").rows] == [
            ("short", 2),
            ("long", 1),
        ]

    def test_pages_of_users(self, store: Store) -> None:
        """Cursors lead through users of the same cost without loss, whoever has no name last."""
        store.write(
            Batch(
                spans=[span(f"{n:032x}", 1, None, T0 + n, 1, "run", user_id=f"u{n}" if n else None) for n in range(9)]
            )
        )
        found = list(pages(store.users, limit=2))
        assert [row.key for page in found for row in page.rows] == [*(f"u{n}" for n in range(1, 9)), None]
        assert found[-1].total == 9

    def test_cursors_of_another_list_are_refused(self, asked: Store) -> None:
        """A cursor of logs leads nowhere in the list of traces."""
        newest = asked.logs(ALL).newest
        assert newest is not None
        with pytest.raises(BadCursorError):
            asked.traces(ALL, cursor=newest)

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
        seen = [row.session_id for page in pages(store.sessions, limit=3) for row in page.rows]
        assert seen == ["s0", "s6", "s5", "s4", "s3", "s2", "s1"]
        first = store.sessions(ALL, order="turns", limit=3)
        second = store.sessions(ALL, order="turns", limit=9, cursor=first.next)
        assert [row.session_id for row in (*first.rows, *second.rows)] == [f"s{n}" for n in range(7)]

"""The store on ClickHouse keeps the contract, on the real engine behind HTTP."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import pytest
from alert_rooms import until
from clickhouse_engine import new_url, opened, requires_engine
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad_dashboard.store import Selection, Store, StoreError
from ai_dev_squad_dashboard.store.clickhouse import amounts, filters, hours, pieces, search
from ai_dev_squad_dashboard.store.clickhouse.amounts import Amounts
from ai_dev_squad_dashboard.store.clickhouse.incoming import line_words
from ai_dev_squad_dashboard.store.deletions import Subject
from ai_dev_squad_dashboard.store.rows import Batch, LogRow, SpanRow
from ai_dev_squad_dashboard.store.search_words import LONGEST
from ai_dev_squad_testing import StoreContract
from ai_dev_squad_testing.store_contract import StoreProperties

_LENGTHS = st.one_of(st.integers(1, 9), st.integers(LONGEST - 1, LONGEST + 1), st.just(3 * LONGEST))


@given(st.lists(_LENGTHS, min_size=1, max_size=12))
def test_words_are_stored_as_long_as_they_are_compared(lengths: list[int]) -> None:
    """Whatever words stand beside one another, each is stored up to the length that a search looks at."""
    line = LogRow(0, "INFO", "log", " ".join("x" * length for length in lengths))
    assert line_words(line).split() == ["log", *("x" * min(length, LONGEST) for length in lengths)]


@requires_engine
def test_the_time_before_has_names_that_another_process_brought() -> None:
    """Names that another dashboard has stored since this one looked are in the totals of the time before, with its filters and without."""
    url, hour_us = new_url(), 3_600_000_000

    def call(number: int, start_us: int, model: str) -> SpanRow:
        return SpanRow(
            *(f"{number:032x}", f"{number:016x}", None, start_us, 2_000_000, model, "chat"),
            model=model,
            usage_source="provider",
            input_tokens=number,
            cost_usd=float(number),
        )

    with opened(url) as asked, opened(url) as other:
        asked.write(Batch(spans=[call(1, 3 * hour_us, "known")]))
        other.write(Batch(spans=[call(2, 2 * hour_us, "new"), call(4, 2 * hour_us, "known")]))
        last, of_new = (Selection(3 * hour_us, 4 * hour_us, models=models) for models in ((), ("new",)))
        assert asked.with_previous(last) == (asked.totals(last), other.totals(last.before))
        assert asked.with_previous(of_new) == (asked.totals(of_new), other.totals(of_new.before))
        assert [totals.cost_usd for totals in (*asked.with_previous(last), *asked.with_previous(of_new))] == [
            1,
            6,
            0,
            2,
        ]


@requires_engine
def test_whole_hours_are_read_again_only_when_something_in_them_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that is looked at again asks for what lies around its whole hours; after a late span, a deletion or a new name it says what
    a dashboard says that remembers nothing, and then does not trust those hours for a while.
    """
    monkeypatch.setattr(hours, "WORTH_REMEMBERING", 0)
    url, hour_us = new_url(), 3_600_000_000
    day = Selection(4 * hour_us + 5, 9 * hour_us + 5)

    def call(number: int, start_us: int, model: str = "known") -> SpanRow:
        return SpanRow(
            *(f"{number:032x}", f"{number:016x}", None, start_us, 2_000_000, model, "chat"),
            model=model,
            usage_source="provider",
            cost_usd=None if number % 2 else float(number),
        )

    with opened(url) as asked, opened(url) as other:
        other.write(Batch(spans=[call(number, number * hour_us + 1) for number in range(9)]))
        for _ in range(2):  # names that are new are not remembered
            assert _costs(asked, day) == _costs(other, day)
        seen: list[str] = []
        ask = asked._client.ask
        monkeypatch.setattr(
            asked._client, "ask", lambda question, **how: (seen.append(question), ask(question, **how))[1]
        )
        assert _costs(asked, day) == _costs(other, day)
        assert [question.partition(" FROM ")[0] for question in seen if "start_us >= 18000000000 AND" in question] == [
            "SELECT is_now, sum(a_spans), sum(a_duration_us), sum(a_input_tokens), sum(a_cost_usd)"
        ]
        for change in (
            lambda: other.write(Batch(spans=[call(20, 6 * hour_us)])),
            lambda: other.delete(Subject("trace", f"{20:032x}"), by="ada", at_us=0),
            lambda: other.write(Batch(spans=[call(21, 7 * hour_us, "new")])),
        ):
            monkeypatch.setattr(hours, "PAUSE_S", 0)
            change()
            for _ in range(2):
                with opened(url) as fresh:
                    assert _costs(asked, day) == _costs(fresh, day)


def _costs(store: Store, selection: Selection) -> list[object]:
    """What the page of costs asks."""
    with store.snapshot():
        return [
            store.with_previous(selection, drawn=(900_000_000, "model")),
            store.timeline(selection, 900_000_000, "model"),
            store.groups(selection, "model", latency=True),
            store.groups(selection, "day"),
            store.unpriced(selection),
        ]


@requires_engine
@pytest.mark.parametrize("counted", [True, False])
def test_the_newest_traces_are_found_wherever_they_are(counted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked for at the end of the time, where so many spans are that there should be enough of them, and in all of it where there are not."""
    monkeypatch.setattr(Amounts, "spans", lambda *_: 10_000)
    with opened() as store:
        starts = (100, 500, 900, 950, 990)
        store.write(Batch(spans=[SpanRow(f"{n:032x}", f"{n:016x}", None, n, 1, "one", "chat") for n in starts]))
        seen: list[str] = []
        ask = store._client.ask
        monkeypatch.setattr(
            store._client, "ask", lambda question, **how: (seen.append(question), ask(question, **how))[1]
        )
        for limit, questions in ((2, 1), (4, 2), (5, 1)):
            seen.clear()
            page = store.traces(Selection(0, 1000), limit=limit, counted=counted)
            assert [row.start_us for row in page.rows] == sorted(starts, reverse=True)[:limit]
            assert (page.total, page.next is not None) == (5 if counted else None, limit < 5)
            assert sum("ORDER BY" in question for question in seen) == questions


@requires_engine
def test_words_are_looked_for_among_the_newest_traces_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many a burst has brought within a moment. In the rest the index tells at once what is rare; what is not is looked for in windows
    that grow.
    """
    monkeypatch.setattr(search, "FIRST_AMONG", 3)
    monkeypatch.setattr(search, "_MOST", 9)
    hour_us = 3_600_000_000
    starts = [*range(1, 20), *range(5 * hour_us, 5 * hour_us + 50)]
    texts = {1: "seldom", 5 * hour_us + 3: "sometimes"}
    with opened() as store:
        store.write(
            Batch(
                spans=[
                    SpanRow(f"{n:032x}", f"{n:016x}", None, n, 1, "one", "chat", text=f"often {texts.get(n, '')}")
                    for n in starts
                ]
            )
        )
        seen: list[str] = []
        ask = store._client.ask
        monkeypatch.setattr(
            store._client, "ask", lambda question, **how: (seen.append(question), ask(question, **how))[1]
        )
        newest = 5 * hour_us + 48
        for text, limit, found, begins in (
            ("often", 1, [newest + 1], [newest]),
            ("often", 4, [newest + 1 - n for n in range(4)], [newest, 0, newest - 3 * filters.GROWS]),
            ("sometimes", 2, [5 * hour_us + 3], [newest, 0]),
            ("seldom", 2, [1], [newest, 0]),
            ("nowhere", 2, [], [newest, 0]),
        ):
            seen.clear()
            page = store.traces(Selection(0, 1 << 60), text=text, limit=limit)
            assert [row.start_us for row in page.rows] == found
            assert [int(each.group(1)) for question in seen if (each := _CONTENT.search(question))] == begins


_CONTENT = re.compile(r"FROM content WHERE start_us BETWEEN (\d+)")


@requires_engine
def test_an_index_that_a_full_disk_left_empty_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the engine stored as its disk became full is read as it is, and writing goes on; another failure stays one."""
    with opened() as store:
        rows = [SpanRow("a" * 32, f"{n:016x}", None, n, 1, "one", "chat") for n in range(1, 4)]
        store.write(Batch(spans=rows[:2]))
        for name in ("query", "command"):
            monkeypatch.setattr(store._client._client, name, _without_index(getattr(store._client._client, name)))
        assert store.write(Batch(spans=rows)).spans == 1
        trace = store.trace("a" * 32)
        assert trace is not None
        assert [span.span_id for span in trace.spans] == [row.span_id for row in rows]
        with pytest.raises(StoreError, match="no_such_table"):
            store._client.ask("SELECT 1 FROM no_such_table")


def _without_index(ask: Callable[..., Any]) -> Callable[..., Any]:
    """The same on an engine that cannot read an index of spans, in its words."""
    from clickhouse_connect.driver.exceptions import DatabaseError

    def asked(question: str, *, settings: Mapping[str, Any], **how: Any) -> Any:
        if "FROM spans" in question and settings.get("use_skip_indexes") != 0:
            raise DatabaseError(
                "Code: 33. DB::Exception: Cannot read all marks from file /store/ef9/20261130_1_11_3/skp_idx_of_trace_id.cmrk4, marks "
                "expected 1 (bytes size 24), marks read 0 (bytes size 0)"
            )
        return ask(question, settings=settings, **how)

    return asked


@requires_engine
def test_compacting_takes_as_long_as_it_takes() -> None:
    """While the server cannot begin, nobody waits for an answer that a client would give up at; when it can, the deleted bytes go."""
    with opened() as store, ThreadPoolExecutor(1) as beside:
        ask = store._client.ask
        database = store.state().path.rpartition("/")[2]
        store.write(Batch(spans=[SpanRow(f"{n:032x}", f"{n:016x}", None, n, 1, "one", "chat") for n in (1, 2)]))
        store.delete(Subject("trace", f"{1:032x}"), by="ada", at_us=0)
        store._client.do("SYSTEM STOP MERGES spans")
        try:
            compacted = beside.submit(store.compact)
            begun = f"SELECT 1 FROM system.mutations WHERE database = '{database}' AND table = 'spans' AND NOT is_done"
            until(lambda: ask(begun), "the server is told")
            until(lambda: not ask("SELECT 1 FROM system.processes WHERE query LIKE 'ALTER%'"), "nobody waits for it")
            assert not compacted.done()
        finally:
            store._client.do("SYSTEM START MERGES spans")
        assert compacted.result(60)
        assert ask(
            f"SELECT sum(rows) FROM system.parts WHERE active AND database = '{database}' AND table = 'spans'"
        ) == [(1,)]


@requires_engine
class TestContract(StoreContract):
    """As it is used."""

    framework = "clickhouse"
    examples = 4  # a database of its own takes as long as hundreds of questions

    @contextmanager
    def place(self) -> Iterator[str]:
        yield new_url()


@requires_engine
class TestSumsOfManySpans(StoreProperties):
    """As where there are so many spans that hours and five minutes are read rather than spans, and whole hours remembered."""

    framework = "clickhouse"
    examples = 4

    @pytest.fixture(autouse=True)
    def _many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("WORTH_A_LEVEL", "WORTH_A_SUM"):
            monkeypatch.setattr(pieces, name, 0)
        for name in ("WORTH_REMEMBERING", "PAUSE_S"):
            monkeypatch.setattr(hours, name, 0)
        monkeypatch.setattr(Amounts, "spans", lambda _, ranges: sum(end - start for start, end in ranges))

    @contextmanager
    def place(self) -> Iterator[str]:
        yield new_url()


def test_how_many_rows_there_are_to_read() -> None:
    """Each day counts by how much of it is asked for, sums are no more than spans, and who is told nothing expects many spans."""
    told = [("spans", "1970-01-02", 2_400), ("spans", "1970-01-03", 600), ("series", "tuple()", 5)]
    some, unknown = Amounts(lambda _: told, "squad"), Amounts(lambda _: [], "squad")
    day, hour = 86_400_000_000, 3_600_000_000
    times = [(day - hour, day + 2 * hour), (2 * day, 2 * day + hour)]
    assert (some.spans(times), some.sums(times, hour), some.sums(times, hour, 100)) == (225, 20, 225)
    assert (unknown.spans(times), unknown.sums(times, hour)) == (28_800_000, 0)


def test_of_today_it_is_known_in_which_hour_spans_came(monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst of this hour is expected in what of this hour is over, and other hours of today as they were."""
    day, hour = 86_400_000_000, 3_600_000_000
    monkeypatch.setattr(amounts.time, "time_ns", lambda: (day + 5 * hour + hour // 2) * 1000)

    def told(question: str) -> list[tuple[Any, ...]]:
        if "system.parts" in question:
            return [("spans", "1970-01-01", 240), ("spans", "1970-01-02", 1_100), ("series", "tuple()", 5)]
        return [(day + 4 * hour, 100), (day + 5 * hour, 1_000)]

    known = Amounts(told, "squad")
    times = [(start, start + hour // 2) for start in (day - hour, day + 3 * hour, day + 4 * hour, day + 5 * hour)]
    assert [known.spans([each]) for each in times] == [5, 0, 50, 1_000]

"""A store copied into another one answers every question as the first one does, whatever engine either is of, and whatever happens meanwhile."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from hypothesis import given, settings

sys.path.insert(0, str(Path(__file__).parent))

from alert_rooms import until
from clickhouse_engine import new_url, opened, requires_engine
from store_answers import answers

from ai_dev_squad_dashboard.cli import main
from ai_dev_squad_dashboard.store import Store, StoreError, open_memory_store, open_store
from ai_dev_squad_dashboard.store.clickhouse.schema import TABLES
from ai_dev_squad_dashboard.store.copying import Copied, copy_store, differences
from ai_dev_squad_dashboard.store.deletions import Subject
from ai_dev_squad_dashboard.store.rows import Batch, Carried, LogRow, MetricRow, OpenRow, SpanRow
from ai_dev_squad_testing.store_contract.random_rows import BATCHES
from ai_dev_squad_testing.store_contract.sample import ALL, DAY, MINUTE, RUN, SECOND, T0, mark, morning, span

GONE = "00000000000000000000000000000bad"


def fill(store: Store) -> None:
    """Runs of two days, one of them deleted and a person too; marks, one told twice; a span with another one's id; what was carried;
    lines and points that are told twice and mean two; and something under way.
    """
    store.write(morning())
    call = {"operation": "chat", "usage_source": "provider", "model": "m", "cost_usd": 0.5, "input_tokens": 7}
    carried = (Carried("calendar", 5, 0.1), Carried("mail", 2, None))
    same = LogRow(T0 + MINUTE, "INFO", "log", "twice", source="otlp")
    point = MetricRow(T0 + SECOND, "queue", "gauge", "1", "squad", 2.0, None, b'{"attributes":{"a":"b"}}')
    store.write(
        Batch(
            spans=[
                span("a" * 32, 1, None, T0 + DAY, SECOND, "m", **call, carried=carried, session_id="monday"),
                span("a" * 32, 2, 1, T0 + DAY, SECOND, "m", **call, carried=carried[:1], details=b'{"input":"hi"}'),
                span(GONE, 1, None, T0 + DAY, SECOND, "gone", session_id="gone", user_id="gone"),
                span("c" * 32, 1, None, T0 + DAY, SECOND, "late", user_id="nobody", text="in a week"),
            ],
            logs=[
                mark(RUN, "metadata", score=0.75, label="good"),
                mark(RUN, "attributes", score=0.75, label="good", later=10),
                mark("a" * 32, "metadata", name="tone", label="rude", note="really"),
                same,
                same,
            ],
            opened=[OpenRow("b" * 32, f"{1:016x}", None, T0 + DAY, "under way", "invoke_agent", "crewai", "monday")],
            metrics=[point, point, point._replace(value=3.0)],
            positions={"journal:/c": "9"},
        )
    )
    store.write(Batch(spans=[span(RUN, 4, 2, T0 + 3 * MINUTE, SECOND, "another")]))
    store.delete(Subject("trace", GONE), by="ada", at_us=T0 + 2 * DAY)
    store.delete(Subject("user", "nobody"), by="grace", at_us=T0 + 3 * DAY)
    store.write(Batch(logs=[LogRow(T0 + DAY, "INFO", "log", "relayed", source="journal")], relayed=True))


def positions(store: Store) -> dict[str, str]:
    """How far journals are read."""
    return {source: place for source, place in store.positions().items() if not source.startswith("copy:")}


@requires_engine
def test_to_the_server_and_back_nothing_is_lost() -> None:
    """File to server, server to server, server to file: each copy answers as the first store, and keeps out what was deleted."""
    with ExitStack() as stack:
        source, back = (stack.enter_context(closing(open_memory_store())) for _ in range(2))
        server, second = (stack.enter_context(opened()) for _ in range(2))
        fill(source)
        expected = answers(source, ALL)
        for limit, (one, other) in zip((9, 100, 4), ((source, server), (server, second), (second, back)), strict=True):
            assert copy_store(one, other, "first", limit=limit) == Copied(spans=8, logs=8, metrics=6)
            assert differences(one, other) == []
            assert positions(other) == {"journal:/a": "17", "journal:/b": "4", "journal:/c": "9"}
        assert answers(server, ALL) == answers(back, ALL) == expected
        for copy in (server, back):
            copy.write(
                Batch(
                    spans=[
                        span(GONE, 9, None, T0 + 9 * DAY, SECOND, "gone"),
                        span("d" * 32, 1, None, T0, SECOND, "theirs", user_id="nobody"),
                    ],
                    logs=[LogRow(T0 + DAY, "INFO", "log", "relayed", source="journal")],
                )
            )
            assert differences(source, copy) == ["deleted runs: 2 in what is copied, 3 in the copy"]


@requires_engine
def test_a_copy_is_added_up_as_what_was_received_is() -> None:
    """Pieces of a copy become parts without sums, as batches do; whatever the server merges has all of them, and questions are answered from them."""
    with closing(open_memory_store()) as source, opened() as copy:
        calls = {"operation": "chat", "usage_source": "provider", "model": "m", "cost_usd": 0.5, "input_tokens": 7}
        rows = [span(f"{n:032x}", 1, None, T0 + n * SECOND, SECOND, "m", **calls) for n in range(600)]
        source.write(Batch(spans=rows))
        copy_store(source, copy, "bulk", limit=20)
        ask = copy._client.ask  # type: ignore[attr-defined]
        parts = f"WHERE active AND database = '{copy.state().path.rpartition('/')[2]}' AND table = 'spans'"
        merged = f"SELECT name, projections FROM system.parts {parts} AND level > 0"
        until(lambda: ask(f"SELECT sum(rows) FROM system.parts {parts} AND level > 0")[0][0] > 300, "the server merges")
        every = {each.split()[1] for each in TABLES["spans"].more if each.startswith("PROJECTION")}
        assert all(set(projections) == every for _, projections in ask(merged))
        by_hour = (
            "SELECT sum(n) FROM (SELECT intDiv(start_us, 3600000000), series, count() AS n FROM spans GROUP BY 1, 2)"
        )
        told = ask(by_hour, settings={"force_optimize_projection_name": "by_hour"})
        assert (told, copy.totals(ALL)) == ([(600,)], source.totals(ALL))


@settings(deadline=None, max_examples=4)
@given(batches=BATCHES)
def test_a_copy_of_any_rows_answers_alike(batches: list[list[SpanRow]]) -> None:
    """Whatever the rows, in however many batches they came, and wherever pieces of the copy end."""
    with closing(open_memory_store()) as source, closing(open_memory_store()) as copy:
        for batch in batches:
            source.write(Batch(spans=batch))
        copy_store(source, copy, "any", limit=5)
        assert differences(source, copy) == []
        assert answers(copy, ALL) == answers(source, ALL)


@requires_engine
@settings(deadline=None, max_examples=1)
@given(batches=BATCHES.filter(lambda batches: sum(map(len, batches)) > 8))
def test_a_copy_of_any_rows_on_the_server_comes_back(batches: list[list[SpanRow]]) -> None:
    """The same between the engines, there and back."""
    with closing(open_memory_store()) as source, opened() as copy, closing(open_memory_store()) as back:
        for batch in batches:
            source.write(Batch(spans=batch))
        copy_store(source, copy, "any", limit=20)
        copy_store(copy, back, "any", limit=20)
        assert differences(source, copy) == []
        assert answers(back, ALL) == answers(source, ALL)


@requires_engine
@pytest.mark.parametrize("engine", ["duckdb", "clickhouse"])
def test_a_copy_that_is_killed_again_and_again_counts_once(engine: str, tmp_path: Path) -> None:
    """Killed behind the first thing that is changed in the copy, then behind the second, and so on until it comes to its end."""
    source = str(tmp_path / "source.duckdb")
    target = new_url() if engine == "clickhouse" else str(tmp_path / "copy.duckdb")
    with opened(source) as store:
        fill(store)
        expected = answers(store, ALL)
    script = str(Path(__file__).with_name("store_killed.py"))
    done = subprocess.run([sys.executable, script, source, target, "100"], capture_output=True, text=True, check=False)
    assert int(done.stdout) > 2, done.stderr
    with opened(source) as store, opened(target) as copy, closing(open_memory_store()) as back:
        assert differences(store, copy) == []
        copy_store(copy, back, "back")
        assert answers(back, ALL) == expected


@requires_engine
def test_the_command_copies_a_store_and_says_what_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command copies and compares; given again it takes what came meanwhile; what it can not make alike it names."""
    source, target = tmp_path / "source.duckdb", new_url()
    with closing(open_store(source)) as store:
        store.write(morning())
    assert main(["store", "copy", str(source), target]) == 0
    assert "6 spans, 3 log lines and 3 points of metrics copied\n" in capsys.readouterr().out
    with closing(open_store(source)) as store:
        store.write(Batch(spans=[span("e" * 32, 1, None, T0 + DAY, SECOND, "later")]))
    assert main(["store", "copy", f"duckdb:///{source}", target]) == 0
    told = capsys.readouterr().out
    assert "1 spans, 0 log lines and 0 points of metrics copied, besides what was there already\n" in told
    assert f"{target} holds the same rows, tokens and cost of each day\n" in told
    with closing(open_store(source)) as store:
        store.delete(Subject("trace", "e" * 32), by="ada", at_us=T0)
    assert main(["store", "copy", str(source), target]) == 1
    told = capsys.readouterr().err
    assert "spans: 6 in what is copied, 7 in the copy\n" in told
    assert "begin anew with an empty store" in told


def test_a_copy_goes_nowhere_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A store with something else in it, a store that is not there, and the same store are refused, and nothing is changed."""
    source, other = tmp_path / "source.duckdb", tmp_path / "other.duckdb"
    for path in (source, other):
        with closing(open_store(path)) as store:
            store.write(morning())
    assert main(["store", "copy", str(source), str(other)]) == 1
    assert "is not empty (6 spans, 3 log lines); name one that does not exist yet" in capsys.readouterr().err
    assert main(["store", "copy", str(tmp_path / "absent.duckdb"), str(other)]) == 1
    assert "there is no store at" in capsys.readouterr().err
    assert main(["store", "copy", str(source), f"duckdb:///{source}"]) == 2
    assert "the same store" in capsys.readouterr().err
    copy = tmp_path / "copy.duckdb"
    assert main(["store", "copy", str(source), str(copy)]) == 0
    assert main(["store", "copy", str(other), str(copy)]) == 1
    assert f"holds a copy of {source}, not of {other}" in capsys.readouterr().err


def test_deletions_under_two_keys_are_not_put_together() -> None:
    """A store that knows deleted names by hashes of its own cannot know those of another one."""
    with closing(open_memory_store()) as one, closing(open_memory_store()) as other:
        for store in (one, other):
            store.delete(Subject("user", "x"), by="ada", at_us=T0)
        with pytest.raises(StoreError, match="another key"):
            copy_store(one, other, "one")

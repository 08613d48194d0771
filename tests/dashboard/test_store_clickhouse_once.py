"""What the store on ClickHouse promises beyond the contract: spans count once whatever fails and whoever sends them, tables are made in
steps that may be interrupted, and one definition spells both a server and a cluster.
"""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from alert_rooms import until
from clickhouse_engine import new_url, opened, requires_engine, served
from sample import sample, trace_id

from ai_dev_squad_dashboard.app import create_app, running
from ai_dev_squad_dashboard.cli import main
from ai_dev_squad_dashboard.settings import DashboardSettings
from ai_dev_squad_dashboard.store import Store, StoreError, open_store
from ai_dev_squad_dashboard.store.base import Selection
from ai_dev_squad_dashboard.store.rows import Batch, LogRow, MetricRow, OpenRow, SpanRow
from ai_dev_squad_dashboard.store.sql_answers import SqlError
from ai_dev_squad_testing.store_contract.oracle import Oracle
from ai_dev_squad_testing.store_contract.sample import ALL, DAY, HOUR, SECOND, T0, near, span

pytest.importorskip("clickhouse_connect")

from ai_dev_squad_dashboard.store.clickhouse.address import Address
from ai_dev_squad_dashboard.store.clickhouse.client import Client
from ai_dev_squad_dashboard.store.clickhouse.migrations import SCHEMA_VERSION, migrate, steps_of
from ai_dev_squad_dashboard.store.clickhouse.schema import COLD, TABLES, statements
from ai_dev_squad_dashboard.store.clickhouse.store import ClickHouseStore
from ai_dev_squad_dashboard.store.clickhouse.write import Writer


def calls(first: int, count: int, **more: Any) -> list[SpanRow]:
    """Model calls of runs of five, a minute apart."""
    told = {"operation": "chat", "model": "m", "usage_source": "provider", "cost_usd": 0.25, "input_tokens": 3, **more}
    return [
        span(f"{first + n // 5:032x}", n % 5 + 1, None if n % 5 == 0 else 1, T0 + n * 60 * SECOND, SECOND, "m", **told)
        for n in range(count)
    ]


@requires_engine
def test_who_reads_on_misses_no_writer_that_was_slower() -> None:
    """Two writers give out numbers without knowing of one another: a lower one may be stored later, so readers leave the newest alone."""
    url = new_url()
    with opened(url) as one, opened(url) as other:
        stored: list[int] = []
        insert = one._writer._client.insert  # type: ignore[attr-defined]

        def slower(table: str, *given: Any) -> None:
            if table == "spans":
                other.write(Batch(spans=calls(500, 3), logs=[LogRow(T0, "INFO", "log", "other")]))
                stored.append(other.newest_span())
            insert(table, *given)

        one._writer._client.insert = slower  # type: ignore[attr-defined, method-assign]
        one.write(Batch(spans=calls(1, 3), logs=[LogRow(T0, "INFO", "log", "one")]))

        numbers = one._client.ask("SELECT seq FROM spans ORDER BY seq")  # type: ignore[attr-defined]
        assert len(set(numbers)) == 6
        # Whoever had read up to the other's would have missed these three.
        assert sum(number < stored[0] for (number,) in numbers) >= 3
        assert [one.newest_span(settled_s=3600.0), len(one.logs(ALL, settled_s=3600.0).rows)] == [0, 0]
        assert [one.newest_span(), len(one.logs(ALL).rows)] == [numbers[-1][0], 2]


@requires_engine
def test_a_writer_that_does_not_know_how_long_it_took_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """An insert that failed may have been done, and one that took long may have been overtaken: readers count anew."""
    with opened() as store:
        writer = store._writer  # type: ignore[attr-defined]
        store.write(Batch(spans=calls(1, 3)))
        in_time = store.late_spans()
        with monkeypatch.context() as slow:
            slow.setattr("ai_dev_squad_dashboard.store.clickhouse.write.SETTLED_S", 0.0)
            store.write(Batch(spans=calls(10, 3)))
        late = store.late_spans()
        insert = writer._client.insert

        def cut(table: str, *given: Any) -> None:
            insert(table, *given)
            if table == "spans":
                raise StoreError("the answer was lost")

        with monkeypatch.context() as lost:
            lost.setattr(writer._client, "insert", cut)
            with pytest.raises(StoreError):
                store.write(Batch(spans=calls(20, 3)))
        store.write(Batch(spans=calls(20, 3)))
        again = store.late_spans()
        store.write(Batch(spans=calls(30, 3)))

        assert (in_time, late > 0, again > late, store.late_spans()) == (0, True, True, again)
        assert store.totals(ALL).spans == 12


@requires_engine
def test_a_line_that_two_receivers_store_at_the_same_time_is_one() -> None:
    """Both have looked before either has stored it."""
    url = new_url()
    line = Batch(logs=[LogRow(T0, "INFO", "log", "again"), LogRow(T0 + 1, "INFO", "log", "own")], relayed=True)
    with opened(url) as one, opened(url) as other:
        looked = one._writer._unknown  # type: ignore[attr-defined]

        def late(logs: Any) -> Any:
            found = looked(logs)
            other.write(Batch(logs=line.logs[:1], relayed=True))
            return found

        one._writer._unknown = late  # type: ignore[attr-defined, method-assign]
        one.write(line)
        assert sorted(row.message for row in one.logs(ALL).rows) == ["again", "own"]


def holds_once(store: Store, spans: list[SpanRow]) -> None:
    """The store answers as one that had each of these spans once, in sums, tables, lists and roll-ups."""
    oracle = Oracle(spans)
    for selection in (ALL, Selection(T0 + HOUR // 2, T0 + 3 * HOUR + 1)):
        near(store.totals(selection), oracle.totals(selection))
        for by in ("model", "session", "day"):
            exact = oracle.groups(selection, by)
            for group in store.groups(selection, by):
                near(group, exact[group.key])
    listed = {row.trace_id: row.spans for row in store.traces(ALL, limit=1000).rows}
    assert listed == {trace: row["spans"] for trace, row in oracle.traces().items()}
    assert store.state().spans == len(spans)


@pytest.mark.parametrize(
    "url, expected",
    [
        ("clickhouse://", Address("localhost", 8123, "ai_dev_squad")),
        ("clickhouse://box/squad?secure=1&verify=0", Address("box", 8443, "squad", secure=True, verify=False)),
        ("clickhouse://a%40b:p%2Fw@[::1]:9000/x_1", Address("::1", 9000, "x_1", "a@b", "p/w")),
    ],
)
def test_what_a_url_says(url: str, expected: Address) -> None:
    """Host, port, database, user and password, with ClickHouse's own defaults."""
    assert Address.of(url) == expected
    assert "p/w" not in f"{expected!r} {expected}"


@pytest.mark.parametrize(
    "url, told",
    [
        ("clickhouse://box/two/parts", "database 'two/parts'; use letters"),
        ("clickhouse://box/1x", "database '1x'"),
        ("clickhouse://box:0x/x", "no port between 1 and 65535"),
        ("clickhouse://box/x?compress=1", "option 'compress'; use secure, verify"),
        (
            "clickhouse://u:secret@box/x?cluster=ours",
            "store 'clickhouse://u:…@box/x?cluster=ours' names a cluster; a store is on one server so far",
        ),
        (
            "clickhouse://u:secret@box/x?secure=maybe",
            "store 'clickhouse://u:…@box/x?secure=maybe' has secure=maybe; use 1 or 0",
        ),
    ],
)
def test_a_url_that_cannot_be_is_refused(url: str, told: str) -> None:
    """The message names what is wrong, what is allowed, and no password."""
    with pytest.raises(StoreError) as error:
        Address.of(url)
    assert told in str(error.value)
    assert "secret" not in str(error.value)


def test_a_server_that_is_away_is_said_to_be() -> None:
    """With its address and the cure."""
    with pytest.raises(StoreError, match=r"clickhouse://default@127\.0\.0\.1:9/x does not answer .*start the server"):
        open_store("clickhouse://127.0.0.1:9/x")


def test_one_definition_spells_a_server_and_a_cluster() -> None:
    """On a cluster each server has its own replicated table, and one is over all of them, sharded by trace."""
    (one,) = statements("traces", "squad")
    local, distributed = statements("traces", "squad", "ours")
    assert "ENGINE = ReplacingMergeTree(spans) PARTITION BY" in one
    assert "traces_local ON CLUSTER 'ours'" in local
    assert "ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{uuid}', '{replica}', spans)" in local
    assert "replicated_deduplication_window = 10000" in local
    assert distributed == (
        "CREATE TABLE IF NOT EXISTS squad.traces ON CLUSTER 'ours' AS squad.traces_local "
        "ENGINE = Distributed('ours', 'squad', 'traces_local', cityHash64(trace_id))"
    )
    assert all(len(statements(name, "squad", "ours")) == 2 for name in TABLES)


_CLUSTER = """
<clickhouse>
    <tcp_port>9000</tcp_port>
    <remote_servers><ours><shard><replica><host>127.0.0.1</host><port>9000</port></replica></shard></ours></remote_servers>
</clickhouse>
"""
"""A cluster of the one server that it is said to, as the engine in a process listens to no other."""
_REPLICATED = re.compile(r"Replicated(\w+)\('[^']*', '[^']*'(?:, )?")


@requires_engine
def test_what_is_spelled_for_a_cluster_is_what_the_engine_understands(tmp_path: Path) -> None:
    """Every statement is read by it; without Keeper, which it lacks, they make tables that are written and asked over the cluster. Rows
    have to be deleted from those beneath, and so a store on a cluster is refused.
    """
    configuration = tmp_path / "cluster.xml"
    configuration.write_text(_CLUSTER)
    with served(f"{tmp_path}/engine?config-file={configuration}") as port:
        client = Client(Address("127.0.0.1", port, "squad"))
        client.do("CREATE DATABASE squad", settings={"database": "default"})
        for name in TABLES:
            local, over = statements(name, "squad", "ours")
            for statement in (local, over):
                assert client.ask(f"EXPLAIN AST {statement}")[0][0].startswith("CreateQuery squad")
            alone = _REPLICATED.sub(r"\1(", local).replace("replicated_deduplication", "non_replicated_deduplication")
            for statement in (alone, over):
                client.do(statement.replace(" ON CLUSTER 'ours'", ""))
        for moment, position in enumerate(("1", "2")):
            client.insert("positions", {"source": ["journal"], "position": [position], "at_ns": [moment]})

        found = client.ask("SELECT source, position FROM positions FINAL")
        with pytest.raises(StoreError, match="DELETE query is not supported"):
            client.do("DELETE FROM positions WHERE source = 'journal'")
        client.do("DELETE FROM positions_local WHERE source = 'journal'")
        left = client.number("SELECT count() FROM positions")
        client.close()

    assert (found, left) == ([("journal", "2")], 0)


@requires_engine
def test_making_the_tables_goes_on_where_it_was_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step is recorded, and done once."""
    client = Client(Address.of(new_url()))
    ran: list[str] = []
    left = [9]

    def do(statement: str, **more: Any) -> None:
        if "schema_versions" not in statement and "DATABASE" not in statement:
            if not left[0]:
                raise StoreError("the cable was pulled")
            left[0] -= 1
            ran.append(statement)
        Client.do(client, statement, **more)

    monkeypatch.setattr(client, "do", do)
    with pytest.raises(StoreError, match="cable"):
        migrate(client)
    left[0] = 1000
    migrate(client)
    steps = [step for version in range(1, SCHEMA_VERSION + 1) for step in steps_of(version, client.address.database)]
    assert ran == steps
    migrate(client)
    assert ran == steps
    client.do("INSERT INTO schema_versions VALUES (99, 0, 0)")
    with pytest.raises(StoreError, match=r"newer version of the dashboard .*version 99.*upgrade"):
        migrate(client)
    client.close()


@requires_engine
def test_words_of_a_database_of_the_first_version_are_indexed_anew() -> None:
    """It has one index of all words. What is in it is found at once, and by the new indexes as soon as the engine has made them."""
    url = new_url()
    with opened(url) as store:
        client = store._client
        for table in ("content", "logs"):
            client.do(f"ALTER TABLE {table} DROP INDEX of_listed, DROP INDEX of_others", settings={"mutations_sync": 2})
            client.do(f"ALTER TABLE {table} ADD INDEX of_words words TYPE text(tokenizer = splitByNonAlpha)")
        client.do("DELETE FROM schema_versions WHERE version > 1", settings={"lightweight_deletes_sync": 2})
        store.write(Batch(spans=[span(f"{1:032x}", 1, None, T0, 1, "run", text="serendipity 4711x")]))
    with opened(url) as store:
        client = store._client

        def indexed() -> list[tuple[str]]:
            return client.ask(
                "SELECT name FROM system.data_skipping_indices WHERE table = 'content' AND type = 'text' "
                f"AND database = '{client.address.database}' AND data_compressed_bytes > 0 ORDER BY name"
            )

        assert [len(store.traces(ALL, text=text).rows) for text in ("serendip", "4711x", "4711")] == [1, 1, 0]
        until(lambda: indexed() == [("of_listed",), ("of_others",)])
        assert [len(store.traces(ALL, text=text).rows) for text in ("serendip", "4711x", "4711")] == [1, 1, 0]


@requires_engine
def test_a_day_to_which_nothing_comes_any_more_becomes_one_part_with_sums() -> None:
    """The engine puts it together by itself, whatever its parts; in a database of the second version, too."""
    url = new_url()
    with opened(url) as store:
        client = store._client
        days = [name for name, table in TABLES.items() if table.time]
        for name in days:
            client.do(f"ALTER TABLE {name} RESET SETTING min_partition_age_to_force_merge_seconds")
        client.do("DELETE FROM schema_versions WHERE version > 2", settings={"lightweight_deletes_sync": 2})
    with opened(url) as store:
        client = store._client
        ours = f"database = '{client.address.database}'"
        cold = f"SELECT name FROM system.tables WHERE {ours} AND engine_full LIKE '%{COLD}%'"
        assert sorted(name for (name,) in client.ask(cold)) == sorted(days)
        asked = ("spans", "content", "traces")
        for name in asked:  # not before all is there: a part with sums and one without are never put together
            client.do(f"SYSTEM STOP MERGES {name}")
        for number in range(1, 4):
            store.write(Batch(spans=calls(100 * number, 7)))
        for name in asked:
            client.do(
                f"ALTER TABLE {name} MODIFY SETTING min_partition_age_to_force_merge_seconds = 1, merge_selecting_sleep_ms = 100, "
                "max_merge_selecting_sleep_ms = 1000"
            )
            client.do(f"SYSTEM START MERGES {name}")

        def parts() -> list[tuple[str, int]]:
            return client.ask(
                f"SELECT table, length(projections) FROM system.parts WHERE active AND {ours} "
                "AND table IN ('spans', 'content', 'traces') ORDER BY table"
            )

        until(lambda: parts() == [("content", 0), ("spans", 6), ("traces", 0)])


@requires_engine
def test_the_engine_compiles_nothing_of_what_it_is_asked() -> None:
    """Neither when questions follow one another nor behind one that had settings of its own."""
    settings = "compile_expressions", "compile_aggregate_expressions", "compile_sort_description"
    question = f"SELECT {', '.join(f'getSetting({name!r})' for name in settings)}"
    with opened() as store:
        client = store._client
        assert [client.ask(question, settings=own) for own in (None, {"max_threads": 1}, None)] == [[(False,) * 3]] * 3


@requires_engine
def test_a_batch_that_failed_anywhere_is_repeated_and_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever statement of it fails: repeated as it is, everything of it is there, once."""
    url = new_url()
    spans: list[SpanRow] = []
    with opened(url) as store:
        assert isinstance(store, ClickHouseStore)
        client: Any = store._client
        for fails_at in range(40):
            batch = Batch(
                spans=calls(100 * fails_at + 1, 7, session_id=f"s{fails_at}"),
                logs=[LogRow(T0 + fails_at, "INFO", "log", f"line {fails_at}")],
                opened=[OpenRow(f"{100 * fails_at + 1:032x}", f"{n:016x}", None, T0, "x", "chat") for n in (1, 99)],
                metrics=[MetricRow(T0 + fails_at, "queue", "gauge", "1", None, 1.0, None, b"{}")],
                positions={"journal:/a": str(fails_at)},
            )
            left = [fails_at]

            def failing(method: Any, left: list[int] = left) -> Any:
                def run(*arguments: Any, **more: Any) -> Any:
                    if left[0] == 0:
                        left[0] = -1
                        raise StoreError("the cable was pulled")
                    left[0] -= 1
                    return method(*arguments, **more)

                return run

            with monkeypatch.context() as patch:
                for name in ("ask", "do", "insert"):
                    patch.setattr(client, name, failing(getattr(client, name)))
                try:
                    store.write(batch)
                except StoreError:
                    store.write(batch)
            spans += batch.spans
            if left[0] > 0:  # there was no statement of that number
                break
        assert fails_at > 10
        holds_once(store, spans)
        assert [line.message for line in store.logs(ALL).rows] == [f"line {n}" for n in range(fails_at, -1, -1)]
        assert [metric.points for metric in store.metric_names()] == [fails_at + 1]
        assert {row.span_id for row in store.running(0)} == {f"{99:016x}"}
        assert store.positions() == {"journal:/a": str(fails_at)}


@requires_engine
def test_what_two_receivers_store_at_once_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same spans by two dashboards that both saw them missing, told a little differently, before and after the engine merges."""
    looked = Writer._stored
    both_looked = threading.Barrier(2)

    def stored(self: Writer, spans: Any) -> Any:
        found = looked(self, spans)
        both_looked.wait(30)
        return found

    monkeypatch.setattr(Writer, "_stored", stored)
    url = new_url()
    with opened(url) as one, opened(url) as other:
        spans: list[SpanRow] = []
        for turn in range(2):
            whole = calls(1000 * turn + 1, 160, source="journal")
            mine, theirs = whole[:120], [row._replace(source="otlp") for row in whole[40:]]
            senders = [
                threading.Thread(target=store.write, args=(Batch(spans=rows),))
                for store, rows in ((one, mine), (other, theirs))
            ]
            for sender in senders:
                sender.start()
            for sender in senders:
                sender.join()
            spans += whole
        for store in (one, other):
            holds_once(store, spans)
        assert isinstance(one, ClickHouseStore)
        for table in ("spans", "traces"):
            one._client.do(f"OPTIMIZE TABLE {table} FINAL")
        holds_once(one, spans)


@requires_engine
def test_what_was_deleted_does_not_come_back_by_another_dashboard() -> None:
    """A deletion holds for every process that writes, from its next batch on."""
    from ai_dev_squad_dashboard.store.deletions import Subject

    url = new_url()
    gone, kept = calls(1, 5, user_id="ada"), calls(2, 5, user_id="bob")
    with opened(url) as one, opened(url) as other:
        one.write(Batch(spans=gone + kept))
        done = one.delete(Subject("user", "ada"), by="a test", at_us=T0 + DAY)
        assert (done.traces, done.spans) == (1, 5)
        assert other.write(Batch(spans=gone)).spans == 0
        assert one.deletions() == [done]
        assert one.compact()
        for store in (one, other):
            holds_once(store, kept)


@requires_engine
def test_the_dashboard_answers_from_it(tmp_path: Path) -> None:
    """Every page that a visitor opens first, with what the store holds; free questions are refused with the cure."""
    now_us = time.time_ns() // 1000
    settings = DashboardSettings(store=new_url(), db=tmp_path / "dashboard.duckdb", logs=(tmp_path,))
    app = create_app(settings, follow=False)
    try:
        whole = Batch()
        for each in sample(now_us):
            for name in ("spans", "logs", "opened", "metrics"):
                getattr(whole, name).extend(getattr(each, name))
        running(app).store.write(whole)
        client = app.test_client()
        pages = ("/", "/traces", f"/traces/{trace_id('failed')}", "/costs", "/sessions", "/logs", "/errors", "/health")
        assert {page: client.get(page).status_code for page in pages} == dict.fromkeys(pages, 200)
        assert "ClickHouse" in client.get("/health").text
        assert not settings.db.exists()
        with pytest.raises(SqlError, match="ask the server itself"):
            running(app).store.sql("SELECT 1")
        with pytest.raises(StoreError, match="BACKUP DATABASE"):
            running(app).store.backup(tmp_path / "copy")
    finally:
        running(app).close()


@requires_engine
def test_the_doctor_tries_a_server_and_leaves_nothing_behind(capsys: pytest.CaptureFixture[str]) -> None:
    """Tables, writing, counting once, words, merging and deleting, in a database that is gone afterwards."""
    url = new_url()
    assert main(["doctor", "--store", url, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [finding["verdict"] for finding in told["findings"]] == ["ok"] * 8
    with opened(url) as store:
        assert isinstance(store, ClickHouseStore)
        assert store._client.number("SELECT count() FROM system.databases WHERE name LIKE '%probe%'") == 0


def test_the_doctor_says_what_keeps_a_server_from_being_one(capsys: pytest.CaptureFixture[str]) -> None:
    """One that is away is a problem with a cure, and what is no server is a wrong question."""
    assert main(["doctor", "--store", "clickhouse://u:secret@127.0.0.1:9/x"]) == 1
    assert main(["doctor", "--store", "duckdb:///x.duckdb"]) == 2
    told = "".join(capsys.readouterr())
    assert "does not answer" in told
    assert "secret" not in told

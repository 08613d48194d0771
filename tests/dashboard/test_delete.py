"""Deleting a run or a session: afterwards nothing of it is anywhere, and it does not come back."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from ai_dev_squad_dashboard import DashboardSettings, create_app
from ai_dev_squad_dashboard.app import running
from ai_dev_squad_dashboard.security.tokens import new_token
from ai_dev_squad_dashboard.store import Store, open_store
from ai_dev_squad_dashboard.store.base import Written
from ai_dev_squad_dashboard.store.deletions import Deletion, Extent, Subject
from ai_dev_squad_dashboard.store.duckdb_file import File
from ai_dev_squad_dashboard.store.duckdb_store import DuckDBStore
from ai_dev_squad_dashboard.store.rows import Batch, LogRow, MetricRow, OpenRow
from ai_dev_squad_testing.store_contract.sample import ALL, DAY, HOUR, MINUTE, SECOND, T0, span

PERSON = "0a" * 16
OTHER = "0b" * 16
WORDS = (
    b"margarethe@example.org", b"Margarethe Zimmermann", b"PlattfussKlinik", b"platt_agent", b"platt_tool", b"platt-model",
    b"PlattError", b"platt-provider", b"platt-service", b"platt-reason", b"user-margarethe", b"platt-label",
)  # fmt: skip
"""What only this person's rows have, in any column and in any bytes."""


def persons(start_us: int = T0) -> Batch:
    """Everything that a person leaves behind: a run with a call, a tool and an error, log lines, something that runs, a metric."""
    session = {"session_id": "margarethe@example.org", "service": "platt-service", "user_id": "user-margarethe"}
    names = {"agent": "platt_agent", "provider": "platt-provider", "model": "platt-model"}
    return Batch(
        spans=[
            span(PERSON, 1, None, start_us, 9 * SECOND, "Margarethe Zimmermann", operation="invoke_workflow", labels='{"tag":"platt-label"}', **session),
            span(
                PERSON, 2, 1, start_us + SECOND, SECOND, "platt-model", operation="chat", usage_source="provider",
                input_tokens=7, cost_reason="platt-reason", details=b'{"input":"PlattfussKlinik, said Margarethe Zimmermann"}',
                text="PlattfussKlinik, said Margarethe Zimmermann", **names, **session,
            ),
            span(
                PERSON, 3, 1, start_us + 2 * SECOND, SECOND, "platt_tool", operation="execute_tool", tool="platt_tool",
                status="error", error_type="PlattError", error_message="Margarethe Zimmermann is not known",
            ),
        ],
        logs=[
            LogRow(start_us, "INFO", "log", "PlattfussKlinik", trace_id=PERSON),
            LogRow(start_us, "INFO", "log", "Margarethe Zimmermann came", session_id="margarethe@example.org", details=b'{"x":"PlattfussKlinik"}'),
        ],
        opened=[OpenRow("0c" * 16, f"{1:016x}", None, start_us, "PlattfussKlinik", "chat", session_id="margarethe@example.org")],
        metrics=[MetricRow(start_us, "m", "sum", "1", None, 1.0, None, b'{"attributes":{"session.id":"margarethe@example.org"}}')],
        positions={"journal:/a": "17"},
    )  # fmt: skip


def others() -> Batch:
    """Runs of others in the same minutes and later, with sums that a wrong correction would change."""
    call = {"operation": "chat", "usage_source": "provider", "model": "m", "cost_usd": 0.1, "input_tokens": 3}
    return Batch(
        spans=[
            span(OTHER, 1, None, T0, SECOND, "run", session_id="s"),
            *(span(OTHER, n, 1, T0 + n * 7 * MINUTE, SECOND, "m", session_id="s", **call) for n in range(2, 12)),
        ],
        logs=[LogRow(T0 + SECOND, "INFO", "log", "hello", trace_id=OTHER, span_id=f"{1:016x}")],
        metrics=[MetricRow(T0, "m", "sum", "1", None, 2.0, None, b'{"attributes":{"session.id":"s"}}')],
    )


def answers(store: Store) -> dict[str, object]:
    """What pages ask, of everything."""
    return {
        "totals": store.totals(ALL),
        "facets": store.facets(ALL),
        "groups": [store.groups(ALL, by, latency=True) for by in ("model", "agent", "session", "workflow", "day")],
        "timeline": [store.timeline(ALL, step) for step in (MINUTE, HOUR)],
        "traces": store.traces(ALL),
        "sessions": store.sessions(ALL),
        "logs": store.logs(ALL).rows,
        "running": store.running(0),
        "unpriced": store.unpriced(ALL),
        "metrics": store.metric_names(),
        "state": (store.state().spans, store.state().logs, store.state().traces, store.state().series),
    }


@pytest.fixture(
    params=[Subject("trace", PERSON), Subject("session", "margarethe@example.org"), Subject("user", "user-margarethe")],
    ids=["trace", "session", "user"],
)
def subject(request) -> Subject:
    return request.param


def without_trace(batch: Batch) -> Batch:
    """What a person leaves that no trace id leads to."""
    return replace(batch, spans=[], logs=batch.logs[1:], positions={})


@pytest.mark.parametrize("roll_every", [1, 1000])
def test_every_answer_is_that_of_a_store_which_never_had_it(subject, roll_every):
    """Sums, series, histograms, lists and names, with what is rolled up and with what is not."""
    store, never = (DuckDBStore(File(None, 256), roll_every=roll_every) for _ in range(2))
    store.write(others())
    store.write(persons())
    store.write(Batch(spans=[span("0d" * 16, 1, None, T0 + 5 * SECOND, SECOND, "late", status="error")]))
    found = store.extent(subject)
    done = store.delete(subject, by="ada", at_us=T0 + DAY)
    never.write(others())
    if subject.kind == "trace":
        never.write(without_trace(persons()))
    never.write(Batch(spans=[span("0d" * 16, 1, None, T0 + 5 * SECOND, SECOND, "late", status="error")]))

    assert answers(store) == answers(never)
    assert store.positions() == {"journal:/a": "17"}
    whole = subject.kind != "trace"
    assert found == Extent(1, 3, 2 if whole else 1, int(whole), int(whole), 1, 0.0, T0, T0 + 9 * SECOND)
    assert done == Deletion(T0 + DAY, "ada", subject.kind, 1, 3, 2 if whole else 1, None)
    assert list(store.deletions()) == [done]


def test_no_byte_of_a_deleted_person_is_left(tmp_path):
    """After the file is written anew neither it, nor its log, nor anything beside it has one of the person's words, nor has an export."""
    db = tmp_path / "store" / "dashboard.duckdb"
    store = DuckDBStore(File(db, 256), roll_every=4, index=db.with_suffix(".search"))
    store.write(others())
    store.write(persons())
    found = {word for word in WORDS if any(word in path.read_bytes() for path in db.parent.iterdir())}
    assert found == set(WORDS)  # DuckDB's log has them as they came, so the search below would find them
    store._file.checkpoint()
    store.write(persons(T0 + DAY))
    store.delete(Subject("session", "margarethe@example.org"), by="ada", at_us=T0 + 2 * DAY)
    assert store.compact()
    store.export("spans", ALL, db.parent / "spans.csv", "csv")
    store.export("logs", ALL, db.parent / "logs.jsonl", "jsonl")
    store.backup(db.parent / "copy.duckdb")

    tables = _everything(store)
    left = {
        (path.name, word) for path in db.parent.iterdir() for word in WORDS if word.lower() in path.read_bytes().lower()
    }
    assert left == set()
    assert [word for word in WORDS if word.decode() in tables] == []
    assert "hello" in tables
    assert store.deletions()[0].compacted_us is not None
    store.close()
    assert [word for path in db.parent.iterdir() for word in WORDS if word in path.read_bytes()] == []


def _everything(store: DuckDBStore) -> str:
    """The text of every cell of every table, whatever tables there are; blobs as text as well."""
    with store._file.reading() as cursor:
        names = [name for (name,) in cursor.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
        rows = [row for name in names for row in cursor.execute(f'SELECT * FROM "{name}"').fetchall()]
    return "\n".join(
        value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for row in rows for value in row
    )


def test_it_does_not_come_back(subject, tmp_path):
    """What is sent again, or read again from a journal, is left out, also after a restart; positions move on all the same."""
    path = tmp_path / "store.duckdb"
    store = open_store(path)
    store.write(persons())
    store.delete(subject, by="ada", at_us=T0 + DAY)
    store.close()
    store = open_store(path)
    again = replace(persons(), positions={"journal:/a": "99"})

    written = store.write(replace(again, spans=[row._replace(trace_id=row.trace_id.upper()) for row in again.spans]))

    whole = subject.kind != "trace"
    assert written == Written(0, 0, 0 if whole else 1)
    assert (store.trace(PERSON), store.position("journal:/a")) == (None, "99")
    assert len(store.running(0)) == int(not whole)
    store.close()


def test_who_comes_back_is_recorded_again():
    """A session is gone as it was up to its deletion; what begins later in it is new."""
    store = DuckDBStore(File(None, 256))
    store.write(persons())
    store.delete(Subject("session", "margarethe@example.org"), by="ada", at_us=T0 + HOUR)
    new = span("0e" * 16, 1, None, T0 + HOUR + 1, SECOND, "again", session_id="margarethe@example.org")

    assert store.write(Batch(spans=[new])) == Written(1, 0, 0)
    assert [row.name for row in store.traces(ALL).rows] == ["again"]


def test_a_run_that_says_late_whose_it_is_goes_as_a_whole():
    """When a span tells that its run belongs to a deleted session, what had come of the run before goes as well, and sums with it."""
    store, never = DuckDBStore(File(None, 256), roll_every=1), DuckDBStore(File(None, 256), roll_every=1)
    store.write(persons())
    store.delete(Subject("session", "margarethe@example.org"), by="ada", at_us=T0 + DAY)
    for each in (store, never):
        each.write(others())
    lines = [LogRow(T0, "INFO", "log", "x", trace_id="0f" * 16)]
    store.write(Batch(spans=[span("0f" * 16, 2, 1, T0, SECOND, "step")], logs=lines))
    store.write(Batch(spans=[span("0f" * 16, 1, None, T0, SECOND, "run", session_id="margarethe@example.org")]))
    store.write(Batch(spans=[span("0f" * 16, 3, 1, T0, SECOND, "later")], logs=lines))

    assert answers(store) == answers(never)


def test_words_of_a_run_that_says_late_whose_it_is_leave_the_index(tmp_path):
    """What was indexed before the run said whose it is, of its spans and of its lines, is in no file after compaction."""
    db = tmp_path / "store" / "dashboard.duckdb"
    store = DuckDBStore(File(db, 256), roll_every=1, index=db.with_suffix(".search"))
    store.write(persons())
    store.delete(Subject("session", "margarethe@example.org"), by="ada", at_us=T0 + DAY)
    early = span("0f" * 16, 2, 1, T0, SECOND, "step", text="zanzibarword")
    store.write(Batch(spans=[early], logs=[LogRow(T0, "INFO", "log", "quokkaword", trace_id="0f" * 16)]))
    assert store.indexes.settle()
    store.write(Batch(spans=[span("0f" * 16, 1, None, T0, SECOND, "run", session_id="margarethe@example.org")]))
    assert store.compact()
    store.close()

    left = [
        (path.name, word)
        for path in db.parent.iterdir()
        for word in (b"zanzibarword", b"quokkaword")
        if word in path.read_bytes()
    ]
    assert left == []


def test_numbers_are_never_given_out_twice(tmp_path):
    """The newest rows may be deleted; after a restart what comes next has numbers of its own, for whoever kept one."""
    path = tmp_path / "store.duckdb"
    store = DuckDBStore(File(path, 256))
    store.write(others())
    store.write(persons())
    newest = store.logs(ALL).newest
    store.delete(Subject("session", "margarethe@example.org"), by="ada", at_us=T0 + DAY)
    store.close()
    store = DuckDBStore(File(path, 256))
    store.write(Batch(logs=[LogRow(T0 + 2 * DAY, "INFO", "log", "new")]))

    assert [row.message for row in store.logs(ALL, after=newest).rows] == ["new"]
    store.close()


READ, READ_DIGEST = new_token("read")
ACT, ACT_DIGEST = new_token("act")


@pytest.fixture
def client(tmp_path):
    """A dashboard with a token to look and one to act."""
    store = open_store(tmp_path / "dashboard.duckdb")
    store.write(persons())
    store.write(others())
    settings = DashboardSettings(
        db=tmp_path / "dashboard.duckdb", logs=(), read_tokens=(READ_DIGEST,), act_tokens=(ACT_DIGEST,)
    )
    app = create_app(settings, store=store, follow=False)
    yield app.test_client(use_cookies=False)
    running(app).close()


def test_programs_delete_by_address(client):
    """``DELETE`` answers with what went, and a second time that nothing is there. Who may only look is refused."""
    look, act = ({"Authorization": f"Bearer {token}"} for token in (READ, ACT))
    path = "/api/sessions/margarethe@example.org"
    refused, first, second = (client.delete(path, headers=headers) for headers in (look, act, act))

    assert (refused.status_code, second.status_code) == (403, 404)
    record = {"by": f"token {ACT_DIGEST[:8]}", "kind": "session", "traces": 1, "spans": 3, "logs": 2}
    assert first.json == {**first.json, **record}
    assert first.json["compacted_us"] > first.json["at_us"]
    assert client.get(f"/api/traces/{PERSON}", headers=act).status_code == 404
    # Behind ~ in base64 where an id would mean something else in an address.
    assert client.delete("/api/sessions/~cw", headers=act).json["spans"] == 11
    assert [item["kind"] for item in client.get("/api/delete", headers=look).json["done"]] == ["session", "session"]


def test_people_delete_on_a_page_that_says_what_goes(client):
    """The page names what goes and how much before anything does; the address afterwards has no word of it."""
    act = {"Authorization": f"Bearer {ACT}"}
    page = client.get("/delete?kind=session&id=margarethe%40example.org", headers=act).text
    answer = client.post("/delete", data={"kind": "session", "id": "margarethe@example.org"}, headers=act)

    assert "1 run, 3 operations, 2 log lines" in page
    assert (answer.status_code, answer.headers["Location"]) == (303, "/delete?done=1")
    after = client.get(answer.headers["Location"], headers=act).text
    assert "Deleted: 1 run, 3 operations, 2 log lines." in after
    assert "margarethe" not in after
    assert client.post("/delete", data={"kind": "planet", "id": "x"}, headers=act).status_code == 400
    looking = client.get("/delete?kind=trace&id=" + OTHER, headers={"Authorization": f"Bearer {READ}"}).text
    assert "You may look but not delete." in looking

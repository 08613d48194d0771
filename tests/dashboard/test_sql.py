"""Questions in SQL: what is answered, and what nobody gets by them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from ai_dev_squad_dashboard import DashboardSettings, create_app
from ai_dev_squad_dashboard.app import running
from ai_dev_squad_dashboard.security.tokens import new_token
from ai_dev_squad_dashboard.sql.page import EXAMPLES
from ai_dev_squad_dashboard.store import open_memory_store
from ai_dev_squad_dashboard.store.sql_answers import SqlError
from ai_dev_squad_dashboard.store.sql_views import VIEWS
from ai_dev_squad_testing.store_contract.sample import RUN, morning

READ, READ_DIGEST = new_token("read")
LOOKING = {"Authorization": f"Bearer {READ}"}


@pytest.fixture(scope="module")
def store():
    """A morning's runs."""
    store = open_memory_store()
    store.write(morning())
    yield store
    store.close()


@pytest.fixture(scope="module")
def client(store):
    """A dashboard over it, with a token to look."""
    app = create_app(DashboardSettings(port=0, logs=(), read_tokens=(READ_DIGEST,)), store=store, follow=False)
    yield app.test_client(use_cookies=False)
    running(app)


@pytest.mark.parametrize(
    "question, rows",
    [
        ("SELECT count(*) FROM runs", [(2,)]),
        ("select model, sum(cost_usd) as usd from calls group by all order by model", [("gpt-4o", 0.25), ("llama", None)]),
        ("FROM tools SELECT tool, status, duration_ms", [("calendar", "error", 1000.0)]),
        ("SELECT session_id, runs, calls FROM sessions;", [("monday", 1, 2)]),
        ("WITH dear AS (SELECT * FROM runs WHERE cost_usd > 0) SELECT d.trace_id, l.level FROM dear d JOIN logs l USING (trace_id) WHERE l.level = 'ERROR'", [(RUN, "ERROR")]),
        ("SELECT name, row_number() OVER (ORDER BY start DESC) FROM runs QUALIFY row_number() OVER (ORDER BY start DESC) = 1", [("llama", 1)]),
        ("SELECT details::JSON -> 'retry' FROM logs WHERE details IS NOT NULL", [("1",)]),
        ("SELECT 1 UNION SELECT 2 ORDER BY 1 LIMIT 1", [(1,)]),
        ("SELECT x FROM range(3) t(x) WHERE x IN (SELECT unnest([1, 2]))", [(1,), (2,)]),
        ("SELECT CASE WHEN text LIKE '%TEAM%' THEN upper(left(text, 4)) END FROM spans WHERE text IS NOT NULL ORDER BY start LIMIT 1", [("PLAN",)]),
    ],
)  # fmt: skip
def test_questions_are_answered(store, question, rows):
    """Joins, windows, subqueries, JSON and what else a reader of numbers writes."""
    assert list(store.sql(question).rows) == rows


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_the_examples_work(store, example):
    """Each example of the page is a question that is answered."""
    assert store.sql(example.sql).columns


@pytest.mark.parametrize("name", VIEWS)
def test_every_view_has_the_columns_that_are_told(store, name):
    """What the page and the reference list is there, in that order."""
    assert store.sql(f"SELECT * FROM {name}").columns == tuple(column.name for column in VIEWS[name].columns)


ATTACKS = [
    # other statements, and several
    "INSERT INTO spans VALUES (1)", "DELETE FROM runs", "DROP TABLE spans", "UPDATE traces SET name = ''", "CREATE TABLE x (a INT)",
    "CREATE TEMP MACRO f() AS 1", "SELECT 1; DROP TABLE spans", "SELECT 1; SELECT 2", "ATTACH '/tmp/x.db'", "DETACH memory",
    "USE memory", "COPY spans TO '/tmp/stolen'", "COPY (SELECT 1) TO '/tmp/stolen'", "EXPORT DATABASE '/tmp/stolen'",
    "IMPORT DATABASE '/tmp'", "INSTALL httpfs", "LOAD httpfs", "SET memory_limit = '1TB'", "RESET ALL", "PRAGMA database_list",
    "CALL pragma_version()", "CHECKPOINT", "VACUUM", "BEGIN", "COMMIT", "ROLLBACK", "EXPLAIN ANALYZE SELECT 1", "PREPARE p AS SELECT 1",
    "EXECUTE p", "DESCRIBE spans", "SHOW TABLES", "SHOW ALL TABLES", "SUMMARIZE spans", "FROM (DESCRIBE spans)",
    "SELECT * FROM (SHOW TABLES)", "PIVOT runs ON name USING sum(cost_usd)", "",
    # files and what reaches out
    "SELECT * FROM '/etc/passwd'", 'SELECT * FROM "/etc/passwd"', "FROM 'https://example.org/x.csv'", "FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')", "SELECT content FROM read_blob('/etc/passwd')", "FROM glob('/*')", "FROM sniff_csv('/etc/passwd')",
    "FROM parquet_metadata('/x')", "FROM sqlite_scan('/x', 'y')", "SELECT read_text('/etc/passwd')", "FROM main.read_csv('/etc/passwd')",
    # the engine, its settings, its catalogue, secrets
    "FROM duckdb_settings()", "FROM duckdb_secrets()", "FROM duckdb_tables()", "FROM information_schema.tables", "FROM pg_catalog.pg_class",
    "FROM pg_tables", "FROM sqlite_master", "FROM pragma_database_list", "SELECT current_setting('memory_limit')", "SELECT getenv('HOME')",
    "SELECT version()", "SELECT current_database()", "FROM duckdb_temporary_files()", "SELECT getvariable('x')", "SELECT nextval('x')",
    # tables behind the views
    "FROM main.spans", "FROM memory.main.spans", "FROM positions", "FROM meta", "FROM traces", "FROM deletions", "FROM trace_tombstones",
    "FROM tombstone_key", "SELECT * FROM spans JOIN main.logs USING (trace_id)", "SELECT (SELECT count(*) FROM meta)",
    "WITH a AS (SELECT * FROM tombstone_key) SELECT * FROM a", "SELECT * FROM runs WHERE EXISTS (SELECT 1 FROM positions)",
    "FROM runs UNION ALL SELECT * FROM traces", "SELECT 1 ORDER BY (SELECT max(value) FROM meta)", "SELECT 1 LIMIT (SELECT max(value) FROM meta)",
    "SELECT count(*) FILTER (WHERE (SELECT count(*) FROM meta) > 0) FROM runs", "VALUES ((SELECT max(value) FROM meta))",
    "SELECT list_transform([1], lambda x: (SELECT max(value) FROM meta))", "FROM runs AT (VERSION => 1)", "FROM query('SELECT 1')",
    "FROM query_table('meta')", "FROM unnest((SELECT list(value) FROM meta))",
    # much of little
    "SELECT repeat('x', 1000000000)", "SELECT lpad('x', 1000000000, 'x')", "SELECT range(1000000000000)", "SELECT printf('%1000000000d', 1)",
    "SELECT format('{:>1000000000}', 1)", "SELECT list_resize([1], 1000000000)",
    "WITH RECURSIVE a(x) AS (SELECT 'x' UNION ALL SELECT x || x FROM a) SELECT * FROM a", "SELECT " + "||".join(["'x'"] * 40),
    "SELECT " + "(" * 3000 + "1" + ")" * 3000, "SELECT " + "x" * 20_000, "SELECT $1", "SELECT ?", "SELECT 'a\0b'",
]  # fmt: skip


@pytest.mark.parametrize("question", ATTACKS, ids=range(len(ATTACKS)))
def test_what_is_no_harmless_question_is_refused(store, question):
    """Nothing is written, set, read from elsewhere or told of the engine; the message says what may be asked."""
    with pytest.raises(SqlError) as refused:
        store.sql(question)
    assert "cannot be answered" not in str(refused.value)  # what begins so was tried


def test_what_was_refused_changed_nothing(store):
    """After all of that the store answers as before."""
    for question in ATTACKS[:20]:
        with pytest.raises(SqlError):
            store.sql(question)
    assert store.sql("SELECT count(*) FROM spans").rows == ((6,),)
    assert store.state().spans == 6


@pytest.mark.parametrize(
    "question",
    [
        "SELECT count(*) FROM range(10000000000) a, range(10000000000) b",
        "SELECT sum(a.x * b.x) FROM range(10000000) a(x) JOIN range(10000000) b(x) ON a.x % 7 = b.x % 7",
    ],
)
def test_what_takes_too_long_is_stopped(store, question):
    """A question without end ends, with the limit in the message, and the next one is answered."""
    with pytest.raises(SqlError, match=r"took longer than 0\.2 s|took more than"):
        store.sql(question, max_seconds=0.2)
    assert store.sql("SELECT 1").rows == ((1,),)


def test_there_are_at_most_so_many_rows(store):
    """More rows than allowed are cut, and that is told."""
    answer = store.sql("SELECT x FROM range(100000) t(x)", max_rows=10)

    assert (len(answer.rows), answer.truncated) == (10, True)
    assert not store.sql("SELECT x FROM range(10) t(x)", max_rows=10).truncated


def test_programs_ask_over_http(client):
    """Who may look may ask: as JSON with names and types, or as a file; a question that is refused is a 400 with the reason."""
    question = {"sql": "SELECT name, cost_usd, start FROM runs ORDER BY name"}
    answer = client.post("/api/sql", json=question, headers=LOOKING)
    file = client.post("/api/sql?format=csv", json={"sql": "SELECT '=1+1' AS x, 2 AS x"}, headers=LOOKING)
    refused = client.post("/api/sql", json={"sql": "DROP TABLE spans"}, headers=LOOKING)

    assert answer.json["columns"] == [{"name": "name", "type": "VARCHAR"}, {"name": "cost_usd", "type": "DOUBLE"}, {"name": "start", "type": "TIMESTAMP"}]  # fmt: skip
    assert answer.json["rows"] == [
        ["llama", 0.0, "2027-01-15T08:30:00"],
        ["plan the week", 0.25, "2027-01-15T08:00:00"],
    ]
    assert file.text == "x,x_2\r\n'=1+1,2\r\n"
    assert (refused.status_code, "only SELECT is answered" in refused.json["error"]["message"]) == (400, True)
    assert client.post("/api/sql", json=question).status_code == 401
    assert client.post("/api/sql", json=["x"], headers=LOOKING).status_code == 400
    assert {view["name"] for view in client.get("/api/sql", headers=LOOKING).json["views"]} == set(VIEWS)


def test_people_ask_on_a_page(client):
    """The page has the views and examples beside the form; the answer is a table, or what is wrong with the question."""
    page = client.post("/sql", data={"sql": "SELECT '<b>' AS markup, name FROM runs ORDER BY name"}, headers=LOOKING)
    wrong = client.post("/sql", data={"sql": "SELECT nothing FROM runs"}, headers=LOOKING)
    file = client.post("/sql", data={"sql": "SELECT 1 AS one", "format": "csv"}, headers=LOOKING)

    assert "<bdi>&lt;b&gt;</bdi>" in page.text
    assert (wrong.status_code, "nothing" in wrong.text) == (400, True)
    assert file.text == "one\r\n1\r\n"
    assert "What each model cost, week by week" in client.get("/sql", headers=LOOKING).text

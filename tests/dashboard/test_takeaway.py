"""Every list, table and chart leaves as CSV, JSON or Parquet, with all that matches, while the dashboard runs."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import duckdb
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import parity_files

from ai_dev_squad_dashboard import DashboardSettings, cli, create_app
from ai_dev_squad_dashboard.app import running
from ai_dev_squad_dashboard.server import DashboardServer
from ai_dev_squad_dashboard.store import open_memory_store
from ai_dev_squad_dashboard.store.rows import Batch
from ai_dev_squad_dashboard.takeaway import tables_of
from ai_dev_squad_dashboard.views import PAGES
from ai_dev_squad_testing.store_contract.sample import T0, morning, span

RANGE = "from=2027-01-15T00:00:00Z&to=2027-01-16T00:00:00Z"
LATER = "from=2027-01-17T00:00:00Z&to=2027-01-18T00:00:00Z"
MANY, MANY_NAMES = 450, 130


def many_names():
    """More agents, each with a tool that fails in its own way and a model call, than a page shows, two days later."""
    for n in range(MANY_NAMES):
        at, who = T0 + 2 * 86_400_000_000 + n, {"agent": f"agent {n}"}
        run, call = (
            f"{10_000 + n:032x}",
            {"operation": "chat", "model": "m", "usage_source": "provider", "cost_usd": 0.5},
        )
        yield span(run, 1, None, at, 9, f"agent {n}", operation="invoke_agent", **who)
        failed = {"tool": f"tool {n}", "status": "error", "error_type": f"Error{n}"}
        yield span(run, 2, 1, at, 5, f"tool {n}", operation="execute_tool", **failed, **who)
        yield span(run, 3, 1, at, 5, "m", **call, **who)


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """A dashboard with a morning's runs, as many small ones as no page shows at once, and what the lab found."""
    logs = tmp_path_factory.mktemp("logs")
    parity_files.fill(logs)
    store = open_memory_store()
    store.write(morning())
    store.write(
        Batch(
            spans=[
                span(
                    f"{n:032x}", 1, None, T0 + 3_600_000_000 + n, 5, "=cmd()" if n == 1 else f"run {n}", session_id="s"
                )
                for n in range(1, MANY + 1)
            ]
        )
    )
    store.write(Batch(spans=list(many_names())))
    app = create_app(DashboardSettings(port=0, logs=(logs,)), store=store, follow=False)
    yield app
    running(app).close()


@pytest.fixture
def client(app):
    return app.test_client()


def test_a_list_leaves_whole(client, tmp_path):
    """All rows that match and not only a page's, in three formats with the same names and values; formulas are harmless in CSV."""
    answers = {
        kind: client.get(f"/api/traces?{RANGE}&session=s&table=rows&format={kind}")
        for kind in ("csv", "json", "parquet")
    }
    (tmp_path / "traces.parquet").write_bytes(answers["parquet"].data)
    parquet = duckdb.sql(f"SELECT trace_id, name, start_us FROM '{tmp_path}/traces.parquet'").fetchall()
    lines = list(csv.DictReader(io.StringIO(answers["csv"].text, newline="")))
    rows = answers["json"].json

    assert [row["name"] for row in rows] == [f"run {n}" for n in range(MANY, 1, -1)] + ["=cmd()"]
    assert [(row["trace_id"], row["name"], row["start_us"]) for row in rows] == parquet
    assert [line["start_us"] for line in lines] == [str(row["start_us"]) for row in rows]
    assert lines[-1]["name"] == "'=cmd()"
    assert list(lines[0]) == list(rows[0])
    assert answers["csv"].headers["Content-Disposition"] == 'attachment; filename="traces-rows.csv"'


def test_a_table_without_a_next_page_leaves_whole_as_well(client):
    """More agents, tools, costs, errors and turns than a page shows, which says so and shows more when asked."""
    many = {
        "/api/agents?table=agents": MANY_NAMES,
        "/api/agents?table=tools": MANY_NAMES,
        "/api/costs?by=agent&table=groups": MANY_NAMES,
        "/api/costs?by=tool&table=tools": MANY_NAMES,
        "/api/errors?table=groups": MANY_NAMES,
        "/api/sessions/s?table=turns": MANY,
    }
    taken = {path: len(client.get(f"{path}&{LATER}&format=json").json) for path in many}

    assert taken == many
    assert "the first 100 agents" in client.get(f"/agents?{LATER}").text
    assert f"{MANY_NAMES} agents" in client.get(f"/agents?{LATER}&limit=1000").text
    assert "The first 100." in client.get(f"/costs?by=agent&{LATER}").text
    assert "Show up to 1,000" not in client.get(f"/costs?by=agent&{LATER}&limit=1000").text


def test_accept_asks_as_well(client):
    """Who asks for CSV or Parquet by ``Accept`` gets it; who asks for JSON gets the page."""
    answers = [
        client.get(f"/api/sessions?{RANGE}", headers={"Accept": kind}).mimetype
        for kind in ("text/csv", "application/vnd.apache.parquet", "application/json", "*/*")
    ]

    assert answers == ["text/csv", "application/vnd.apache.parquet", "application/json", "application/json"]
    assert client.get(f"/api/sessions?{RANGE}&format=json").json["rows"][0]["session_id"] == "s"


def test_a_chart_leaves_as_steps(client):
    """A chart is one line for each step and key."""
    text = client.get(f"/api/costs?{RANGE}&format=csv&table=chart").text
    rows = [row for row in csv.DictReader(io.StringIO(text)) if float(row["value"])]

    assert [(row["key"], row["value"]) for row in rows] == [("gpt-4o", "0.25")]


def test_every_page_offers_its_tables(client):
    """Each page with rows has them as tables, from a menu, and each table can be had in each format."""
    assert {page.name for page in PAGES if tables_of(page)} >= {
        "overview",
        "traces",
        "sessions",
        "logs",
        "costs",
        "agents",
    }
    html = client.get(f"/costs?{RANGE}").text
    assert "table=groups&amp;format=parquet" in html
    plain = [page for page in PAGES if "<" not in page.api and tables_of(page)]
    answers = {page.name: client.get(f"{page.api}?{RANGE}&format=csv").text.partition("\r\n")[0] for page in plain}
    assert answers == {
        page.name: ",".join(column.name for column in next(iter(tables_of(page).values())).columns) for page in plain
    }


def test_what_is_not_there_is_said(client):
    """A wrong format or table is an error with what there is, before anything is sent."""
    answers = [
        client.get(f"/api/traces?{end}") for end in ("format=xlsx", "format=csv&table=planets", "format=csv&cursor=x")
    ]

    assert [answer.status_code for answer in answers] == [400, 400, 400]
    assert "use one of csv, json, parquet" in answers[0].json["error"]["message"]
    assert "use one of rows" in answers[1].json["error"]["message"]


def test_an_empty_table_has_its_columns(client, tmp_path):
    """Nothing that matches is a head without lines, an empty array, a Parquet file with columns."""
    none = "from=2001-01-01T00:00:00Z&to=2001-01-02T00:00:00Z"
    (tmp_path / "x.parquet").write_bytes(client.get(f"/api/traces?{none}&format=parquet").data)

    assert client.get(f"/api/traces?{none}&format=csv").text.startswith("trace_id,")
    assert client.get(f"/api/traces?{none}&format=json&table=rows").json == []
    assert duckdb.sql(f"SELECT count(trace_id) FROM '{tmp_path}/x.parquet'").fetchall() == [(0,)]


def test_the_command_asks_a_dashboard_that_runs(app, tmp_path, capsys):
    """``export --url`` writes what the dashboard holds, while it holds it."""
    server = DashboardServer(app, DashboardSettings(port=0, logs=()))
    server.start()
    target = tmp_path / "new" / "spans.jsonl"
    try:
        code = cli.main(
            ["export", "--url", server.url, "--since", "2027-01-15", "--until", "2027-01-16", "-o", str(target)]
        )
        refused = cli.main(["export", "--url", server.url, "--kind", "logs", "--since", "2027-01-15", "--until", "2027-01-16", "-o", str(target.with_suffix(".csv"))])  # fmt: skip
    finally:
        server.stop()

    assert (code, refused) == (0, 0)
    assert len([json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]) == MANY + 6
    assert len(target.with_suffix(".csv").read_text(encoding="utf-8").splitlines()) == 4

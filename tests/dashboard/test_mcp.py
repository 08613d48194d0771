"""The MCP server, asked by the official client over stdio and HTTP: who may ask, what is offered, and that both answer alike."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from flask import Flask

sys.path.insert(0, str(Path(__file__).parent))

from mcp_client import Talk, over_http, over_stdio, wire
from sample import fill, trace_id
from test_cli import run, run_squad

from ai_dev_squad_dashboard import DashboardSettings, create_app
from ai_dev_squad_dashboard.app import running
from ai_dev_squad_dashboard.cli import make_parser
from ai_dev_squad_dashboard.mcp.catalogue import TOOLS
from ai_dev_squad_dashboard.mcp.sources import RefusedError, RemoteSource, SiteSource, Source
from ai_dev_squad_dashboard.page import Site
from ai_dev_squad_dashboard.security.tokens import new_token
from ai_dev_squad_dashboard.server import DashboardServer
from ai_dev_squad_dashboard.store import open_memory_store, open_store

READ, READ_DIGEST = new_token("read")
INGEST, INGEST_DIGEST = new_token("ingest")
FAILED = trace_id("failed")


class Dashboard(NamedTuple):
    """A dashboard that listens."""

    app: Flask
    url: str


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A dashboard that asks for tokens, with the sample's runs."""
    settings = DashboardSettings(
        port=0,
        logs=(),
        db=tmp_path_factory.mktemp("dashboard") / "dashboard.duckdb",
        read_tokens=(READ_DIGEST,),
        ingest_tokens=(INGEST_DIGEST,),
        budgets=("team=50/month",),
    )
    store = open_memory_store()
    fill(store, time.time_ns() // 1000, runs=9, long_spans=300)
    app = create_app(settings, store=store, follow=False)
    server = DashboardServer(app, settings)
    server.start()
    yield Dashboard(app, f"http://127.0.0.1:{server.port}")
    server.stop()
    running(app).close()


async def everything(talk: Talk) -> dict[str, Any]:
    """What a client may see first."""
    session = talk.session
    return {
        "tools": wire(await session.list_tools())["tools"],
        "resources": [each["uri"] for each in wire(await session.list_resources())["resources"]],
        "templates": [
            each["uriTemplate"] for each in wire(await session.list_resource_templates())["resourceTemplates"]
        ],
        "prompts": [each["name"] for each in wire(await session.list_prompts())["prompts"]],
        "ping": wire(await session.send_ping()),
        "errors": await talk.told("find_errors", range="30d"),
        "refused": await talk.call("get_run", trace_id="no id"),
    }


def test_both_transports_offer_the_same(dashboard: Dashboard, tmp_path: Path) -> None:
    """Over HTTP and over stdio the same tools, resources and prompts are there, and a dashboard answers both with the same."""
    http = over_http(f"{dashboard.url}/mcp", everything, token=READ)
    stdio = over_stdio("mcp", "--url", dashboard.url, conversation=everything, cwd=tmp_path, AI_DEV_SQUAD_TOKEN=READ)

    assert [tool["name"] for tool in http["tools"]] == [
        "list_runs", "get_run", "find_errors", "search", "compare_runs", "cost_report", "budgets", "query", "parity",
    ]  # fmt: skip
    assert all(tool["annotations"]["readOnlyHint"] for tool in http["tools"])
    assert http["prompts"] == ["why_did_the_last_run_fail", "what_got_dearer_this_week", "explain_a_run"]
    assert http["templates"] == ["ai-dev-squad://runs/{trace_id}"]
    assert {"RateLimitError", "TimeoutExpired"} <= {row["error_type"] for row in http["errors"]["recorded"]["groups"]}
    assert http["refused"]["isError"]
    assert "'no id' does not match" in http["refused"]["content"][0]["text"]
    assert stdio == http


def test_journals_are_read_while_they_grow(tmp_path: Path) -> None:
    """Over stdio a directory of journals is enough: no dashboard, no store; a run that ends meanwhile is in the next answer."""
    logs = tmp_path / "logs"
    run_squad(logs, "first", fails=True)

    async def conversation(talk: Talk) -> list[Any]:
        before = await talk.told("list_runs", range="1h")
        run_squad(logs, "second")
        after = await talk.told("list_runs", range="1h")
        first = await talk.told("get_run", trace_id=before["recorded"]["runs"][0]["trace_id"])
        return [before, after, first]

    before, after, first = over_stdio("mcp", conversation=conversation, cwd=tmp_path)

    assert [each["session_id"] for each in before["recorded"]["runs"]] == ["first"]
    assert [each["session_id"] for each in after["recorded"]["runs"]] == ["second", "first"]
    assert [each["name"] for each in first["recorded"]["failures"]] == ["weather"]
    assert first["link"] == f"http://127.0.0.1:8080/traces/{first['recorded']['run']['trace_id']}"
    assert [path.name for path in logs.iterdir()] == ["ai_dev_squad.jsonl"]


def test_a_store_is_read_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``--db`` reads the store of a dashboard that does not run; one that is not there is refused, with the cure."""
    store = open_store(tmp_path / "kept.duckdb")
    fill(store, time.time_ns() // 1000, runs=3, long_spans=0)
    store.close()

    async def conversation(talk: Talk) -> Any:
        return await talk.told("get_run", trace_id=FAILED)

    kept = over_stdio("mcp", "--db", "kept.duckdb", conversation=conversation, cwd=tmp_path)

    assert kept["recorded"]["run"]["status"] == "error"
    assert run(capsys, "mcp", "--db", "nowhere.duckdb") == (
        1,
        "",
        "ai-dev-squad: there is no store at 'nowhere.duckdb'; name the file that `ai-dev-squad dashboard` shows as Store\n",
    )
    assert run(capsys, "mcp", "--url", "localhost:8080")[0] == 2


@pytest.mark.parametrize(
    "asked",
    [
        ("list_runs", {"range": "30d", "limit": 50, "framework": ["crewai", "langgraph"]}),
        ("get_run", {"trace_id": FAILED}),
        ("get_run", {"trace_id": trace_id("long"), "limit": 200}),
        ("find_errors", {"range": "30d"}),
        ("search", {"text": "dates", "range": "30d"}),
        ("compare_runs", {"trace_ids": [FAILED, trace_id("retried")]}),
        ("budgets", {}),
        ("query", {}),
        ("query", {"sql": "SELECT name, count(*) FROM runs GROUP BY ALL ORDER BY ALL"}),
        ("parity", {"tab": "runs", "range": "30d"}),
        ("query", {"sql": "DELETE FROM runs"}),
        ("get_run", {"trace_id": "0" * 32}),
    ],
    ids=lambda asked: "-".join([asked[0], *asked[1], str(asked[1].get("trace_id", asked[1].get("sql", "")))[:6]]),
)
def test_a_store_and_a_dashboard_answer_alike(dashboard: Dashboard, asked: tuple[str, Any]) -> None:
    """A store that is open here and the dashboard over HTTP give the same answer to the same question, refusals included."""
    held = running(dashboard.app)
    here = SiteSource(Site(held.store, held.queue, held.settings, sources=tuple), dashboard.url)
    there = RemoteSource(dashboard.url, READ)

    def answer(source: Source) -> Any:
        try:
            return TOOLS[asked[0]].answer(source, asked[1])
        except RefusedError as refused:
            return str(refused).removeprefix(f"{source.base} refused: ")

    assert still(answer(there)) == still(answer(here))


def still(value: Any) -> Any:
    """An answer without what grows while something runs."""
    if isinstance(value, dict):
        moving = {"duration_ms", "waited_ms", "waited_for", "recent_usd_per_hour", "forecast_usd"}
        return {key: still(member) for key, member in value.items() if key not in moving}
    return [still(member) for member in value] if isinstance(value, list) else value


def test_resources_and_prompts(dashboard: Dashboard) -> None:
    """A run is at its address, the views for SQL at theirs; a prompt names the tools to use, and an unknown one what there is."""

    async def conversation(talk: Talk) -> list[Any]:
        prompt = await talk.session.get_prompt("why_did_the_last_run_fail", {"name": "DevSquad"})
        one = await talk.read(f"ai-dev-squad://runs/{FAILED}")
        schema = await talk.read("ai-dev-squad://schema")
        refused = []
        for asking in (talk.read("ai-dev-squad://nothing"), talk.session.get_prompt("explain_a_run", {})):
            try:
                await asking
            except Exception as error:
                refused.append(str(error))
        return [wire(prompt)["messages"][0]["content"]["text"], one, schema, refused]

    prompt, one, schema, refused = over_http(f"{dashboard.url}/mcp", conversation, token=READ)

    assert "Name: DevSquad." in prompt
    assert all(name in prompt for name in ("list_runs", "get_run", "find_errors", "compare_runs"))
    assert "TimeoutExpired" in one
    assert "cache_read_tokens" in schema
    assert "there is nothing at 'ai-dev-squad://nothing'; use ai-dev-squad://runs/TRACE_ID" in refused[0]
    assert "'trace_id' is missing" in refused[1]


PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
ACCEPTS = {"Accept": "application/json, text/event-stream"}


@pytest.mark.parametrize(
    "headers, status",
    [
        ({"Authorization": f"Bearer {READ}"}, 200),
        ({}, 401),
        ({"Authorization": "Bearer ads_read_wrong"}, 401),
        ({"Authorization": f"Bearer {INGEST}"}, 403),
        ({"Authorization": f"Bearer {READ}", "Origin": "http://evil.example"}, 403),
        ({"Authorization": f"Bearer {READ}", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Authorization": f"Bearer {READ}", "Host": "evil.example"}, 400),
    ],
    ids=["read token", "nobody", "wrong token", "ingest token", "another origin", "another site", "another host"],
)
def test_who_may_ask(dashboard: Dashboard, headers: dict[str, str], status: int) -> None:
    """``/mcp`` is behind the same guard as every page: tokens, hosts and origins."""
    client = dashboard.app.test_client(use_cookies=False)
    answer = client.post("/mcp", json=PING, headers={**ACCEPTS, **headers})
    assert answer.status_code == status
    assert answer.is_json


def test_an_open_dashboard_is_asked_by_programs_only() -> None:
    """On a machine where nobody is asked for a token, JSON from a program is answered; what a form of a site could send is not."""
    app = create_app(DashboardSettings(port=0, logs=()), store=open_memory_store(), follow=False)
    client = app.test_client(use_cookies=False)
    question = {"sql": "SELECT 1 AS one"}
    plain = {"data": '{"jsonrpc": "2.0", "id": 1, "method": "ping"}', "content_type": "text/plain"}

    assert client.post("/mcp", json=PING, headers=ACCEPTS).get_json() == {"jsonrpc": "2.0", "id": 1, "result": {}}
    assert client.post("/api/sql", json=question).get_json()["rows"] == [[1]]
    assert client.post("/mcp", headers=ACCEPTS, **plain).status_code == 403
    assert client.post("/api/sql", data=question).status_code == 403
    assert client.post("/mcp", json=PING, headers={**ACCEPTS, "Origin": "http://evil.example"}).status_code == 403
    running(app).close()


def test_what_is_no_question_is_refused(dashboard: Dashboard) -> None:
    """No stream is kept open for a client, a body has its limit, and what is no JSON-RPC is told so."""
    client = dashboard.app.test_client(use_cookies=False)
    headers = {**ACCEPTS, "Authorization": f"Bearer {READ}"}
    assert client.get("/mcp", headers=headers).status_code == 405
    assert client.delete("/mcp", headers=headers).status_code in {403, 405}
    assert client.post("/mcp", json={**PING, "params": {"x": "y" * 70_000}}, headers=headers).status_code == 413
    assert client.post("/mcp", data=b"{", content_type="application/json", headers=headers).status_code == 400
    unknown = client.post("/mcp", json={**PING, "method": "tools/delete"}, headers=headers)
    assert "error" in unknown.get_json()


def configurations() -> Iterator[dict[str, Any]]:
    """Every server that the how-to configures a client for."""
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "ask-with-an-agent.md").read_text(encoding="utf-8")
    for block in re.findall(r"```json\n(.*?)```", page, re.DOTALL):
        written = json.loads(block)
        yield from (written.get("mcpServers") or written["servers"]).values()


def test_what_is_to_be_copied_starts_the_server() -> None:
    """Each block of the how-to is JSON that starts a command there is, or names the route there is, with a token for it."""
    servers = list(configurations())
    started = [each for each in servers if "command" in each]
    assert [(each["command"], each["args"]) for each in started] == [("ai-dev-squad", ["mcp", "--logs", "logs"])] * 3
    assert make_parser(started[0]["args"]).parse_args(started[0]["args"]).logs == ["logs"]
    dialled = [each for each in servers if "url" in each]
    assert {urlsplit(each["url"]).path for each in dialled} == {"/mcp"}
    assert [each["headers"]["Authorization"].startswith("Bearer ${") for each in dialled] == [True] * 3

"""What coding agents send becomes runs, sums and a page: their events as their makers document them, and their metrics."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from clickhouse_engine import new_url, requires_engine
from coding_sample import ADA, GRACE, codex_session, event, logs, metrics, pairs, point, requests, sum_of
from flask.testing import FlaskClient

from ai_dev_squad_dashboard import DashboardSettings, create_app
from ai_dev_squad_dashboard.app import running
from ai_dev_squad_dashboard.page import Site
from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.store import open_memory_store, open_store
from ai_dev_squad_dashboard.views.coding import CodingTool, Work, build

NOW_NS = time.time_ns()
HOUR = 3600 * 1_000_000_000
CLAUDE = Work(
    "claude-code", sessions=2, requests=6, failed=2, input_tokens=88_100, output_tokens=1_200, cache_read_tokens=84_000,
    cache_write_tokens=3_800, cost_usd=0.06, unpriced_calls=2, lines_added=120, lines_removed=40, commits=2, active_s=162.0,
)  # fmt: skip
GEMINI = Work(
    "gemini-cli", sessions=2, requests=1, input_tokens=14_000, output_tokens=700, cache_read_tokens=6_000, reasoning_tokens=150,
    cost_usd=0.00725, unpriced_tokens=6_300, lines_added=15,
)  # fmt: skip
CODEX = Work(
    "codex", sessions=1, requests=1, input_tokens=5_000, output_tokens=300, cache_read_tokens=4_000, reasoning_tokens=120,
    cost_usd=0.00475,
)  # fmt: skip


@pytest.fixture(params=["duckdb", pytest.param("clickhouse", marks=requires_engine)])
def client(request) -> Iterator[FlaskClient]:
    """A dashboard on each engine."""
    store = open_memory_store() if request.param == "duckdb" else open_store(new_url())
    app = create_app(DashboardSettings(port=0, logs=()), store=store, follow=False)
    yield app.test_client()
    running(app).close()


def send(client: FlaskClient, *found) -> None:
    for path, body in found:
        answer = client.post(path, json=body)
        assert (answer.status_code, answer.json) == (200, {})


def page(client: FlaskClient, asked: str = ""):
    held = running(client.application)
    site = Site(held.store, held.queue, held.settings, sources=tuple)
    args = [tuple(part.split("=")) for part in asked.split("&") if part]
    return build(site, Query.parse(args, default="7d"))


def rounded(*rows: Work) -> list[Work]:
    return [replace(row, cost_usd=round(row.cost_usd, 9)) for row in rows]


@pytest.mark.parametrize("times", [1, 2])
def test_agents_people_models_and_tools_are_added_up_once(client, times):
    """What three agents sent, however often it is sent: a session of which events came is not counted again by metrics."""
    for _ in range(times):
        send(client, *requests(NOW_NS))
    view = page(client)

    assert rounded(*view.agents) == [CLAUDE, GEMINI, CODEX]
    assert [(row.key, row.sessions, row.requests, row.input_tokens, round(row.cost_usd, 9)) for row in view.people] == [
        (ADA, 2, 4, 49_050, 0.03475),
        (GRACE, 1, 3, 44_050, 0.03),
        ("i-77", 1, 1, 8_000, 0.00725),
        ("i-78", 1, 0, 6_000, 0.0),
    ]
    assert [(row.key, row.requests, row.input_tokens) for row in view.models] == [
        ("claude-sonnet-4-5", 6, 88_100),
        ("gemini-2.5-pro", 1, 8_000),
        ("gpt-5.1-codex", 1, 5_000),
        ("gemini-2.5-flash", 0, 6_000),
    ]
    assert [replace(row, p50_us=None, p95_us=None) for row in view.tools] == [
        CodingTool("Bash", 4, accepted=2, refused=2, failed=2, p50_us=None, p95_us=None),
        CodingTool("Edit", 2, accepted=2, refused=0, failed=0, p50_us=None, p95_us=None),
        CodingTool("shell", 2, accepted=1, refused=1, failed=0, p50_us=None, p95_us=None),
        CodingTool("replace", 1, accepted=1, refused=0, failed=0, p50_us=None, p95_us=None),
        CodingTool("run_shell_command", 1, accepted=0, refused=1, failed=0, p50_us=None, p95_us=None),
    ]
    days = sum(row.input_tokens for row in view.days), sum(row.lines_added for row in view.days)
    assert days == (view.total.input_tokens, view.total.lines_added) == (107_100, 135)
    assert round(view.chart.total, 9) == round(view.total.cost_usd, 9) == 0.072
    assert client.get("/api/health").json["concerns"] == []


def test_a_filter_holds_for_events_and_metrics(client):
    """One agent, one person or one model; by what metrics do not know, they are left out, and the page says so."""
    send(client, *requests(NOW_NS))

    assert rounded(*page(client, "framework=gemini-cli").agents) == [GEMINI]
    assert [(row.key, row.lines_added) for row in page(client, f"user={GRACE}").people] == [(GRACE, 60)]
    # A person who is called as a session is: both filters hold.
    assert page(client, "user=c2&session=c2").people == ()
    (quiet,) = page(client, "model=gemini-2.5-flash").agents
    assert quiet == Work("gemini-cli", input_tokens=6_000, output_tokens=300, unpriced_tokens=6_300)
    by_provider = page(client, "provider=openai")
    assert ([row.key for row in by_provider.agents], by_provider.metrics_left_out) == (["codex"], True)
    assert page(client, "framework=crewai").agents == ()


def test_a_session_opens_with_its_prompts_as_runs(client):
    """A prompt is a run: its requests, its tools and its log beneath it; a session of Codex is one run, also when taken up again."""
    send(client, *requests(NOW_NS))
    of_codex = codex_session(NOW_NS - 2 * HOUR)

    shown = {}
    for session in ("c1", of_codex, "g1"):
        (turn,) = client.get(f"/api/sessions/{session}?range=7d").json["turns"]
        trace = client.get(f"/api/traces/{turn['trace']['trace_id']}").json
        shown[session] = (
            [(row["depth"], row["operation"], row["name"], row["status"]) for row in trace["rows"]],
            trace["clashes"],
        )
    assert shown == {
        "c1": (
            [
                (0, "invoke_agent", "claude-code", "ok"),
                (1, "chat", "claude-sonnet-4-5", "ok"),
                (1, "execute_tool", "Edit", "ok"),
                (1, "execute_tool", "Bash", "error"),
                (1, "execute_tool", "Bash", "cancelled"),
                (1, "chat", "claude-sonnet-4-5", "error"),
                (1, "chat", "claude-sonnet-4-5", "ok"),
            ],
            0,
        ),
        of_codex: (
            [
                (0, "invoke_agent", "codex", "ok"),
                (1, "chat", "gpt-5.1-codex", "ok"),
                (1, "execute_tool", "shell", "cancelled"),
                (1, "execute_tool", "shell", "ok"),
            ],
            0,
        ),
        "g1": (
            [
                (0, "invoke_agent", "gemini-cli", "ok"),
                (1, "chat", "gemini-2.5-pro", "ok"),
                (1, "execute_tool", "replace", "ok"),
                (1, "execute_tool", "run_shell_command", "cancelled"),
            ],
            0,
        ),
    }


def test_what_nobody_times_is_in_no_percentile(client):
    """A prompt and an answer of Codex come without a duration: the tree has a dash, and no clock is said to differ."""
    send(client, *requests(NOW_NS))
    (row,) = client.get("/api/traces?range=7d&framework=codex").json["rows"]
    assert (row["name"], row["duration_us"] > 0) == ("codex", True)
    text = client.get(f"/traces/{row['trace_id']}").text
    assert "A clock was set back" not in text
    assert "Part of this run has not arrived" not in text
    (group,) = running(client.application).store.groups(
        Query.parse([("framework", "codex")], default="7d").selection, "model"
    )
    assert (group.calls, group.p50_us) == (1, None)


@pytest.mark.parametrize("first", ["events", "spans"])
def test_spans_and_events_of_one_request_count_once(client, first):
    """With its traces switched on as well, the agent tells of a request twice, by the provider's id of the answer, in any order."""
    at = NOW_NS - HOUR
    counts = {
        "input_tokens": 10,
        "output_tokens": 2,
        "cache_read_tokens": 100,
        "cache_creation_tokens": 5,
        "request_id": "req_9",
    }
    model = "claude-sonnet-4-5"
    told = event(at, "claude_code.api_request", event__name="api_request", session__id="c9", user__email=ADA, prompt__id="p", model=model,
                 cost_usd=0.5, duration_ms=1000, **counts)  # fmt: skip
    attributes = {"session.id": "c9", "user.email": ADA, "span.type": "llm_request", "model": model, "gen_ai.system": "anthropic",
                  "gen_ai.request.model": model, "gen_ai.response.id": "req_9", **counts}  # fmt: skip
    as_span = {"traceId": "a" * 32, "spanId": "b" * 16, "name": "claude_code.llm_request", "startTimeUnixNano": str(at - 10**9),
               "endTimeUnixNano": str(at), "attributes": pairs(attributes)}  # fmt: skip
    tool = {**as_span, "spanId": "c" * 16, "name": "claude_code.tool", "attributes": pairs({"tool_name": "Bash"})}
    scope = {"name": "com.anthropic.claude_code.tracing"}
    of_resource = {"resource": {"attributes": pairs({"service.name": "claude-code"})}}
    both = [
        logs("claude-code", "com.anthropic.claude_code.events", [told]),
        (
            "/v1/traces",
            {"resourceSpans": [{**of_resource, "scopeSpans": [{"scope": scope, "spans": [as_span, tool]}]}]},
        ),
    ]

    send(client, *(both if first == "events" else reversed(both)))

    (row,) = page(client).agents
    assert (row.requests, row.input_tokens, row.output_tokens, row.cache_read_tokens) == (1, 115, 2, 100)
    assert (row.cost_usd == 0.5) is (first == "events")
    assert [(who.key, who.sessions) for who in page(client).people] == [(ADA, 1)]
    assert page(client).tools == ()


def test_other_records_and_odd_values_are_what_they_were(client):
    """A record of another program makes no span; nor does a value that is none stop one that is right."""
    send(
        client,
        logs("shop", "app", [event(NOW_NS - HOUR, "api_request", event__name="api_request", model="x", input_tokens=5)]),
        logs("claude-code", "", [
            event(NOW_NS - HOUR, "", event__name="api_request", session__id="s", model="m", input_tokens="many", duration_ms="-4"),
            event(NOW_NS - HOUR, "", event__name="mcp_server_connection", session__id="s", status="connected"),
        ]),
        metrics("claude-code", "", [
            sum_of("claude_code.token.usage", 1, [point(0, NOW_NS - HOUR, 5, type="new-kind", session__id="t")]),
            sum_of("claude_code.commit.count", 0, [point(0, NOW_NS - HOUR, 5, session__id="t")]),
        ]),
    )  # fmt: skip
    view = page(client)
    assert view.agents == (Work("claude-code", sessions=1, requests=1, unpriced_calls=1),)
    lines = running(client.application).store.logs(Query.parse([], default="7d").selection).rows
    named = sorted((line.event_type, line.session_id, line.framework) for line in lines if line.session_id)
    assert named == [("api_request", "s", "claude-code"), ("mcp_server_connection", "s", "claude-code")]


def test_points_say_what_they_count_from_in_both_encodings(client):
    """The temporality as a number or a name, and the start, are stored with the point."""
    store = running(client.application).store
    named = sum_of("claude_code.commit.count", 1, [point(NOW_NS - HOUR, NOW_NS, 2, session__id="s")])
    named["sum"]["aggregationTemporality"] = "AGGREGATION_TEMPORALITY_DELTA"
    send(client, metrics("claude-code", "", [named]))
    (grown,) = store.growth(["claude_code.commit.count"], 0, NOW_NS, 86_400_000_000)
    assert (grown.value, json.loads(grown.attributes)) == (2.0, {"session.id": "s"})

"""The page of logs: what is shown of a line, filters, older lines, and lines that try to be more than text."""

from __future__ import annotations

import time

import pytest

from ai_dev_squad_dashboard import DashboardSettings, create_app
from ai_dev_squad_dashboard.app import running
from ai_dev_squad_dashboard.store import open_memory_store
from ai_dev_squad_dashboard.store.rows import Batch, LogRow

NOW_US = int(time.time() * 1e6)
TRACE, SPAN = "ab" * 16, "cd" * 8


def row(seconds_ago, message, *, level="INFO", event="custom.event", **more):
    """A line of some seconds ago."""
    return LogRow(NOW_US - round(seconds_ago * 1e6), level, event, message, **more)


LINES = [
    row(50, "planner starts", event="agent.start", framework="crewai", agent="planner", session_id="s1"),
    row(40, "chat gpt-4o", event="llm.request", framework="crewai", agent="planner", trace_id=TRACE, span_id=SPAN),
    row(30, "the disk is nearly full", level="WARNING", event="system.error"),
    row(20, "tool failed", level="ERROR", event="tool.result", framework="langgraph", trace_id=TRACE, span_id=SPAN),
    row(10, "noise", level="DEBUG", details=b'{"depth": {"of": [1, 2]}}', source="otlp"),
]


def dashboard(*rows):
    """An application with these lines."""
    store = open_memory_store()
    store.write(Batch(logs=list(rows)))
    return create_app(DashboardSettings(port=0, logs=()), store=store, follow=False)


@pytest.fixture(scope="module")
def app():
    """A dashboard with five lines."""
    app = dashboard(*LINES)
    yield app
    running(app).close()


@pytest.fixture
def client(app):
    """A browser without scripts."""
    return app.test_client()


def messages(client, **query):
    """What is shown, in order."""
    return [line["message"] for line in client.get("/api/logs", query_string=query).get_json()["lines"]]


def test_a_line_carries_everything_that_was_logged(client):
    """The newest line's JSON has all of its fields, details as JSON, and what was left out counted as nothing."""
    line = client.get("/api/logs?limit=1").get_json()["lines"][0]

    assert line == {
        "time_us": LINES[-1].time_us,
        "level": "DEBUG",
        "event_type": "custom.event",
        "message": "noise",
        "message_cut": 0,
        "framework": None,
        "service": None,
        "session_id": None,
        "agent": None,
        "trace_id": None,
        "span_id": None,
        "source": "otlp",
        "details": {"depth": {"of": [1, 2]}},
        "details_start": None,
        "details_bytes": 25,
    }


@pytest.mark.parametrize(
    "query, expected",
    [
        ({}, ["noise", "tool failed", "the disk is nearly full", "chat gpt-4o", "planner starts"]),
        ({"level": "WARNING"}, ["tool failed", "the disk is nearly full"]),
        ({"event": ["agent.start", "llm.request"]}, ["chat gpt-4o", "planner starts"]),
        ({"q": "FULL disk"}, ["the disk is nearly full"]),
        ({"q": "llm.request"}, ["chat gpt-4o"]),
        ({"trace": TRACE}, ["tool failed", "chat gpt-4o"]),
        ({"framework": "crewai", "level": "INFO"}, ["chat gpt-4o", "planner starts"]),
        ({"agent": "planner", "session": "s1"}, ["planner starts"]),
        ({"q": "100% of {nothing}"}, []),
    ],
)
def test_filters_choose_lines(client, query, expected):
    """Level and above, event types, words, trace and the common filters decide together."""
    assert messages(client, **query) == expected


def test_older_lines_follow_without_gap_or_repetition(client):
    """Following ``next`` gives every line once; an older part of the log has no tail."""
    seen, cursor, tails = [], "", []
    while cursor is not None:
        page = client.get("/api/logs", query_string={"limit": 2, "cursor": cursor}).get_json()
        seen += [line["message"] for line in page["lines"]]
        tails.append(page["tails"])
        cursor = page["next"]

    assert seen == [line.message for line in reversed(LINES)]
    assert tails == [True, False, False]


@pytest.mark.parametrize(
    "query, status, words",
    [
        ({"level": "LOUD"}, 400, "level='LOUD' is unknown; use one of DEBUG, INFO, WARNING, ERROR, CRITICAL"),
        ({"cursor": "zzz"}, 400, "zzz"),
        ({"limit": "0"}, 400, "limit='0' is not a number from 1 to 500"),
        ({"q": "x" * 501}, 400, "q has 501 characters; use at most 500"),
    ],
)
def test_impossible_questions_are_refused_in_words(client, query, status, words):
    """A URL that asks for something impossible is a 400 that says what is allowed."""
    answer = client.get("/api/logs", query_string=query)

    assert answer.status_code == status
    assert words in answer.get_json()["error"]["message"]


def test_the_page_leads_to_trace_span_and_session(client):
    """A line's trace opens at its span, and its session and the trace's own lines are one step away."""
    html = client.get("/logs").get_data(as_text=True)

    assert f'href="/traces/{TRACE}?span={SPAN}"' in html
    assert f'href="/logs?trace={TRACE}"' in html
    assert 'href="/sessions/s1"' in html


def test_no_lines_teach_the_next_step(client):
    """Filters that leave nothing offer to remove them, and an empty store says how lines come in."""
    assert "Remove the filters" in client.get("/logs?q=nothing-has-this").get_data(as_text=True)
    empty = dashboard()
    html = empty.test_client().get("/logs?range=30d").get_data(as_text=True)
    running(empty).close()
    assert "/v1/traces" in html


@pytest.mark.parametrize(
    "text, shown, absent",
    [
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)", "<script>alert"),
        ('"><img src=x onerror=alert(1)>', "&lt;img src=x", "<img src=x"),
        ("\x1b[31mred\x1b[0m \x1b]0;title\x07", "red", "\x1b"),
        ("pay \u202egnp.exe", "\u27e8U+202E\u27e9", "\u202e"),
        ("{{ 'xyz' * 2 }} {% raw %}", "{{ &#39;xyz&#39; * 2 }} {% raw %}", "xyzxyz"),
    ],
)
def test_hostile_lines_are_shown_and_do_nothing(text, shown, absent):
    """Markup, terminal codes, reordering marks and template syntax in any field are text on the page."""
    hostile = row(
        1,
        text,
        event=text,
        framework=text,
        agent=text,
        session_id=text,
        trace_id=TRACE,
        details=b'{"k": "<b>bold</b>"}',
    )
    app = dashboard(hostile)
    html = app.test_client().get("/logs").get_data(as_text=True)
    running(app).close()

    body = html[html.index('<ol class="log-lines"') :]
    assert shown in body
    assert absent not in body
    assert "<b>" not in body


def test_ten_megabytes_stay_small_on_the_page_and_say_so():
    """A huge message and huge details are cut, in HTML and in JSON, and what is missing is counted."""
    huge = row(1, "m" * 10_000_000, details=b'{"d": "' + b"d" * 10_000_000 + b'"}')
    app = dashboard(huge)
    client = app.test_client()
    html, line = client.get("/logs").get_data(as_text=True), client.get("/api/logs").get_json()["lines"][0]
    running(app).close()

    assert len(html) < 200_000
    assert "10.00 M bytes" in html
    assert (len(line["message"]), line["message_cut"]) == (20_000, 9_980_000)
    assert (line["details"], len(line["details_start"]), line["details_bytes"]) == (None, 4000, 10_000_009)


def test_details_that_are_no_json_are_shown_as_they_are():
    """Broken details are text and raise nothing."""
    app = dashboard(row(1, "broken", details=b"\xff{not json"))
    client = app.test_client()
    line = client.get("/api/logs").get_json()["lines"][0]
    status = client.get("/logs").status_code
    running(app).close()

    assert (line["details"], line["details_start"], status) == (None, "\ufffd{not json", 200)

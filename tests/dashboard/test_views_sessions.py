"""The pages of sessions: what conversations cost, how their turns went, and what was said."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
import time
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape

from ai_dev_squad_dashboard import DashboardSettings, create_app
from ai_dev_squad_dashboard.addresses import session_url
from ai_dev_squad_dashboard.app import running
from ai_dev_squad_dashboard.store import open_memory_store
from ai_dev_squad_dashboard.store.rows import Batch, SpanRow
from ai_dev_squad_dashboard.views.transcript import Said, said_in

NOW_US = int(time.time() * 1e6)


def sample_module():
    """The runs that all pages are tested with."""
    if "ai_dev_squad_sample" not in sys.modules:
        spec = importlib.util.spec_from_file_location("ai_dev_squad_sample", Path(__file__).with_name("sample.py"))
        sys.modules["ai_dev_squad_sample"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["ai_dev_squad_sample"])
    return sys.modules["ai_dev_squad_sample"]


@pytest.fixture(scope="module")
def app():
    """A dashboard on the sample's runs."""
    store = open_memory_store()
    for batch in sample_module().sample(NOW_US, long_spans=0):
        store.write(batch)
    app = create_app(DashboardSettings(port=0, logs=()), store=store, follow=False)
    yield app
    running(app).close()


@pytest.fixture
def client(app):
    """A browser without scripts."""
    return app.test_client()


@pytest.mark.parametrize(
    "name",
    ["..", ".", "../x", "/x", "a/b", "a//b", "a/../b", "x/", "~x", "%2F", "a?b#c", "\u00e9 \u2713", "two\nlines"],
)
def test_a_session_may_be_called_anything(client, app, name):
    """Its page and its JSON open from an address that no browser reads as another one."""
    row = SpanRow(hashlib.md5(name.encode()).hexdigest(), "a" * 16, None, NOW_US, 5, "run", "other", session_id=name)
    running(app).store.write(Batch(spans=[row]))
    address = session_url(name)
    assert not {"", ".", ".."} & set(unquote(address).removeprefix("/sessions/").split("/"))
    assert (client.get(address).status_code, client.get("/api" + address).json["session"]["session_id"]) == (200, name)
    assert f'href="{escape(address)}"' in client.get("/sessions").text


def details(**content):
    """A span's details as the store keeps them."""
    return json.dumps(content).encode()


def said(role, text):
    """A message of one text."""
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def test_a_long_session_shows_its_newest_turns():
    """The last 200 of 230, with their numbers and all that was spent before them."""
    store = open_memory_store()
    turns = [
        SpanRow(
            f"{number:032x}", f"{number:016x}", None, NOW_US + number, 1, f"turn {number}", "invoke_workflow",
            session_id="long", usage_source="provider", cost_usd=0.5, model="m",
        )
        for number in range(1, 231)
    ]  # fmt: skip
    store.write(Batch(spans=turns))
    app = create_app(DashboardSettings(port=0, logs=()), store=store, follow=False)
    try:
        view = app.test_client().get("/api/sessions/long").json
        page = app.test_client().get("/sessions/long").text
        whole = app.test_client().get("/api/sessions/long?turns=600").json
    finally:
        running(app).close()

    assert [turn["number"] for turn in view["turns"]] == list(range(31, 231))
    assert [turn["trace"]["name"] for turn in view["turns"]] == [f"turn {number}" for number in range(31, 231)]
    assert [turn["cost_so_far_usd"] for turn in view["turns"]] == [number / 2 for number in range(31, 231)]
    assert "30 earlier turns are not shown yet" in page
    assert "/sessions/long?turns=600" in page
    assert [turn["number"] for turn in whole["turns"]] == list(range(1, 231))


def test_the_list_adds_up_the_turns_of_each_session(client):
    """A conversation of five turns is one row with their calls, tokens and cost."""
    (row,) = client.get("/api/sessions?q=pair-programming").get_json()["rows"]
    turns = client.get("/api/sessions/pair-programming").get_json()["turns"]

    assert {key: row[key] for key in ("session_id", "turns", "errors", "calls", "last_name")} == {
        "session_id": "pair-programming",
        "turns": 5,
        "errors": 0,
        "calls": 5,
        "last_name": "assistant",
    }
    assert row["cost_usd"] == pytest.approx(sum(turn["trace"]["cost_usd"] for turn in turns))
    assert row["cost_usd"] == pytest.approx(turns[-1]["cost_so_far_usd"])


def test_pages_of_the_list_follow_one_another_without_gap_or_repetition(client):
    """Following ``next`` from page to page gives the list that one large page gives."""
    whole = [row["session_id"] for row in client.get("/api/sessions?limit=500").get_json()["rows"]]
    seen, cursor = [], ""
    while cursor is not None:
        page = client.get("/api/sessions", query_string={"limit": 7, "cursor": cursor}).get_json()
        seen += [row["session_id"] for row in page["rows"]]
        cursor = page["next"]

    assert len(whole) > 14
    assert seen == whole


def test_a_session_shows_what_was_said_in_each_turn(client):
    """Question and answer of every turn are on the page, each turn with its number and a link to its trace."""
    answer = client.get("/api/sessions/pair-programming").get_json()
    html = client.get("/sessions/pair-programming").get_data(as_text=True)

    assert [turn["number"] for turn in answer["turns"]] == [1, 2, 3, 4, 5]
    assert [turn["asked"]["text"] for turn in answer["turns"]] == [
        f"Question {number}: what does the module do?" for number in range(1, 6)
    ]
    assert answer["captured"]
    assert all(f'href="/traces/{turn["trace"]["trace_id"]}"' in html for turn in answer["turns"])
    assert html.count("Question 3: what does the module do?") == 1


def test_a_session_without_captured_content_says_how_to_capture_it(client):
    """Where nothing was captured the page names the setting."""
    html = client.get("/sessions/approval-7").get_data(as_text=True)

    assert "AI_DEV_SQUAD_CAPTURE_CONTENT=true" in html


def test_a_session_that_is_not_there_is_a_404_that_says_where_to_look(client):
    """An unknown id is answered in words, as a page and as JSON."""
    page, api = client.get("/sessions/nobody"), client.get("/api/sessions/nobody")

    assert (page.status_code, api.status_code) == (404, 404)
    assert api.get_json()["error"]["message"] == (
        "no session is called 'nobody'; it may have been deleted by age, or its first span has not arrived: "
        "look at /sessions?range=30d"
    )


def test_hostile_names_and_texts_are_shown_and_do_nothing(client):
    """A session whose name is markup is a link with that text; no element comes of it."""
    (hostile,) = [
        row["session_id"]
        for row in client.get("/api/sessions?limit=500").get_json()["rows"]
        if "<" in row["session_id"]
    ]
    for path in ("/sessions?limit=500", f"/sessions/{hostile}"):
        html = client.get(path).get_data(as_text=True)
        assert "&lt;script&gt;window.hacked" in html
        assert "<script>window" not in html
        assert "<img src=x" not in html
        assert "</textarea>" not in html


@pytest.mark.parametrize("session_id", ["a/b", "ünïcödé ✓", "50%", "a?b#c", "..", "a b+c"])
def test_any_id_has_a_page_that_the_list_leads_to(app, session_id):
    """Ids with slashes, blanks, marks of URLs and letters of all kinds are found under the URL of the list."""
    store = running(app).store
    trace = hashlib.sha256(session_id.encode()).hexdigest()[:32]
    row = SpanRow(trace, trace[:16], None, NOW_US - 5_000_000, 1_000, "run", "invoke_agent", session_id=session_id)
    store.write(Batch([row]))
    client = app.test_client()
    html = client.get("/sessions", query_string={"session": session_id}).get_data(as_text=True)
    (link,) = {part.split('"')[0] for part in html.split('href="/sessions/')[1:]}

    if session_id == "..":
        # Browsers and servers resolve this one before anybody sees it; its traces are found by the filter.
        assert client.get("/api/traces", query_string={"session": session_id}).get_json()["rows"]
        return
    assert client.get(f"/sessions/{link}").status_code == 200


def test_the_roots_words_count_before_those_of_model_calls():
    """What the root was given and gave is the turn; else the first call's question and the last call's answer."""
    calls = [
        ("c1", details(input=[said("system", "be brief"), said("user", "first")], output=[said("assistant", "draft")])),
        ("c2", details(input=[said("user", "second")], output=[said("assistant", "final")])),
    ]
    root = ("r", details(input=[said("user", "the task")], output=[said("assistant", "the answer")]))

    assert said_in(calls, None) == (Said("first", 0, "c1"), Said("final", 0, "c2"))
    assert said_in([root, *calls], "r") == (Said("the task", 0, "r"), Said("the answer", 0, "r"))
    assert said_in([("r", details()), *calls], "r") == (Said("first", 0, "c1"), Said("final", 0, "c2"))


def test_a_long_text_is_cut_and_says_how_much_is_missing():
    """2,000 characters are kept, and the rest is counted."""
    asked, answered = said_in([("a", details(input=[said("user", "x" * 2500)], output=[said("user", "y")]))], "a")

    assert asked == Said("x" * 2000, 500, "a")
    assert answered is None


def test_details_that_are_no_json_or_too_large_are_passed_over():
    """Broken bytes and megabytes are no words, and raise nothing."""
    huge = details(input=[said("user", "x" * 5_000_000)])

    assert said_in([("a", b"\xff{"), ("b", b"[1]"), ("c", huge)], None) == (None, None)


anything = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["role", "parts", "content", "type", "text", "user", "assistant"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(anything, anything)
def test_content_of_any_shape_gives_words_or_nothing(given_input, given_output):
    """Whatever an instrumentation has written, looking for words in it raises nothing."""
    for one in said_in([("a", details(input=given_input, output=given_output))], "a"):
        assert one is None or one.text.strip()

"""Live updates: who looks at a page is sent that page when it has changed, and nobody waits for anybody else."""

from __future__ import annotations

import importlib.util
import logging
import sys
import time
from pathlib import Path

import pytest
from werkzeug.test import Client as HttpClient

from ai_dev_squad_dashboard import DashboardSettings, RealTimeUpdater, create_app
from ai_dev_squad_dashboard.app import running
from ai_dev_squad_dashboard.server import DashboardServer
from ai_dev_squad_dashboard.store import open_memory_store
from ai_dev_squad_dashboard.store.base import StoreError
from ai_dev_squad_dashboard.store.rows import Batch, LogRow, OpenRow, SpanRow

NEVER_S = 3600.0


def neighbour(name):
    """A module beside this one: tests are no package."""
    full_name = f"ai_dev_squad_tests_{name}"
    if full_name not in sys.modules:
        spec = importlib.util.spec_from_file_location(full_name, Path(__file__).with_name(f"{name}.py"))
        sys.modules[full_name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[full_name])
    return sys.modules[full_name]


live_client = neighbour("live_client")


def span(number, *, name="planner", session="s1", ago_s=60):
    """A model call that ended a minute ago."""
    return SpanRow(
        trace_id=f"{number:032x}",
        span_id=f"{number:016x}",
        parent_span_id=None,
        start_us=int((time.time() - ago_s) * 1e6),
        duration_us=1_000_000,
        name=name,
        operation="chat",
        framework="langgraph",
        session_id=session,
        provider="openai",
        model="gpt-4o",
        input_tokens=100,
        output_tokens=10,
        usage_source="provider",
        cost_usd=0.25,
    )


def line(message, *, level="INFO", ahead_s=0):
    """A line of now."""
    return LogRow(int((time.time() + ahead_s) * 1e6), level, "custom.event", message, framework="langgraph")


class House:
    """A dashboard that is served, updated by hand and written to."""

    def __init__(self, **settings):
        settings = DashboardSettings(port=0, update_interval_s=NEVER_S, logs=(), **settings)
        self.app = create_app(settings, store=open_memory_store(), follow=False)
        self.held = running(self.app)
        self.server = DashboardServer(self.app, settings)
        self.server.start()
        self.clients = []

    def write(self, *spans, logs=(), opened=()):
        """Write rows; they are in the store afterwards."""
        self.held.queue.submit(Batch(list(spans), list(logs), list(opened))).result(30)

    def client(self, path=None, **more):
        """A client, which looks at ``path``."""
        message = {"path": path, **({"after": more.pop("after")} if "after" in more else {})}
        client = live_client.LiveClient(self.server.url, **more)
        self.clients.append(client)
        if path:
            assert client.call("subscribe", message) == {"ok": True, "live": True}
        return client

    def update(self):
        """One round of the updater."""
        self.held.updater._update()

    def settled(self):
        """Whether every client has acknowledged what it was sent."""
        deadline = time.monotonic() + 30
        while any(c.waiting for c in self.held.updater._clients.all()):
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def close(self):
        for client in self.clients:
            client.close()
        self.server.stop()
        self.held.close()


@pytest.fixture
def house():
    """A dashboard with one model call in it."""
    house = House()
    house.write(span(1))
    yield house
    house.close()


@pytest.fixture(scope="module")
def quiet_house():
    """A dashboard to which nothing is written, for all who only ask."""
    house = House()
    yield house
    house.close()


def test_a_page_is_sent_as_html_and_as_data_when_something_was_written(house):
    """A subscriber of the list of sessions gets the inside of <main> and the API's JSON, with what has just been written."""
    client = house.client("/sessions?range=1h")
    house.update()
    (first,) = client.wait("view_update")
    house.settled()
    house.write(span(2, session="s2"))
    house.update()
    second = client.wait("view_update", 2)[1]

    api = HttpClient(house.app).get("/api/sessions?range=1h", headers={"Host": "localhost"}).get_json()
    assert (first["path"], second["path"]) == ("/sessions?range=1h", "/sessions?range=1h")
    assert [row["session_id"] for row in first["data"]["rows"]] == ["s1"]
    assert second["data"] == api
    assert "s2" in second["html"]
    assert "<html" not in second["html"]
    assert "<main" not in second["html"]


def test_a_page_is_rendered_once_for_all_who_look_and_only_after_a_change(house, monkeypatch):
    """Five clients of one URL and one of another make two renderings, and rounds without anything new make none."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    views, rendered = house.held.updater._views, []
    render = views.render
    monkeypatch.setattr(views, "render", lambda what: rendered.append(what.url) or render(what))
    clients = [house.client("/sessions") for _ in range(5)] + [
        house.client("/logs?range=1h"),
        house.client("/?range=1h"),
    ]
    for _ in range(3):
        house.update()
    for client in clients[:5]:
        client.wait("view_update")
    assert rendered == ["/sessions", "/?range=1h"]

    house.settled()
    house.write(span(2))
    house.update()
    assert rendered == ["/sessions", "/?range=1h"] * 2


def test_a_page_that_looks_the_same_is_not_sent_again(house, monkeypatch):
    """When what was written does not show on a page, its subscriber hears nothing."""
    client = house.client("/sessions?framework=crewai")
    house.update()
    client.wait("view_update")
    house.settled()
    house.write(span(2))
    house.update()
    # The answer to a later question shows that nothing came before it.
    assert client.call("subscribe", {"path": "/sessions?framework=crewai", "parts": ["data"]})["ok"]
    assert len(client.wait("view_update")) == 1


def test_only_the_asked_for_parts_are_sent(house):
    """``parts`` leaves out the HTML or the data."""
    only_html, only_data = house.client(), house.client()
    only_html.call("subscribe", {"path": "/sessions", "parts": ["html"]})
    only_data.call("subscribe", {"path": "/sessions", "parts": ["data"]})
    house.update()

    assert only_html.wait("view_update")[0].keys() == {"path", "html"}
    assert only_data.wait("view_update")[0].keys() == {"path", "data"}


def test_a_slow_client_is_left_out_and_later_gets_only_the_newest(house):
    """Who has not acknowledged a page gets no further one, holds up nobody, and afterwards gets what is there then."""
    slow, quick = house.client("/sessions", acknowledges=False), house.client("/sessions")
    for number in range(2, 6):
        house.update()
        quick.wait("view_update", number - 1)
        house.held.updater._clients.all()[1].waiting = False
        house.write(span(number, session=f"s{number}"))
    assert len(slow.wait("view_update")) == 1

    first, *_ = house.held.updater._clients.all()
    first.waiting = False  # its acknowledgement
    house.update()
    assert [row["session_id"] for row in slow.wait("view_update", 2)[1]["data"]["rows"]] == [
        "s5",
        "s4",
        "s3",
        "s2",
        "s1",
    ]


def test_one_client_looks_at_one_page_at_a_time(house):
    """The next subscription replaces the one before, whose late acknowledgement counts no more."""
    client = house.client("/sessions", acknowledges=False)
    house.update()
    client.wait("view_update")
    assert client.call("subscribe", {"path": "/?range=7d"})["ok"]
    house.update()
    assert [message["path"] for message in client.wait("view_update", 2)] == ["/sessions", "/?range=7d"]

    assert client.call("unsubscribe") == {"ok": True}
    house.write(span(2))
    house.update()
    assert "metrics_update" in [name for name, _ in client.received]
    assert len(client.wait("view_update")) == 2


@pytest.mark.parametrize(
    "message, words",
    [
        (None, "a subscription is an object"),
        ("/", "a subscription is an object"),
        ({"path": 1}, "a subscription is an object"),
        ({"path": "/nowhere"}, "/nowhere is not a page; use one of /, "),
        ({"path": "/api/sessions"}, "is not a page"),
        ({"path": "/static/css/base.css"}, "is not a page"),
        ({"path": "//elsewhere.example/"}, "is not a page of this dashboard"),
        ({"path": "https://elsewhere.example/"}, "is not a page of this dashboard"),
        ({"path": "https://[broken"}, "is no URL"),
        ({"path": "/?range=1y"}, "range '1y' is unknown"),
        ({"path": "/?q=" + "x" * 5000}, "use at most 4096"),
        ({"path": "/?" + "&".join(["a=1"] * 201)}, "too many arguments"),
        ({"path": "/", "parts": ["everything"]}, "is not a list of what to send"),
        ({"path": "/", "parts": "html"}, "is not a list of what to send"),
        ({"path": "/logs", "after": 7}, "after is not a cursor"),
    ],
)
def test_what_is_no_page_is_refused_with_the_reason(quiet_house, message, words):
    """A subscription to anything but a page's URL is answered with what to send instead, and the connection stays."""
    client = quiet_house.client()

    answer = client.call("subscribe", message)

    assert (answer["ok"], words in answer["error"]) == (False, True), answer
    assert client.call("subscribe", {"path": "/"}) == {"ok": True, "live": True}


@pytest.mark.parametrize(
    "path", ["/?from=2026-01-01&to=2026-01-02", "/sessions?cursor=abc", "/logs?from=2026-01-01&to=2026-01-02"]
)
def test_what_cannot_change_is_not_live(quiet_house, path):
    """A span of time in the past and an older part of a list are accepted, said to be still, and never rendered."""
    client = quiet_house.client()

    assert client.call("subscribe", {"path": path}) == {"ok": True, "live": False}
    quiet_house.update()
    assert path not in quiet_house.held.updater._rendered


def test_a_page_that_fails_is_told_once_and_fails_nobody_else(house, monkeypatch, caplog):
    """A page that cannot be rendered is logged once until it works again; the other pages are sent."""
    broken, whole = house.client("/sessions"), house.client("/?range=1h")
    sessions = house.held.store.sessions

    def fail(*args, **more):
        raise StoreError("the disk is full")

    monkeypatch.setattr(house.held.store, "sessions", fail)
    with caplog.at_level(logging.WARNING, "ai_dev_squad.dashboard"):
        for number in range(2, 5):
            house.write(span(number))
            house.update()
    whole.wait("view_update")
    assert [record.message for record in caplog.records] == [
        "live update of /sessions failed and is tried again: StoreError: the disk is full"
    ]

    monkeypatch.setattr(house.held.store, "sessions", sessions)
    house.write(span(5))
    house.update()
    assert len(broken.wait("view_update")) == 1


def test_clients_of_the_guide_get_the_metrics_of_the_last_hour(house):
    """Who looks at no page gets ``metrics_update`` at first and after a change, and nothing when nothing changed."""
    client = house.client()
    assert client.wait("metrics_update")[0]["total_requests"] == 1
    house.held.updater.dashboard._until = 0.0
    house.write(span(2))
    house.update()
    house.update()

    came = [message["total_requests"] for message in client.wait("metrics_update", 2)]
    assert came == [1, 2]


def test_what_runs_now_is_told_to_who_looks_at_a_page(house):
    """``running`` has how many operations have begun within a day and not ended, and the newest of them."""
    client = house.client("/?range=1h")
    house.update()
    now_us = int(time.time() * 1e6)
    opened = OpenRow("a" * 32, "b" * 16, None, now_us, "coder", "invoke_agent", "crewai", "s1", "coder")
    cut_off = OpenRow("c" * 32, "d" * 16, None, now_us - 24 * 3_600_000_000, "gone", "invoke_agent")
    house.write(opened=[opened, cut_off])
    house.update()

    assert client.wait("running", 2) == [{"count": 0, "operations": []}, {"count": 1, "operations": [opened._asdict()]}]


def test_the_tail_of_the_log_sends_new_lines_only(house):
    """``log_lines`` carries what came in since the page's cursor, newest first, also lines of a clock that runs ahead."""
    house.write(logs=[line("old")])
    newest = HttpClient(house.app).get("/api/logs", headers={"Host": "localhost"}).get_json()["newest"]
    client = house.client("/logs", after=newest)
    house.write(logs=[line("one"), line("two", ahead_s=100)])
    house.update()
    (first,) = client.wait("log_lines")
    house.settled()
    house.write(logs=[line("three")])
    house.update()
    second = client.wait("log_lines", 2)[1]

    assert [entry["message"] for entry in first["data"]["lines"]] == ["two", "one"]
    assert [entry["message"] for entry in second["data"]["lines"]] == ["three"]
    assert (first["count"], first["skipped"], second["count"]) == (2, 0, 1)
    assert second["html"].count("<li") == 1


def test_a_tail_that_is_far_behind_starts_again_and_says_so(house):
    """More lines than anybody reads: the newest 200 come, with how many at least were left out."""
    client = house.client("/logs?level=INFO", after="")
    assert client.call("subscribe", {"path": "/logs", "after": "of another store"})["ok"]
    house.update()
    house.settled()
    house.write(logs=[line(f"line {number}") for number in range(1500)])
    house.update()

    message = client.wait("log_lines", 1)[-1]
    assert (message["count"], message["skipped"]) == (200, 800)
    assert message["data"]["lines"][0]["message"] == "line 1499"


def test_filters_of_the_page_hold_for_the_tail(house):
    """Only lines that match the URL's filters come, and what does not match still moves the tail on."""
    client = house.client("/logs?level=WARNING&q=disk")
    house.write(logs=[line("disk is fine"), line("disk is full", level="ERROR"), line("tape is full", level="ERROR")])
    house.update()

    assert [entry["message"] for entry in client.wait("log_lines")[0]["data"]["lines"]] == ["disk is full"]


def test_too_many_clients_are_turned_away():
    """Beyond ``max_live_clients`` a connection is refused in words, however it is dressed up, and there is room again when one leaves."""
    house = House(max_live_clients=2)
    try:
        first, _ = house.client(), house.client()
        for named in ("", "&xsid=1", "&sid=", "&sid=1"):
            path = f"/socket.io/?EIO=4&transport=polling{named}"
            answer = HttpClient(house.app).get(path, headers={"Host": "localhost"})
            assert answer.status_code == 503
            assert answer.text == (
                "2 live connections are open, and more are not allowed; close a page, or raise max_live_clients "
                "(DASHBOARD_MAX_LIVE_CLIENTS)"
            )
        with pytest.raises(live_client.RefusedError, match="status 503"):
            house.client()
        first.close()
        while len(house.held.updater._clients.all()) > 1 or house.held.live_limit.count() > 1:
            time.sleep(0.002)
        house.client("/sessions")
    finally:
        house.close()


def test_who_is_not_welcome_any_more_is_disconnected(house):
    """A client whose login ended is told to go at the next look."""
    client = house.client("/sessions")
    house.held.updater._clients.all()[0].is_welcome = lambda: False
    house.held.updater._minute = 0
    house.update()

    assert house.held.updater._clients.all() == []
    with client._changed:
        assert client._changed.wait_for(lambda: client.disconnected, 30)


def test_connections_that_never_say_who_they_are_are_closed(house, monkeypatch):
    """A connection without a client on it holds a place only for a moment."""
    module = sys.modules["ai_dev_squad_dashboard.live_clients"]
    monkeypatch.setattr(module, "ADMISSION_S", -1.0)
    opened = HttpClient(house.app).get("/socket.io/?EIO=4&transport=polling", headers={"Host": "localhost"})
    assert opened.status_code == 200
    engine = house.held.socketio.server.eio
    assert len(engine.sockets) == 1
    house.update()
    assert [sid for sid, connection in engine.sockets.items() if not connection.closed] == []


def test_stopping_disconnects_everybody(house):
    """After ``stop`` no client is connected and no thread of the updater is left."""
    client = house.client("/sessions")
    house.held.updater.stop()
    house.held.updater.stop()

    assert client.closed
    assert not house.held.updater.update_thread.is_alive()


def test_an_updater_refuses_an_interval_that_is_none():
    """Zero, negative and missing numbers are no interval; the message says what is."""
    with pytest.raises(ValueError, match="interval 0 is not positive; use seconds, such as 5"):
        RealTimeUpdater(object()).start(0)

"""Several dashboards on one store and one Redis: what one knows the others know, whichever of them a balancer asks."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from flask.testing import FlaskClient

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "core"))

from alert_rooms import NOW, Clock, alert, call, serving, until
from live_client import LiveClient
from redis_server import RedisServer
from together import KEY, lending

from ai_dev_squad_dashboard import DashboardSettings, ReceiverSettings, create_app, create_receiver
from ai_dev_squad_dashboard.alerts import Rules
from ai_dev_squad_dashboard.alerts.engine import Told
from ai_dev_squad_dashboard.alerts.lease import Lease
from ai_dev_squad_dashboard.alerts.outbox import OutboxError, Place
from ai_dev_squad_dashboard.alerts.shared_alerting import SharedAlerting
from ai_dev_squad_dashboard.alerts.shared_outbox import SharedOutbox
from ai_dev_squad_dashboard.app import running
from ai_dev_squad_dashboard.cli import main
from ai_dev_squad_dashboard.ingest.queue import IngestQueue
from ai_dev_squad_dashboard.server import DashboardServer
from ai_dev_squad_dashboard.sharing import retains, shared_state
from ai_dev_squad_dashboard.store import open_memory_store, open_store
from ai_dev_squad_dashboard.store.rows import Batch

TOKEN = "a token that may look"
OTHER = "another token"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis that these tests may kill and start again."""
    with RedisServer(tmp_path_factory.mktemp("redis"), keeps=True) as redis:
        yield redis


@pytest.fixture
def redis(server: RedisServer) -> str:
    """The address of an empty Redis."""
    state = shared_state(server.url)
    assert state is not None
    state.client.flushall()
    state.close()
    return server.url


class Pair:
    """Two dashboards, each with files of its own, on one store and one Redis; asked in turns, as by a balancer."""

    def __init__(self, directory: Path, redis: str) -> None:
        self.store = open_memory_store()
        self.held = []
        self.apps = []
        for name in ("a", "b"):
            settings = DashboardSettings(
                db=directory / name / "x.duckdb", port=0, update_interval_s=0.05, redis=redis, secret_key=KEY,
                read_tokens=tuple(sha256(token.encode()).hexdigest() for token in (TOKEN, OTHER)),
            )  # fmt: skip
            (directory / name).mkdir()
            self.apps.append(create_app(settings, store=self.store, follow=False))
            self.held.append(running(self.apps[-1]))
        self.cookies: dict[str, str] = {}

    def ask(self, which: int, path: str, **form: str) -> Any:
        """A request of one browser, whose cookies go to both."""
        client = FlaskClient(self.apps[which], use_cookies=False)
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"Cookie": cookie, "Accept": "text/html"}
        answer = client.post(path, data=form, headers=headers) if form else client.get(path, headers=headers)
        for line in answer.headers.getlist("Set-Cookie"):
            name, value = line.split(";")[0].split("=", 1)
            self.cookies[name] = value
        return answer

    def log_in(self, first: int, second: int, token: str = TOKEN) -> int:
        """The form from one, the answer to the other."""
        form = re.search('name="csrf_token" value="([^"]+)"', self.ask(first, "/login").text)
        assert form is not None
        return int(self.ask(second, "/login", csrf_token=form[1], token=token).status_code)

    def log_out(self, which: int) -> None:
        """The form is on every page."""
        form = re.search('name="csrf_token" value="([^"]+)"', self.ask(which, "/").text)
        assert form is not None
        self.ask(which, "/logout", csrf_token=form[1])

    def close(self) -> None:
        """Both, and the store they share."""
        for held in self.held:
            held.close()


@pytest.fixture
def pair(tmp_path: Path, redis: str) -> Iterator[Pair]:
    """Two dashboards."""
    made = Pair(tmp_path, redis)
    yield made
    made.close()


def test_whoever_logs_in_at_one_is_logged_in_at_both_and_out_of_both(pair: Pair) -> None:
    """The form comes from one and goes to the other; a cookie that was kept is worth nothing after the logout anywhere."""
    assert pair.log_in(0, 1) == 303
    kept = dict(pair.cookies)
    assert [pair.ask(which, "/").status_code for which in (0, 1, 0)] == [200, 200, 200]
    assert [len(held.guard_sessions()) for held in map(Sessions, pair.apps)] == [1, 1]

    pair.log_out(0)
    pair.cookies = kept

    assert [pair.ask(which, "/").status_code for which in (0, 1)] == [303, 303]
    assert [len(held.guard_sessions()) for held in map(Sessions, pair.apps)] == [0, 0]


class Sessions:
    """Who is logged in, as one dashboard knows."""

    def __init__(self, app: Any) -> None:
        self._guard = app.extensions["ai_dev_squad_guard"]

    def guard_sessions(self) -> list[str]:
        listed = self._guard.session_list.running(int(time.time()))
        return [each.name for each in listed if self._guard.sessions.is_running(each)]


def test_failed_logins_of_an_address_are_counted_together(pair: Pair) -> None:
    """Ten tries in all, at whichever dashboard, and right ones do not count."""
    assert [pair.log_in(0, which % 2, "wrong") for which in range(11)] == [403] * 10 + [429]
    assert pair.log_in(1, 1, "wrong") == 429


def test_without_redis_each_goes_by_what_it_knows(pair: Pair, server: RedisServer) -> None:
    """Pages and logins go on; a logout holds where it was made, and everywhere once Redis is back, though it forgot all."""
    pair.log_in(0, 1)
    kept = dict(pair.cookies)
    server.kill()
    try:
        pages = [pair.ask(which, "/").status_code for which in (0, 1)]
        pair.log_out(0)
        pair.cookies = dict(kept)
        away = [pair.ask(which, "/").status_code for which in (0, 1)]
    finally:
        server.start()
    assert (pages, away) == ([200, 200], [303, 200])
    for held in pair.held:
        held.shared._rests_until = 0.0
    pair.log_in(0, 0, OTHER)
    pair.ask(0, "/")
    pair.cookies = kept
    assert [pair.ask(which, "/").status_code for which in (0, 1)] == [303, 303]


def test_a_page_at_one_is_shown_anew_when_something_came_to_the_other(pair: Pair) -> None:
    """Who looks at the traces of one dashboard sees at once what was sent to the other."""
    held = pair.held[1]
    serving = DashboardServer(pair.apps[1], held.settings)
    serving.start()
    client = None
    try:
        client = LiveClient(serving.url, headers={"Authorization": f"Bearer {TOKEN}"})
        assert client.call("subscribe", {"path": "/traces"}) == {"ok": True, "live": True}
        until(lambda: client is not None and any(event == "view_update" for event, _ in client.received))
        before = len(client.received)
        row = call(1, end_us=time.time_ns() // 1000 - 1_000_000, name="sent to the other")
        pair.held[0].queue.submit(Batch(spans=[row])).result(30)
        until(lambda: any("sent to the other" in str(message) for _, message in client.received[before:]))  # type: ignore[union-attr]
    finally:
        if client is not None:
            client.close()
        serving.stop()


def test_what_a_receiver_writes_is_news_to_dashboards(pair: Pair, redis: str, tmp_path: Path) -> None:
    """A process that only receives tells all who show pages that there is something to show."""
    receiver = create_receiver(ReceiverSettings(db=tmp_path / "r.duckdb", redis=redis), store=open_memory_store())
    state = pair.held[0].shared
    assert state is not None
    before = state.writes()
    span = {"traceId": "1" * 32, "spanId": "1" * 16, "name": "x", "startTimeUnixNano": "1795305600000000000"}
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [{**span, "endTimeUnixNano": "1795305600100000000"}]}]}]}
    try:
        assert receiver.test_client().post("/v1/traces", json=body).status_code == 200
        until(lambda: state.writes() != before)
    finally:
        receiver.extensions["ai_dev_squad"].close()


def test_what_one_emits_reaches_clients_of_the_other(pair: Pair) -> None:
    """Socket.IO's own events go through Redis, so whoever emits need not know where a client is connected."""
    serving = DashboardServer(pair.apps[1], pair.held[1].settings)
    serving.start()
    client = LiveClient(serving.url, headers={"Authorization": f"Bearer {TOKEN}"})
    try:

        def arrived() -> bool:
            pair.held[0].socketio.emit("metrics_update", {"from": "the other"})
            return ("metrics_update", {"from": "the other"}) in client.received

        until(arrived)
    finally:
        client.close()
        serving.stop()


def test_a_dashboard_starts_while_redis_is_away(tmp_path: Path) -> None:
    """Its pages and its ingest do without; the page of alerts says what it can."""
    settings = DashboardSettings(db=tmp_path / "x.duckdb", redis="redis://127.0.0.1:1/0", secret_key=KEY)
    app = create_app(settings, store=open_memory_store(), follow=False)
    browser = app.test_client()
    try:
        assert [browser.get(path).status_code for path in ("/", "/alerts", "/readyz")] == [200, 200, 200]
        assert browser.post("/v1/traces", json={"resourceSpans": []}).status_code == 200
        with pytest.raises(OutboxError, match="where dashboards keep alerts together, does not answer"):
            running(app).alerting.make_rule({"name": "x", "measure": "cost_usd", "over": "1h", "above": 5})
    finally:
        running(app).close()


@pytest.mark.parametrize(
    "settings, problem",
    [
        (
            {"redis": "redis://h"},
            "secret_key is missing beside redis: dashboards that share sessions sign them with one key",
        ),
        ({"redis": "http://u:secret@h", "secret_key": KEY}, "redis 'http://u:…@h' is no address of a Redis"),
    ],
)
def test_what_is_missing_is_said(settings: Any, problem: str) -> None:
    """The message names the cure, and no password."""
    with pytest.raises(ValueError, match="redis") as refused:
        DashboardSettings(**settings)
    assert problem in str(refused.value)
    assert ReceiverSettings(redis="redis://h").redis == "redis://h"


RULES = """
[[receiver]]
name = "ops"
type = "webhook"
url = { env = "OPS_URL" }
group = "0s"

[[rule]]
name = "dear"
measure = "cost_usd"
over = "1h"
above = 5
by = ["agent"]
notify = ["ops"]
"""


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX")
def test_one_watches_the_alerts_and_another_takes_over_when_it_is_killed(tmp_path: Path, redis: str) -> None:
    """Two processes: each alert is told once, before and after kill -9 of the one that watches, and pages go on at the other."""
    (tmp_path / "rules.toml").write_text(RULES)
    state = shared_state(redis)
    assert state is not None

    def watcher() -> int | None:
        found = state.client.get(state.key("lease", "alerts"))
        return int(found.split(b":")[1]) if found else None

    def spend(agent: str, first: int) -> None:
        now_us = time.time_ns() // 1000
        store.write(Batch(spans=[call(first + number, end_us=now_us, agent=agent) for number in range(6)]))

    with serving() as server, lending() as (store, port):
        command = [sys.executable, str(Path(__file__).with_name("together.py")), str(port), redis]
        environment = {**os.environ, "OPS_URL": server.url}
        started = [
            subprocess.Popen(
                [*command, str(tmp_path / name)],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=environment,
            )
            for name in ("a", "b")
        ]
        try:
            pages = {each.pid: each.stdout.readline().split()[-1] for each in started if each.stdout is not None}
            first = until(watcher)
            until(lambda: state.client.exists(state.key("alerts", "rows")))
            spend("ada", 0)
            until(lambda: server.titles() == ["dear, agent ada"])

            os.kill(first, signal.SIGKILL)
            spend("ben", 100)
            second = until(lambda: (found := watcher()) != first and found)
            until(lambda: "dear, agent ben" in server.titles())
            spend("cho", 200)
            until(lambda: "dear, agent cho" in server.titles())
            with urlopen(f"{pages[second]}alerts") as page:
                shown = page.read().decode()
        finally:
            for each in started:
                each.kill()
                each.communicate()
            state.close()

    assert {first, second} == pages.keys()
    # Killed between sending and writing that down, a message is sent again with its id, and each alert has one.
    told = {post.json["id"]: [each["title"] for each in post.json["alerts"]] for post in server.posts}
    assert list(told.values()) == [["dear, agent ada"], ["dear, agent ben"], ["dear, agent cho"]]
    assert [f"dear, agent {agent}" in shown for agent in ("ada", "ben", "cho")] == [True] * 3


def test_the_one_that_does_not_watch_shows_and_changes_the_same(tmp_path: Path, redis: str) -> None:
    """What holds and what was told are on both pages; a rule that is made at one is watched by the other."""
    store, clock = open_memory_store(), Clock()
    queue = IngestQueue(store, max_pending_rows=1_000)
    settings = DashboardSettings(db=tmp_path / "x.duckdb")
    shared = [shared_state(redis), shared_state(redis)]
    one, other = (
        SharedAlerting(store, queue, settings, Rules(), clock=clock, shared=each) for each in shared if each is not None
    )
    try:
        one.tick()
        other.tick()
        rule = {"name": "dear", "measure": "cost_usd", "over": "1h", "above": 5, "by": ["agent"]}
        other.make_rule(rule)
        one.tick()
        queue.submit(Batch(spans=[call(number) for number in range(6)])).result(30)
        other.tick()
        one._tell_at = 0.0
        one.tick()
        other.tick()

        told = [(past.alert.what, past.alert.title) for past in other.outbox.history()]  # type: ignore[union-attr]
        assert told == [("fired", "dear, agent coder")]
        assert other.states(10) == one.states(10)
        assert one.states(10)[:2] == (1, 1)

        one.stop()
        queue.submit(Batch(spans=[call(100 + number, agent="tester") for number in range(6)])).result(30)
        other.tick()
        titles = [past.alert.title for past in other.outbox.history()]  # type: ignore[union-attr]
        assert titles == ["dear, agent tester", "dear, agent coder"]
    finally:
        one.stop()
        other.stop()
        queue.close()
        store.close()
        for each in shared:
            each.close()  # type: ignore[union-attr]


def test_what_came_while_redis_was_away_is_told_afterwards_and_once(
    tmp_path: Path, redis: str, server: RedisServer
) -> None:
    """Nothing can be decided meanwhile, so nothing is; then reading goes on where it stopped."""
    store, clock = open_memory_store(), Clock()
    queue = IngestQueue(store, max_pending_rows=1_000)
    state = shared_state(redis)
    assert state is not None
    watching = SharedAlerting(
        store, queue, DashboardSettings(db=tmp_path / "x.duckdb"), Rules(), clock=clock, shared=state
    )
    try:
        watching.make_rule({"name": "dear", "measure": "cost_usd", "over": "1h", "above": 5, "by": ["agent"]})
        watching.tick()
        server.kill()
        try:
            queue.submit(Batch(spans=[call(number) for number in range(6)])).result(30)
            with pytest.raises(OutboxError, match="does not answer"):
                watching.tick()
        finally:
            server.start()
        state._rests_until = 0.0
        for _ in range(3):
            watching.tick()
        assert [past.alert.title for past in watching.outbox.history()] == ["dear, agent coder"]  # type: ignore[union-attr]
    finally:
        watching.stop()
        queue.close()
        store.close()
        state.close()


def test_a_lease_is_one_process_s_at_a_time(redis: str) -> None:
    """Kept by who has it, taken by another when it is let go or runs out, and lost by who cannot ask for it in time."""
    now = [0.0]
    one, other, away = (shared_state(url) for url in (redis, redis, "redis://127.0.0.1:1/0"))
    assert one is not None
    assert other is not None
    assert away is not None
    mine, theirs, nobodys = (Lease(state, "x", lasts_s=60, clock=lambda: now[0]) for state in (one, other, away))
    try:
        assert [mine.hold(), mine.is_held, theirs.hold(), theirs.is_held, mine.hold()] == [
            True,
            True,
            False,
            False,
            False,
        ]
        mine.release()
        assert [mine.is_held, theirs.hold(), theirs.is_held, mine.hold()] == [False, True, True, False]
        now[0] = 61.0  # it was not asked for in time, so it counts as lost here; Redis still knows its holder
        assert [theirs.is_held, theirs.hold(), theirs.is_held] == [False, True, True]
        assert [nobodys.hold(), nobodys.is_held] == [False, False]
    finally:
        for state in (one, other, away):
            state.close()


def test_one_of_several_deletes_what_is_old(redis: str) -> None:
    """The first that comes keeps it; who cannot ask does not begin; a dashboard that is alone needs nobody."""
    one, other, away = (shared_state(url) for url in (redis, redis, "redis://127.0.0.1:1/0"))
    asked = [retains(state, 3600.0) for state in (one, other, away, None)]
    try:
        assert [[ask() for ask in asked] for _ in range(2)] == [[True, False, False, True]] * 2
    finally:
        for state in (one, other, away):
            state.close()  # type: ignore[union-attr]


def test_deleting_by_the_command_line_forgets_what_was_told_in_redis(
    redis: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A session that is deleted from a store is in no alert afterwards, as on the page; while Redis is away nothing is deleted."""
    url = f"duckdb://{tmp_path / 'x.duckdb'}"
    store = open_store(url)
    store.write(Batch(spans=[call(1, session_id="monday"), call(2, session_id="tuesday")]))
    store.close()
    monkeypatch.setenv("DASHBOARD_SECRET_KEY", KEY)
    command = ["delete", "--session", "monday", "--store", url, "--yes"]

    monkeypatch.setenv("DASHBOARD_REDIS", "redis://127.0.0.1:1/0")
    refused = main(command), capsys.readouterr().err
    monkeypatch.setenv("DASHBOARD_REDIS", redis)
    state = shared_state(redis)
    assert state is not None
    mine = SharedOutbox(state, lambda: True)
    try:
        for number, session in enumerate(("monday", "tuesday")):
            told = Told(firing=True, since_us=1, last_us=1)
            one = alert(group={"session": session})
            mine.commit(Place(number, "x"), [(one, ["ops"])], [(("dear", (session,)), "c", told)])
        done = main(command), capsys.readouterr().out
        mine.refresh()
        assert [mine.mentions("session", each) for each in ("monday", "tuesday")] == [False, True]
    finally:
        mine.close()
        state.close()

    assert refused[0] == 1
    assert "redis://127.0.0.1:1/0, where dashboards keep alerts together, does not answer" in refused[1]
    assert (done[0], done[1].splitlines()[-2:]) == (
        0,
        [f"1 run, 1 operation and 0 log lines deleted from {url}", "1 alert about it deleted"],
    )


def test_a_decision_of_who_lost_the_lease_is_not_kept(redis: str) -> None:
    """Two that both take themselves for the one: what the slower one decides is refused, and it knows what the other told."""
    one, other = shared_state(redis), shared_state(redis)
    assert one is not None
    assert other is not None
    mine, theirs = SharedOutbox(one, lambda: True), SharedOutbox(other, lambda: True)
    try:
        mine.commit(Place(1, "x"), [], [])
        theirs.refresh()
        slow = theirs._transaction()
        with slow as connection:
            mine.keep_rule("r", {"name": "r"}, 1)
            connection.execute("DELETE FROM rules")
            connection.execute("INSERT INTO rules VALUES ('s', '{}', 2)")
            with pytest.raises(OutboxError, match="was written by another dashboard meanwhile"):
                theirs._write()
            connection.execute("ROLLBACK")
            connection.execute("BEGIN")
        assert (mine.rules(), theirs.rules(), theirs.place()) == (
            {"r": {"name": "r"}},
            {"r": {"name": "r"}},
            Place(1, "x"),
        )
    finally:
        for each in (mine, theirs):
            each.close()
        for state in (one, other):
            state.close()


def test_a_copy_follows_whatever_is_kept_and_deleted(redis: str) -> None:
    """After each of many changes a copy that follows, and one that begins anew, have the same rows as the one that wrote."""
    shared = [shared_state(redis) for _ in range(3)]
    mine, theirs = (SharedOutbox(state, lambda: True) for state in shared[:2] if state is not None)

    def rows(outbox: SharedOutbox) -> list[Any]:
        outbox.refresh()
        tables = ("meta", "told", "alerts", "deliveries", "messages", "rules")
        return [sorted(outbox._connection.execute(f"SELECT * FROM {table}").fetchall()) for table in tables]

    def commit(number: int) -> None:
        one = alert(group={"agent": f"a{number}"}, time_us=NOW + number)
        told = Told(firing=True, since_us=number, last_us=number)
        mine.commit(Place(number, "x"), [(one, ["ops", "team"])], [(("dear", (f"a{number}",)), "c", told)])

    def send() -> None:
        message, _ = theirs.next_message("ops", NOW + 100, group_us=0, limit=2, only_critical=False)
        assert message is not None
        theirs.again(message, NOW, "away")
        theirs.sent(message)

    try:
        for act in (
            lambda: commit(1),
            lambda: commit(2),
            send,
            lambda: mine.forget("agent", "a1"),
            lambda: commit(3),
            send,
        ):
            act()
            assert rows(theirs) == rows(mine)
        anew = SharedOutbox(shared[2], lambda: True)  # type: ignore[arg-type]
        assert rows(anew) == rows(mine)
        assert [len(table) for table in rows(anew)] == [2, 2, 2, 4, 2, 0]
        anew.close()
    finally:
        for outbox in (mine, theirs):
            outbox.close()
        for state in shared:
            state.close()  # type: ignore[union-attr]

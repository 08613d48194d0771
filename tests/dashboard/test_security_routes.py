"""The whole dashboard behind its guard: every rule of the URL map and every event of the live connection."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from werkzeug.test import Client

from ai_dev_squad_dashboard import DashboardSettings, create_app
from ai_dev_squad_dashboard.app import running
from ai_dev_squad_dashboard.security import EXEMPT
from ai_dev_squad_dashboard.security.headers import POLICY
from ai_dev_squad_dashboard.security.policy import LOOKING
from ai_dev_squad_dashboard.security.request_guard import RequestGuard
from ai_dev_squad_dashboard.security.tokens import new_token
from ai_dev_squad_dashboard.store import open_memory_store

READ, READ_DIGEST = new_token("read")
ACT, ACT_DIGEST = new_token("act")
INGEST, INGEST_DIGEST = new_token("ingest")
TOKENS = {
    "nothing": {},
    "unknown": {"Authorization": "Bearer ads_read_unknown"},
    "read": {"Authorization": f"Bearer {READ}"},
    "act": {"Authorization": f"Bearer {ACT}"},
    "ingest": {"Authorization": f"Bearer {INGEST}"},
}
PUBLIC = {"/static/<path:filename>", "/login", "/healthz", "/readyz"}
LIVE = "/socket.io/?EIO=4&transport=polling"


@pytest.fixture
def app():
    """A dashboard with tokens and a password, over an empty store."""
    password_hash = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("correct horse battery")
    settings = DashboardSettings(
        db=Path("dashboard.duckdb"),
        read_tokens=(READ_DIGEST,),
        act_tokens=(ACT_DIGEST,),
        ingest_tokens=(INGEST_DIGEST,),
        password_hash=password_hash,
    )
    app = create_app(settings, store=open_memory_store(), follow=False)
    yield app
    running(app).close()


@pytest.fixture
def client(app):
    """A program: it keeps no cookies."""
    return app.test_client(use_cookies=False)


def requests(app):
    """Method and path of everything that the URL map answers, and of some things that it does not."""
    adapter = app.url_map.bind("localhost")
    for rule in app.url_map.iter_rules():
        path = adapter.build(rule.endpoint, dict.fromkeys(rule.arguments, "0" * 32), method=next(iter(rule.methods)))
        for method in sorted(rule.methods):
            yield rule, method, path


def test_the_exempt_list_is_what_it_is(app):
    """Everybody gets the files of the package, the login page and the probes, and nothing else."""
    assert {rule.rule for rule in app.url_map.iter_rules() if rule.endpoint in EXEMPT} == PUBLIC
    # The way through an OpenID provider is there with one only.
    assert set(EXEMPT) - set(app.view_functions) == {"security.openid", "security.openid_back"}


def test_every_route_refuses_without_a_token_and_with_the_wrong_kind(app, client):
    """Each rule and method answers 401 to nobody, 403 to the token of the other kind, and neither to its own. Who may only look
    changes nothing.
    """
    answers = {}
    acting = {
        (method, path)
        for rule, method, path in requests(app)
        if method not in {"GET", "HEAD", "OPTIONS"} and rule.endpoint not in LOOKING
    }
    for rule, method, path in requests(app):
        if rule.rule in PUBLIC:
            continue
        for name, headers in TOKENS.items():
            status = client.open(path, method=method, headers=headers).status_code
            answers[method, path, name] = status if status in {401, 403} else "in"
    wanted = {
        (method, path, name): status
        for method, path, _ in answers
        for name, status in (
            ("nothing", 401),
            ("unknown", 401),
            ("read", 403 if path.startswith("/v1/") or (method, path) in acting else "in"),
            ("act", 403 if path.startswith("/v1/") else "in"),
            ("ingest", "in" if path.startswith("/v1/") else 403),
        )
    }

    assert answers == wanted
    assert {path for _, path, _ in answers} >= {"/", "/api/overview", "/api/metrics", "/v1/traces", "/logout"}


@pytest.mark.parametrize(
    "path",
    [
        "/no/such/page",
        "/login/",
        "/LOGIN",
        "/static",
        "/static/../api/overview",
        "/static/..%2f..%2fapp.py",
        "/healthz/../api/overview",
        "/api/overview;x",
        "/v1/",
        "/v1/nothing",
    ],
)
def test_what_looks_like_the_exempt_list_is_not_on_it(path, client):
    """No spelling of a path gets past the guard: it is refused, or is a file that does not exist."""
    assert client.get(path).status_code in ({404} if path.startswith("/static/") else {401})


def test_another_spelling_is_guarded_like_the_path_itself(client):
    """Slashes too many change neither what a path leads to nor who may ask for it."""
    assert {
        (path, name): client.post(path, headers=TOKENS[name]).status_code
        for path in ("/%2Fv1/traces", "/%2F/v1/logs")
        for name in ("nothing", "read")
    } == {
        ("/%2Fv1/traces", "nothing"): 401,
        ("/%2Fv1/traces", "read"): 403,
        ("/%2F/v1/logs", "nothing"): 401,
        ("/%2F/v1/logs", "read"): 403,
    }
    assert client.get("/%2Fsocket.io/?EIO=4&transport=polling").status_code == 401


def test_create_app_mounts_nothing_outside_the_guard():
    """Nothing is mounted outside the guard: what stands before the application is its request guard."""
    app = create_app(DashboardSettings(db=Path("dashboard.duckdb")), store=open_memory_store(), follow=False)
    running(app).close()

    assert isinstance(app.wsgi_app, RequestGuard)


def test_the_live_connection_refuses_before_socketio_answers(app, client):
    """Without a read token there is not even a handshake, over either transport; with one there is."""
    app.extensions["ai_dev_squad_guard"].enclose(app)
    answers = {
        (name, transport): client.get(f"/socket.io/?EIO=4&transport={transport}", headers=headers)
        for name, headers in TOKENS.items()
        for transport in ("polling", "websocket")
        if name not in {"read", "act"} or transport == "polling"
    }

    assert {key: answer.status_code for key, answer in answers.items()} == {
        ("nothing", "polling"): 401,
        ("nothing", "websocket"): 401,
        ("unknown", "polling"): 401,
        ("unknown", "websocket"): 401,
        ("ingest", "polling"): 403,
        ("ingest", "websocket"): 403,
        ("read", "polling"): 200,
        ("act", "polling"): 200,
    }
    assert {answer.headers["Content-Security-Policy"] for answer in answers.values()} == {POLICY}


def opened(client: Client, headers: dict[str, str]) -> str:
    """The id of a connection that passed the request guard."""
    return json.loads(client.get(LIVE, headers=headers).text[1:])["sid"]


def test_every_event_refuses_whoever_did_not_connect(app, client):
    """No handler of the live connection runs for a stranger: not on a connection of somebody else, not before `connect`."""
    app.extensions["ai_dev_squad_guard"].enclose(app)
    handlers = running(app).socketio.server.handlers
    ran = []
    events = sorted(
        (namespace, event) for namespace, by_name in handlers.items() for event in by_name if event != "disconnect"
    )
    for namespace, event in events:
        original = handlers[namespace][event]
        if event != "connect":
            handlers[namespace][event] = lambda *args, event=event, original=original: (
                ran.append(event),
                original(*args),
            )
        sid = opened(client, TOKENS["read"])
        url, packet = f"{LIVE}&sid={sid}", f'42{namespace if namespace != "/" else ""}["{event}",{{}}]'

        statuses = [
            client.post(url, data=packet, headers=TOKENS[name]).status_code for name in ("nothing", "unknown", "ingest")
        ]
        assert (event, statuses) == (event, [401, 401, 403])
        # The request guard lets the right token in, but only `connect` lets it say anything.
        client.post(url, data=packet, headers=TOKENS["read"])

    assert ran == []
    assert {event for _, event in events} >= {"connect", "subscribe"}


@pytest.mark.parametrize("kind, let_in", [("read", True), ("ingest", False), (None, False)])
def test_connect_asks_the_guard(kind, let_in, app):
    """The handler of `connect` itself accepts a read token, from the header or from `auth`, and nothing else."""
    socketio = running(app).socketio
    token = {"read": READ, "ingest": INGEST, None: None}[kind]
    by_header = socketio.test_client(app, headers=TOKENS[kind or "nothing"])
    by_auth = socketio.test_client(app, auth={"token": token})

    assert (by_header.is_connected(), by_auth.is_connected()) == (let_in, let_in)
    for connection in (by_header, by_auth):
        if connection.is_connected():
            connection.disconnect()


def test_every_answer_of_the_dashboard_carries_the_policy(app, client):
    """Pages, JSON, errors and OTLP: each says which scripts and styles may run, and that nobody keeps it."""
    answers = {}
    for _, method, path in requests(app):
        for headers in (TOKENS["nothing"], TOKENS["ingest" if path.startswith("/v1/") else "read"]):
            answer = client.open(path, method=method, headers=headers)
            answers[method, path, not headers] = (
                answer.headers.get("Content-Security-Policy"),
                answer.headers.get("X-Content-Type-Options"),
                answer.headers.get("Cache-Control"),
            )
            answer.close()

    assert {key: value for key, value in answers.items() if value != (POLICY, "nosniff", "no-store")} == {}


def test_nothing_about_the_data_is_shown_to_strangers(app, client):
    """The login page and the errors that strangers see stand in a layout without filters, names or numbers."""
    page = client.get("/login", headers={"Accept": "text/html"})

    assert (page.status_code, page.mimetype) == (200, "text/html")
    assert 'action="/login"' in page.text
    assert "<select" not in page.text

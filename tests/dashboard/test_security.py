"""What the guard lets through, by request: names, origins, credentials, forms, sizes, and what each answer tells browsers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from argon2 import PasswordHasher
from flask import Flask, render_template_string, request
from flask.testing import FlaskClient
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import ChoiceLoader, DictLoader

from ai_dev_squad_dashboard import DashboardSettings, probes, security
from ai_dev_squad_dashboard.errors import attach as attach_errors
from ai_dev_squad_dashboard.security.passwords import TooBusyError
from ai_dev_squad_dashboard.security.tokens import new_token

PASSWORD = "correct horse battery staple"
# Cheap on purpose: what is tested is what becomes of the answer.
PASSWORD_HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
READ, READ_DIGEST = new_token("read")
ACT, ACT_DIGEST = new_token("act")
INGEST, INGEST_DIGEST = new_token("ingest")
HTML = {"Accept": "text/html"}
FRAME = {
    "base.html": "<header>{% include '_account.html' %}</header><main>{% block view %}{% endblock %}</main>",
    "problem.html": "<p>{{ problem.message }}</p>",
}


@dataclass
class Site:
    """A small application behind the guard, and a browser."""

    app: Flask
    guard: security.Guard
    browser: FlaskClient

    def log_in(self, **fields: str):
        """Fill in the login form as a browser does. Returns the answer."""
        page = self.browser.get("/login", headers=HTML).text
        token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]
        return self.browser.post("/login", data={"csrf_token": token, **fields})

    @property
    def cookie(self) -> str:
        """The session cookie that the browser has."""
        return self.browser.get_cookie(self.guard.session_cookie).value

    def status_with(self, cookie: str) -> int:
        """What somebody gets who has nothing but this session cookie."""
        headers = {"Cookie": f"{self.guard.session_cookie}={cookie}"}
        return self.app.test_client(use_cookies=False).get("/", headers=headers).status_code


def site(**settings) -> Site:
    """Behind a guard with these settings: a page, a page that fails, a route that changes something, and OTLP."""
    app = Flask("ai_dev_squad_dashboard")
    app.jinja_loader = ChoiceLoader([DictLoader(FRAME), app.jinja_loader])
    guard = security.attach(app, DashboardSettings(db=Path("dashboard.duckdb"), **settings))
    attach_errors(app)
    app.register_blueprint(probes.create_blueprint(probes.Readiness(lambda: True)))

    @app.get("/")
    def home() -> str:
        return render_template_string("{{ csrf_token() }}")

    @app.get("/fails")
    def fails() -> str:
        raise RuntimeError("on purpose")

    @app.post("/change")
    def change() -> str:
        return f"changed {request.form.get('what')}"

    @app.post("/v1/traces")
    def traces() -> str:
        return "taken"

    guard.enclose(app)
    return Site(app, guard, app.test_client())


def protected(**settings) -> Site:
    """The same where everybody is asked who they are."""
    return site(
        **{
            "read_tokens": (READ_DIGEST,),
            "act_tokens": (ACT_DIGEST,),
            "ingest_tokens": (INGEST_DIGEST,),
            "password_hash": PASSWORD_HASH,
            **settings,
        }
    )


def bearer(token: str) -> dict[str, str]:
    """The header of a token."""
    return {"Authorization": f"Bearer {token}"}


# Who may look, who may send


@pytest.mark.parametrize(
    "headers, look, act, send",
    [
        pytest.param({}, 401, 401, 401, id="nothing"),
        pytest.param(bearer(READ), 200, 403, 403, id="read token"),
        pytest.param(bearer(ACT), 200, 200, 403, id="act token"),
        pytest.param(bearer(INGEST), 403, 403, 200, id="ingest token"),
        pytest.param(bearer("ads_read_wrong"), 401, 401, 401, id="unknown token"),
        pytest.param(bearer(READ_DIGEST), 401, 401, 401, id="digest instead of token"),
        pytest.param(bearer(""), 401, 401, 401, id="empty token"),
        pytest.param({"Authorization": f"Basic {READ}"}, 401, 401, 401, id="other scheme"),
        pytest.param({"Authorization": READ}, 401, 401, 401, id="no scheme"),
        pytest.param({"Authorization": f"bearer  {READ} "}, 200, 403, 403, id="scheme in lower case, blanks"),
    ],
)
def test_each_token_opens_what_it_is_for(headers, look, act, send):
    """A read token looks, an act token looks and changes, an ingest token sends, and none does anything else."""
    browser = protected().browser

    assert (
        browser.get("/", headers=headers).status_code,
        browser.post("/change", headers=headers).status_code,
        browser.post("/v1/traces", headers=headers).status_code,
    ) == (look, act, send)


@pytest.mark.parametrize(
    "credential, act",
    [
        pytest.param({"user": "admin", "password": PASSWORD}, 200, id="password"),
        pytest.param({"token": ACT}, 200, id="act token"),
        pytest.param({"token": READ}, 403, id="read token"),
    ],
)
def test_a_session_may_what_it_was_opened_with(credential, act):
    """Who logged in with a read token may not change anything, with a form of our own neither."""
    it = protected()
    it.log_in(**credential)

    assert it.browser.get("/").status_code == 200
    assert it.browser.post("/change", data={"csrf_token": it.browser.get("/").text}).status_code == act


def test_a_refusal_says_what_to_send():
    """Programs are told the scheme and the cure; which of the things that exist they asked for is not told."""
    browser = protected().browser
    answers = {path: browser.get(path) for path in ("/api/overview", "/api/nothing/here")}

    assert {
        path: (answer.status_code, answer.json, answer.headers["WWW-Authenticate"]) for path, answer in answers.items()
    } == dict.fromkeys(
        answers,
        (
            401,
            {
                "error": {
                    "status": 401,
                    "title": "Unauthorized",
                    "message": "Log in, or send a read token as `Authorization: Bearer …`.",
                }
            },
            "Bearer realm=ai-dev-squad",
        ),
    )


def test_a_token_in_the_url_is_no_credential():
    """URLs end up in histories and logs, so a token there opens nothing."""
    browser = protected().browser

    assert browser.get("/", query_string={"token": READ, "access_token": READ}).status_code == 401


def test_a_wrong_header_is_not_made_good_by_a_session():
    """Whoever sends a token means it: with a wrong one nothing is answered, logged in or not."""
    it = protected()
    it.log_in(token=READ)

    assert (it.browser.get("/").status_code, it.browser.get("/", headers=bearer("wrong")).status_code) == (200, 401)


def test_a_password_alone_lets_nobody_send():
    """Where people are asked who they are, programs are as well: without ingest tokens nobody sends."""
    it = site(password_hash=PASSWORD_HASH)

    assert (it.browser.post("/v1/traces").status_code, it.guard.check_ingest(None)) == (401, False)


def test_without_credentials_this_machine_looks_and_sends():
    """On loopback with nothing configured everything local works, and there is nothing to log in to."""
    it = site()

    assert (
        it.browser.get("/").status_code,
        it.browser.post("/v1/traces").text,
        it.guard.check_ingest(None),
        it.browser.get("/login?next=/costs").headers["Location"],
    ) == (200, "taken", True, "/costs")


@pytest.mark.parametrize(
    "authorization, may_send",
    [
        pytest.param(f"Bearer {INGEST}", True, id="ingest token"),
        pytest.param(f"Bearer {READ}", False, id="read token"),
        pytest.param("Bearer \udcff\ud800", False, id="not even text"),
        pytest.param(None, False, id="nothing"),
    ],
)
def test_grpc_asks_the_same_guard(authorization, may_send):
    """The `authorization` metadata of a gRPC call is judged like the header of a request."""
    assert protected().guard.check_ingest(authorization) is may_send


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_the_probes_answer_everybody_and_say_nothing(path):
    """They need no credential and have no content while all is well."""
    answer = protected().browser.get(path)

    assert (answer.status_code, answer.data, answer.mimetype) == (200, b"", "text/plain")


# Names and origins


@pytest.mark.parametrize(
    "settings, host, status",
    [
        pytest.param({}, "localhost:8080", 200, id="localhost"),
        pytest.param({}, "LOCALHOST", 200, id="upper case"),
        pytest.param({}, "127.0.0.1:9999", 200, id="forwarded port"),
        pytest.param({}, "[::1]:8080", 200, id="IPv6 loopback"),
        pytest.param({}, "attacker.example:8080", 400, id="a name that points here"),
        pytest.param({}, "localhost.attacker.example", 400, id="begins like ours"),
        pytest.param({}, "attacker.example\\@localhost", 400, id="two in one"),
        pytest.param({}, "user@localhost", 400, id="user"),
        pytest.param({}, "localhost:8080/", 400, id="more than a host"),
        pytest.param({}, "localhost:99999", 400, id="no port"),
        pytest.param({}, "", 400, id="empty"),
        pytest.param({}, "192.168.0.7:8080", 400, id="other address on loopback"),
        pytest.param({"host": "0.0.0.0"}, "192.168.0.7:8080", 401, id="address, listening everywhere"),
        pytest.param({"host": "::"}, "[fe80::1]", 401, id="IPv6 address, listening everywhere"),
        pytest.param({"host": "0.0.0.0"}, "box.local", 400, id="name, listening everywhere"),
        pytest.param({"host": "192.168.0.7"}, "192.168.0.7", 401, id="the address listened on"),
        pytest.param({"host": "192.168.0.7"}, "192.168.0.8", 400, id="another address"),
        pytest.param({"allowed_hosts": ("Box.example",)}, "box.example.:1234", 401, id="allowed, any port"),
        pytest.param({"allowed_hosts": ("box.example:8443",)}, "box.example:8443", 401, id="allowed with this port"),
        pytest.param({"allowed_hosts": ("box.example:8443",)}, "box.example", 400, id="allowed with another port"),
        pytest.param({"allowed_hosts": ("box.example:443",), "behind_tls": True}, "box.example", 401, id="TLS port"),
    ],
)
def test_only_known_names_are_answered(settings, host, status):
    """Under a name that is not the dashboard's nothing is answered: the page of another site may have made it point here."""
    it = protected(**settings) if settings else site()

    assert it.browser.get("/", headers={"Host": host}).status_code == status


def test_rebinding_reaches_neither_login_nor_files_nor_the_probes():
    """What answers everybody does so under its own name only."""
    browser = protected().browser

    assert {
        path: browser.get(path, headers={"Host": "attacker.example"}).status_code
        for path in ("/login", "/static/css/base.css", "/healthz", "/readyz", "/socket.io/?EIO=4&transport=polling")
    } == {
        "/login": 400,
        "/static/css/base.css": 400,
        "/healthz": 400,
        "/readyz": 400,
        "/socket.io/?EIO=4&transport=polling": 400,
    }


def test_a_forwarded_host_is_never_believed():
    """Scripts can send `X-Forwarded-Host`; behind a proxy it counts no more than without one."""
    headers = {"Host": "attacker.example", "X-Forwarded-Host": "box.example"}

    assert [
        protected(allowed_hosts=("box.example",), behind_tls=tls).browser.get("/", headers=headers).status_code
        for tls in (False, True)
    ] == [400, 400]


CROSS_SITE = [
    pytest.param({"Origin": "https://attacker.example"}, id="origin"),
    pytest.param({"Origin": "null"}, id="hidden origin"),
    pytest.param({"Origin": "http://localhost:3000"}, id="another port of this machine"),
    pytest.param({"Origin": "https://localhost"}, id="another scheme"),
    pytest.param({"Origin": "http://localhost@attacker.example"}, id="user that looks like us"),
    pytest.param({"Origin": ""}, id="empty origin"),
    pytest.param({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, id="fetch"),
    pytest.param({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}, id="fetch from another port"),
    pytest.param(
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, id="frame"
    ),
    pytest.param(
        {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, id="contradiction"
    ),
]


@pytest.mark.parametrize("headers", CROSS_SITE)
@pytest.mark.parametrize(
    "method, path", [("GET", "/"), ("POST", "/v1/traces"), ("POST", "/change"), ("OPTIONS", "/v1/traces")]
)
def test_pages_of_other_sites_get_nothing_even_without_credentials(headers, method, path):
    """What is open to this machine is not open to the pages that a browser on it shows."""
    assert site().browser.open(path, method=method, headers=headers).status_code == 403


@pytest.mark.parametrize("headers", CROSS_SITE)
def test_pages_of_other_sites_get_no_live_connection(headers):
    """A handshake from another origin is refused, with and without credentials."""
    path = "/socket.io/?EIO=4&transport=websocket"

    assert [
        site().browser.get(path, headers=headers).status_code,
        protected().browser.get(path, headers={**headers, **bearer(READ)}).status_code,
    ] == [403, 403]


def test_a_link_on_another_site_opens_a_page():
    """Views are shared by link: a top-level navigation may come from anywhere, as long as it only looks."""
    navigation = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    browser = site().browser

    assert (
        browser.get("/", headers=navigation).status_code,
        browser.post("/change", headers=navigation).status_code,
        browser.post("/v1/traces", headers=navigation).status_code,
    ) == (200, 403, 403)


@pytest.mark.parametrize(
    "settings, headers, status",
    [
        pytest.param({}, {"Origin": "http://localhost"}, 200, id="same"),
        pytest.param({}, {"Host": "localhost:8080", "Origin": "http://localhost:8080"}, 200, id="same port"),
        pytest.param({}, {"Host": "localhost:80", "Origin": "http://localhost"}, 200, id="port left out"),
        pytest.param({}, {"Host": "127.0.0.1:80", "Origin": "http://localhost"}, 403, id="other name of this machine"),
        pytest.param(
            {"allowed_hosts": ("box.example",), "behind_tls": True},
            {"Host": "127.0.0.1:8080", "Origin": "https://box.example"},
            200,
            id="proxy with a name of its own",
        ),
        pytest.param(
            {"allowed_hosts": ("box.example",), "behind_tls": True},
            {"Host": "box.example", "Origin": "http://box.example"},
            403,
            id="without TLS where there is TLS",
        ),
    ],
)
def test_an_origin_is_ours_with_scheme_name_and_port(settings, headers, status):
    """Our own pages are told from others by all that makes an origin."""
    it = protected(**settings) if settings else site()

    assert it.browser.get("/", headers={**headers, **bearer(READ)}).status_code == status


LATIN = st.text(st.characters(max_codepoint=0xFF, exclude_characters="\r\n"), max_size=40)
ODD = st.one_of(
    LATIN, st.sampled_from(["http://[", "http://localhost:", "//", "[::1", "localhost:x", "null", "Bearer", "a=b"])
)


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("HOST", "ORIGIN", "AUTHORIZATION", "COOKIE", "X_CSRF_TOKEN", "SEC_FETCH_SITE", "X_FORWARDED_FOR"), ODD
        ),
    )
)
@example({"ORIGIN": "http://["})
def test_no_header_breaks_the_guard(headers):
    """Whatever stands in the headers is let in or refused, over every way in, and is never an error of ours."""
    it = protected(behind_tls=True, secret_key="k" * 40)
    environ = {f"HTTP_{name}": value for name, value in headers.items()}
    for method, path in (
        ("GET", "/"),
        ("POST", "/change"),
        ("POST", "/v1/traces"),
        ("GET", "/socket.io/"),
        ("POST", "/login"),
    ):
        answer = it.app.test_client(use_cookies=False).open(path, method=method, environ_overrides=environ)
        assert answer.status_code in {303, 400, 401, 403}
        it.guard.check_ingest(headers.get("AUTHORIZATION"))
        it.guard.check_socket({"REQUEST_METHOD": "GET", **environ}, headers)


# Forms


def test_changing_something_needs_a_form_of_ours():
    """With the token of this browser's page a change goes through; without, with another browser's, or an old one it does not."""
    it = site()
    token, other = it.browser.get("/").text, it.app.test_client().get("/").text

    def change(**form: str) -> int:
        return it.browser.post("/change", data={"what": "it", **form}).status_code

    assert (
        change(csrf_token=token),
        it.browser.post("/change", headers={"X-CSRF-Token": token}).status_code,
        change(),
        change(csrf_token=""),
        change(csrf_token=other),
        change(csrf_token=token[:-1] + ("0" if token[-1] != "0" else "1")),
        change(csrf_token="é\ud800".encode("utf-8", "replace").decode()),
    ) == (200, 200, 403, 403, 403, 403, 403)


def test_no_two_forms_carry_the_same_token():
    """A token that never repeats cannot be guessed letter by letter from the size of compressed pages."""
    browser = site().browser

    assert len({browser.get("/").text for _ in range(10)}) == 10


def test_a_token_belongs_to_the_session():
    """Form tokens from before a login, or of a session that ended, are worth nothing in another one."""
    it = protected()
    before = re.search(r'value="([^"]+)"', it.browser.get("/login", headers=HTML).text)[1]
    it.log_in(token=ACT)
    first = it.browser.get("/").text
    it.browser.post("/logout", data={"csrf_token": first})
    it.log_in(token=ACT)

    assert [
        it.browser.post("/change", data={"csrf_token": token}).status_code
        for token in (before, first, it.browser.get("/").text)
    ] == [403, 403, 200]


def test_a_program_with_a_token_needs_no_form():
    """No site can make a browser add the token, so it stands for the form as well."""
    assert protected().browser.post("/change", headers=bearer(ACT)).status_code == 200


# Sizes and rates


def test_an_address_of_another_machine_is_slowed_down():
    """After a burst an address waits; files, OTLP, other addresses and this machine go on."""
    it = protected()
    there, elsewhere = {"REMOTE_ADDR": "203.0.113.7"}, {"REMOTE_ADDR": "203.0.113.8"}
    it.guard.requests._clock = lambda: 0.0
    answers = [it.browser.get("/", headers=bearer(READ), environ_base=there) for _ in range(1001)]

    assert [answer.status_code for answer in answers] == [200] * 1000 + [429]
    assert answers[-1].headers["Retry-After"] == "1"
    assert [
        it.browser.get("/static/none.css", environ_base=there).status_code,
        it.browser.post("/v1/traces", headers=bearer(INGEST), environ_base=there).status_code,
        it.browser.get("/socket.io/", headers=bearer(READ), environ_base=there).status_code,
        it.browser.get("/", headers=bearer(READ), environ_base=elsewhere).status_code,
        it.browser.get("/", headers=bearer(READ)).status_code,
    ] == [404, 200, 429, 200, 200]


@pytest.mark.parametrize("tls, counted", [(False, ["192.0.2.1"]), (True, ["203.0.113.9"])])
def test_the_forwarded_address_counts_behind_tls_only(tls, counted):
    """`X-Forwarded-For` is taken from the last proxy behind TLS, and ignored where anybody could have written it."""
    it = protected(behind_tls=tls)
    it.browser.get(
        "/",
        headers={"X-Forwarded-For": "198.51.100.1, 203.0.113.9", "X-Forwarded-Proto": "https"},
        environ_base={"REMOTE_ADDR": "192.0.2.1"},
    )

    assert list(it.guard.requests._left) == counted


def test_forms_and_addresses_are_small():
    """A form of more than 64 KiB and a query of more than 16 KiB are refused before they are read."""
    it = site()

    assert (
        it.browser.post("/change", data={"csrf_token": "x" * 70_000}).status_code,
        it.browser.get("/?" + "x" * 17_000).status_code,
        it.browser.get("/socket.io/?" + "x" * 17_000).status_code,
    ) == (413, 414, 414)


# Headers

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; manifest-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@pytest.mark.parametrize(
    "method, path, headers, status",
    [
        pytest.param("GET", "/", bearer(READ), 200, id="page"),
        pytest.param("GET", "/login", HTML, 200, id="login"),
        pytest.param("GET", "/", HTML, 303, id="redirect to the login"),
        pytest.param("GET", "/nothing", bearer(READ), 404, id="not found"),
        pytest.param("DELETE", "/", bearer(ACT), 405, id="method not allowed"),
        pytest.param("GET", "/fails", bearer(READ), 500, id="failure"),
        pytest.param("GET", "/api/x", {}, 401, id="refused"),
        pytest.param("GET", "/", {"Host": "attacker.example"}, 400, id="unknown name"),
        pytest.param("POST", "/v1/traces", bearer(INGEST), 200, id="sending"),
        pytest.param("GET", "/static/nothing.css", {}, 404, id="no such file"),
        pytest.param("GET", "/healthz", {}, 200, id="probe"),
        pytest.param("GET", "/socket.io/", {}, 401, id="live connection"),
        pytest.param("GET", "/socket.io/", bearer(READ), 404, id="live connection let in"),
    ],
)
def test_every_answer_tells_the_browser_to_be_strict(method, path, headers, status):
    """Pages, errors, refusals, files and the live connection carry the same headers, and none of them is cached."""
    answer = protected().browser.open(path, method=method, headers=headers)

    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert "camera=()" in answer.headers["Permissions-Policy"]


def test_files_of_the_package_may_be_kept(tmp_path):
    """A static file says itself for how long it may be kept; everything else about it is as strict."""
    it = protected()
    it.app.static_folder = str(tmp_path)
    (tmp_path / "base.css").write_text("main {}", encoding="utf-8")
    answer = it.browser.get("/static/base.css")

    assert (answer.status_code, {name: answer.headers.get(name) for name in HEADERS}) == (
        200,
        {**HEADERS, "Cache-Control": "no-cache"},
    )
    answer.close()


# Logging in and out


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"user": "admin", "password": PASSWORD}, id="password"),
        pytest.param({"token": READ}, id="read token"),
    ],
)
def test_logging_in_opens_pages_and_not_ingest(fields):
    """Name and password, or a read token, become a session that looks and cannot send."""
    it = protected()
    answer = it.log_in(next="/?range=7d", **fields)

    assert (answer.status_code, answer.headers["Location"]) == (303, "/?range=7d")
    assert (it.browser.get("/").status_code, it.browser.post("/v1/traces").status_code) == (200, 403)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"user": "admin", "password": "wrong"}, id="password"),
        pytest.param({"user": "root", "password": PASSWORD}, id="name"),
        pytest.param({"user": "admin", "password": "x" * 2000}, id="endless password"),
        pytest.param({"user": "\udcff", "password": "\x00"}, id="not even text"),
        pytest.param({"token": INGEST}, id="ingest token"),
        pytest.param({"token": "wrong"}, id="token"),
        pytest.param({}, id="nothing"),
    ],
)
def test_wrong_logins_open_nothing_and_look_alike(fields):
    """Whatever was wrong, the answer is the same page and there is no session."""
    it = protected()
    fields = {name: value.encode("utf-8", "replace").decode() for name, value in fields.items()}
    answer = it.log_in(**fields)

    assert answer.status_code == 403
    assert "That was not right. Try again." in answer.text
    assert "ads_session" not in str(answer.headers)
    assert it.browser.get("/").status_code == 401


@pytest.mark.parametrize(
    "settings, prefix, secure", [({}, "ads_session_", False), ({"behind_tls": True}, "__Host-ads_session_", True)]
)
def test_cookies_are_out_of_reach(settings, prefix, secure):
    """Session and form cookies are HttpOnly, SameSite, bound to this host, and behind TLS Secure with the __Host- prefix."""
    it = protected(**settings)
    it.browser = it.app.test_client()
    base = "https://localhost" if secure else "http://localhost"
    page = it.browser.get("/login", headers=HTML, base_url=base)
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)[1]
    answer = it.browser.post("/login", data={"csrf_token": token, "token": READ}, base_url=base)
    cookies = [set_cookie for each in (page, answer) for set_cookie in each.headers.getlist("Set-Cookie")]

    assert [
        cookie.partition("=")[0].startswith(wanted)
        for cookie, wanted in zip(cookies, [prefix.replace("session_", "form"), prefix], strict=True)
    ] == [True, True]
    assert [sorted(part.partition("=")[0] for part in cookie.split("; ")[1:]) for cookie in cookies] == [
        sorted(["HttpOnly", "Path", "SameSite", *(["Secure"] if secure else [])]),
        sorted(["Expires", "HttpOnly", "Max-Age", "Path", "SameSite", *(["Secure"] if secure else [])]),
    ]
    assert ["Path=/;" in cookie and "SameSite=Lax" in cookie and "Domain" not in cookie for cookie in cookies] == [
        True,
        True,
    ]


def test_a_session_ends_by_itself():
    """Twelve hours after the login the cookie is worth nothing, whatever the browser thinks of it."""
    it = protected()
    it.log_in(token=READ)
    now = it.guard.sessions._clock()
    statuses = []
    for later_s in (0, 12 * 3600 - 60, 12 * 3600 + 1):
        it.guard.sessions._clock = lambda later_s=later_s: now + later_s
        statuses.append(it.browser.get("/").status_code)

    assert statuses == [200, 200, 401]


def test_logging_out_ends_the_session_on_the_server():
    """A copy of the cookie is worth nothing after the logout, not even after a restart."""
    it = protected()
    it.log_in(token=READ)
    copy = it.cookie

    assert it.status_with(copy) == 200
    it.browser.post("/logout", data={"csrf_token": it.browser.get("/").text})
    assert it.browser.get_cookie(it.guard.session_cookie) is None
    assert (it.status_with(copy), protected().status_with(copy)) == (401, 401)


def test_a_session_outlives_a_restart_but_not_its_credential():
    """The key is kept beside the store, so a restart logs nobody out; taking the token away does."""
    it = protected()
    it.log_in(token=READ)

    assert (protected().status_with(it.cookie), protected(read_tokens=()).status_with(it.cookie)) == (200, 401)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda value: value[:-2], id="end"),
        pytest.param(lambda value: value[1:], id="beginning"),
        pytest.param(lambda value: value.replace(".", "", 1), id="one part less"),
        pytest.param(lambda value: value.rpartition(".")[0], id="no signature"),
        pytest.param(lambda value: "", id="empty"),
        pytest.param(lambda value: "x" * 5000, id="endless"),
    ],
)
def test_a_forged_cookie_is_no_session(change):
    """A cookie that was changed anywhere is nobody's."""
    it = protected()
    it.log_in(token=READ)

    assert (it.status_with(it.cookie), it.status_with(change(it.cookie))) == (200, 401)


def test_logging_in_again_ends_the_session_before():
    """Whoever logs in over a session leaves no second one behind."""
    it = protected()
    it.log_in(token=READ)
    first = it.cookie
    form = it.browser.get("/").text
    it.browser.post("/login", data={"csrf_token": form, "user": "admin", "password": PASSWORD})

    assert (it.status_with(it.cookie), it.status_with(first)) == (200, 401)


def test_failed_logins_are_few():
    """After ten failures an address waits, with the right password too; one that does not fail is not slowed down."""
    it = protected()
    it.guard.attempts._clock = lambda: 0.0
    good = []
    for _ in range(12):
        it.browser = it.app.test_client()
        good.append(it.log_in(token=READ).status_code)
    it.browser = it.app.test_client()
    bad = [it.log_in(user="admin", password="wrong").status_code for _ in range(10)]
    locked = it.log_in(user="admin", password=PASSWORD)

    assert (good, bad, locked.status_code, locked.headers["Retry-After"]) == ([303] * 12, [403] * 10, 429, "30")
    it.guard.attempts._clock = lambda: 31.0
    assert it.log_in(user="admin", password=PASSWORD).status_code == 303


def test_too_many_logins_at_once_are_put_off(monkeypatch):
    """While as many passwords are checked as may be at once, a further login is asked to come again and not counted."""
    it = protected()

    def busy(user: str, password: str) -> bool:
        raise TooBusyError

    monkeypatch.setattr(it.guard, "passwords", SimpleNamespace(match=busy))
    answers = [it.log_in(user="admin", password=PASSWORD) for _ in range(12)]

    assert {(answer.status_code, answer.headers["Retry-After"]) for answer in answers} == {(503, "5")}


def test_the_login_page_needs_a_form_of_ours():
    """Nobody is logged in to somebody else's session by a page of another site."""
    it = protected()

    assert it.browser.post("/login", data={"token": READ}).status_code == 403


def test_people_are_led_to_the_login_and_back():
    """A browser without a session gets the login page with where it wanted to go; programs get an error."""
    it = protected()
    led = it.browser.get("/?range=7d&model=a%26b", headers=HTML)
    page = it.browser.get(led.headers["Location"], headers=HTML)

    assert (led.status_code, led.headers["Location"]) == (303, "/login?next=/?range%3D7d%26model%3Da%2526b")
    assert 'name="next" value="/?range=7d&amp;model=a%26b"' in page.text
    assert it.browser.get("/api/overview", headers=HTML).status_code == 401


@pytest.mark.parametrize("offered", ["password", "token"])
def test_the_login_page_offers_what_is_configured(offered):
    """There is a form for a password where there is one, and a form for a token where there are some."""
    it = protected(**({"read_tokens": (), "act_tokens": ()} if offered == "password" else {"password_hash": None}))
    page = it.browser.get("/login", headers=HTML).text

    assert {name for name in ("password", "token") if f'name="{name}"' in page} == {offered}


def test_whoever_is_logged_in_can_log_out_on_every_page():
    """The account's part of the layout has the button with a session, and nothing without."""
    it = protected()
    page = "{% include '_account.html' %}"
    it.app.add_url_rule("/account", "account", lambda: render_template_string(page))
    it.log_in(token=READ)

    assert 'action="/logout"' in it.browser.get("/account").text
    assert "logout" not in it.app.test_client().get("/account", headers=bearer(READ)).text


# Live connections


def test_a_live_connection_is_checked_again():
    """The guard answers for an open connection as it would now: not after a logout, not for another kind of token."""
    it = protected()
    it.log_in(token=READ)
    cookie = f"{it.guard.session_cookie}={it.cookie}"
    here = {"REQUEST_METHOD": "GET", "HTTP_HOST": "localhost", "PATH_INFO": "/socket.io/"}

    def answers() -> list[bool]:
        return [
            it.guard.check_socket({**here, "HTTP_COOKIE": cookie}, None),
            it.guard.check_socket(here, {"token": READ}),
            it.guard.check_socket({**here, "HTTP_AUTHORIZATION": f"Bearer {READ}"}, None),
            it.guard.check_socket(here, {"token": INGEST}),
            it.guard.check_socket(here, {"token": 1}),
            it.guard.check_socket(here, READ),
            it.guard.check_socket(here, None),
            it.guard.check_socket({**here, "HTTP_COOKIE": cookie, "HTTP_ORIGIN": "http://attacker.example"}, None),
            it.guard.check_socket({**here, "HTTP_COOKIE": cookie, "HTTP_HOST": "attacker.example"}, None),
        ]

    assert answers() == [True, True, True, False, False, False, False, False, False]
    it.browser.post("/logout", data={"csrf_token": it.browser.get("/").text})
    assert answers()[:3] == [False, True, True]

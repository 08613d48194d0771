"""Coming in through an OpenID provider, which here answers whatever a test makes it answer. The real one is in tests/browser."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from ai_dev_squad_dashboard import DashboardSettings, create_app
from ai_dev_squad_dashboard.app import running
from ai_dev_squad_dashboard.security.oidc import role_of
from ai_dev_squad_dashboard.store import open_memory_store

CLIENT = "dashboard"
SECRET = "a secret of the client, long enough to sign with"
RULES = ("groups=ops:administer", "groups=agents:act", "realm.roles=staff:look")


@pytest.fixture(scope="module")
def key() -> RSAKey:
    """The provider's key."""
    return RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})


class Provider:
    """An OpenID provider on the loopback. A test changes what it answers."""

    def __init__(self, key: RSAKey) -> None:
        self.key = key
        self.claims: dict[str, object] = {}
        self.description: dict[str, object] = {}
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[str] = []
        self.exchanged: dict[str, list[str]] = {}
        self.id_token = self.signed
        self.userinfo: dict[str, object] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.reply()

            def do_POST(self) -> None:
                provider.exchanged = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self.reply()

            def reply(self) -> None:
                path = urlsplit(self.path).path
                provider.asked.append(path)
                status, headers, body = provider.answers.get(path) or (200, {}, json.dumps(provider.of(path)).encode())
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"

    def of(self, path: str) -> object:
        """What it says at a path."""
        if path == "/.well-known/openid-configuration":
            names = {
                "authorization_endpoint": "auth",
                "token_endpoint": "token",
                "jwks_uri": "keys",
                "userinfo_endpoint": "me",
            }
            urls = {name: f"{self.issuer}/{end}" for name, end in names.items()}
            return {"issuer": self.issuer, **urls, **self.description}
        if path == "/keys":
            return {"keys": [self.key.as_dict(private=False)]}
        if path == "/token":
            return {"access_token": "opaque", "token_type": "Bearer", "id_token": self.id_token(self.claims)}
        return self.userinfo

    def signed(self, claims: dict[str, object], **header: str) -> str:
        """An ID token."""
        return jwt.encode({"alg": "RS256", "kid": "one", **header}, claims, self.key, algorithms=["RS256"])

    def close(self) -> None:
        """Away."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def provider(key):
    """One that answers."""
    made = Provider(key)
    yield made
    made.close()


class Visitor:
    """A browser and the dashboard it visits."""

    def __init__(self, provider: Provider, **settings) -> None:
        self.provider = provider
        given = {
            "oidc_issuer": provider.issuer,
            "oidc_client_id": CLIENT,
            "oidc_client_secret": SECRET,
            "oidc_roles": RULES,
            **settings,
        }
        self.app = create_app(
            DashboardSettings(db=Path("dashboard.duckdb"), **given), store=open_memory_store(), follow=False
        )
        self.browser = self.app.test_client()

    def begin(self, goal: str = "/costs") -> dict[str, str]:
        """Go to the provider: what it is asked with."""
        address = self.browser.get("/login/openid", query_string={"next": goal}).location
        return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}

    def come_back(self, asked: dict[str, str], claims: dict[str, object] | None = None, **answer: str):
        """Come back as somebody of whom the provider claims this."""
        now = int(time.time())
        self.provider.claims = {
            "iss": self.provider.issuer,
            "aud": CLIENT,
            "sub": "7",
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            "preferred_username": "ada",
            "groups": ["agents"],
            **(claims or {}),
        }
        self.provider.claims = {name: value for name, value in self.provider.claims.items() if value is not None}
        return self.browser.get("/login/openid/back", query_string={"state": asked["state"], "code": "c", **answer})

    def who(self):
        """Name and role of whoever is in; ``None`` for nobody."""
        told = self.browser.get("/api/access")
        return (told.json["name"], told.json["role"]) if told.status_code == 200 else None


@pytest.fixture
def visit(provider):
    """Makes visitors: ``visit(oidc_default_role="look")``."""
    made: list[Visitor] = []

    def make(**settings) -> Visitor:
        made.append(Visitor(provider, **settings))
        return made[-1]

    yield make
    for each in made:
        running(each.app).close()


def problem(answer) -> str:
    """What the login page says was wrong."""
    return re.search(r'role="alert">([^<]+)<', answer.text)[1]


def test_who_the_provider_knows_comes_in_where_he_wanted_to_go(visit, provider):
    """The code is exchanged with PKCE and the client's secret; name and role are those of the token."""
    visitor = visit()
    asked = visitor.begin("/costs?range=7d")
    answer = visitor.come_back(asked)

    assert (asked["client_id"], asked["scope"], asked["response_type"], asked["code_challenge_method"]) == (
        CLIENT,
        "openid profile email",
        "code",
        "S256",
    )
    assert (answer.status_code, answer.location, visitor.who()) == (303, "/costs?range=7d", ("ada", "act"))
    assert provider.exchanged["redirect_uri"] == ["http://localhost/login/openid/back"]
    assert len(provider.exchanged["code_verifier"][0]) >= 43
    # What a login needs is asked once: a further one finds description and keys.
    provider.asked.clear()
    visitor.come_back(visitor.begin())
    assert provider.asked == ["/token"]


@pytest.mark.parametrize(
    "claims, role",
    [
        ({"groups": ["other", "ops", "agents"]}, "administer"),
        ({"groups": "agents"}, "act"),
        ({"groups": [], "realm": {"roles": ["staff"]}}, "look"),
        ({"groups": None, "realm.roles": ["staff"]}, "look"),
        ({"groups": ["ops "]}, None),
        ({"groups": {"ops": True}}, None),
        ({}, None),
    ],
)
def test_the_strongest_rule_that_fits_gives_the_role(claims, role):
    """A claim may be a text, a list, or stand inside of another; what fits nothing has no role."""
    assert role_of(claims, RULES) == role


@pytest.mark.parametrize(
    "claims, who",
    [
        ({"preferred_username": None, "email": "ada@example.org"}, "ada@example.org"),
        ({"preferred_username": None, "email": "ada@example.org", "email_verified": False, "name": "Ada"}, "Ada"),
        ({"preferred_username": None}, "7"),
        ({"preferred_username": "a" * 999}, "a" * 200),
    ],
)
def test_a_person_is_named_by_what_is_known_of_them(visit, claims, who):
    """An address that nobody verified is nobody's name; the subject is what is left."""
    visitor = visit()
    visitor.come_back(visitor.begin(), claims)

    assert visitor.who() == (who, "act")


@pytest.mark.parametrize("sub, who", [("7", ("ada", "administer")), ("8", ("ada", "look"))])
def test_groups_may_be_told_apart_from_the_token(visit, provider, sub, who):
    """What the token does not say is asked of the provider; what it says of somebody else is not used."""
    provider.userinfo = {"sub": sub, "groups": ["ops"], "preferred_username": "somebody else"}
    visitor = visit(oidc_default_role="look")
    visitor.come_back(visitor.begin(), {"groups": None})

    assert visitor.who() == who


def test_who_has_no_role_is_told(visit):
    """Nobody gets in by being known alone."""
    visitor = visit()
    answer = visitor.come_back(visitor.begin(), {"groups": ["sales"]})

    assert (answer.status_code, problem(answer), visitor.who()) == (
        403,
        "Ada has no role here; whoever runs the dashboard gives one by oidc_roles.",
        None,
    )


@pytest.mark.parametrize(
    "claims, message",
    [
        ({"iss": "https://elsewhere.example"}, "is not right"),
        ({"aud": "another program"}, "is not right"),
        ({"aud": [CLIENT, "another"], "azp": "another"}, "is meant for another program"),
        ({"nonce": "of another login"}, "is not right"),
        ({"nonce": None}, "is not right"),
        ({"exp": 1}, "is not right"),
        ({"exp": None}, "is not right"),
        ({"iat": None}, "is not right"),
        ({"sub": None}, "is not right"),
    ],
)
def test_a_token_for_somebody_else_opens_nothing(visit, claims, message):
    """Issuer, audience, nonce and time are checked, each by itself."""
    visitor = visit()
    answer = visitor.come_back(visitor.begin(), claims)

    assert (answer.status_code, visitor.who()) == (403, None)
    assert message in problem(answer)


@pytest.mark.parametrize("how", ["another key", "the client's secret", "nothing"])
def test_a_token_that_the_provider_did_not_sign_opens_nothing(visit, provider, how):
    """Neither another key nor the secret that we know as well nor no signature at all."""
    other = RSAKey.generate_key(2048, {"kid": "one"})
    secret = OctKey.import_key(SECRET)
    provider.id_token = {
        "another key": lambda claims: jwt.encode({"alg": "RS256", "kid": "one"}, claims, other),
        "the client's secret": lambda claims: jwt.encode({"alg": "HS256"}, claims, secret),
        "nothing": lambda claims: ".".join((*map(encoded, ({"alg": "none"}, claims)), "")),
    }[how]
    visitor = visit()
    answer = visitor.come_back(visitor.begin())

    assert (answer.status_code, problem(answer), visitor.who()) == (
        403,
        "The provider&#39;s signature is not right.",
        None,
    )


def encoded(part: dict[str, object]) -> str:
    """A part of a token."""
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def test_a_provider_may_change_its_keys(visit, provider):
    """A signature by a key that is not known yet is checked against the keys of now."""
    visitor = visit()
    visitor.come_back(visitor.begin())
    provider.key = RSAKey.generate_key(2048, {"kid": "two", "use": "sig"})
    provider.id_token = lambda claims: provider.signed(claims, kid="two")
    visitor.browser = visitor.app.test_client()
    visitor.come_back(visitor.begin())

    assert visitor.who() == ("ada", "act")


@pytest.mark.parametrize(
    "answer, message",
    [
        ({"state": "guessed"}, "This login was not begun here, or too long ago; try again."),
        ({"iss": "https://elsewhere.example"}, "Another provider answered than was asked; try again."),
        ({"error": "access_denied"}, "The provider said no (access_denied)."),
        ({"error": "x", "error_description": "<script>"}, "The provider said no (&lt;script&gt;)."),
    ],
)
def test_an_answer_to_another_question_opens_nothing(visit, answer, message):
    """Only who began a login can end it, and only with the provider that was asked."""
    visitor = visit()
    back = visitor.come_back(visitor.begin(), **answer)

    assert (back.status_code, problem(back), visitor.who()) == (403, message, None)


def test_a_login_ends_in_the_browser_where_it_began(visit):
    """Somebody else's link into a login that was begun elsewhere opens nothing."""
    visitor = visit()
    asked = visitor.begin()
    visitor.browser = visitor.app.test_client()
    back = visitor.come_back(asked)

    assert (back.status_code, problem(back)) == (403, "This login was not begun here, or too long ago. Try again.")


BODY = b'{"issuer": "' + b"x" * (1 << 20) + b'"}'


@pytest.mark.parametrize(
    "path, answer",
    [
        ("/.well-known/openid-configuration", (500, {}, b"")),
        ("/.well-known/openid-configuration", (200, {}, b"[]")),
        ("/.well-known/openid-configuration", (200, {}, b"{")),
        ("/.well-known/openid-configuration", (200, {}, BODY)),
        ("/.well-known/openid-configuration", (302, {"Location": "http://127.0.0.1:9/"}, b"")),
        ("/.well-known/openid-configuration", (200, {}, b'{"issuer": "https://elsewhere.example"}')),
        ("/keys", (200, {}, b'{"keys": 5}')),
        ("/keys", (302, {"Location": "http://127.0.0.1:9/"}, b"")),
        ("/token", (400, {}, b'{"error": "invalid_grant"}')),
        ("/token", (200, {}, b'{"access_token": "opaque"}')),
        ("/token", (200, {}, b"")),
        ("/token", (302, {"Location": "http://127.0.0.1:9/"}, b"")),
    ],
)
def test_a_provider_that_answers_nonsense_lets_nobody_in(visit, provider, path, answer):
    """The login page says so, and whoever has another way in may take it."""
    provider.answers[path] = answer
    visitor = visit(read_tokens=("0" * 64,))
    first = visitor.browser.get("/login/openid")
    if first.status_code == 303:
        query = parse_qs(urlsplit(first.location).query)
        first = visitor.come_back({"state": query["state"][0], "nonce": query["nonce"][0]})

    assert first.status_code in {403, 503}
    assert "rovider" in problem(first)
    assert 'name="token"' in first.text


def test_a_dashboard_starts_while_its_provider_is_away(visit, provider):
    """It is asked when somebody logs in, not before."""
    visitor = visit()
    provider.close()
    answer = visitor.browser.get("/login/openid")

    assert (answer.status_code, problem(answer)) == (
        503,
        "The provider could not be asked; try again, or log in another way.",
    )


def test_other_settings_end_what_the_provider_opened(visit):
    """A session that was opened through one provider is over where another client is configured, and listed until then."""
    visitor = visit()
    visitor.come_back(visitor.begin())
    guard = visitor.app.extensions["ai_dev_squad_guard"]
    cookie = visitor.browser.get_cookie(guard.session_cookie).value

    assert [row["person"] for row in visitor.browser.get("/api/access").json["sessions"]] == ["ada"]
    running(visitor.app).close()
    again = visit(oidc_client_id="another")
    again.browser.set_cookie(guard.session_cookie, cookie)
    assert again.who() is None


@pytest.mark.parametrize(
    "settings, message",
    [
        (
            {"oidc_client_id": "x"},
            "oidc_issuer is missing beside other settings of OpenID Connect; set DASHBOARD_OIDC_I",
        ),
        ({"oidc_issuer": "http://id.example.org"}, "oidc_issuer 'http://id.example.org' is no https URL"),
        ({"oidc_issuer": "https://id.example.org"}, "oidc_client_id is missing"),
        ({"oidc_issuer": "https://id.example.org", "oidc_client_id": "x"}, "nobody would have a role; set oidc_roles"),
        (
            {"oidc_issuer": "https://id.example.org", "oidc_client_id": "x", "oidc_roles": ("ops:look",)},
            "oidc_roles has 'ops:look'; use claim=value:role, with one of look, act, administer",
        ),
        (
            {"oidc_issuer": "https://id.example.org", "oidc_client_id": "x", "oidc_default_role": "root"},
            "oidc_default_role 'root' is no role; use look, act, administer",
        ),
        (
            {
                "oidc_issuer": "https://id.example.org",
                "oidc_client_id": "x",
                "oidc_default_role": "look",
                "oidc_scopes": ("email",),
            },
            "oidc_scopes 'email' lacks openid; add it",
        ),
    ],
)
def test_settings_that_cannot_work_say_what_to_set(settings, message):
    """Before anything is open."""
    with pytest.raises(ValueError, match=re.escape(message)):
        DashboardSettings(**settings)

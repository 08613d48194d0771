"""Every request passes here before anything else sees it. What is not allowed is refused."""

from __future__ import annotations

import hmac
import logging
import math
import secrets
import time
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from flask import Flask, Request, Response, current_app, g, has_request_context, redirect, request, url_for
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import BadRequest, Forbidden, HTTPException, RequestURITooLarge, TooManyRequests, Unauthorized
from werkzeug.wrappers import Request as AnyRequest
from werkzeug.wrappers import Response as AnyResponse

from ai_dev_squad_dashboard import safe_text
from ai_dev_squad_dashboard.roles import Identity
from ai_dev_squad_dashboard.settings import DashboardSettings, is_loopback

from . import access, csrf, headers
from .cookies import set_cookie
from .hosts import Hosts
from .identities import Identities
from .limits import Allowance, neighbourhood
from .login import create_blueprint
from .oidc import Provider
from .passwords import Passwords
from .principals import Principal, Principals
from .request_guard import RequestGuard
from .secret import kept_key, key_file
from .session_list import SessionList
from .sessions import LIFETIME_S, Session, Sessions

if TYPE_CHECKING:
    from ai_dev_squad_dashboard.shared_state import SharedState

__all__ = ["EXEMPT", "Guard", "attach"]

log = logging.getLogger("ai_dev_squad.dashboard")

EXEMPT: Final = (
    "static",
    "security.login",
    "security.log_in",
    "security.openid",
    "security.openid_back",
    "probes.healthz",
    "probes.readyz",
)
"""The endpoints that answer everybody, once the request comes under a name of ours and from no other site."""

SENDING: Final = "/v1/"
"""Below this path things are sent; everywhere else one looks."""

LOOKING: Final = frozenset({"security.log_out", "access.end_session", "sql.ask", "sql.from_form", "mcp.answer"})
"""The endpoints that change nothing although they are posted to. Whatever else is not GET is acting, and needs the right to."""

ASKED_IN_JSON: Final = frozenset({"sql.ask", "mcp.answer"})
"""Of those the ones that programs ask, which have no form. JSON comes from no form of another site, and from its scripts only after
a question in advance, which nobody answers here.
"""

MAX_FORM: Final = 64 * 1024
MAX_QUERY: Final = 16 * 1024
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """Decides about requests of one application. ``attach`` makes it."""

    def __init__(self, settings: DashboardSettings, shared: SharedState | None = None) -> None:
        self.settings = settings
        key, ended = settings.secret_key or secrets.token_urlsafe(48), None
        if settings.needs_login:
            beside = key_file(settings.db)
            key = settings.secret_key or kept_key(beside)
            if beside.parent.is_dir():
                ended = beside.with_name(settings.db.name + ".logouts")
        self.key = key
        self.identities = Identities(settings)
        self.provider = Provider(settings) if settings.oidc_issuer else None
        self.session_list = SessionList(ended.with_name(settings.db.name + ".sessions") if ended else None)
        self.requests = Allowance(per_s=100, burst=1000)
        """What an address of another machine may ask for, files of the package and OTLP aside."""
        self.attempts = Allowance(per_s=1 / 30, burst=10)
        """Failed logins of an address."""
        known_to_others = None
        if shared is not None:
            from .shared import SharedAllowance, SharedEnded, SharedSessionList

            known_to_others = SharedEnded(shared)
            self.session_list = SharedSessionList(shared)
            self.requests = SharedAllowance(shared, "requests", per_s=100, burst=1000)
            self.attempts = SharedAllowance(shared, "attempts", per_s=1 / 30, burst=10)
        self.sessions = Sessions(key, self.identities.known, ended=ended, shared=known_to_others)
        self.forms = csrf.FormTokens(key)
        self.passwords = Passwords(self.identities.password_hash)
        self.hosts = Hosts(settings)
        self.principals = Principals(settings, self.sessions)
        prefix = "__Host-" if settings.behind_tls else ""
        # Cookies know no ports: two dashboards on one machine would log each other out under one name.
        self.session_cookie = f"{prefix}ads_session_{hmac.new(key.encode(), b'cookie', sha256).hexdigest()[:8]}"
        self.form_cookie = f"{prefix}ads_form"

    def let_in(self, response: AnyResponse, credential: str, identity: Identity | None = None) -> AnyResponse:
        """Open a session for whoever showed ``credential``, in place of the one there was; ``response`` gets its cookie."""
        self.log_out(_principal().session)
        session, cookie = self.sessions.open(credential, identity)
        self.session_list.add(
            session,
            now_s=int(time.time()),
            address=request.remote_addr or "",
            browser=request.headers.get("User-Agent", ""),
        )
        set_cookie(response, self.session_cookie, cookie, tls=self.settings.behind_tls, max_age_s=LIFETIME_S)
        return response

    def log_out(self, session: Session | None) -> None:
        """End a session; nothing happens without one."""
        if session is not None:
            self.end_session(session.name, session.expires_s)

    def end_session(self, name: str, expires_s: int) -> None:
        """End the session known as ``name``, whoever's it is."""
        self.sessions.end(name, expires_s)
        self.session_list.remove(name)

    def check_ingest(self, authorization: str | None) -> bool:
        """Whether whoever sends this ``Authorization`` value may send: for OTLP over HTTP and gRPC."""
        return self.principals.of(authorization, None).may_send

    def check_socket(self, environ: Mapping[str, Any], auth: Any = None) -> bool:
        """Whether a live connection with this WSGI environment may be opened, or stay open after a logout or an expiry.

        ``auth`` is what the client sent along with ``connect``; a read token in ``{"token": …}`` counts like one in the header.
        """
        asking = AnyRequest(dict(environ))
        try:
            principal = self._stranger_refused(asking, navigable=False)
        except HTTPException:
            return False
        if not principal.is_known and isinstance(auth, Mapping) and isinstance(auth.get("token"), str):
            principal = self.principals.of(f"Bearer {auth['token']}", None)
        return principal.may_read

    def allows_origin(self, origin: str | None, environ: Mapping[str, Any]) -> bool:
        """Whether ``origin`` is a page of this dashboard: for ``SocketIO(cors_allowed_origins=guard.allows_origin)``."""
        return origin is not None and self.hosts.is_ours(origin, environ.get("HTTP_HOST"))

    def enclose(self, app: Flask) -> None:
        """Guard what does not reach Flask, which is Socket.IO. Call it when everything else is attached; twice is harmless."""
        if not isinstance(app.wsgi_app, RequestGuard):
            app.wsgi_app = RequestGuard(app.wsgi_app, self)  # type: ignore[method-assign]

    def admit_socket(self, asking: AnyRequest) -> None:
        """Let a request of the live connection through, or raise the ``HTTPException`` to answer with."""
        self._limited(asking)
        _demand(self._stranger_refused(asking, navigable=False), sending=False)

    def admit(self, asking: Request) -> Principal:
        """Let a request through, or raise the ``HTTPException`` to answer with."""
        sending = asking.path.startswith(SENDING)
        asking.max_content_length = self.settings.max_request_mib * 1024 * 1024 if sending else MAX_FORM
        if not sending and asking.endpoint != "static":
            self._limited(asking)
        principal = self._stranger_refused(asking, navigable=not sending)
        if asking.endpoint not in EXEMPT:
            _demand(principal, sending=sending)
            if asking.method not in _SAFE and not sending and asking.endpoint not in LOOKING and not principal.may_act:
                raise Forbidden(
                    "This credential may look but not change anything; log in with the password, or use an act token "
                    "(DASHBOARD_ACT_TOKENS)."
                )
        # No other site can make a browser add a token, and OTLP clients are no browsers: the Origin was checked.
        asked_in_json = asking.endpoint in ASKED_IN_JSON and asking.mimetype == "application/json"
        if asking.method not in _SAFE and not sending and not principal.by_token and not asked_in_json:
            self._form_checked(asking, principal)
        return principal

    def _stranger_refused(self, asking: AnyRequest, *, navigable: bool) -> Principal:
        host = asking.headers.get("Host")
        if not self.hosts.knows(host):
            raise BadRequest(
                f"This dashboard is not known as {(host or '')[:200]!r}. If that is its name, add it to "
                "DASHBOARD_ALLOWED_HOSTS; otherwise another site tried to look through your browser."
            )
        foreign = self.hosts.is_foreign(asking, navigable=navigable)
        if foreign:
            raise Forbidden(
                f"This was asked for by {foreign}. Only the dashboard's own pages may; if that is one of its names, "
                "add it to DASHBOARD_ALLOWED_HOSTS."
            )
        return self.principals.of(asking.headers.get("Authorization"), asking.cookies.get(self.session_cookie))

    def _limited(self, asking: AnyRequest) -> None:
        if len(asking.query_string) > MAX_QUERY:
            raise RequestURITooLarge(f"The address has {len(asking.query_string)} bytes after its ?; use {MAX_QUERY}.")
        # Whoever is on this machine can keep it busy without us.
        if is_loopback(asking.remote_addr or ""):
            return
        wait_s = self.requests.take(neighbourhood(asking.remote_addr))
        if wait_s:
            raise TooManyRequests("Too many requests from your address; slow down.", retry_after=math.ceil(wait_s))

    def binding(self, session: Session | None, cookies: Mapping[str, str]) -> str:
        """What form tokens of this browser belong to; empty for one that has no cookie yet."""
        if session is not None:
            return f"session:{session.id}"
        cookie = cookies.get(self.form_cookie)
        return f"form:{cookie}" if cookie else ""

    def _form_checked(self, asking: Request, principal: Principal) -> None:
        if not self.forms.check(csrf.shown(asking), self.binding(principal.session, asking.cookies)):
            raise Forbidden("This form is too old, or comes from somewhere else. Load the page again and repeat it.")


def _demand(principal: Principal, *, sending: bool) -> None:
    if principal.may_send if sending else principal.may_read:
        return
    if principal.is_known:
        raise Forbidden(
            "This credential may look but not send; use an ingest token (DASHBOARD_INGEST_TOKENS)."
            if sending
            else "This token may send but not look; use a read token (DASHBOARD_READ_TOKENS)."
        )
    raise Unauthorized(
        "Send an ingest token as `Authorization: Bearer …`; `ai-dev-squad token` makes one for DASHBOARD_INGEST_TOKENS."
        if sending
        else "Log in, or send a read token as `Authorization: Bearer …`.",
        www_authenticate=WWWAuthenticate("bearer", {"realm": "ai-dev-squad"}),
    )


def attach(app: Flask, settings: DashboardSettings, shared: SharedState | None = None) -> Guard:
    """Guard every route of ``app``; ``enclose`` on the answer completes it once Socket.IO is there. ``shared`` is what other
    dashboards know as well.

    Raises ``ValueError`` when the key of the sessions cannot be kept safely.
    """
    guard = Guard(settings, shared)
    app.extensions["ai_dev_squad_guard"] = guard
    # Nothing of ours uses Flask's session; whatever does gets a key of its own that nobody knows.
    app.secret_key = secrets.token_bytes(32)
    app.register_blueprint(create_blueprint(guard))
    app.register_blueprint(access.create_blueprint(guard))
    # The very first of all: a handler that runs earlier could answer by itself.
    app.before_request_funcs.setdefault(None, []).insert(0, _before)
    app.after_request(_after)
    safe_text.attach(app.jinja_env)
    app.jinja_env.globals["csrf_token"] = _form_token
    app.jinja_env.globals["may_act"] = lambda: has_request_context() and _principal().may_act
    app.jinja_env.globals["logged_in"] = lambda: has_request_context() and _principal().session is not None
    app.jinja_env.globals["who"] = lambda: _principal().identity if has_request_context() else None
    if settings.is_exposed and not settings.behind_tls:
        log.warning(
            "other machines reach this dashboard without TLS: whoever is on the way reads passwords, tokens and content; put a "
            "proxy with TLS in front, listen on 127.0.0.1 and set DASHBOARD_BEHIND_TLS=1"
        )
    return guard


def _guard() -> Guard:
    guard: Guard = current_app.extensions["ai_dev_squad_guard"]
    return guard


def _principal() -> Principal:
    principal: Principal = g.get("principal", Principal())
    return principal


def _before() -> Any:
    try:
        g.principal = _guard().admit(request)
    except Unauthorized:
        # People get the login page instead of an error; a program asks for anything else than HTML.
        navigating = request.method == "GET" and request.accept_mimetypes.best_match(("text/html", "application/json"))
        if navigating == "text/html" and not request.path.startswith(("/api/", SENDING)):
            return redirect(url_for("security.login", next=request.full_path.rstrip("?")), 303)
        raise
    return None


def _after(response: Response) -> Response:
    guard, file = _guard(), request.endpoint == "static" and request.method in {"GET", "HEAD"}
    headers.secure(response.headers, static=file and response.status_code < 400)
    if "form_cookie" in g:
        set_cookie(response, guard.form_cookie, g.form_cookie, tls=guard.settings.behind_tls)
    return response


def _form_token() -> str:
    """For templates: the value of the field ``csrf_token`` in a form, or of the header ``X-CSRF-Token`` of a script."""
    if not has_request_context():
        return ""
    guard, session = _guard(), _principal().session
    cookie = g.get("form_cookie") or request.cookies.get(guard.form_cookie)
    if session is None and not cookie:
        cookie = g.form_cookie = secrets.token_urlsafe(18)
    return guard.forms.make(guard.binding(session, {guard.form_cookie: cookie or ""}))

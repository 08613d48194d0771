"""The way in for people: a name and a password, a token, or what an OpenID provider says of them becomes a session."""

from __future__ import annotations

import math
from dataclasses import astuple
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from flask import Blueprint, Response, g, make_response, redirect, render_template, request, url_for
from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.exceptions import ServiceUnavailable, TooManyRequests

from .cookies import drop_cookie, set_cookie
from .identities import provider_credential
from .limits import neighbourhood
from .oidc import Attempt, Provider, ProviderError
from .passwords import TooBusyError
from .tokens import one_of

if TYPE_CHECKING:
    from .policy import Guard

__all__ = ["ATTEMPT_S", "create_blueprint", "inner_path"]

ATTEMPT_S: Final = 600
"""Seconds that somebody may spend at the OpenID provider."""


def create_blueprint(guard: Guard) -> Blueprint:
    """``/login`` and what belongs to it, and ``/logout``."""
    blueprint = Blueprint("security", __name__)

    @blueprint.get("/login")
    def login() -> Any:
        goal = inner_path(request.args.get("next"))
        if g.principal.may_read:
            return redirect(goal, 303)
        return _page(guard, goal)

    @blueprint.post("/login")
    def log_in() -> Any:
        goal = inner_path(request.form.get("next"))
        if not guard.settings.needs_login:
            return redirect(goal, 303)
        credential = _credential(guard)
        if credential is None:
            return _page(guard, goal, "That was not right. Try again."), 403
        return guard.let_in(redirect(goal, 303), credential)

    if guard.provider is not None:
        _add_provider(blueprint, guard, guard.provider)

    @blueprint.post("/logout")
    def log_out() -> Any:
        guard.log_out(g.principal.session)
        response = redirect("/login", 303)
        drop_cookie(response, guard.session_cookie, tls=guard.settings.behind_tls)
        return response

    return blueprint


def _add_provider(blueprint: Blueprint, guard: Guard, provider: Provider) -> None:
    """``/login/openid`` leads to the provider, ``/login/openid/back`` from there in."""
    attempts = URLSafeTimedSerializer(guard.key, salt="openid")
    cookie = f"{guard.session_cookie}_openid"

    def back() -> str:
        return url_for("security.openid_back", _external=True)

    # A link and not a form: the policy of our pages lets forms lead nowhere else.
    @blueprint.get("/login/openid")
    def openid() -> Any:
        attempt = Attempt.new(inner_path(request.args.get("next")))
        try:
            response = redirect(provider.address(attempt, back()), 303)
        except ProviderError as error:
            return _page(guard, attempt.goal, _sentence(error)), 503
        told = attempts.dumps(astuple(attempt))
        set_cookie(response, cookie, str(told), tls=guard.settings.behind_tls, max_age_s=ATTEMPT_S)
        return response

    @blueprint.get("/login/openid/back")
    def openid_back() -> Any:
        sender = _few_failures(guard)
        try:
            attempt = Attempt(*attempts.loads(request.cookies.get(cookie, ""), max_age=ATTEMPT_S))
        except BadSignature:
            return _page(guard, "/", "This login was not begun here, or too long ago. Try again."), 403
        try:
            identity = provider.identity(attempt, request.args, back())
        except ProviderError as error:
            return _page(guard, attempt.goal, _sentence(error)), 403
        guard.attempts.give_back(sender)
        response = guard.let_in(redirect(attempt.goal, 303), provider_credential(guard.settings), identity)
        drop_cookie(response, cookie, tls=guard.settings.behind_tls)
        return response


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."


def inner_path(text: str | None) -> str:
    """``text`` if it is a path on this dashboard, else ``/``: nobody is sent elsewhere after logging in."""
    # Browsers read a backslash as a slash and drop tabs and line ends, and two slashes begin the name of a host.
    if not text or len(text) > 4096 or not text.startswith("/") or text.startswith("//"):
        return "/"
    if "\\" in text or any(ord(character) <= 32 or ord(character) == 127 for character in text):
        return "/"
    parts = urlsplit(text)
    return "/" if parts.scheme or parts.netloc or parts.path.startswith("//") else text


def _page(guard: Guard, goal: str, problem: str | None = None) -> Response:
    return make_response(
        render_template(
            "login.html",
            next=goal,
            problem=problem,
            with_password=guard.identities.has_passwords,
            with_provider=guard.provider is not None,
            with_token=bool(guard.settings.read_tokens or guard.settings.act_tokens),
        )
    )


def _credential(guard: Guard) -> str | None:
    """The credential that was shown, or ``None`` when it was wrong. Failures of one address are few a minute."""
    sender = _few_failures(guard)
    token = request.form.get("token", "").strip()
    if token:
        credential = one_of(token, (*guard.settings.read_tokens, *guard.settings.act_tokens))
    else:
        try:
            credential = guard.passwords.match(request.form.get("user", ""), request.form.get("password", ""))
        except TooBusyError:
            guard.attempts.give_back(sender)
            raise ServiceUnavailable("Too many people are logging in; try again in a moment.", retry_after=5) from None
    if credential is not None:
        guard.attempts.give_back(sender)
    return credential


def _few_failures(guard: Guard) -> str:
    """The sender, as one that has failed once more; what turns out right is given back. Raises ``TooManyRequests``."""
    sender = neighbourhood(request.remote_addr)
    wait_s = guard.attempts.take(sender)
    if wait_s:
        raise TooManyRequests(
            f"Too many failed logins from your address; try again in {math.ceil(wait_s)} seconds.",
            retry_after=math.ceil(wait_s),
        )
    return sender

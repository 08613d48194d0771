"""The way in for people: a name and a password, or a read token, becomes a session."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, g, make_response, redirect, render_template, request
from werkzeug.exceptions import ServiceUnavailable, TooManyRequests

from .cookies import drop_cookie, set_cookie
from .limits import neighbourhood
from .passwords import TooBusyError
from .sessions import LIFETIME_S
from .tokens import one_of

if TYPE_CHECKING:
    from .policy import Guard

__all__ = ["create_blueprint", "inner_path"]


def create_blueprint(guard: Guard) -> Blueprint:
    """``/login``, ``/logout``, and ``/healthz``, which says that the process answers and nothing else."""
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
        if g.principal.session is not None:
            guard.sessions.end(g.principal.session)
        _, cookie = guard.sessions.open(credential)
        response = redirect(goal, 303)
        set_cookie(response, guard.session_cookie, cookie, tls=guard.settings.behind_tls, max_age_s=LIFETIME_S)
        return response

    @blueprint.post("/logout")
    def log_out() -> Any:
        if g.principal.session is not None:
            guard.sessions.end(g.principal.session)
        response = redirect("/login", 303)
        drop_cookie(response, guard.session_cookie, tls=guard.settings.behind_tls)
        return response

    @blueprint.get("/healthz")
    def healthz() -> Response:
        return Response("", 200, mimetype="text/plain")

    return blueprint


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
            with_password=guard.settings.password_hash is not None,
            with_token=bool(guard.settings.read_tokens or guard.settings.act_tokens),
        )
    )


def _credential(guard: Guard) -> str | None:
    """The hash or digest of what was shown, or ``None`` when it was wrong. Failures of one address are few a minute."""
    sender = neighbourhood(request.remote_addr)
    wait_s = guard.attempts.take(sender)
    if wait_s:
        raise TooManyRequests(
            f"Too many failed logins from your address; try again in {math.ceil(wait_s)} seconds.",
            retry_after=math.ceil(wait_s),
        )
    token = request.form.get("token", "").strip()
    if token:
        credential = one_of(token, (*guard.settings.read_tokens, *guard.settings.act_tokens))
    else:
        try:
            right = guard.passwords.match(request.form.get("user", ""), request.form.get("password", ""))
        except TooBusyError:
            guard.attempts.give_back(sender)
            raise ServiceUnavailable("Too many people are logging in; try again in a moment.", retry_after=5) from None
        credential = guard.settings.password_hash if right else None
    if credential is not None:
        guard.attempts.give_back(sender)
    return credential

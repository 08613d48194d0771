"""Who is logged in, and ending it: each person their own sessions, whoever administers everybody's."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from flask import Blueprint, g, redirect, render_template, request, url_for
from werkzeug.exceptions import NotFound

from ai_dev_squad_dashboard.roles import Role

from .session_list import Listed

if TYPE_CHECKING:
    from .policy import Guard

__all__ = ["Access", "SessionRow", "browser_name", "create_blueprint"]


@dataclass(frozen=True)
class SessionRow:
    """A session as a line of the page."""

    name: str
    """What it is ended by."""
    person: str
    opened_us: int
    expires_us: int
    address: str
    browser: str
    """Its name and system, as far as they are known, else what it said it was."""
    is_own: bool
    """Whether it is the one that asks."""


@dataclass(frozen=True)
class Access:
    """Who may come in and who is in."""

    name: str
    """Who asks."""
    role: Role
    sessions: tuple[SessionRow, ...]
    """The newest first: everybody's for whoever administers, else those of the same person."""


def create_blueprint(guard: Guard) -> Blueprint:
    """``/access`` with ``POST /access/end``, and the same as JSON."""
    blueprint = Blueprint("access", __name__)

    @blueprint.get("/access")
    def page() -> str:
        return render_template("access.html", view=_access(guard))

    @blueprint.get("/api/access")
    def answer() -> Any:
        from ai_dev_squad_dashboard.api import json_response

        return json_response(_access(guard))

    @blueprint.post("/access/end")
    def end_session() -> Any:
        wanted = request.form.get("session", "")
        found = next((each for each in _visible(guard) if each.name == wanted), None)
        if found is None:
            raise NotFound("This session has ended already, or is somebody else's, which only who administers may end.")
        guard.end_session(found.name, found.expires_s)
        return redirect(url_for("access.page"), 303)

    return blueprint


_BROWSERS: Final = {"Edg/": "Edge", "OPR/": "Opera", "Firefox/": "Firefox", "Chrome/": "Chrome", "Safari/": "Safari"}
_SYSTEMS: Final = {
    "Android": "Android", "iPhone": "iOS", "iPad": "iOS", "Windows": "Windows", "Mac OS X": "macOS", "Linux": "Linux",
}  # fmt: skip


def browser_name(told: str) -> str:
    """What people call the browser that says ``told`` of itself, such as ``Firefox on Linux``; ``told`` where it is unknown."""
    # Each browser also names those before it in the table, so the first that is found is it.
    browser = next((name for mark, name in _BROWSERS.items() if mark in told), None)
    system = next((name for mark, name in _SYSTEMS.items() if mark in told), None)
    return told if browser is None else f"{browser} on {system}" if system else browser


def _access(guard: Guard) -> Access:
    own = g.principal.session
    rows = tuple(
        SessionRow(
            name=each.name,
            person=each.person,
            opened_us=each.opened_s * 1_000_000,
            expires_us=each.expires_s * 1_000_000,
            address=each.address,
            browser=browser_name(each.browser),
            is_own=own is not None and own.name == each.name,
        )
        for each in _visible(guard)
    )
    return Access(g.principal.identity.name, g.principal.identity.role, rows)


def _visible(guard: Guard) -> Iterable[Listed]:
    """Sessions that whoever asks may see. Of two people with one name, those of the same credential."""
    own = g.principal.session
    running = [each for each in guard.session_list.running(int(time.time())) if guard.sessions.is_running(each)]
    if g.principal.may("administer"):
        return running
    if own is None:
        return []
    return [each for each in running if (each.person, each.credential) == (own.identity.name, own.credential)]

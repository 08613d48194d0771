"""Where the search box leads: to what an id names, and to the runs with these words otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlencode

from flask import Blueprint, Response, redirect

from .addresses import session_url
from .api import json_response
from .page import Site, asked
from .store.base import Found

__all__ = ["create_blueprint", "url_of"]

_DEFAULT_RANGE: Final = "24h"


def create_blueprint(site: Site) -> Blueprint:
    """``/find`` for people, ``/api/find`` for programs."""
    blueprint = Blueprint("find", __name__)

    @blueprint.get("/find")
    def find() -> Any:
        query = asked(_DEFAULT_RANGE)
        text = query.get("q").strip()
        one = _meant(site.store.find(text), text)
        if one is not None:
            path, arguments = _place(one)
            carried: dict[str, Any] = {**query.carried(), **arguments}
            return redirect(query.url(path, keep=False, **carried), 303)
        return redirect(query.url("/traces", q=text or None), 303)

    @blueprint.get("/api/find")
    def find_json() -> Response:
        found = site.store.find(asked(_DEFAULT_RANGE).get("q").strip())
        return json_response({"found": [{"url": url_of(one), "what": one} for one in found]})

    return blueprint


def url_of(found: Found) -> str:
    """The page of what was found."""
    path, arguments = _place(found)
    return f"{path}?{urlencode(arguments)}" if arguments else path


def _place(found: Found) -> tuple[str, dict[str, str]]:
    if found.kind == "session":
        return session_url(found.id), {}
    if found.kind == "user":
        return "/traces", {"user": found.id}
    return f"/traces/{found.trace_id}", {"span": found.id} if found.kind == "span" else {}


def _meant(found: Sequence[Found], text: str) -> Found | None:
    """The one thing that ``text`` can only mean. A word of nothing but letters may be a session's name, and is a word."""
    best = [one for one in found if one.exact] or found
    return best[0] if len(best) == 1 and not text.isalpha() else None

"""Deleting by whoever may: from the page's form, or by ``DELETE`` on what is to go."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from flask import Blueprint, Response, g, redirect, request

from .addresses import session_id_of
from .api import json_response
from .page import NotFoundError, Site
from .query import QueryError
from .store.base import StoreError
from .store.deletions import KINDS, Deletion, Subject

__all__ = ["create_blueprint", "delete"]

log = logging.getLogger("ai_dev_squad.dashboard")

AT_ONCE_BYTES = 256 << 20
"""The size of a store up to which its file is written anew before the answer; a larger one is written afterwards."""


def create_blueprint(site: Site) -> Blueprint:
    """``POST /delete``, and ``DELETE`` on ``/api/traces/…``, ``/api/sessions/…`` and ``/api/users/…``."""
    blueprint = Blueprint("deleting", __name__)

    @blueprint.post("/delete")
    def from_form() -> Any:
        kind, name = request.form.get("kind", ""), request.form.get("id", "")
        if kind not in KINDS:
            raise QueryError(f"kind={kind[:40]!r} is unknown; use one of {', '.join(KINDS)}")
        delete(site, Subject(kind, name.lower() if kind == "trace" else name))
        # The address of what comes next has no word of what is gone.
        return redirect("/delete?done=1", 303)

    @blueprint.delete("/api/traces/<trace_id>")
    def trace(trace_id: str) -> Response:
        return json_response(delete(site, Subject("trace", trace_id.lower())))

    @blueprint.delete("/api/sessions/<path:session_id>")
    def session(session_id: str) -> Response:
        return json_response(delete(site, Subject("session", session_id_of(session_id))))

    @blueprint.delete("/api/users/<path:user_id>")
    def user(user_id: str) -> Response:
        return json_response(delete(site, Subject("user", session_id_of(user_id))))

    return blueprint


def delete(site: Site, subject: Subject) -> Deletion:
    """Delete in the name of whoever asks. Raises ``NotFoundError`` where there is nothing."""
    told = site.alerting is not None and site.alerting.mentions(subject.kind, subject.id)
    if site.store.extent(subject).is_nothing and not told:
        raise NotFoundError(f"nothing is stored of this {subject.kind}; it may be deleted already")
    done = site.store.delete(subject, by=g.principal.name, at_us=time.time_ns() // 1000)
    site.trees.clear()
    if site.alerting is not None:
        # After the store: its windows are filled from there.
        site.alerting.forget(subject.kind, subject.id)
    if site.store.state().bytes > AT_ONCE_BYTES:
        threading.Thread(target=_compact, args=(site,), name="ai-dev-squad-compacting", daemon=True).start()
        return done
    _compact(site)
    return next((each for each in site.store.deletions(10) if each.at_us == done.at_us), done)


def _compact(site: Site) -> None:
    try:
        site.store.compact()
    except StoreError as error:
        # What was deleted is out of every answer; the file is written anew at the next look after old days.
        log.warning("%s", error)

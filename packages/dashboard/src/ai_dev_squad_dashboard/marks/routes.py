"""Marking by whoever may act: from the page of a run, or by ``POST /api/feedback``."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from typing import Any, Final

from flask import Blueprint, Response, g, redirect, request

from ai_dev_squad_dashboard.api import json_object, json_response
from ai_dev_squad_dashboard.page import Site
from ai_dev_squad_dashboard.query import QueryError
from ai_dev_squad_dashboard.store.rows import Batch

from .reading import Mark, log_row

__all__ = ["create_blueprint"]

_TRACE_ID: Final = re.compile("[0-9a-f]{32}")
_SPAN_ID: Final = re.compile("[0-9a-f]{16}")
_LONGEST: Final = {"name": 100, "label": 100, "comment": 4000}
_WAIT_S: Final = 30.0


def create_blueprint(site: Site) -> Blueprint:
    """The two routes."""
    blueprint = Blueprint("marks", __name__)

    @blueprint.post("/api/feedback")
    def feedback() -> Response:
        given = json_object()
        if given is None:
            raise QueryError('send JSON such as {"trace_id": "…", "name": "helpful", "score": 1, "label": "good"}')
        return json_response(_keep(site, given), 201)

    @blueprint.post("/feedback")
    def from_form() -> Any:
        given = {name: value for name, value in request.form.items() if value}
        _keep(site, given)
        return redirect(f"/traces/{given['trace_id']}#marks", 303)

    return blueprint


def _keep(site: Site, given: Mapping[str, Any]) -> Mark:
    """Store a mark. Returns when it is on disk."""
    trace_id, span_id = str(given.get("trace_id", "")).lower(), given.get("span_id")
    if not _TRACE_ID.fullmatch(trace_id):
        raise QueryError(f"trace_id={trace_id[:60]!r} is no trace id; use 32 hexadecimal digits")
    if span_id is not None and not _SPAN_ID.fullmatch(str(span_id).lower()):
        raise QueryError(f"span_id={str(span_id)[:60]!r} is no span id; use 16 hexadecimal digits")
    texts = {name: _text(given, name) for name in _LONGEST}
    mark = Mark(
        time_us=time.time_ns() // 1000,
        name=texts["name"] or "feedback",
        score=_score(given.get("score")),
        label=texts["label"],
        comment=texts["comment"],
        by=g.principal.name or None,
        span_id=None if span_id is None else str(span_id).lower(),
    )
    if mark.score is None and not mark.label and not mark.comment:
        raise QueryError("there is nothing to keep; give a score, a label or a comment")
    trace = site.store.trace(trace_id, limit=1)
    row = log_row(mark, trace_id, None if trace is None else trace.row.session_id)
    site.queue.submit(Batch(logs=[row])).result(_WAIT_S)
    return mark


def _text(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > _LONGEST[name]:
        raise QueryError(f"{name} is no text of at most {_LONGEST[name]:,} characters; shorten it")
    return value


def _score(value: Any) -> float | None:
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number) or isinstance(value, bool):
        raise QueryError(f"score={str(value)[:60]!r} is no number; use one such as 1 or 0.5")
    return number

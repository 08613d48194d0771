"""The pages as JSON: the same dataclasses, and one shape for every error."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
from flask import Blueprint, Response, request

from ai_dev_squad.json_depth import MAX_DEPTH, is_too_deep

from . import takeaway
from .guide_api import cost_analysis, metrics, parity_matrix
from .page import Page, Site, asked, moment_of
from .query import QueryError
from .store.base import Store
from .views import PAGES

__all__ = ["create_blueprint", "json_object", "json_response"]


def create_blueprint(site: Site) -> Blueprint:
    """One rule under ``/api`` for each page."""
    blueprint = Blueprint("api", __name__)
    for page in PAGES:
        blueprint.add_url_rule(page.api, endpoint=page.name, view_func=_answer(site, page))
    for path, answer, default in (
        ("/api/metrics", metrics, "24h"),
        ("/api/cost-analysis", cost_analysis, "7d"),
        ("/api/parity-matrix", partial(parity_matrix, logs=site.settings.logs), "7d"),
    ):
        endpoint = path.rsplit("/", 1)[1].replace("-", "_")
        blueprint.add_url_rule(path, endpoint=endpoint, view_func=_guide_answer(site.store, answer, default))
    return blueprint


def _guide_answer(store: Store, answer: Any, default: str) -> Any:
    def answer_guide() -> Response:
        query = asked(default)
        return json_response(answer(store, query))

    return answer_guide


def _answer(site: Site, page: Page) -> Any:
    def answer(**arguments: str) -> Response:
        query = asked(page.default_range)
        asks = takeaway.wanted(page, query)
        if asks is not None:
            return takeaway.answer(site, page, query, arguments, *asks)
        with moment_of(site, page):
            view = page.build(site, query, **arguments)
        return json_response(view)

    return answer


def json_response(value: Any, status: int = 200) -> Response:
    """``value`` (dataclasses, containers, scalars) as a JSON response."""
    return Response(msgspec.json.encode(value), status=status, mimetype="application/json")


def json_object() -> dict[str, Any] | None:
    """The JSON object that the request's body is; ``None`` where it is something else. Raises ``QueryError`` for one that is
    broken: what cannot be kept, such as half a character, must not come further than this.
    """
    if not request.is_json:
        return None
    body = request.get_data()
    if is_too_deep(body):
        raise QueryError(f"the body is nested more than {MAX_DEPTH} levels deep; send less of it")
    try:
        given = msgspec.json.decode(body)
    except (ValueError, RecursionError) as error:
        raise QueryError(
            f"the body is no JSON that can be kept ({error}); write whole characters and finite numbers"
        ) from None
    return given if isinstance(given, dict) else None

"""What went wrong, in one shape: a page for people, the same as JSON for programs."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, render_template, request
from werkzeug.exceptions import HTTPException

from .alerts.outbox import OutboxError
from .api import json_response
from .page import NotFoundError
from .query import QueryError
from .store.base import BadCursorError, StoreError

__all__ = ["Problem", "attach"]

log = logging.getLogger("ai_dev_squad.dashboard")


@dataclass(frozen=True)
class Problem:
    """An error as it is answered."""

    status: int
    """The HTTP status."""
    title: str
    message: str
    """What was wrong, what is allowed, and the cure."""


def attach(app: Flask) -> None:
    """Answer every error of ``app`` as a ``Problem``."""
    for kind, status, title in (
        (QueryError, 400, "This address asks for something that is not there"),
        (BadCursorError, 400, "This page of the list is not there"),
        (NotFoundError, 404, "Not found"),
        (StoreError, 503, "The store does not answer"),
        (OutboxError, 503, "What alerts keep cannot be used"),
    ):
        app.register_error_handler(kind, _handler(status, title))
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)


def _handler(status: int, title: str) -> Any:
    def handle(error: Exception) -> Response:
        return _answer(Problem(status, title, str(error)))

    return handle


def _http_error(error: HTTPException) -> Response:
    if error.response is not None:
        # Whoever raised it has written the answer already.
        answered = error.get_response(request.environ)
        return Response(answered.get_data(), answered.status_code, answered.headers)
    problem = Problem(error.code or 500, error.name, str(error.description or ""))
    response = _answer(problem)
    for name, value in error.get_headers():
        if name.lower() not in {"content-type", "content-length"}:
            response.headers[name] = value
    return response


def _unexpected(error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.path, exc_info=error)
    return _answer(Problem(500, "This did not work", "The dashboard's log says why; please report it with that."))


def _answer(problem: Problem) -> Response:
    if (
        request.path.startswith(("/api/", "/v1/", "/mcp", "/metrics"))
        or request.accept_mimetypes.best == "application/json"
    ):
        return json_response({"error": problem}, problem.status)
    return Response(render_template("problem.html", problem=problem), problem.status, mimetype="text/html")

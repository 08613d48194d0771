"""A whole trace as one JSON file, with everything that was captured, sent while it is read."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from flask import Blueprint, Response

from .page import NotFoundError, Site
from .store.base import Store, Trace
from .store.rows import LogRow, OpenRow, SpanRow

__all__ = ["create_blueprint", "trace_json"]

MAX_SPANS = 1_000_000
_encode = msgspec.json.encode


def create_blueprint(site: Site) -> Blueprint:
    """``/api/traces/<trace_id>/export``."""
    blueprint = Blueprint("trace_export", __name__)

    @blueprint.get("/api/traces/<trace_id>/export")
    def export(trace_id: str) -> Response:
        trace = site.store.trace(trace_id, limit=MAX_SPANS)
        if trace is None:
            raise NotFoundError(f"trace {trace_id} is not in the store; look for it in the list of traces")
        answer = Response(trace_json(site.store, trace), mimetype="application/json")
        answer.headers["Content-Disposition"] = f'attachment; filename="trace-{trace.row.trace_id}.json"'
        return answer

    return blueprint


def trace_json(store: Store, trace: Trace) -> Iterator[bytes]:
    """The pieces of ``{"trace": …, "spans": […], "logs": […], "running": […]}``; a span's ``details`` is an object."""
    yield b'{"trace":' + _encode(trace.row) + b',"spans":['
    waiting = store.details(trace.row.trace_id, limit=MAX_SPANS)
    following = next(waiting, None)
    for number, span in enumerate(trace.spans):
        details = None
        # Both come in the same order; not every span has details.
        if following is not None and following[0] == span.span_id:
            details, following = following[1], next(waiting, None)
        yield (b",\n" if number else b"\n") + _encode(_span(span, details))
    yield b'],"logs":['
    for number, line in enumerate(trace.logs):
        yield (b",\n" if number else b"\n") + _encode(_line(line))
    yield b'],"running":['
    for number, opened in enumerate(trace.running):
        yield (b",\n" if number else b"\n") + _encode(_fields(opened))
    yield b"]}\n"


def _fields(row: SpanRow | LogRow | OpenRow) -> dict[str, object]:
    return {name: value for name, value in row._asdict().items() if value is not None}


def _span(span: SpanRow, details: bytes | None) -> dict[str, object]:
    return {**_fields(span), **({} if details is None else {"details": msgspec.Raw(details)})}


def _line(line: LogRow) -> dict[str, object]:
    return {**_fields(line), **({} if line.details is None else {"details": msgspec.Raw(line.details)})}

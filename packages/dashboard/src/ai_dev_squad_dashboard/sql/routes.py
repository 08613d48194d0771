"""``POST /api/sql`` and the page's form: a question, and its answer as JSON, CSV, Parquet or a table."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec
from flask import Blueprint, Response, render_template, request

from ai_dev_squad_dashboard.api import json_object
from ai_dev_squad_dashboard.page import Site, asked
from ai_dev_squad_dashboard.query import QueryError
from ai_dev_squad_dashboard.store.sql_answers import SqlAnswer, SqlError
from ai_dev_squad_dashboard.takeaway import FORMATS, file_answer
from ai_dev_squad_dashboard.takeaway.tables import Column

from .page import PAGE, build

__all__ = ["as_record", "create_blueprint"]

SHOWN = 500
"""Rows that the page shows; files have all."""
_KINDS = {"BIGINT": int, "INTEGER": int, "HUGEINT": int, "DOUBLE": float, "FLOAT": float, "BOOLEAN": bool}


def create_blueprint(site: Site) -> Blueprint:
    """The two routes. Neither changes anything, so that who may look may ask."""
    blueprint = Blueprint("sql", __name__)

    @blueprint.post("/api/sql")
    def ask() -> Response:
        query = asked("24h")
        kind = query.get("format") or _accepted()
        if kind not in FORMATS:
            raise QueryError(f"format={kind!r} is unknown; use one of {', '.join(FORMATS)}")
        answer = _answered(site, _question())
        return _as_json(answer) if kind == "json" else _as_file(answer, kind)

    @blueprint.post("/sql")
    def from_form() -> Any:
        question, kind = request.form.get("sql", ""), request.form.get("format", "")
        query = asked("24h")
        answer, problem = None, ""
        try:
            answer = _answered(site, question)
        except QueryError as error:
            problem = str(error)
        if answer is not None and kind in {"csv", "parquet"}:
            return _as_file(answer, kind)
        html = render_template(
            "sql.html",
            layout="base.html",
            page=PAGE,
            query=query,
            view=build(site, query),
            question=question,
            answer=answer,
            rows=[[_plain(value) for value in row] for row in answer.rows[:SHOWN]] if answer else (),
            problem=problem,
        )
        return html, 400 if problem else 200

    return blueprint


def _answered(site: Site, question: str) -> SqlAnswer:
    try:
        return site.store.sql(question)
    except SqlError as error:
        raise QueryError(str(error)) from None


def _question() -> str:
    given = json_object()
    question = request.form.get("sql") if given is None else given.get("sql")
    if not isinstance(question, str) or not question.strip():
        raise QueryError(
            'there is no question; send {"sql": "SELECT count(*) FROM runs"} as JSON, or a form with the field sql'
        )
    return question


def _accepted() -> str:
    best = request.accept_mimetypes.best_match(["application/json", *FORMATS.values()], default="application/json")
    return next(name for name, mimetype in FORMATS.items() if mimetype == best)


def _as_json(answer: SqlAnswer) -> Response:
    return Response(msgspec.json.encode(as_record(answer)), mimetype="application/json")


def as_record(answer: SqlAnswer) -> dict[str, Any]:
    """An answer as JSON has it."""
    return {
        "columns": [{"name": name, "type": kind} for name, kind in zip(answer.columns, answer.types, strict=True)],
        "rows": [[_plain(value) for value in row] for row in answer.rows],
        "truncated": answer.truncated,
        "took_ms": round(answer.took_ms, 1),
    }


def _as_file(answer: SqlAnswer, kind: str) -> Response:
    # Two columns of one name would be one in a file.
    names = [
        name if answer.columns.index(name) == place else f"{name}_{place + 1}"
        for place, name in enumerate(answer.columns)
    ]
    columns = tuple(Column(name, _KINDS.get(type_, str)) for name, type_ in zip(names, answer.types, strict=True))
    rows = (tuple(_plain(value) for value in row) for row in answer.rows)
    return file_answer("answer", columns, rows, kind)


def _plain(value: Any) -> Any:
    """A value as JSON has it: times as ISO 8601, what is neither number, text nor truth as text or JSON."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return msgspec.json.encode(value, enc_hook=str).decode() if isinstance(value, (list, dict, tuple)) else str(value)

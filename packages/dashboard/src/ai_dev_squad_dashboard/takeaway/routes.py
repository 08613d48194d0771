"""``/api/export/spans`` and ``/api/export/logs``: everything that is stored, as the command line's ``export`` has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flask import Blueprint, Response

from ai_dev_squad_dashboard.page import NotFoundError, Site, asked

from .answer import from_file

__all__ = ["create_blueprint"]

KINDS: Final = ("spans", "logs")
FORMATS: Final[Mapping[str, str]] = {
    "jsonl": "application/jsonl",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
}


def create_blueprint(site: Site) -> Blueprint:
    """The route, with the span of time and the filters of a page."""
    blueprint = Blueprint("export", __name__)

    @blueprint.get("/api/export/<kind>")
    def export(kind: Any) -> Response:
        if kind not in KINDS:
            raise NotFoundError(f"{kind[:40]!r} cannot be exported; use {' or '.join(KINDS)}")
        query = asked("30d")
        file_format = query.choice("format", tuple(FORMATS), "jsonl")
        body = from_file(lambda target: site.store.export(kind, query.selection, target, file_format), file_format)
        answer = Response(body, mimetype=FORMATS[file_format])
        answer.headers["Content-Disposition"] = f'attachment; filename="{kind}.{file_format}"'
        return answer

    return blueprint

"""``/api/parity-matrix.<kind>``: the lab's matrix as a file, with the arguments of its page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
from flask import Blueprint, Response

from .formats import day_time
from .lab.export import as_csv, as_html, as_markdown
from .lab.table import Lab
from .lab_results import LabResult
from .matrix_file import read_providers
from .page import NotFoundError, Site, asked
from .views.parity.lab import open_table

__all__ = ["create_blueprint"]


def create_blueprint(site: Site) -> Blueprint:
    """The URL, for every kind of file."""
    blueprint = Blueprint("parity_export", __name__)

    @blueprint.get("/api/parity-matrix.<kind>")
    def export(kind: str) -> Response:
        if kind not in _KINDS:
            raise NotFoundError(f"the matrix cannot be had as {kind[:40]!r}; use {', '.join(_KINDS)}")
        lab, results = open_table(site.settings.logs, asked("7d"))
        if lab.run is None:
            raise NotFoundError("the lab has not run yet; `ai-dev-squad parity run` does")
        mimetype, make = _KINDS[kind]
        # The whole of what the lab found is one file to publish.
        made = as_html(lab, results, read_providers(site.settings.logs)[0]) if kind == "html" else make(lab, results)
        answer = Response(made, mimetype=mimetype)
        day = day_time(lab.run.created_us).replace(" ", "-").replace(":", "")
        answer.headers["Content-Disposition"] = f'attachment; filename="parity-{day}.{kind}"'
        return answer

    return blueprint


_KINDS: Final[Mapping[str, tuple[str, Callable[[Lab, Sequence[LabResult]], bytes | str]]]] = {
    "json": ("application/json", lambda lab, results: msgspec.json.format(msgspec.json.encode(lab), indent=1)),
    "csv": ("text/csv", lambda lab, results: as_csv(lab)),
    "md": ("text/markdown", lambda lab, results: as_markdown(lab)),
    "html": ("text/html", as_html),
}

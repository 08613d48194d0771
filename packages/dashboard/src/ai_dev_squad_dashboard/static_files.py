"""Style sheets, scripts and what they import: one version for all of them, so that browsers may keep each for ever.

The version stands in the path and not behind a question mark: modules that import one another by relative names then
carry it along without being rewritten.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from flask import Flask, Response, send_from_directory

__all__ = ["StaticFiles", "attach"]

_YEAR_S = 365 * 86_400


class StaticFiles:
    """The files below ``folder``, as they were when the application was made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.version = f"v-{_digest(folder)}"

    def url(self, name: str) -> str:
        """Where a file is, such as ``css/base.css``. Raises ``LookupError`` for one that is not there."""
        if not (self.folder / name).is_file():
            cure = "; run `python packages/dashboard/frontend/build.py`" if name.startswith("vendor/") else ""
            raise LookupError(f"there is no static file {name!r} in {self.folder}{cure}")
        return f"/static/{self.version}/{name}"

    def has(self, name: str) -> bool:
        """Whether there is such a file: a page's own style sheet is optional."""
        return (self.folder / name).is_file()

    def serve(self, filename: str) -> Response:
        """A file, with or without the version before its name."""
        version, _, name = filename.partition("/")
        if version == self.version:
            response = send_from_directory(self.folder, name, max_age=_YEAR_S)
            response.cache_control.immutable = True
            return response
        # A page that was loaded before an upgrade still gets something that works, and does not keep it.
        name = name if version.startswith("v-") else filename
        response = send_from_directory(self.folder, name, max_age=0)
        response.cache_control.no_cache = True
        return response


def attach(app: Flask) -> StaticFiles:
    """Serve the static files of ``app`` by version; templates name them with ``static('css/base.css')``."""
    files = StaticFiles(Path(app.static_folder or ""))
    app.view_functions["static"] = files.serve
    app.jinja_env.globals["static"] = files.url
    app.jinja_env.globals["has_static"] = files.has
    return files


def _digest(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")):
        total.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return total.hexdigest()[:10]

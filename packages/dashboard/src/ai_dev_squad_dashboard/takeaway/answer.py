"""A table as an answer: written row by row, whatever its length, so that memory stays as it is."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final

import msgspec
from flask import Response, request

from ai_dev_squad_dashboard.page import Page, Site, moment_of
from ai_dev_squad_dashboard.query import Query, QueryError
from ai_dev_squad_dashboard.safe_text import no_formula
from ai_dev_squad_dashboard.store.table_file import write_parquet

from .tables import Column, Row, Table, tables_of

__all__ = ["FORMATS", "answer", "file_answer", "from_file", "wanted"]

FORMATS: Final[Mapping[str, str]] = {
    "csv": "text/csv",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
}
MOST_PAGES: Final = 20_000
"""Pages of a list that one answer follows."""
_CHUNK: Final = 500
_PIECE: Final = 256 * 1024


def wanted(page: Page, query: Query) -> tuple[Table, str] | None:
    """The table and the format that the request asks for; ``None`` where it asks for the page. Raises ``QueryError``."""
    file_format = query.get("format") or _accepted()
    name = query.get("table")
    if not file_format and not name:
        return None
    if file_format == "json" and not name:
        return None
    if file_format and file_format not in FORMATS:
        raise QueryError(f"format={file_format!r} is unknown; use one of {', '.join(FORMATS)}")
    tables = tables_of(page)
    if not tables:
        raise QueryError(f"the page {page.name} has no table; ask for it as JSON")
    if name and name not in tables:
        raise QueryError(f"table={name!r} is none of this page; use one of {', '.join(tables)}")
    return tables[name] if name else next(iter(tables.values())), file_format or "json"


def answer(site: Site, page: Page, query: Query, arguments: Mapping[str, str], table: Table, kind: str) -> Response:
    """The table with all that matches, not only what one page shows."""
    pages = _pages(site, page, query, arguments)
    # What is wrong with the address is told as such: an answer that has begun can't be taken back.
    first = next(pages)
    return file_answer(f"{page.name}-{table.name}", table.columns, _rows(table, first, pages), kind)


def file_answer(name: str, columns: tuple[Column, ...], rows: Iterator[Row], kind: str) -> Response:
    """Rows as a file of that kind."""
    make: Mapping[str, Callable[[tuple[Column, ...], Iterator[Row]], Iterator[bytes]]]
    make = {"csv": _csv, "json": _json, "parquet": _parquet}
    made = Response(make[kind](columns, rows), mimetype=FORMATS[kind])
    made.headers["Content-Disposition"] = f'attachment; filename="{name}.{kind}"'
    return made


def _accepted() -> str:
    """The format of the ``Accept`` header, where it asks for no page."""
    best = request.accept_mimetypes.best_match(["application/json", *FORMATS.values()], default="application/json")
    return next((name for name, mimetype in FORMATS.items() if mimetype == best and name != "json"), "")


def _pages(site: Site, page: Page, query: Query, arguments: Mapping[str, str]) -> Iterator[Any]:
    """The page's dataclass, and those behind its ``next``."""
    # The most that every list gives at a time, or all that a page without a next one can hold.
    for name, most in page.whole or (("limit", "200"),):
        if name in page.parameters and not query.get(name):
            query = _with(query, name, most)
    for _ in range(MOST_PAGES):
        with moment_of(site, page):
            view = page.build(site, query, **arguments)
        yield view
        following = getattr(view, "next", None)
        if not following or "cursor" not in page.parameters:
            return
        query = _with(query, "cursor", following)


def _with(query: Query, name: str, value: str) -> Query:
    return replace(query, args=(*((key, given) for key, given in query.args if key != name), (name, value)))


def _rows(table: Table, first: Any, rest: Iterator[Any]) -> Iterator[Row]:
    yield from table.rows(first)
    for view in rest:
        yield from table.rows(view)


def _csv(columns: tuple[Column, ...], rows: Iterator[Row]) -> Iterator[bytes]:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow([no_formula(column.name) for column in columns])
    for row in rows:
        writer.writerow([no_formula(value) if isinstance(value, str) else value for value in row])
        if file.tell() > _PIECE:
            yield file.getvalue().encode("utf-8", "replace")
            file.seek(0)
            file.truncate()
    yield file.getvalue().encode("utf-8", "replace")


def _json(columns: tuple[Column, ...], rows: Iterator[Row]) -> Iterator[bytes]:
    names = [column.name for column in columns]
    start = b"[\n"
    while some := list(islice(rows, _CHUNK)):
        yield start + b",\n".join(msgspec.json.encode(dict(zip(names, row, strict=True))) for row in some)
        start = b",\n"
    yield b"\n]\n" if start == b",\n" else b"[]\n"


def _parquet(columns: tuple[Column, ...], rows: Iterator[Row]) -> Iterator[bytes]:
    # Parquet has its index at the end and is written to a file; it is gone with the answer.
    return from_file(lambda target: write_parquet({each.name: each.kind for each in columns}, rows, target), "parquet")


def from_file(write: Callable[[Path], object], suffix: str) -> Iterator[bytes]:
    """What ``write`` writes to a path, in pieces. Raises now what it raises."""
    directory = tempfile.TemporaryDirectory(prefix="ai-dev-squad-")
    try:
        target = Path(directory.name) / f"table.{suffix}"
        write(target)
        file = target.open("rb")
    except BaseException:
        directory.cleanup()
        raise
    return _piecewise(file, directory)


def _piecewise(file: IO[bytes], directory: tempfile.TemporaryDirectory[str]) -> Iterator[bytes]:
    with directory, closing(file):
        while piece := file.read(_PIECE):
            yield piece

"""The part of the embedded store that moves it: all rows in pieces, and what is kept beside them."""

from __future__ import annotations

from . import duckdb_extract
from .duckdb_file import File
from .duckdb_write import Writer
from .extracts import Extract, Kept

__all__ = ["Moves"]


class Moves:
    """``Moving`` on DuckDB."""

    _file: File
    _writer: Writer

    def extract(self, after: str = "", limit: int = 5_000) -> Extract | None:
        with self._file.reading() as cursor:
            return duckdb_extract.extract(cursor, after, limit)

    def kept(self) -> Kept:
        with self._file.reading() as cursor:
            return duckdb_extract.kept(cursor)

    def keep(self, kept: Kept) -> None:
        with self._file.alone() as connection:
            with self._file.writing():
                duckdb_extract.keep(connection, kept, self._file.name)
            self._writer.load(connection)

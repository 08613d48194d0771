"""The records in a file that another product has exported: JSON, JSON lines, either gzipped, or Parquet."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from ai_dev_squad.json_depth import is_too_deep

__all__ = ["Record", "UnreadableFileError", "UnreadableRecord", "records"]

Record = dict[str, Any]

_LARGEST_DOCUMENT: Final = 512 << 20
"""Bytes of a file that is one JSON document, which is read as a whole."""
_LONGEST_LINE: Final = 64 << 20
_ROWS: Final = 500
_LISTS: Final = ("data", "traces", "observations", "runs", "spans")
"""Under which names an answer of an API has its records."""
_PARQUET: Final = b"PAR1"

_decode = msgspec.json.Decoder().decode


class UnreadableFileError(ValueError):
    """The file cannot be read on. The message says what is wrong with it, and where."""


class UnreadableRecord(str):
    """Why a record could not be read: it costs itself, and not those behind it."""

    __slots__ = ()


def records(path: Path) -> Iterator[Record | UnreadableRecord]:
    """The records of ``path``, in its order. Raises ``UnreadableFileError`` where it cannot be read on, such as at a gap."""
    try:
        with path.open("rb") as opened:
            begins = opened.read(4)
        if begins == _PARQUET:
            yield from _parquet(path)
        else:
            with gzip.open(path) if begins[:2] == b"\x1f\x8b" else path.open("rb") as opened:
                yield from _json(opened, path)  # type: ignore[arg-type]
    except (OSError, EOFError) as error:  # a gzip file that was cut off says EOFError
        raise UnreadableFileError(f"{path} cannot be read on ({error}); copy it again, whole") from None


def _json(opened: IO[bytes], path: Path) -> Iterator[Record | UnreadableRecord]:
    """One record a line; else the whole file is one document: a list, an answer with one, or a single record."""
    first = opened.readline(_LONGEST_LINE)
    while first and not first.strip():
        first = opened.readline(_LONGEST_LINE)
    if not first:
        return
    found = _read(first)
    if isinstance(found, dict) and not _listed(found):
        yield found
        for number, line in enumerate(iter(lambda: opened.readline(_LONGEST_LINE), b""), 2):
            if line.strip():
                record = _read(line)
                yield record if isinstance(record, dict) else UnreadableRecord(f"{path}, line {number}, is no object")
        return
    rest = opened.read(_LARGEST_DOCUMENT + 1)
    if len(rest) > _LARGEST_DOCUMENT:
        raise UnreadableFileError(
            f"{path} is one JSON document of more than {_LARGEST_DOCUMENT >> 20} MiB; export JSON lines or Parquet instead"
        )
    document = _read(first + rest) if rest.strip() else found
    if document is None:
        raise UnreadableFileError(f"{path} is neither JSON, nor JSON lines, nor Parquet, or it was cut off")
    listed = document if isinstance(document, list) else _listed(document) if isinstance(document, dict) else None
    if listed is None:
        if not isinstance(document, dict):
            raise UnreadableFileError(
                f"{path} holds a {type(document).__name__}; records are objects, or a list of them"
            )
        listed = [document]
    for number, record in enumerate(listed, 1):
        yield record if isinstance(record, dict) else UnreadableRecord(f"{path}, record {number}, is no object")


def _read(text: bytes) -> Any:
    """What JSON says; ``None`` for what is none, or is nested too deeply."""
    try:
        return None if is_too_deep(text) else _decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _listed(document: Record) -> list[Any] | None:
    """The records of an API's answer; ``None`` for an object that is a record itself."""
    if "id" in document:
        return None
    return next((value for name in _LISTS if isinstance(value := document.get(name), list)), None)


def _parquet(path: Path) -> Iterator[Record]:
    """DuckDB reads it, which the store is made of."""
    import duckdb

    with duckdb.connect() as database:
        # Not the extensions that the file may ask for, nor any other file.
        database.execute("SET autoinstall_known_extensions = false; SET TimeZone = 'UTC'")
        try:
            name = [str(path).replace("[", "[[]")]
            columns = database.execute("DESCRIBE SELECT * FROM read_parquet(?)", name).fetchall()
            names = [column[0] for column in columns]
            chosen = ", ".join(_chosen(column[0], column[1]) for column in columns)
            answer = database.execute(f"SELECT {chosen} FROM read_parquet(?)", name)  # noqa: S608 - quoted below
            while rows := answer.fetchmany(_ROWS):
                for row in rows:
                    yield {name: value for name, value in zip(names, row, strict=True) if value is not None}
        except duckdb.Error as error:
            reason = str(error).splitlines()[0][:200]
            raise UnreadableFileError(f"{path} is no whole Parquet file ({reason}); copy it again") from None


def _chosen(name: str, kind: str) -> str:
    """A column; moments in nanoseconds since 1970, since those with a zone cannot be had as they are without a further library."""
    quoted = '"' + name.replace('"', '""') + '"'
    return f"epoch_ns({quoted})" if kind.startswith("TIMESTAMP") else quoted

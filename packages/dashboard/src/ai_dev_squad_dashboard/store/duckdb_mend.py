"""When the store's file is deleted, replaced, cut short or damaged while it is open: written anew, from memory where that can be.

What DuckDB holds open is whole after a deletion, and often after more than that. Where it is not, an empty file takes the place
of the lost one, and whoever has what was in it sends or reads it again. Nothing is overwritten: what stands in the file's place
is put aside.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any, Final

import duckdb

from .base import Incident, StoreBegunAnewError, StoreError
from .duckdb_file import File
from .duckdb_write import Writer

__all__ = ["mend"]

log = logging.getLogger("ai_dev_squad.dashboard")

_MOST_TOLD: Final = 5
_KEPT: Final = ("deletions", "trace_tombstones", "subject_tombstones", "tombstone_key")
"""Tables without which what was deleted would come back with the journals."""


def mend(file: File, writer: Writer) -> None:
    """Write the file anew. Raises ``StoreBegunAnewError`` when nothing could be saved, ``StoreError`` when it is to be tried again."""
    with file.exclusive():
        loss = file.loss()
        if loss is None:
            return
        try:
            aside = _put_aside(file)
        except OSError as error:
            raise StoreError(f"{file.name} was {loss}, and what is there cannot be put aside ({error})") from error
        kept = _read(file)
        if _saved(file):
            _note(
                file,
                f"The store's file was {loss} while it was in use; it was written anew, and nothing is lost",
                aside,
            )
            return
        connection = file.begin_anew()
        for table, rows in kept.items():
            marks = ", ".join("?" * len(rows[0]))
            connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608
        writer.load(connection)
        _note(
            file,
            f"The store's file was {loss} while it was in use; it was begun anew from the journals",
            aside,
            lost=True,
        )
    raise StoreBegunAnewError(f"{file.name} was {loss} and begun anew; send this again")


def _put_aside(file: File) -> Path | None:
    """Rename what stands in the file's place, so that nothing of it is overwritten. Returns its new name."""
    if file.path is None or not file.path.exists():
        return None
    aside = file.path.with_name(f"{file.path.name}.{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.aside")
    file.path.replace(aside)
    if file.log.path is not None and file.log.path.exists():
        file.log.path.replace(f"{aside}.wal")
    return aside


def _saved(file: File) -> bool:
    try:
        if file.rewrite():
            return True
    except StoreError as error:
        log.warning("%s", error)
        return False
    raise StoreError(f"{file.name} could not be written anew yet, and nothing is lost; send this again")


def _read(file: File) -> dict[str, list[Any]]:
    """The rows of small tables that must not be lost, as far as they can be read."""
    found: dict[str, list[Any]] = {}
    try:
        with file.alone() as connection:
            for table in _KEPT:
                try:
                    found[table] = connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608
                except duckdb.Error as error:
                    log.warning("%s of %s are lost: %s", table, file.name, error)
    except StoreError:
        pass  # it was said when it was noticed
    return {table: rows for table, rows in found.items() if rows}


def _note(file: File, text: str, aside: Path | None, *, lost: bool = False) -> None:
    said = text + (f". What stood in its place is {aside}" if aside is not None else "")
    file.incidents = (*file.incidents, Incident(time.time_ns() // 1000, said, lost))[-_MOST_TOLD:]
    log.warning("%s", said)

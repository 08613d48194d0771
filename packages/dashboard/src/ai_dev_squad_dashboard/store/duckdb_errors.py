"""What DuckDB's errors mean to whoever runs the dashboard."""

from __future__ import annotations

from typing import Final

import duckdb

from .base import StoreError

__all__ = ["explained", "stops", "unopened"]

_IN_USE: Final = ("Could not set lock", "Conflicting lock", "used by another process")
_DAMAGE: Final = (
    "Corrupt",
    "checksum",
    "read enough bytes",
    "not a valid DuckDB",
    "Could not read",
    "Failed to load metadata",
)
"""What stands in DuckDB's messages about a file that something else has, or that is not what was written."""


def stops(error: duckdb.Error) -> bool:
    """Whether DuckDB answers nothing more after ``error``: after one in its log the file is as the last commit left it, and has to
    be opened again.
    """
    return isinstance(error, duckdb.FatalException) or "invalidated" in str(error)


def explained(name: str, error: duckdb.Error) -> StoreError:
    """An error of a question or a transaction, for the store called ``name``."""
    text = str(error)
    if "No space left" in text or "File too large" in text or "Could not write" in text:
        return StoreError(
            f"{name} cannot grow: {text.splitlines()[0]}; free space on its disk, or keep fewer days with "
            "--retention-days, and the store goes on by itself"
        )
    if any(sign in text for sign in _DAMAGE):
        return StoreError(
            f"{name} is damaged ({text.splitlines()[0]}): something else wrote into it, or its disk fails; restore a "
            "backup, or move it away (with its .wal) and start anew from the journals"
        )
    return StoreError(f"{name} does not answer: {text.splitlines()[0]}")


def unopened(name: str, error: duckdb.Error) -> StoreError:
    """An error of opening the file ``name``."""
    text = str(error).splitlines()[0]
    if any(sign in text for sign in _IN_USE):
        return StoreError(
            f"{name} is in use by another process ({text}); close that dashboard, ask it with --url, or choose "
            "another file with --db"
        )
    if "newer version" in text or "version number" in text:
        return StoreError(
            f"{name} was written by a newer DuckDB than {duckdb.__version__} ({text}); upgrade duckdb, or "
            "choose another file with --db"
        )
    return StoreError(
        f"{name} cannot be opened as a store ({text}); it is damaged or something else: restore a backup, or "
        "move it away (with its .wal) and start anew from the journals"
    )

"""What DuckDB's file keeps of deletions."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

import duckdb

from .deletions import Subject
from .duckdb_answers import one
from .tombstones import Tombstones, digest_of

__all__ = ["bury", "bury_traces", "load"]


def load(tombstones: Tombstones, connection: duckdb.DuckDBPyConnection) -> None:
    """Take what the file knows."""
    row = one(connection, "SELECT key FROM tombstone_key")
    traces = connection.execute("SELECT trace_id FROM trace_tombstones").fetchall()
    others = connection.execute("SELECT digest, until_us FROM subject_tombstones").fetchall()
    tombstones.know(
        bytes(row[0]) if row else b"",
        (format(number, "032x") for (number,) in traces),
        {bytes(digest): until_us for digest, until_us in others},
    )


def bury(connection: duckdb.DuckDBPyConnection, subject: Subject, at_us: int) -> None:
    """Keep in the file, inside its transaction, that ``subject`` was deleted. ``load`` makes it hold."""
    if subject.kind == "trace":
        bury_traces(connection, [int(subject.id, 16)])
        return
    row = one(connection, "SELECT key FROM tombstone_key")
    key = bytes(row[0]) if row else secrets.token_bytes(32)
    if row is None:
        connection.execute("INSERT INTO tombstone_key VALUES (?)", [key])
    digest = digest_of(key, subject.kind, subject.id)
    connection.execute("INSERT OR REPLACE INTO subject_tombstones VALUES (?, ?)", [digest, at_us])


def bury_traces(connection: duckdb.DuckDBPyConnection, numbers: Iterable[int]) -> None:
    """Keep in the file that these traces were deleted."""
    connection.execute(
        "INSERT OR IGNORE INTO trace_tombstones SELECT DISTINCT unnest(?::VARCHAR[])::UHUGEINT",
        [[str(number) for number in numbers]],
    )

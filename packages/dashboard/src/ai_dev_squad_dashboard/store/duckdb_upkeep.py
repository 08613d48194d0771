"""Upkeep of the store's file: how big it is, deleting old days, copies, and files for other programs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final, Literal

import duckdb

from . import duckdb_delete
from .base import Selection, StoreError, StoreState
from .deletions import Deletion, Subject
from .duckdb_answers import one
from .duckdb_columns import HEXED, SPAN_COLUMNS
from .duckdb_facts import Where, names_filter, runs_filter
from .duckdb_file import File, copy_database, quoted
from .duckdb_rollup import HOUR_US
from .duckdb_schema import SCHEMA_VERSION
from .duckdb_series import drop_unused
from .duckdb_tombstones import bury
from .duckdb_tombstones import load as load_tombstones
from .duckdb_write import Writer

__all__ = ["backup", "compact", "delete", "export", "retain", "size", "state"]

DAY_US: Final = 24 * HOUR_US
_WASTE_BYTES: Final = 1 << 30
"""What may lie idle in the file, to be filled again, before it is written anew."""
_TIMES: Final[dict[str, str]] = {
    "spans": "start_us",
    "logs": "time_us",
    "metrics": "time_us",
    "minutes": "at_us",
    "hours": "at_us",
    "minute_bins": "at_us",
    "hour_bins": "at_us",
    "session_minutes": "at_us",
    "unpriced_minutes": "at_us",
    "running": "start_us",
    "labels": "start_us",
    "excerpts": "start_us",
    "carried": "start_us",
    "failures": "start_us",
    "clashes": "start_us",
    "marks": "time_us",
    "traces": "last_start_us",
}
"""Table → the time of its rows."""

_FORMATS: Final[dict[str, str]] = {
    "jsonl": "FORMAT json",
    "csv": "FORMAT csv, HEADER",
    "parquet": "FORMAT parquet, COMPRESSION zstd",
}


def state(cursor: duckdb.DuckDBPyConnection, file: File, writer: Writer) -> StoreState:
    """How the store is."""
    row = one(
        cursor,
        "SELECT (SELECT count(*) FROM spans), (SELECT count(*) FROM logs), (SELECT count(*) FROM traces), "
        "(SELECT min(start_us) FROM spans), (SELECT max(start_us) FROM spans)",
    )
    assert row is not None
    spans, logs, traces, oldest, newest = row
    return StoreState(
        engine=f"DuckDB {duckdb.__version__}",
        path=str(file.path) if file.path is not None else None,
        bytes=size(file),
        spans=spans,
        logs=logs,
        traces=traces,
        series=len(writer.series),
        series_dropped=writer.series.dropped,
        oldest_us=oldest,
        newest_us=newest,
        schema_version=SCHEMA_VERSION,
        incidents=file.incidents,
    )


def size(file: File) -> int:
    """Bytes on disk, the log of what is not in the file yet included; 0 in memory."""
    if file.path is None:
        return 0
    try:
        return file.path.stat().st_size + file.log.bytes()
    except FileNotFoundError:
        return file.log.bytes()


def retain(file: File, writer: Writer, oldest_us: int | None, max_bytes: int | None) -> int:
    """Delete whole days from the oldest on. Returns the number of spans deleted."""
    deleted = 0
    if oldest_us is not None:
        deleted += _delete_before(file, writer, -(-oldest_us // DAY_US) * DAY_US)
    if file.has_holes and not compact(file):
        return deleted  # what the rest needs is not known
    if max_bytes is not None and size(file) > max_bytes:
        file.checkpoint()
        while (used := _used(file)) > max_bytes and (cut_us := _cut(file, max_bytes / used)) is not None:
            deleted += _delete_before(file, writer, cut_us)
            # Rows come in groups of some hundred thousand, and a group with any row left stays whole.
            if _used(file) > max_bytes and not compact(file):
                # Later, or more would be deleted than has to be.
                break
    waste = size(file) - _used(file)
    if deleted and (waste > _WASTE_BYTES or (max_bytes is not None and size(file) > max_bytes * 1.1)):
        # DuckDB fills the holes of deleted rows with new ones, but gives back only what is free at the end of the file.
        compact(file)
    return deleted


def delete(file: File, writer: Writer, subject: Subject, by: str, at_us: int) -> Deletion:
    """Delete a subject in one transaction, and record that it was done. ``compact`` makes sure of the file."""
    with file.alone():
        with file.writing() as connection:
            duckdb_delete.choose(connection, subject)
            found = duckdb_delete.extent(connection, subject)
            sessions = [Subject("session", each) for each in duckdb_delete.chosen_sessions(connection)]
            for each in {subject, *sessions}:
                bury(connection, each, at_us)
            if subject.kind != "trace":
                connection.execute("INSERT OR IGNORE INTO trace_tombstones SELECT DISTINCT trace_id FROM doomed")
            unused = duckdb_delete.remove(connection, subject)
            writer.keep_numbers(connection)
            done = Deletion(at_us, by, subject.kind, found.traces, found.spans, found.logs, None)
            connection.execute(
                "INSERT INTO deletions VALUES (?, ?, ?, ?, ?, ?, NULL)",
                [done.at_us, done.by, done.kind, done.traces, done.spans, done.logs],
            )
        with file.alone() as connection:
            load_tombstones(writer.tombstones, connection)
        writer.series.forget(unused)
        file.has_holes = True
        file.checkpoint()
    return done


def compact(file: File) -> bool:
    """Write the file anew without what was deleted. False when that has to be done again, as ``File.rewrite`` says."""
    if not file.rewrite():
        return False
    with file.writing() as connection:
        connection.execute("UPDATE deletions SET compacted_us = ? WHERE compacted_us IS NULL", [time.time_ns() // 1000])
    return True


def backup(file: File, target: Path) -> None:
    """Write a consistent copy to ``target``."""
    if target.exists():
        raise StoreError(f"{target} exists already; choose a new name for the backup")
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with file.reading() as cursor:
            cursor.execute("COMMIT")
            copy_database(cursor, part)
        part.replace(target)
    except OSError as error:
        raise StoreError(f"the backup {target} cannot be written ({error}); choose another place") from error
    finally:
        part.unlink(missing_ok=True)


def export(
    cursor: duckdb.DuckDBPyConnection,
    kind: Literal["spans", "logs"],
    selection: Selection,
    target: Path,
    file_format: str,
) -> int:
    """Write rows, oldest first, to ``target``. Raises ``ValueError`` for an unknown format, ``StoreError`` for the disk."""
    if file_format not in _FORMATS:
        raise ValueError(f"format {file_format!r} is unknown; use one of {', '.join(_FORMATS)}")
    columns, where, time = _exported(kind, selection, file_format)
    query = f"SELECT {columns} FROM {kind} WHERE {where} ORDER BY {time}"  # noqa: S608
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        row = one(cursor, f"COPY ({query}) TO {quoted(str(part))} ({_FORMATS[file_format]})", where.values)
        part.replace(target)
    except (OSError, duckdb.IOException) as error:
        raise StoreError(f"{target} cannot be written ({error}); choose another place") from error
    finally:
        part.unlink(missing_ok=True)
    return int(row[0]) if row else 0


def _exported(kind: str, selection: Selection, file_format: str) -> tuple[str, Where, str]:
    where = Where([], [])
    if kind == "spans":
        where = names_filter(selection)
        names = ("trace_id", "span_id", "parent_span_id", *SPAN_COLUMNS)
        time = "start_us"
    elif kind == "logs":
        for column, values in (
            ("framework", selection.frameworks),
            ("agent", selection.agents),
            ("service", selection.services),
        ):
            if values:
                where.add(f"{column} IN (SELECT unnest(?))", list(values))
        names = (
            "time_us", "level", "event_type", "message", "framework", "service", "session_id", "agent", "trace_id",
            "span_id", "source", "details",
        )  # fmt: skip
        time = "time_us"
    else:
        raise ValueError(f"cannot export {kind!r}; use spans or logs")
    where.add(f"{time} >= ? AND {time} < ?", selection.start_us, selection.end_us)
    runs = runs_filter(selection)
    where.add(str(runs), *runs.values)
    return ", ".join(_shown(name, file_format) for name in names), where, time


_NUMBERS: Final = frozenset(name for name in SPAN_COLUMNS if name.endswith(("_us", "_tokens", "_usd"))) | {"time_us"}


def _shown(name: str, file_format: str) -> str:
    if name == "trace_id":
        return f"{HEXED} AS trace_id"
    if name.endswith("span_id"):
        return f"lpad(lower(hex({name})), 16, '0') AS {name}"
    if name == "details":
        return "decode(details)::JSON AS details" if file_format == "jsonl" else "decode(details) AS details"
    if name in _NUMBERS or file_format != "csv":
        return name
    # A spreadsheet would run a cell that begins like this as a formula.
    return f"CASE WHEN regexp_matches({name}, '^[=+@\\t\\r-]') THEN '''' || {name} ELSE {name} END AS {name}"


def _delete_before(file: File, writer: Writer, cut_us: int) -> int:
    deleted = 0
    with file.alone() as connection:
        with file.writing():
            for table, time in _TIMES.items():
                row = one(connection, f"DELETE FROM {table} WHERE {time} < ?", [cut_us])  # noqa: S608
                if table == "spans":
                    deleted = row[0] if row else 0
            unused = drop_unused(connection)
        writer.series.forget(unused)
        file.checkpoint()
    return deleted


def _cut(file: File, share: float) -> int | None:
    """The beginning of the days that may stay, when that share of all rows may; ``None`` where there is nothing."""
    with file.reading() as cursor:
        days = cursor.execute(
            f"SELECT t // {DAY_US} AS day, count(*) FROM (SELECT start_us AS t FROM spans UNION ALL "  # noqa: S608
            "SELECT time_us FROM logs UNION ALL SELECT time_us FROM metrics) GROUP BY day ORDER BY day DESC"
        ).fetchall()
    left = share * sum(count for _, count in days)
    for day, count in days:
        left -= count
        if left < 0:
            return int(day + 1) * DAY_US
    return None


def _used(file: File) -> int:
    """Bytes that hold something: DuckDB fills freed blocks before its file grows."""
    with file.reading() as cursor:
        row = one(cursor, "SELECT block_size * used_blocks FROM pragma_database_size()")
    return int(row[0]) if row and row[0] else 0

"""How the store is, deleting old days, and files for other programs."""

from __future__ import annotations

import csv
import json
import re
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final, Literal, TextIO

from ai_dev_squad_dashboard.store.base import Selection, StoreError, StoreState

from .client import Client
from .filters import in_time, names_filter, spans_filter
from .literals import Where, literal
from .migrations import SCHEMA_VERSION
from .schema import HOUR_US, SPAN, TABLES
from .summaries import renew
from .write import Writer

__all__ = ["compact", "export", "retain", "state"]

_DAY_US: Final = 24 * HOUR_US
_FORMATS: Final = ("jsonl", "csv", "parquet")
_IDS: Final = frozenset({"trace_id", "span_id", "parent_span_id"})
_LOG: Final = (
    "time_us", "level", "event_type", "message", "framework", "service", "session_id", "agent", "trace_id", "span_id", "source",
    "details",
)  # fmt: skip
_FORMULA: Final = re.compile(r"[=+@\t\r-]")
_PAGE: Final = 20_000
_ASKED_EVERY_S: Final = 0.1


def state(client: Client, writer: Writer) -> StoreState:
    """How the store is."""
    ((spans, oldest, newest),) = client.ask("SELECT count(), min(start_us), max(start_us) FROM spans")
    database = literal(client.address.database)
    return StoreState(
        engine=f"ClickHouse {client.version}",
        path=str(client.address),
        bytes=client.number(f"SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = {database}"),
        spans=spans,
        logs=client.number("SELECT count() FROM logs"),
        traces=client.number("SELECT uniqExact(trace_id) FROM traces"),
        series=len(writer.series),
        series_dropped=writer.series.dropped,
        oldest_us=oldest if spans else None,
        newest_us=newest if spans else None,
        schema_version=SCHEMA_VERSION,
    )


def retain(client: Client, oldest_us: int | None, max_bytes: int | None) -> int:
    """Delete whole days from the oldest on. Returns the number of spans deleted."""
    deleted = 0
    if oldest_us is not None:
        deleted += _delete_before(client, -(-oldest_us // _DAY_US) * _DAY_US)
    while max_bytes is not None:
        days = client.ask(
            "SELECT partition, sum(bytes_on_disk) FROM system.parts WHERE active AND partition LIKE '____-__-__' "
            f"AND database = {literal(client.address.database)} GROUP BY partition ORDER BY partition"
        )
        if len(days) < 2 or sum(size for _, size in days) <= max_bytes:
            break  # the newest day stays
        midnight = datetime.strptime(days[0][0], "%Y-%m-%d").replace(tzinfo=timezone.utc) + timedelta(days=1)
        deleted += _delete_before(client, int(midnight.timestamp()) * 1_000_000)
    return deleted


def compact(client: Client) -> bool:
    """Have the bytes of deleted rows gone now rather than with the next merge."""
    for name, table in TABLES.items():
        if "MergeTree" in table.engine and name in {
            "spans",
            "content",
            "traces",
            "logs",
            "running",
            "metrics",
            "clashes",
        }:
            _alter(client, name, "APPLY DELETED MASK")
    _alter(client, "deletions", f"UPDATE compacted_us = {time.time_ns() // 1000} WHERE compacted_us IS NULL")
    return True


def _alter(client: Client, table: str, how: str) -> None:
    """Change a table's parts, however long that takes: no answer is waited for, as a client gives up after five minutes."""
    client.do(f"ALTER TABLE {table} {how}", settings={"mutations_sync": 0})
    database = literal(client.address.database)
    going_on = f"SELECT latest_fail_reason FROM system.mutations WHERE database = {database} AND table = {literal(table)} AND NOT is_done"
    while found := client.ask(going_on):
        if reason := next((reason for (reason,) in found if reason), None):
            raise StoreError(f"{client.address} cannot change the table {table}: {reason}")
        time.sleep(_ASKED_EVERY_S)


def export(client: Client, kind: Literal["spans", "logs"], selection: Selection, target: Path, file_format: str) -> int:
    """Write rows, oldest first, to ``target``. Raises ``ValueError`` for an unknown format, ``StoreError`` for the disk."""
    if file_format not in _FORMATS:
        raise ValueError(f"format {file_format!r} is unknown; use one of {', '.join(_FORMATS)}")
    if kind not in {"spans", "logs"}:
        raise ValueError(f"cannot export {kind!r}; use spans or logs")
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if file_format == "parquet":
            question = _question(kind, selection)
            part.write_bytes(client.raw(f"{question} FORMAT Parquet"))
            count = client.number(f"SELECT count() FROM ({question})")
        else:
            with part.open("w", encoding="utf-8", newline="") as file:
                count = _written(client, kind, selection, file, file_format)
        part.replace(target)
    except OSError as error:
        raise StoreError(f"{target} cannot be written ({error}); choose another place") from error
    finally:
        part.unlink(missing_ok=True)
    return count


def _written(client: Client, kind: str, selection: Selection, file: TextIO, file_format: str) -> int:
    names = _names(kind)
    count = 0
    table = csv.writer(file, lineterminator="\n") if file_format == "csv" else None
    if table is not None:
        table.writerow(names)
    for row in _pages(client, _question(kind, selection)):
        count += 1
        if table is not None:
            table.writerow([_cell(value) for value in row])
            continue
        told = dict(zip(names, row, strict=True))
        if told["details"] is not None:
            told["details"] = json.loads(told["details"])
        file.write(json.dumps(told, ensure_ascii=False) + "\n")
    return count


def _pages(client: Client, question: str) -> Iterator[tuple[Any, ...]]:
    place = 0
    while rows := client.ask(f"{question} LIMIT {_PAGE} OFFSET {place}"):
        yield from rows
        place += len(rows)


def _cell(value: Any) -> Any:
    # A spreadsheet would run a cell that begins like this as a formula.
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def _names(kind: str) -> list[str]:
    return list(_LOG) if kind == "logs" else [*list(SPAN)[:-3], "details", "text", *list(SPAN)[-3:]]


def _question(kind: str, selection: Selection) -> str:
    time_column = "start_us" if kind == "spans" else "time_us"
    where = Where(in_time(selection, time_column))
    if kind == "spans":
        named = names_filter(selection)
        where.add(str(named) if named else "")
    else:
        where.among("framework", selection.frameworks).among("agent", selection.agents).among(
            "service", selection.services
        )
    runs = spans_filter(selection)
    where.add(str(runs) if runs else "")
    shown = ", ".join(f"lower(hex({name})) AS h_{name}" if name in _IDS else name for name in _names(kind))
    if kind == "logs":
        return f"SELECT {shown} FROM logs WHERE {where} ORDER BY time_us, id"
    content = f"SELECT trace_id, span_id, batch, details, text FROM content WHERE {in_time(selection)}"
    return (
        f"SELECT {shown} FROM (SELECT * FROM spans WHERE {where}) s LEFT JOIN ({content}) c USING (trace_id, span_id, batch) "
        "ORDER BY start_us, trace_id, span_id"
    )


def _delete_before(client: Client, cut_us: int) -> int:
    deleted = client.number(f"SELECT count() FROM spans WHERE start_us < {cut_us}")
    day = time.strftime("%Y-%m-%d", time.gmtime(cut_us // 1_000_000))
    halved = client.ask(
        "SELECT trace_id, max(last_start_us) FROM traces FINAL "
        f"WHERE start_us < {cut_us} AND last_start_us >= {cut_us} GROUP BY trace_id"
    )
    for name, table in TABLES.items():
        if not table.time:
            continue
        for (partition,) in client.ask(
            "SELECT DISTINCT partition FROM system.parts WHERE active AND "
            f"database = {literal(client.address.database)} AND table = {literal(name)} AND partition < {literal(day)}"
        ):
            client.do(f"ALTER TABLE {name} DROP PARTITION {literal(partition)}")
    client.do(f"DELETE FROM running WHERE start_us < {cut_us}", settings={"lightweight_deletes_sync": 2})
    if halved:  # what is left of them is all that there is
        client.do(f"DELETE FROM traces WHERE start_us < {cut_us}", settings={"lightweight_deletes_sync": 2})
        renew(client, [trace for trace, _ in halved], cut_us, max(last for _, last in halved))
    return deleted

"""Follows a table that the OpenTelemetry Collector writes in ClickHouse: each row counts once, late ones included.

Such a table has no order of arrival. So its rows are counted by the minute in which they began, and a minute that has other rows than
last time is read again, whole: a span is known by its ids, and of log records those are left out that are in the store. How many
rows each minute had is remembered in the store together with what was read; minutes older than ``late_us`` before the newest are
no longer looked at.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import unquote, urlsplit

import msgspec

from ai_dev_squad_dashboard.store.base import Selection, Store, StoreError, Written
from ai_dev_squad_dashboard.store.clickhouse.address import Address
from ai_dev_squad_dashboard.store.clickhouse.client import Client
from ai_dev_squad_dashboard.store.cursors import every_row
from ai_dev_squad_dashboard.store.rows import Batch, LogRow
from ai_dev_squad_dashboard.store_url import without_password

from .otel_tables import Shape, request_of, shape_of
from .otlp_receive import Receiver, Submit
from .pricing import Prices

__all__ = ["Followed", "OtelTable"]

_MINUTE_US: Final = 60_000_000
_ROWS: Final = 5_000
"""Rows of a request."""
_PAGE: Final = 5_000


class _Read(msgspec.Struct):
    """How far a table has been read, as it is remembered."""

    since: int = 0
    """The first minute that is looked at."""
    rows: dict[int, int] = msgspec.field(default_factory=dict)
    """Minute → how many rows it had."""


@dataclass
class Followed:
    """What came of a look at the table."""

    rows: int = 0
    """Rows that were read, known ones among them."""
    minutes: int = 0
    refused: int = 0
    problem: str = ""
    """Why rows were refused, the last time that some were."""


class OtelTable:
    """The table of a URL such as ``clickhouse://user:password@host:8123/otel/otel_traces``, and a store that its rows go into.

    ``submit`` is ``IngestQueue.submit`` of ``store``. Raises ``StoreError`` for a URL that names no table of the Collector's.
    """

    def __init__(self, url: str, store: Store, submit: Submit, *, late_us: int, prices: Prices | None = None) -> None:
        address, self._table = _place(url)
        self._client, self._store, self._submit, self._late_us = Client(address), store, submit, late_us
        self._shape = self._described(url)
        self._receiver = Receiver(self._taken, prices)
        self._source = f"otel:{address.host}:{address.port}/{address.database}.{self._table}"

    def read(self, tell: Callable[[Followed], None] = lambda _: None) -> Followed:
        """Store what is new. ``tell`` is told after each minute. Raises ``StoreError`` when one of the two does not answer."""
        told = self._store.position(self._source)
        read = _Read() if told is None else msgspec.json.decode(told, type=_Read)
        done = Followed()
        now = self._counted(read.since)
        for minute in sorted(now):
            if read.rows.get(minute) == now[minute]:
                continue
            self._minute(minute, done)
            read.rows[minute] = now[minute]
            self._remember(read)
            done.minutes += 1
            tell(done)
        return done

    def close(self) -> None:
        """Let go of the server."""
        self._client.close()

    def _described(self, url: str) -> Shape:
        columns = {row[0]: str(row[1]) for row in self._client.ask(f"DESCRIBE TABLE `{self._table}`")}
        shape = shape_of(columns)
        if shape is None:
            raise StoreError(
                f"{without_password(url)} has no columns of the Collector's ClickHouse exporter; name its table of traces "
                "(otel_traces) or of logs (otel_logs)"
            )
        return shape

    def _counted(self, since: int) -> dict[int, int]:
        """How many rows there are, by the minute."""
        rows = self._client.ask(
            f"SELECT intDiv(toUnixTimestamp64Micro(Timestamp), {_MINUTE_US}) AS minute, count() FROM `{self._table}` "  # noqa: S608 - a name without quotes, and numbers
            f"WHERE Timestamp >= fromUnixTimestamp64Micro({since * _MINUTE_US}) GROUP BY minute"
        )
        return dict(rows)

    def _minute(self, minute: int, done: Followed) -> None:
        for rows in self._pieces(minute):
            rejected = self._receiver.receive(self._shape.signal, "json", request_of(self._shape, rows))
            done.rows += len(rows)
            if rejected.count:
                done.refused += rejected.count
                done.problem = rejected.message

    def _pieces(self, minute: int) -> Iterator[list[tuple[object, ...]]]:
        columns = ", ".join(f"{expression} AS `{name}`" for name, expression in self._shape.columns.items())
        # In an order that a row which comes meanwhile may only make longer: it is then read twice, and counts once.
        order = "Timestamp, TraceId, SpanId"
        begin, end = minute * _MINUTE_US, (minute + 1) * _MINUTE_US
        at = 0
        while True:
            rows = self._client.ask(
                f"SELECT {columns} FROM `{self._table}` WHERE Timestamp >= fromUnixTimestamp64Micro({begin}) "  # noqa: S608 - likewise
                f"AND Timestamp < fromUnixTimestamp64Micro({end}) ORDER BY {order} LIMIT {_ROWS} OFFSET {at}"
            )
            if rows:
                yield rows
            if len(rows) < _ROWS:
                return
            at += _ROWS

    def _taken(self, batch: Batch) -> Future[Written]:
        """Hand over what of a batch is new."""
        if not batch.relayed:
            batch = replace(batch, logs=self._unknown(batch.logs))
        return self._submit(batch)

    def _unknown(self, logs: list[LogRow]) -> list[LogRow]:
        """Those log records that the store does not have: as many of equal ones as are missing."""
        if not logs:
            return logs
        times = [row.time_us for row in logs]
        around = Selection(min(times), max(times) + 1)
        known = Counter(every_row(lambda cursor: self._store.logs(around, cursor=cursor, limit=_PAGE)))
        new = []
        for row in logs:
            if known[row]:
                known[row] -= 1
            else:
                new.append(row)
        return new

    def _remember(self, read: _Read) -> None:
        # A clock that is ahead must not end the looking for rows of those that are not.
        newest = min(max(read.rows, default=0), time.time_ns() // 1000 // _MINUTE_US)
        read.since = max(read.since, newest - self._late_us // _MINUTE_US)
        read.rows = {minute: rows for minute, rows in read.rows.items() if minute >= read.since}
        self._submit(Batch(positions={self._source: msgspec.json.encode(read).decode()})).result()


def _place(url: str) -> tuple[Address, str]:
    """The database and the table that a URL names last; of one name the database is ``default``."""
    parts = urlsplit(url)
    names = [unquote(name) for name in parts.path.split("/") if name]
    if parts.scheme != "clickhouse" or not 1 <= len(names) <= 2 or "`" in parts.path:
        raise StoreError(
            f"{without_password(url)!r} names no table; use clickhouse://user:password@host:8123/database/otel_traces"
        )
    database, table = names if len(names) == 2 else ("default", *names)
    return Address.of(parts._replace(path=f"/{database}").geturl()), table

"""Trying a server: what the contract asks first, of a few rows in a database of its own that is gone afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from secrets import token_hex
from typing import Final

from ai_dev_squad_dashboard.store.base import Selection, StoreError
from ai_dev_squad_dashboard.store.deletions import Subject
from ai_dev_squad_dashboard.store.rows import Batch, SpanRow

from .address import Address
from .client import Client
from .schema import HOUR_US
from .store import ClickHouseStore

__all__ = ["probe"]

_START_US: Final = 1_800_000_000_000_000
_SPANS: Final = 40
_ALL: Final = Selection(_START_US, _START_US + 24 * HOUR_US)
_AGAIN: Final = "the server does not keep what it was told; see its log, and docs/how-to/use-clickhouse.md for versions"


def probe(url: str) -> Iterator[tuple[str, str | None]]:
    """What was tried, and what went wrong, one after the other; after the first that did nothing more is tried."""
    address = Address.of(url)
    scratch = replace(address, database=f"{address.database}_probe_{token_hex(4)}")
    client = Client(scratch)
    try:
        yield f"{address} answers, ClickHouse {client.version}", None
        for done, trial in _trials(client):
            try:
                right = trial()
            except StoreError as error:
                yield done, str(error)
                return
            yield done, None if right else _AGAIN
            if not right:
                return
    finally:
        client.do(f"DROP DATABASE IF EXISTS {scratch.database} SYNC", settings={"database": ""})
        client.close()


def _trials(client: Client) -> Iterator[tuple[str, Callable[[], bool]]]:
    stores: list[ClickHouseStore] = []

    def made() -> bool:
        stores.append(ClickHouseStore(client))
        return stores[0].state().spans == 0

    def holds(spans: int) -> bool:
        totals = stores[0].totals(_ALL)
        groups = stores[0].groups(_ALL, "model")
        return (totals.spans, totals.cost_usd) == (spans, spans * 0.25) and [each.calls for each in groups] == [spans]

    def written(spans: list[SpanRow], new: int, whole: int) -> bool:
        return stores[0].write(Batch(spans=spans)).spans == new and holds(whole)

    def merged() -> bool:
        for table in ("spans", "traces"):
            client.do(f"OPTIMIZE TABLE {table} FINAL")
        return holds(_SPANS) and len(stores[0].traces(_ALL, limit=_SPANS).rows) == _SPANS // 4

    def deleted() -> bool:
        done = stores[0].delete(Subject("trace", _spans()[0].trace_id), by="doctor", at_us=_START_US)
        return done.spans == 4 and holds(_SPANS - 4)

    spans = _spans()
    yield "tables can be made", made
    yield "a batch is stored, and its sums are right", lambda: written(spans[:30], 30, 30)
    yield "the same batch again counts once", lambda: written(spans[:30], 0, 30)
    yield "spans that come in another batch as well count once", lambda: written(spans[10:], _SPANS - 30, _SPANS)
    yield "words are found", lambda: len(stores[0].traces(_ALL, text="lighthouse").rows) == 1
    yield "sums and lists are the same once parts are merged", merged
    yield "a run can be deleted, and its sums are gone", deleted


def _spans() -> list[SpanRow]:
    """Model calls of ten runs, an hour and a bit long together."""
    return [
        SpanRow(
            f"{number // 4 + 1:032x}",
            f"{number % 4 + 1:016x}",
            f"{1:016x}" if number % 4 else None,
            _START_US + number * 120_000_000,
            1_000_000,
            "lighthouse" if number == 9 else "call",
            "chat",
            model="probe",
            usage_source="provider",
            cost_usd=0.25,
        )
        for number in range(_SPANS)
    ]

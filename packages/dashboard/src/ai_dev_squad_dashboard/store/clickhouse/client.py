"""Asking a ClickHouse server, through clickhouse-connect: one client for all threads."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from typing import Any, Final, TypeVar

import clickhouse_connect
from clickhouse_connect.datatypes.registry import get_from_name
from clickhouse_connect.driver.exceptions import Error as EngineError
from clickhouse_connect.driver.httputil import get_pool_manager

from ai_dev_squad_dashboard.store.base import StoreError

from .address import Address
from .amounts import Amounts
from .schema import TABLES

__all__ = ["RAW", "Client", "Rows"]

Rows = list[tuple[Any, ...]]
_Answer = TypeVar("_Answer")

RAW: Final[Mapping[str, Any]] = {"optimize_use_projections": 0, "max_query_size": 8 << 20}
"""For questions about rows as they are: no projection of sums helps, and looking for one in each part takes longer than reading."""
_WRITING: Final[Mapping[str, Any]] = {
    "async_insert": 0,
    "insert_deduplicate": 1,
    "deduplicate_insert": "enable",
    "min_free_disk_bytes_to_perform_insert": 32 << 20,
}
"""Batches are large already, and a repeated one has to be known again. What is stored as the last byte of a disk goes may be broken."""
_AS_IS: Final[Mapping[str, Any]] = {
    "compile_expressions": 0,
    "compile_aggregate_expressions": 0,
    "compile_sort_description": 0,
}
"""The engine compiles what it is asked for the fourth time, which takes longer than all answers to a page, and makes none of them quicker."""
_CONNECTIONS: Final = 32
_BESIDE: Final = 8
"""Threads that wait for what is asked side by side. They start when they are needed."""
_NO_INDEX: Final = "/skp_idx_"
"""In what the engine says of an index that it cannot read: the name of its file."""
_SHOWN: Final = 400
_BYTES: Final = {"*String": "bytes"}
_ADDRESS: Final = re.compile(r" with url: \S+")
"""What the client says of a server that is away: settings of a statement, before the reason."""


class Client:
    """Statements about one database. Tables are named without it."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._closed = False
        try:
            self._client = clickhouse_connect.get_client(
                host=address.host,
                port=address.port,
                username=address.user,
                password=address.password,
                secure=address.secure,
                verify=address.verify,
                autogenerate_session_id=False,  # questions of several threads would wait for one another
                pool_mgr=get_pool_manager(maxsize=_CONNECTIONS, num_pools=2, verify=address.verify),
                compress=False,
                settings=dict(_AS_IS),
            )
        except (EngineError, OSError) as error:
            raise StoreError(
                f"{address} does not answer ({_first_line(error)}); start the server, or correct DASHBOARD_STORE"
            ) from None
        self.amounts = Amounts(self.ask, address.database)
        self._types: dict[tuple[str, tuple[str, ...]], list[Any]] = {}
        self._beside = ThreadPoolExecutor(_BESIDE, thread_name_prefix="clickhouse")

    def ask(self, question: str, *, as_bytes: bool = False, settings: Mapping[str, Any] | None = None) -> Rows:
        """The rows of an answer. ``as_bytes``: text as the bytes that are stored."""
        formats = _BYTES if as_bytes else None
        answer = self._answered(
            lambda known: self._client.query(question, settings=known, query_formats=formats), settings
        )
        return [tuple(row) for row in answer.result_rows]

    def ask_all(self, *questions: str) -> list[Rows]:
        """The rows of several answers, asked side by side."""
        return self.side_by_side(*(partial(self.ask, question) for question in questions))

    def side_by_side(self, *calls: Callable[[], Any]) -> list[Any]:
        """What several calls answer that do not need one another: a server plans each statement on a processor of its own. None of
        them may come here again, as it would wait for a thread that waits for it.
        """
        self._open()
        *others, last = calls
        begun = [self._beside.submit(call) for call in others]
        try:
            own = last()
        finally:
            wait(begun)
        return [*(each.result() for each in begun), own]

    def number(self, question: str, *, settings: Mapping[str, Any] | None = None) -> int:
        """The whole number that is the answer, 0 for no row and for NULL."""
        rows = self.ask(question, settings=settings)
        return int(rows[0][0] or 0) if rows else 0

    def do(self, statement: str, *, settings: Mapping[str, Any] | None = None) -> None:
        """Run a statement that answers nothing."""
        self._answered(lambda known: self._client.command(statement, settings=known), settings)

    def raw(self, question: str) -> bytes:
        """An answer in the format that the question names."""
        return bytes(self._answered(lambda known: self._client.raw_query(question, settings=known), None))

    def insert(self, table: str, columns: Mapping[str, Sequence[Any]], token: str = "") -> None:
        """Add rows, given as columns. With ``token``, rows of an earlier insert with it are not added again."""
        self._open()
        names = tuple(columns)
        types = self._types.get((table, names))
        if types is None:
            declared = TABLES[table].columns
            types = [get_from_name(declared[name].partition(" CODEC")[0]) for name in names]
            self._types[table, names] = types
        more = {"insert_deduplication_token": token} if token else {}
        try:
            self._client.insert(
                table,
                list(columns.values()),
                database=self.address.database,
                column_names=names,
                column_types=types,
                column_oriented=True,
                settings={**_WRITING, **more},
            )
        except (EngineError, OSError) as error:
            raise self._explained(error) from error
        except (ValueError, TypeError, OverflowError, AttributeError) as error:
            raise StoreError(
                f"rows for the table {table} cannot be stored ({_first_line(error)}); correct them where they are read"
            ) from error

    @property
    def version(self) -> str:
        """The server's."""
        return str(self._client.server_version)

    def close(self) -> None:
        """Let go of all connections. Twice is harmless."""
        if not self._closed:
            self._closed = True
            self._beside.shutdown()
            self._client.close()

    def _answered(self, asked: Callable[[dict[str, Any]], _Answer], settings: Mapping[str, Any] | None) -> _Answer:
        """The answer to a statement, if need be without indexes: on a disk that becomes full, the engine stores rows whose index is
        empty, and cannot read them by it until it merges them.
        """
        self._open()
        known = {"database": self.address.database, **(settings or {})}
        try:
            try:
                return asked(known)
            except EngineError as error:
                if _NO_INDEX not in str(error):
                    raise
                return asked({**known, "use_skip_indexes": 0})
        except (EngineError, OSError) as error:
            raise self._explained(error) from error

    def _open(self) -> None:
        if self._closed:
            raise StoreError(f"{self.address} is closed")

    def _explained(self, error: Exception) -> StoreError:
        return StoreError(f"{self.address} does not answer: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return _ADDRESS.sub("", first)[:_SHOWN]

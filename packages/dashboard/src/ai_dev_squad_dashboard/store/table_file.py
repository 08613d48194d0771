"""Rows of any kind as a Parquet file, without the store: an engine of its own, in little memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

import duckdb
from arro3.core import Array, DataType, Table

from .base import StoreError
from .duckdb_file import quoted

__all__ = ["write_parquet"]

_KINDS: Final[dict[type, DataType]] = {
    bool: DataType.bool(),
    int: DataType.int64(),
    float: DataType.float64(),
    str: DataType.utf8(),
}
_CHUNK: Final = 10_000
_LARGEST: Final = (1 << 63) - 1


def write_parquet(columns: Mapping[str, type], rows: Iterator[tuple[Any, ...]], target: Path) -> int:
    """Write rows to ``target``. Returns how many. Raises ``StoreError`` for the disk."""
    count = 0
    connection = duckdb.connect(
        ":memory:", config={"memory_limit": "256MiB", "threads": "1", "temp_directory": str(target.parent)}
    )
    try:
        some = list(islice(rows, _CHUNK))
        _register(connection, columns, some)
        connection.execute("CREATE TABLE whole AS SELECT * FROM chunk")
        while some:
            count += len(some)
            some = list(islice(rows, _CHUNK))
            if some:
                _register(connection, columns, some)
                connection.execute("INSERT INTO whole SELECT * FROM chunk")
        connection.execute(f"COPY whole TO {quoted(str(target))} (FORMAT parquet, COMPRESSION zstd)")
    except (OSError, duckdb.IOException, duckdb.OutOfMemoryException) as error:
        raise StoreError(
            f"the table cannot be written ({error}); free space in the directory for temporary files"
        ) from error
    finally:
        connection.close()
    return count


def _register(connection: duckdb.DuckDBPyConnection, columns: Mapping[str, type], rows: list[tuple[Any, ...]]) -> None:
    values = list(zip(*rows, strict=True)) or [()] * len(columns)
    connection.register(
        "chunk",
        Table.from_pydict(
            {
                name: Array([_held(value, kind) for value in column], _KINDS.get(kind, _KINDS[str]))
                for (name, kind), column in zip(columns.items(), values, strict=True)
            }
        ),
    )


def _held(value: Any, kind: type) -> Any:
    """The value as the column holds it."""
    if value is None:
        return None
    if kind is float:
        return float(value)
    if kind is int:
        return max(-_LARGEST, min(_LARGEST, int(value)))
    return value if kind is bool else str(value).encode("utf-8", "replace").decode()

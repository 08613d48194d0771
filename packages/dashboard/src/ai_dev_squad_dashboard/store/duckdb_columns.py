"""Rows become Arrow columns here, without pyarrow, and columns of ids become text again."""

from __future__ import annotations

import re
import sys
from array import array
from collections.abc import Sequence
from typing import Any, Final, TypeAlias, get_args, get_type_hints

import duckdb
from arro3.core import Array, DataType, Table

from .base import StoreError
from .rows import SpanRow

__all__ = [
    "BYTES",
    "HEXED",
    "REAL",
    "SPAN_COLUMNS",
    "TEXT",
    "WHOLE",
    "Columns",
    "hexed",
    "id_columns",
    "registered",
    "split_trace_id",
    "table",
]

TEXT: Final = DataType.utf8()
WHOLE: Final = DataType.int64()
UNSIGNED: Final = DataType.uint64()
REAL: Final = DataType.float64()
BYTES: Final = DataType.binary()

HEXED: Final = "lpad(lower(hex(trace_id)), 32, '0')"
"""A trace's id as text: the engine takes fifty times as long to hand over an integer of 128 bits."""

Columns: TypeAlias = dict[str, tuple[DataType, Sequence[Any]]]
"""Name → type and values."""

_IDS: Final = ("trace_id", "span_id", "parent_span_id")
_OF_TRACE: Final = ("asked", "answered", "carried")
"""Fields that are kept in tables of their own: what they are made of stands in the span's details."""


def _kind(annotation: Any) -> DataType:
    """What an Arrow column of values with this annotation is; a choice of words is text."""
    for given in get_args(annotation) or (annotation,):
        if given in _KINDS:
            return _KINDS[given]
    return TEXT


_KINDS: Final = {str: TEXT, int: WHOLE, float: REAL, bytes: BYTES}
SPAN_COLUMNS: Final[dict[str, DataType]] = {
    name: _kind(annotation) for name, annotation in get_type_hints(SpanRow).items() if name not in (*_IDS, *_OF_TRACE)
}
"""The columns of a span behind its three ids: those of ``SpanRow``, in its order."""


def table(columns: Columns) -> Table:
    """An Arrow table. Text that UTF-8 cannot hold is mended; any other value of a wrong type raises ``StoreError``."""
    return Table.from_pydict({name: _array(name, kind, values) for name, (kind, values) in columns.items()})


def id_columns(trace_ids: Sequence[str | None], span_ids: dict[str, Sequence[str | None]]) -> Columns:
    """Ids as numbers, 0 for ``None``: a trace's as two halves, because Arrow has no integer of 128 bits. Raises
    ``StoreError`` for a text that is no id.
    """
    halves = _numbers(trace_ids, 32)
    columns: Columns = {"trace_high": (UNSIGNED, halves[0::2]), "trace_low": (UNSIGNED, halves[1::2])}
    for name, values in span_ids.items():
        columns[name] = (UNSIGNED, _numbers(values, 16))
    return columns


def split_trace_id(text: str) -> int | None:
    """A trace id as the number that the tables hold; ``None`` for a text that is no trace id."""
    try:
        return int(text, 16) if len(text) == 32 else None
    except ValueError:
        return None


def hexed(number: int | None, digits: int) -> str | None:
    """An id as text."""
    return None if number is None else format(number, f"0{digits}x")


class registered:  # noqa: N801 - read as a statement
    """Rows under a name that SQL can read, for as long as the block lasts."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, name: str, columns: Columns) -> None:
        self._connection, self._name = connection, name
        connection.register(name, table(columns))

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self._connection.unregister(self._name)


def _numbers(ids: Sequence[str | None], digits: int) -> array[int]:
    """All at once, because a batch has thousands: 64 bits a number."""
    nothing = "0" * digits
    texts = [nothing if text is None else text for text in ids]
    try:
        content = bytes.fromhex("".join(texts))
    except (ValueError, TypeError):
        content = b""
    # fromhex() skips spaces, so the number of bytes is part of the check.
    if set(map(len, texts)) - {digits} or len(content) * 2 != digits * len(texts):
        raise StoreError(
            f"id {_first_wrong(texts, digits)!r} is not {digits} hexadecimal digits; correct it where it is read"
        )
    numbers = array("Q", content)
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


def _first_wrong(texts: Sequence[Any], digits: int) -> str:
    right = re.compile(f"[0-9a-fA-F]{{{digits}}}")
    return str(next(text for text in texts if not isinstance(text, str) or not right.fullmatch(text)))[:40]


def _array(name: str, kind: DataType, values: Sequence[Any]) -> Array:
    if isinstance(values, array) and values:
        return Array.from_buffer(values)
    try:
        return Array(values, kind)
    except UnicodeEncodeError:
        return Array([value and value.encode("utf-8", "replace").decode() for value in values], kind)
    except (TypeError, OverflowError, ValueError) as error:
        raise StoreError(f"a row's {name} cannot be stored ({error}); correct it where it is read") from None

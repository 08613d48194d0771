"""Rows become Arrow columns here, without pyarrow, and columns of ids become text again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from arro3.core import Array, DataType, Table

from .base import StoreError

__all__ = [
    "BYTES",
    "REAL",
    "SPAN_COLUMNS",
    "TEXT",
    "WHOLE",
    "Columns",
    "hexed",
    "id_columns",
    "split_trace_id",
    "table",
]

TEXT: Final = DataType.utf8()
WHOLE: Final = DataType.int64()
UNSIGNED: Final = DataType.uint64()
REAL: Final = DataType.float64()
BYTES: Final = DataType.binary()

Columns: TypeAlias = dict[str, tuple[DataType, Sequence[Any]]]
"""Name → type and values."""

SPAN_COLUMNS: Final[dict[str, DataType]] = {
    "start_us": WHOLE,
    "duration_us": WHOLE,
    "name": TEXT,
    "operation": TEXT,
    "status": TEXT,
    "framework": TEXT,
    "service": TEXT,
    "session_id": TEXT,
    "agent": TEXT,
    "tool": TEXT,
    "provider": TEXT,
    "model": TEXT,
    "error_type": TEXT,
    "error_message": TEXT,
    "input_tokens": WHOLE,
    "output_tokens": WHOLE,
    "cache_read_tokens": WHOLE,
    "cache_write_tokens": WHOLE,
    "reasoning_tokens": WHOLE,
    "usage_source": TEXT,
    "cost_usd": REAL,
    "price": TEXT,
    "price_date": TEXT,
    "price_source": TEXT,
    "cost_reason": TEXT,
    "cache_saving_usd": REAL,
    "first_chunk_us": WHOLE,
    "source": TEXT,
    "instrumentation": TEXT,
    "ingested_us": WHOLE,
    "details": BYTES,
    "text": TEXT,
}
"""The columns of a span behind its three ids, in the order of ``SpanRow``."""


def table(columns: Columns) -> Table:
    """An Arrow table. Text that UTF-8 cannot hold is mended; any other value of a wrong type raises ``StoreError``."""
    return Table.from_pydict({name: _array(name, kind, values) for name, (kind, values) in columns.items()})


def id_columns(trace_ids: Sequence[str | None], span_ids: dict[str, Sequence[str | None]]) -> Columns:
    """Ids as numbers: a trace's as two halves, because Arrow has no integer of 128 bits. Raises ``StoreError``."""
    columns: Columns = {
        "trace_high": (UNSIGNED, [_number(text, 32, 0, 16) for text in trace_ids]),
        "trace_low": (UNSIGNED, [_number(text, 32, 16, 32) for text in trace_ids]),
    }
    for name, values in span_ids.items():
        columns[name] = (UNSIGNED, [_number(text, 16, 0, 16) for text in values])
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


def _number(text: str | None, digits: int, start: int, end: int) -> int | None:
    if text is None:
        return None
    try:
        if len(text) == digits:
            return int(text[start:end], 16)
    except ValueError:
        pass
    raise StoreError(f"id {text[:40]!r} is not {digits} hexadecimal digits; correct it where it is read")


def _array(name: str, kind: DataType, values: Sequence[Any]) -> Array:
    try:
        return Array(values, kind)
    except UnicodeEncodeError:
        return Array([value and value.encode("utf-8", "replace").decode() for value in values], kind)
    except (TypeError, OverflowError, ValueError) as error:
        raise StoreError(f"a row's {name} cannot be stored ({error}); correct it where it is read") from None

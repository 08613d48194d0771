"""Lists in an order of their own: what they are sorted by, and the cursor that goes on behind a row."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from .base import BadCursorError, TraceOrder, TraceRow
from .clocks import EARLY_US, LATE_US
from .cursors import pack, unpack

__all__ = [
    "AT_LEAST",
    "DURATION",
    "SESSION_ORDERS",
    "SKEWED",
    "TRACE_ORDERS",
    "USER_ORDERS",
    "Key",
    "allowed",
    "cursor_behind",
    "is_skewed",
    "known",
    "place_of",
    "total_in",
    "value_of",
]

SKEWED: Final = (
    f"(root_start_us IS NOT NULL AND (start_us < root_start_us - {EARLY_US} "
    f"OR (root_duration_us >= 0 AND last_start_us > root_start_us + root_duration_us + {LATE_US})))"
)
"""Of a trace: whether clocks of its senders differ. A root of which nobody knows how long it took does not tell."""
DURATION: Final = f"(CASE WHEN {SKEWED} THEN greatest(root_duration_us, 0) ELSE end_us - start_us END)"
"""Of a trace: how long it took; where clocks differ, by the clock of its root."""


def is_skewed(start_us: int, last_start_us: int, root_start_us: int | None, root_duration_us: int | None) -> bool:
    """``SKEWED`` of one trace: what few rows need is not worth planning."""
    if root_start_us is None or root_duration_us is None:
        return False
    is_late = root_duration_us >= 0 and last_start_us > root_start_us + root_duration_us + LATE_US
    return start_us < root_start_us - EARLY_US or is_late


AT_LEAST: Final[Mapping[str, str]] = {
    "min_duration_us": DURATION,
    "min_cost_usd": "cost_usd",
    "min_tokens": "input_tokens + output_tokens",
    "min_calls": "calls",
    "min_spans": "spans",
    "min_errors": "errors",
}
"""Filter of the list of traces → what of a trace is at least that, as both engines read it."""


@dataclass(frozen=True)
class Key:
    """What a list is sorted by, the largest first."""

    expression: str
    """On the list's rows, in words that every engine knows."""
    is_real: bool = False


TRACE_ORDERS: Final[Mapping[str, Key]] = {
    "newest": Key("start_us"),
    "cost": Key("cost_usd", is_real=True),
    "duration": Key(DURATION),
    "tokens": Key("(input_tokens + output_tokens)"),
    "errors": Key("errors"),
    "spans": Key("spans"),
    "calls": Key("calls"),
}
SESSION_ORDERS: Final[Mapping[str, Key]] = {
    "newest": Key("end_us"),
    "cost": Key("cost_usd", is_real=True),
    "duration": Key("(end_us - start_us)"),
    "tokens": Key("(input_tokens + output_tokens)"),
    "errors": Key("errors"),
    "turns": Key("turns"),
    "calls": Key("calls"),
}
USER_ORDERS: Final[Mapping[str, Key]] = {
    "cost": Key("cost_usd", is_real=True),
    "tokens": Key("(input_tokens + output_tokens)"),
    "runs": Key("runs"),
    "errors": Key("errors"),
    "sessions": Key("sessions"),
    "newest": Key("last_us"),
}


_Order = TypeVar("_Order", bound=str)


def allowed(order: _Order, orders: Collection[str]) -> _Order:
    """The order, if there is one of that name. Raises ``ValueError`` naming those there are."""
    if order not in orders:
        raise ValueError(f"order {order!r} is unknown; use one of {', '.join(orders)}")
    return order


def known(name: str, names: Collection[str], doing: str) -> None:
    """Raise ``ValueError`` naming those there are, unless ``name`` is one of them."""
    if name not in names:
        raise ValueError(f"cannot {doing} {name!r}; use one of {', '.join(names)}")


def cursor_behind(name: str, order: str, value: Any, row_id: str, total: int | None = None) -> str:
    """The cursor of the list ``name`` behind the row with this value of its key and this id. ``total`` goes along, so that it need
    not be counted anew for each page.
    """
    shown = repr(value) if isinstance(value, float) else str(int(value))
    return pack(f"{name} by {order}", shown, row_id, -1 if total is None else total)


def total_in(cursor: str, name: str, order: str) -> int | None:
    """The total that goes along with a cursor of ``name``. Raises ``BadCursorError`` for the cursor of another list or order."""
    total = int(unpack(cursor, f"{name} by {order}", str, str, int)[2])
    return total if total >= 0 else None


def place_of(cursor: str, name: str, order: str, key: Key) -> tuple[int | float, str]:
    """The value of its key, and the id, of the row that a cursor of ``name`` stands behind.

    Raises ``BadCursorError`` for the cursor of another list or order.
    """
    value, row_id = (str(part) for part in unpack(cursor, f"{name} by {order}", str, str, int)[:2])
    try:
        number = float(value) if key.is_real else int(value)
    except ValueError:
        number = math.nan
    if not (abs(number) < 1 << 100):
        raise BadCursorError(f"cursor {cursor[:80]!r} is not one of the list of {name}; start from its first page")
    return number, row_id


def value_of(row: TraceRow, order: TraceOrder) -> float:
    """What a trace is sorted by."""
    return {
        "newest": row.start_us,
        "cost": row.cost_usd,
        "duration": row.duration_us,
        "tokens": row.input_tokens + row.output_tokens,
        "errors": row.errors,
        "spans": row.spans,
        "calls": row.calls,
    }[order]

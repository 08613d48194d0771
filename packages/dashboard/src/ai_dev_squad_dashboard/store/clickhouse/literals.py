"""Values in statements. ClickHouse reads statements as text, so whatever a user or a sender says passes through here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

__all__ = ["SPAN_ID", "TRACE_ID", "Where", "fixed", "like", "literal", "many"]

TRACE_ID: Final = 16
SPAN_ID: Final = 8
"""Bytes of an id."""


def literal(value: float | str) -> str:
    """A number or a text as a literal. Text that UTF-8 cannot hold is mended, as where it is stored."""
    if isinstance(value, (int, float)):
        return repr(value)
    text = value if value.isascii() else value.encode("utf-8", "replace").decode()
    # In a literal only these two mean something else than themselves, and NUL would end some readers' text.
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0") + "'"


def many(values: Iterable[float | str]) -> str:
    """What stands behind IN."""
    return f"({', '.join(map(literal, values))})"


def fixed(value: bytes) -> str:
    """An id, for a column of its length. A plain literal: a batch names thousands, and each call of a function would be planned."""
    return "'\\x" + value.hex("-").replace("-", "\\x") + "'"


def like(word: str) -> str:
    """The pattern of texts that contain ``word``."""
    escaped = word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return literal(f"%{escaped}%")


class Where:
    """Conditions that must all hold. Their values are literals already."""

    def __init__(self, *conditions: str) -> None:
        self._conditions = [each for each in conditions if each]

    def add(self, condition: str) -> Where:
        """One more."""
        if condition:
            self._conditions.append(condition)
        return self

    def among(self, column: str, values: Iterable[Any]) -> Where:
        """The column has one of ``values``, where there are some."""
        values = list(values)
        return self.add(f"{column} IN {many(values)}" if values else "")

    def __bool__(self) -> bool:
        return bool(self._conditions)

    def __str__(self) -> str:
        return " AND ".join(self._conditions) if self._conditions else "1"

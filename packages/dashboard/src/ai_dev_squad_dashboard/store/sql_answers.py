"""What a question in SQL may take, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

__all__ = ["MAX_BYTES", "MAX_ROWS", "MAX_SECONDS", "MAX_SQL", "SqlAnswer", "SqlError"]

MAX_SQL: Final = 10_000
"""Characters of a question."""
MAX_ROWS: Final = 10_000
MAX_SECONDS: Final = 10.0
MAX_BYTES: Final = 32 << 20
"""Text of an answer, about."""


class SqlError(ValueError):
    """A question in SQL that is not answered. The message says why, and what may be asked."""


@dataclass(frozen=True)
class SqlAnswer:
    """What was answered."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    """As the engine names them."""
    rows: tuple[tuple[Any, ...], ...]
    truncated: bool
    """Whether there are more rows than are given."""
    took_ms: float

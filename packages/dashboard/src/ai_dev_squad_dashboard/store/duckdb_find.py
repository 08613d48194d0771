"""What an id names: a trace, a span, a session, a user, wherever it was copied from and however much of it."""

from __future__ import annotations

from typing import Any, Literal

import duckdb

from .base import Found
from .duckdb_columns import hexed
from .lookup import look_up

__all__ = ["find"]


def find(cursor: duckdb.DuckDBPyConnection, text: str, limit: int) -> tuple[Found, ...]:
    """What is meant by ``text``; see ``look_up``."""
    return look_up(_Lookup(cursor), text, limit)


class _Lookup:
    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._cursor = cursor

    def traces(self, digits: str, limit: int) -> tuple[Found, ...]:
        between = _range(digits, 32)
        # What has only begun is no trace yet, and has an id.
        rows = self._cursor.execute(
            "SELECT trace_id, arg_min(name, unfinished), arg_min(start_us, unfinished) AS begun FROM ("  # noqa: S608
            "SELECT trace_id, name, start_us, 0 AS unfinished FROM traces WHERE trace_id BETWEEN ?::UHUGEINT AND ?::UHUGEINT "
            "UNION ALL SELECT trace_id, name, start_us, 1 + (parent_span_id IS NOT NULL)::INTEGER FROM running "
            f"WHERE trace_id BETWEEN ?::UHUGEINT AND ?::UHUGEINT) GROUP BY trace_id ORDER BY begun DESC, trace_id LIMIT {int(limit)}",
            [*between, *between],
        ).fetchall()
        return tuple(
            Found("trace", trace_id, trace_id, name, start_us, exact=len(digits) == 32)
            for trace_id, name, start_us in ((format(number, "032x"), *rest) for number, *rest in rows)
        )

    def spans(self, digits: str, limit: int, trace_id: str | None = None) -> tuple[Found, ...]:
        condition, values = "span_id BETWEEN ?::UBIGINT AND ?::UBIGINT", [*_range(digits, 16)]
        if trace_id is not None:
            condition += " AND trace_id = ?::UHUGEINT"
            values.append(int(trace_id, 16))
        rows: list[tuple[Any, ...]] = self._cursor.execute(
            f"SELECT span_id, trace_id, name, start_us FROM spans WHERE {condition} "  # noqa: S608
            f"ORDER BY start_us DESC, trace_id LIMIT {int(limit)}",
            values,
        ).fetchall()
        return tuple(
            Found("span", format(span_id, "016x"), hexed(number, 32), name, start_us, exact=len(digits) == 16)
            for span_id, number, name, start_us in rows
        )

    def called(self, kind: Literal["session", "user"], text: str, limit: int, *, parts: bool) -> tuple[Found, ...]:
        column = f"{kind}_id"
        condition = f"starts_with({column}, ?)" if parts else f"{column} = ?"
        rows = self._cursor.execute(
            f"SELECT {column}, arg_max(name, start_us), max(start_us) AS newest FROM traces WHERE {condition} "  # noqa: S608
            f"GROUP BY {column} ORDER BY {column} = ? DESC, newest DESC, {column} LIMIT {int(limit)}",
            [text, text],
        ).fetchall()
        return tuple(Found(kind, called, None, name, at, exact=called == text) for called, name, at in rows)


def _range(digits: str, length: int) -> tuple[int, int]:
    """The first and the last number of ``length`` digits that begin with ``digits``."""
    rest = 4 * (length - len(digits))
    first = int(digits, 16) << rest
    return first, first + (1 << rest) - 1

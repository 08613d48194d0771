"""The distinct combinations of names that roll-ups are kept for, and what happens when there are too many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import duckdb

from .duckdb_answers import one
from .rows import SpanRow
from .series import MAX_SERIES, OTHER, Key, keys_of, together

__all__ = ["Series", "drop_unused"]


class Series:
    """Numbers for combinations of names, kept in memory by the one writer. ``commit`` or ``undo`` ends each batch."""

    def __init__(self, maximum: int = MAX_SERIES) -> None:
        self.maximum = maximum
        self.names: dict[int, Key] = {}
        """What each number stands for. Others may read it: a number that is in a table is in here."""
        self._numbers: dict[Key, int] = {}
        self._new: dict[Key, int] = {}
        self._together = 0
        self._next = 1
        self.dropped = 0
        self._dropped_now = 0

    def load(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Take what the file knows."""
        rows = connection.execute("SELECT * FROM series").fetchall()
        self.names = {number: tuple(names) for number, *names in rows}
        self._numbers = {key: number for number, key in self.names.items()}
        self._together = sum(OTHER in key for key in self._numbers)
        self._new = {}
        self._next = max(self._numbers.values(), default=0) + 1
        row = one(connection, "SELECT value FROM meta WHERE key = 'series_dropped'")
        self.dropped = row[0] if row else 0
        self._dropped_now = 0

    def __len__(self) -> int:
        return len(self._numbers)

    def numbers(self, spans: Sequence[SpanRow]) -> list[int]:
        """The number of each span's combination. New ones are in the file once ``save`` ran."""
        known, keys = self._numbers, keys_of(spans)
        found = list(map(known.get, keys))
        if None not in found:
            return found  # type: ignore[return-value]
        return [
            self._number(key) if number is None else number for key, number in zip(keys_of(spans), found, strict=True)
        ]

    def save(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Write new combinations and the count of dropped ones, inside the batch's transaction."""
        if self._new:
            rows = [[number, *key] for key, number in self._new.items()]
            marks = ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"] * len(rows))
            connection.execute(f"INSERT INTO series VALUES {marks}", [value for row in rows for value in row])  # noqa: S608
        if self._dropped_now:
            connection.execute("UPDATE meta SET value = value + ? WHERE key = 'series_dropped'", [self._dropped_now])

    def commit(self) -> None:
        """The batch is on disk."""
        self._new = {}
        self.dropped += self._dropped_now
        self._dropped_now = 0

    def undo(self) -> None:
        """The batch is not on disk."""
        for key in self._new:
            del self.names[self._numbers.pop(key)]
            self._together -= OTHER in key
        self._new = {}
        self._dropped_now = 0

    def forget(self, numbers: Iterable[int]) -> None:
        """Make room: these are no longer in the file. What they stood for is still told to whoever asked before."""
        for number in numbers:
            key = self.names[number]
            del self._numbers[key]
            self._together -= OTHER in key

    def _number(self, key: Key) -> int:
        number = self._numbers.get(key)
        if number is None and len(self._numbers) - self._together >= self.maximum:
            self._dropped_now += 1
            key = together(key)
            number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = self._new[key] = self._next
            self.names[number] = key
            self._together += OTHER in key
            self._next += 1
        return number


def drop_unused(connection: duckdb.DuckDBPyConnection) -> list[int]:
    """Delete the combinations that no sum and no span names any longer. Returns their numbers, for ``forget``."""
    rows = connection.execute(
        "DELETE FROM series WHERE id NOT IN (SELECT series FROM hours UNION SELECT series FROM spans WHERE seq > "
        "(SELECT value FROM meta WHERE key = 'rolled_seq')) RETURNING id"
    ).fetchall()
    return [number for (number,) in rows]

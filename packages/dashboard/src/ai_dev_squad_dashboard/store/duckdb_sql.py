"""Asking in SQL: a checked question over views, in a transaction that reads, with a limit of time, memory, rows and bytes."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any, Final

import duckdb

from .duckdb_file import File
from .sql_answers import MAX_BYTES, SqlAnswer, SqlError
from .sql_check import check
from .sql_views import VIEWS

__all__ = ["ask"]

_LOOK_EVERY_S: Final = 0.02
_PAGE: Final = Path("/proc/self/statm")
_turn: Final = threading.Lock()


def ask(file: File, question: str, max_rows: int, max_seconds: float) -> SqlAnswer:
    """Answer ``question``. Raises ``SqlError`` when it may not be asked, cannot be answered, or takes too much of anything."""
    question = question.strip().rstrip(";").strip()
    if not _turn.acquire(timeout=max_seconds):
        raise SqlError("another question is being answered; ask again in some seconds")
    try:
        # Not the cursor of a page's moment: what goes wrong must not take that one along.
        with file.reading(own=True) as cursor:
            views = check(cursor, question)
            database = cursor.execute("SELECT current_database()").fetchall()[0][0]
            for name in views:
                cursor.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {VIEWS[name].statement(database)}")
            return _answer(cursor, question, max_rows, max_seconds, file.memory_limit_mib)
    finally:
        _turn.release()


def _answer(
    cursor: duckdb.DuckDBPyConnection, question: str, max_rows: int, max_seconds: float, memory_mib: int
) -> SqlAnswer:
    began = time.monotonic()
    watch = _Watch(cursor, max_seconds, memory_mib << 20)
    rows: list[tuple[Any, ...]] = []
    size, more = 0, False
    try:
        with watch:
            described = cursor.execute(question).description or []
            while not more and (some := cursor.fetchmany(500)):
                size += sum(len(value) for row in some for value in row if isinstance(value, (str, bytes)))
                rows += some
                more = len(rows) > max_rows or size > MAX_BYTES
    except (duckdb.Error, MemoryError) as error:
        if watch.stopped:
            raise SqlError(watch.stopped) from None
        raise SqlError(f"the question cannot be answered: {_said(error)}") from None
    columns = tuple(str(column[0]) for column in described)
    types = tuple(str(column[1]) for column in described)
    took_ms = (time.monotonic() - began) * 1000
    return SqlAnswer(columns, types, tuple(rows[:max_rows]), more, took_ms)


class _Watch:
    """Stops a question that takes too long or too much, from a thread of its own, for as long as the block lasts."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, seconds: float, memory: int) -> None:
        self._cursor = cursor
        self._seconds = seconds
        self._memory = memory
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ai-dev-squad-sql-watch", daemon=True)
        self.stopped = ""
        """Why it was stopped."""

    def __enter__(self) -> None:
        self._ends_at = time.monotonic() + self._seconds
        self._most = _resident() + self._memory
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(_LOOK_EVERY_S):
            if time.monotonic() > self._ends_at:
                self.stopped = (
                    f"the question took longer than {self._seconds:g} s; ask of less time, or of fewer columns"
                )
            elif _resident() > self._most:
                self.stopped = f"the question took more than {self._memory >> 20:,} MiB of memory; ask of less"
            if self.stopped:
                # Again and again: one that comes between two steps is forgotten.
                self._cursor.interrupt()


def _resident() -> int:
    """The memory of this process in bytes; 0 where the system does not tell it so simply."""
    try:
        return int(_PAGE.read_bytes().split()[1]) * 4096
    except (OSError, IndexError, ValueError):
        return 0


def _said(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:500]

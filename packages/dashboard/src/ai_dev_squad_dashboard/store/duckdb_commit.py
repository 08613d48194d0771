"""Ending a transaction so that it is on disk, and nobody but its sender waits for the disk.

The engine waits for the disk while it holds what every other transaction needs to begin and to end: one slow commit holds up all
questions. Where it can be told not to, it only writes its log, and we wait for the disk before anybody hears that the batch is stored.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import duckdb

from .duckdb_answers import number

__all__ = ["Log", "settle"]

_DONE_S: Final = 2.0
"""How long the engine may hold on to a transaction that has ended."""
_to_disk: Final = getattr(os, "fdatasync", os.fsync)


class Log:
    """The engine's log beside its ``file``, of which there is none in memory. For the one who writes."""

    def __init__(self, file: Path | None) -> None:
        self.path = None if file is None else Path(f"{file}.wal")
        self._opened: tuple[tuple[int, int], int] | None = None
        """Which file it is, and its descriptor. Kept open: to close a file gives up what the engine has locked of it."""
        self._may_wait = False

    def begin(self, connection: duckdb.DuckDBPyConnection) -> None:
        """The engine was opened."""
        # Elsewhere a file that somebody writes may not be opened by others.
        self._may_wait = os.name == "posix" and bool(
            number(connection, "SELECT count(*) FROM duckdb_settings() WHERE name = 'fsync_mode'")
        )

    def bytes(self) -> int:
        """How long it is."""
        try:
            return 0 if self.path is None else self.path.stat().st_size
        except OSError:
            return 0

    def commit(self, connection: duckdb.DuckDBPyConnection) -> None:
        """End the transaction. When this returns it is on disk.

        Raises ``duckdb.Error`` where it is undone, and ``OSError`` where the disk does not say what became of it.
        """
        file = self._file()
        if file is None:
            connection.execute("COMMIT")
            return
        connection.execute("SET GLOBAL fsync_mode = 'NONE'")
        try:
            connection.execute("COMMIT")
        except BaseException:
            with suppress(duckdb.Error):  # an engine that has given up is opened anew
                connection.execute(_WAIT)
            raise
        connection.execute(_WAIT)
        _to_disk(file)

    def move(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Move what stands in it into the file. Nobody else writes, yet the engine may take a moment to be done with a transaction
        that has ended.
        """
        deadline = time.monotonic() + _DONE_S
        while True:
            try:
                cursor.execute("CHECKPOINT")
            except duckdb.TransactionException:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    def remove(self) -> None:
        """Take it away, when the engine has let go of it and all of it stands elsewhere."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of it, when the engine has."""
        if self._opened is not None:
            os.close(self._opened[1])
            self._opened = None

    def _file(self) -> int | None:
        """The log's descriptor; ``None`` where the engine has to wait for the disk itself, as right after a checkpoint, when
        there is no log.
        """
        if self.path is None or not self._may_wait:
            return None
        try:
            status = self.path.stat()
            identity = status.st_dev, status.st_ino
            if self._opened is None or self._opened[0] != identity:
                self.close()
                self._opened = identity, os.open(self.path, os.O_RDONLY)
        except OSError:
            return None
        return self._opened[1]


def settle(file: Path) -> None:
    """Wait until a file that nobody writes any more is on disk: while it was written, the engine may have been told not to."""
    with suppress(FileNotFoundError), file.open("rb+") as opened:  # whoever made it looks whether it was taken away
        os.fsync(opened.fileno())


_WAIT: Final = "SET GLOBAL fsync_mode = 'STANDARD'"
"""Checkpoints need the engine's own order of writing and waiting; they hold up no question."""

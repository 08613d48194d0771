"""Requests that wait to be sent on, in a SQLite file: what is in it survives the process, however that ends.

Several processes may share a file. All put requests in, and one of them sends: the one that holds the lock beside the file, which
goes with its process.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from ai_dev_squad.file_locks import lock_file, unlock_file
from ai_dev_squad_dashboard.ingest.otlp_receive import Encoding, Signal
from ai_dev_squad_dashboard.store.base import StoreError

__all__ = ["Backlog", "Spool", "SpoolError", "Waiting", "file_beside"]

_SCHEMA: Final = """
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS waiting (
    id INTEGER PRIMARY KEY AUTOINCREMENT, since_us INTEGER NOT NULL, signal TEXT NOT NULL, encoding TEXT NOT NULL,
    bytes INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS total (bytes INTEGER NOT NULL);
INSERT INTO total SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM total);
CREATE TRIGGER IF NOT EXISTS comes AFTER INSERT ON waiting BEGIN UPDATE total SET bytes = bytes + NEW.bytes; END;
CREATE TRIGGER IF NOT EXISTS goes AFTER DELETE ON waiting BEGIN UPDATE total SET bytes = bytes - OLD.bytes; END;
"""


def file_beside(db: Path) -> Path:
    """Where what waits beside the store at ``db`` is."""
    return db.with_name(db.name + ".forward")


class SpoolError(StoreError):
    """What is to wait cannot be kept. The message names the file and the cure."""


class Waiting(NamedTuple):
    """A request, as it came."""

    id: int
    since_us: int
    signal: Signal
    encoding: Encoding
    body: bytes


class Backlog(NamedTuple):
    """How much waits."""

    requests: int
    bytes: int
    oldest_us: int | None
    """Since when the oldest waits."""


class Spool:
    """The file. Every method but ``close`` may be called from any thread, and raises ``SpoolError``."""

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        self._path, self.max_bytes = path, max_bytes
        self._lock = threading.Lock()
        self._sending: int | None = None
        with self._told():
            path.parent.mkdir(parents=True, exist_ok=True)
            # It holds what was asked and answered: for its owner only, before there is anything in it.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._connection = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
            self._connection.executescript(_SCHEMA)
            # A sender's answer says that its request is on the disk, here as in the store; and what was sent on is gone from it.
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA secure_delete = ON")
            self._connection.execute("INSERT OR IGNORE INTO meta VALUES ('forwarded_by', ?)", [secrets.token_hex(8)])
            (self.mark,) = self._connection.execute("SELECT value FROM meta WHERE key = 'forwarded_by'").fetchone()
            """By what this file's requests are known when they come back, also after a restart."""

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except (OSError, sqlite3.Error) as error:
            raise SpoolError(
                f"{self._path}, where requests wait to be sent on, cannot be used ({error}); make room or correct the rights of its "
                "directory, or move the file away"
            ) from error

    def put(self, signal: Signal, encoding: Encoding, body: bytes) -> bool:
        """Keep a request. Whether there was room; when this returns, it is on the disk."""
        with self._told():
            # One statement decides and keeps, so that processes that share the file share the limit.
            kept = self._connection.execute(
                "INSERT INTO waiting (since_us, signal, encoding, bytes, body) SELECT ?, ?, ?, ?, ? "
                "WHERE (SELECT bytes FROM total) + ? <= ?",
                [time.time_ns() // 1000, signal, encoding, len(body), body, len(body), self.max_bytes],
            )
            return kept.rowcount == 1

    def first(self) -> Waiting | None:
        """The request that has waited longest."""
        with self._told():
            row = self._connection.execute(
                "SELECT id, since_us, signal, encoding, body FROM waiting ORDER BY id LIMIT 1"
            ).fetchone()
        return None if row is None else Waiting(*row)

    def done(self, waiting: Waiting) -> None:
        """Forget a request; when it was the last, its room on the disk is given back."""
        with self._told():
            self._connection.execute("DELETE FROM waiting WHERE id = ?", [waiting.id])
            if self._connection.execute("SELECT NOT EXISTS (SELECT 1 FROM waiting)").fetchone()[0]:
                self._connection.execute("PRAGMA incremental_vacuum").fetchall()

    def backlog(self) -> Backlog:
        """How much waits, of all processes that share the file."""
        with self._told():
            row = self._connection.execute(
                "SELECT (SELECT count(*) FROM waiting), bytes, (SELECT since_us FROM waiting ORDER BY id LIMIT 1) FROM total"
            ).fetchone()
        return Backlog(*row)

    def may_send(self) -> bool:
        """Whether it is this process that sends: from the first time that no other does, until ``close``."""
        if self._sending is not None:
            return True
        with self._told():
            opened = os.open(self._path.with_name(self._path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
            try:
                # Where a file system has no locks nobody can be kept from sending as well: at least once, rather than never.
                lock_file(opened, timeout=0)
            except TimeoutError:
                os.close(opened)
                return False
            self._sending = opened
            return True

    def close(self) -> None:
        """Let go of the file; what waits stays in it. Twice is harmless."""
        with self._lock:
            self._connection.close()
            if self._sending is not None:
                unlock_file(self._sending)
                os.close(self._sending)
                self._sending = None

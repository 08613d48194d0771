"""The store's file: opening it, who may use it, and transactions."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb

from .base import Incident, StoreError
from .duckdb_commit import Log, settle
from .duckdb_errors import explained, stops, unopened
from .duckdb_schema import prepare

__all__ = ["CHECKPOINT_BYTES", "File", "copy_database", "quoted"]

log = logging.getLogger("ai_dev_squad.dashboard")

_STORAGE: Final = "v1.5.0"

CHECKPOINT_BYTES: Final = 128 << 20
"""The size of the log at which it is moved into the file. A store that was killed reads its log when it is opened, so it is not more."""

_PUT_TOGETHER_BYTES: Final = 32 << 20
"""The size of the file up to which a checkpoint puts the rows of earlier ones together, so that a store that is opened often has no
thousand pieces. In a larger one they are large enough, and to write them again and again would be most of what a checkpoint takes.
"""
EXCHANGE_S: Final = 5.0
"""How long new questions wait for those under way to end, so that a file that was written anew can take the place of the old."""

_open: Final[set[str]] = set()
"""Files that this process has open. DuckDB would silently share one, and two writers would share sequence numbers."""
_open_lock: Final = threading.Lock()


class _Held(threading.local):
    """What the questions of a thread have in common while ``File.holding`` is under way there."""

    cursor: duckdb.DuckDBPyConnection | None = None
    found: dict[Any, Any] | None = None


class File:
    """A DuckDB file with one writing connection and a cursor for each question. ``path`` is ``None`` in memory."""

    def __init__(self, path: Path | None, memory_limit_mib: int) -> None:
        self.path = path
        self.name = str(path) if path is not None else "the store in memory"
        self.log = Log(path)
        self.has_holes = False
        """Whether ``rewrite`` had to be put off."""
        self.incidents: tuple[Incident, ...] = ()
        self.memory_limit_mib = memory_limit_mib
        self.openings = 0
        """How often the engine was opened: who keeps what it says knows by that when to ask again."""
        self._checkpoint_bytes = CHECKPOINT_BYTES
        self._write_lock = threading.RLock()
        self._state = threading.Condition()
        self._readers = 0
        self._held = _Held()
        self._exchanging = False
        self._closed = False
        self._invalid = False
        self._damaged = False
        self._identity = (0, 0)
        self._least_bytes = 0
        if path is not None:
            with _open_lock:
                if str(path.resolve()) in _open:
                    raise StoreError(f"{path} is open in this process already; use that store, or close it first")
                _open.add(str(path.resolve()))
        try:
            self._connection = self._connect()
        except BaseException:
            self._forget()
            raise

    @contextmanager
    def holding(self) -> Iterator[None]:
        """All questions of this thread see the same rows until this ends."""
        if self._held.cursor is not None:
            yield
            return
        with self.reading() as cursor:
            self._held.cursor, self._held.found = cursor, {}
            try:
                yield
            finally:
                self._held.cursor = self._held.found = None

    @property
    def found(self) -> dict[Any, Any]:
        """Where a question may leave what another one can use; empty outside of ``holding``."""
        return {} if self._held.found is None else self._held.found

    @contextmanager
    def reading(self, *, own: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor for one question. All its statements inside ``BEGIN`` see the same rows.

        ``own``: not the one that is held, for an answer that is read while other questions are asked.
        """
        if self._held.cursor is not None and not own:
            try:
                yield self._held.cursor
            except duckdb.Error as error:
                raise self._explained(error) from error
            return
        with self._state:
            if self._held.cursor is None:
                self._state.wait_for(lambda: not self._exchanging)
            self._ensure_usable()
            try:
                cursor = self._connection.cursor()
            except duckdb.Error as error:  # closed, and what took its place was taken away
                raise self._explained(error) from error
            self._readers += 1
        try:
            cursor.execute("BEGIN")
            yield cursor
        except duckdb.Error as error:
            raise self._explained(error) from error
        finally:
            cursor.close()
            with self._state:
                self._readers -= 1
                self._state.notify_all()

    @contextmanager
    def writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The writing connection inside a transaction, which is on disk when this ends and undone when it raises."""
        with self.alone() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
                self._commit(connection)
            except BaseException:
                self._undo(connection)
                raise
            if self.log.bytes() >= self._checkpoint_bytes:
                self._checkpoint_or_later()

    @contextmanager
    def alone(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The writing connection without a transaction, for checkpoints."""
        with self._write_lock:
            with self._state:
                self._ensure_usable()
                connection = self._connection
            try:
                yield connection
            except duckdb.Error as error:
                raise self._explained(error) from error

    def rewrite(self) -> bool:
        """Write the file anew without holes. Questions are answered meanwhile, batches wait.

        False when a question did not end in time, such as a download to a slow client, or when somebody took the new file away: then all
        is as it was, and to be done again.
        """
        if self.path is None:
            return True
        part = self.path.with_name(self.path.name + ".part")
        try:
            with self.alone() as connection:
                self._copy(connection, part)
                with self._state:
                    # Questions under way end first. New ones wait, or with many readers there would always be one.
                    self._exchanging = True
                    try:
                        if (
                            not self._state.wait_for(lambda: self._readers == 0, timeout=EXCHANGE_S)
                            or not part.exists()
                        ):
                            self.has_holes = True
                            return False
                        if self.loss() is not None:
                            # Nobody reads it again, and what takes its place must not be taken away meanwhile.
                            self._connection.execute("PRAGMA disable_checkpoint_on_shutdown")
                        self._connection.close()
                        self.log.remove()
                        part.replace(self.path)
                        self._connection = self._connect()
                        self.has_holes = False
                    finally:
                        self._exchanging = False
                        self._state.notify_all()
            return True
        except OSError as error:
            raise StoreError(f"{self.name} cannot be written anew ({error}); free space on its disk") from error
        finally:
            part.unlink(missing_ok=True)

    def _copy(self, connection: duckdb.DuckDBPyConnection, part: Path) -> None:
        """Raises ``duckdb.Error``, but not where somebody took away what was copied: whoever deletes the file may delete its copy too."""
        try:
            copy_database(connection, part)
        except duckdb.Error:
            if part.exists() or not part.parent.exists():
                raise

    def loss(self) -> str | None:
        """What became of the file while it is open: ``deleted``, ``replaced``, ``cut short``, ``damaged``; ``None`` when it is there."""
        if self.path is None or self._closed:
            return None
        try:
            status = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return "deleted"
        except OSError:
            return None  # a disk that does not answer now is no lost file
        if (status.st_dev, status.st_ino) != self._identity:
            return "replaced"
        if status.st_size < self._least_bytes:
            return "cut short"
        # Nobody may open it to see what is in it: closing it again would give up DuckDB's lock on it.
        return "damaged" if self._damaged else None

    def log_is_gone(self) -> bool:
        """Whether there is no log: right after a checkpoint, or because somebody deleted it."""
        return self.path is not None and self.log.bytes() == 0

    def begin_anew(self) -> duckdb.DuckDBPyConnection:
        """An empty file in the place of one that cannot be read any more. The caller has the lock, by ``alone`` or ``exclusive``."""
        with self._state:
            self._exchanging = True
            try:
                if not self._state.wait_for(lambda: self._readers == 0, timeout=6 * EXCHANGE_S):
                    raise StoreError(f"{self.name} is lost, and questions of it are still under way; send this again")
                try:
                    self._connection.close()
                except duckdb.Error as error:
                    log.debug("closing what is left of %s: %s", self.name, error)
                self._connection = self._connect()
                self._invalid = self._damaged = False
            finally:
                self._exchanging = False
                self._state.notify_all()
        return self._connection

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Nobody else writes, also while the file cannot be used."""
        with self._write_lock:
            yield

    def close(self) -> None:
        """Wait for questions under way, then let go of the file."""
        with self._write_lock, self._state:
            if self._closed:
                return
            self._closed = True
            self._state.wait_for(lambda: self._readers == 0, timeout=30)
            self._connection.close()
            self.log.close()
        self._forget()

    def _connect(self) -> duckdb.DuckDBPyConnection:
        if self.path is not None:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(
                    f"{self.path}: its directory cannot be made ({error}); choose another with --db"
                ) from None
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": f"{self.memory_limit_mib}MiB",
            # The oldest engine we support reads what the newest writes, so that a file survives another Python.
            "storage_compatibility_version": _STORAGE,
            # Ours, see checkpoint: one that fails inside a commit would make that commit look failed.
            "checkpoint_threshold": "1TiB",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "python_enable_replacements": "false",
        }
        connection = None
        try:
            connection = duckdb.connect(self.name if self.path is not None else ":memory:", config=config)
            prepare(connection, self.name)
            self.log.begin(connection)
        except duckdb.Error as error:
            if connection is not None:
                connection.close()
            raise unopened(self.name, error) from error
        except StoreError:
            if connection is not None:
                connection.close()
            raise
        self.openings += 1
        if self.path is not None:
            status = self.path.stat()
            self._identity, self._least_bytes = (status.st_dev, status.st_ino), status.st_size
            self._put_together(connection)
        return connection

    def checkpoint(self) -> None:
        """Move what stands in the log into the file."""
        with self.alone() as connection:
            # DuckDB 1.5 waits for ever when this runs on a connection that has read Arrow data.
            cursor = connection.cursor()
            try:
                self._put_together(cursor)
                self.log.move(cursor)
            finally:
                cursor.close()
            self._checkpoint_bytes = CHECKPOINT_BYTES
            self._note_file()

    def _put_together(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Whether checkpoints put rows together from now on; what is deleted gives its room back either way."""
        cursor.execute(f"SET GLOBAL max_vacuum_tasks = {100 if self._least_bytes < _PUT_TOGETHER_BYTES else 0}")

    def _note_file(self) -> None:
        """How large our file is by now; it only shrinks in checkpoints."""
        if self.path is None:
            return
        try:
            status = self.path.stat()
        except OSError:
            return  # ``loss`` tells of it
        if (status.st_dev, status.st_ino) == self._identity:
            self._least_bytes = status.st_size

    def _checkpoint_or_later(self) -> None:
        """What is committed is safe with and without a checkpoint, so one that fails is no error of a batch."""
        try:
            self.checkpoint()
        except StoreError as error:
            # Not again before the log has grown: a full disk is as full at the next commit.
            self._checkpoint_bytes = self.log.bytes() + CHECKPOINT_BYTES // 4
            log.warning("%s", error)

    def _ensure_usable(self) -> None:
        if self._closed:
            raise StoreError(f"{self.name} is closed; open it again with open_store()")
        if self._invalid and self.path is not None:
            self._state.wait_for(lambda: self._readers == 0 or not self._invalid, timeout=30)
            if self._invalid:  # no other question opened it meanwhile
                self._connection.close()
                try:
                    self._connection = self._connect()
                except StoreError:
                    self._damaged = self.path.exists()
                    raise
                self._invalid = False
                self._state.notify_all()

    def _commit(self, connection: duckdb.DuckDBPyConnection) -> None:
        try:
            self.log.commit(connection)
        except OSError as error:
            self._invalid = True  # what the disk has of it is seen when it is opened anew
            raise StoreError(
                f"{self.name}: its disk does not say that a batch was written ({error}); see what is wrong with the disk, and send "
                "this again"
            ) from error

    def _undo(self, connection: duckdb.DuckDBPyConnection) -> None:
        try:
            connection.execute("ROLLBACK")
        except duckdb.Error:
            pass  # a commit that failed has undone its transaction

    def _explained(self, error: duckdb.Error) -> StoreError:
        if stops(error):
            self._invalid = True
        return explained(self.name, error)

    def _forget(self) -> None:
        if self.path is not None:
            with _open_lock:
                _open.discard(str(self.path.resolve()))


def copy_database(connection: duckdb.DuckDBPyConnection, target: Path) -> None:
    """Copy everything, as it is at one moment, to the new file ``target``."""
    target.unlink(missing_ok=True)
    source = str(connection.execute("SELECT current_database()").fetchall()[0][0]).replace('"', '""')
    connection.execute(f"ATTACH {quoted(str(target))} AS copy_of_store (STORAGE_VERSION '{_STORAGE}')")
    try:
        connection.execute(f'COPY FROM DATABASE "{source}" TO copy_of_store')
        connection.execute("CHECKPOINT copy_of_store")
    finally:
        connection.execute("DETACH copy_of_store")
    settle(target)


def quoted(text: str) -> str:
    """A text as SQL writes it, where a bound value is not possible."""
    return "'" + text.replace("'", "''") + "'"

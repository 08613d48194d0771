"""One journal on its way into the store: read on from where the store says it was read to, translated, batched."""

from __future__ import annotations

import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ai_dev_squad.events.follow import JournalFollower, JournalPosition
from ai_dev_squad.events.reader import BadLine
from ai_dev_squad_dashboard.ingest.from_journal import JournalRows, rows
from ai_dev_squad_dashboard.ingest.pricing import Prices
from ai_dev_squad_dashboard.store.rows import Batch

__all__ = ["JournalSource", "JournalState", "batch_of", "source_name"]

BATCH_LINES = 5_000
BATCH_BYTES = 8 << 20
"""Content in a batch, in bytes, after which it is full: lines may be long."""
_CHUNK_LINES = 250
_RESTS_AFTER_S = 5.0
"""Seconds without news after which the file is closed: an old journal is no open file."""

_ODD = object()
"""A pipe, a device: opening it could wait for ever."""

Activity = Literal["waiting", "reading", "following", "vanished", "unreadable"]


@dataclass(frozen=True)
class JournalState:
    """How the reading of one journal stands, for the health page."""

    path: str
    activity: Activity
    """``waiting`` for a directory or file that is not there yet, ``reading`` what had been written before, ``following``
    what comes, ``vanished`` when the file is gone, ``unreadable`` when it cannot be opened."""
    lines: int
    """Lines read since the start of this process."""
    bad_lines: int
    """Lines that are no journal lines; they were skipped."""
    behind_bytes: int
    """Bytes of the current file that are not in the store yet."""
    last_line_us: int | None
    """The time that the newest line carries."""
    last_bad: str | None
    error: str | None


class JournalSource:
    """Reads one journal. Used by one thread, except for ``state``."""

    def __init__(
        self, path: Path, position: str | None, prices: Prices | None = None, *, host: str | None = None
    ) -> None:
        self.path = path
        self._prices = prices
        self.name = source_name(path, host)
        self.bad_lines = 0
        self.error: str | None = None
        self.vanished = False
        self._position: JournalPosition | None = None
        if position is not None:
            try:
                self._position = JournalPosition.parse(position)
            except ValueError as error:
                self.error = f"the store's position of this journal is damaged, so it is read from its start: {error}"
        self._follower: JournalFollower | None = None
        self._seen: object = None
        self._news_at = time.monotonic()
        self._caught_up = False
        self._lines = 0
        self._last_line_us: int | None = None
        self._last_bad: str | None = None

    def read(self, now_us: int) -> tuple[list[JournalRows], str] | None:
        """The next rows and the position behind them; ``None`` when there is nothing new. Costs one ``stat`` then."""
        look = self._look()
        if look == self._seen and self._caught_up:
            self._rest()
            return None
        if look is _ODD:
            self._fail("it is no regular file")
            return None
        self._caught_up = False
        try:
            found = self._read_batch(look, now_us)
        except OSError as error:
            self._fail(error.strerror or str(error))
            return None
        if not found:
            self._check()
            return None
        self.error = None
        self._lines += len(found)
        self._last_line_us = found[-1].log.time_us
        self._news_at = time.monotonic()
        return found, str(self._position)

    def _read_batch(self, look: object, now_us: int) -> list[JournalRows]:
        found: list[JournalRows] = []
        size = 0
        follower = self._opened()
        while len(found) < BATCH_LINES and size < BATCH_BYTES:
            lines = follower.read(_CHUNK_LINES)
            for line in lines:
                try:
                    row = rows(line, now_us, self._prices)
                except Exception as error:  # noqa: BLE001 - one odd line costs one line
                    self._count_bad(f"{line.event_type!r} of {line.timestamp} ({type(error).__name__}: {error})")
                    continue
                found.append(row)
                size += _size(row)
            if len(lines) < _CHUNK_LINES:
                # What was there when we looked is read. What came since shows when we look again.
                self._seen, self._caught_up = look, True
                break
        self._position = follower.position
        return found

    @property
    def caught_up(self) -> bool:
        """Whether all that was written at the last look has been read."""
        return self._caught_up

    def close(self) -> None:
        """Close the file; reading opens it again."""
        follower, self._follower = self._follower, None
        if follower is not None:
            self._position = follower.position
            follower.close()

    def rewind(self, position: str | None) -> None:
        """Read on from what the store has: what was read since went astray."""
        self.close()
        self._position = None if position is None else JournalPosition.parse(position)
        self._caught_up = False

    def state(self) -> JournalState:
        """How it stands now, from any thread."""
        position = self._position
        behind = 0
        try:
            behind = max(0, self.path.stat().st_size - (position.offset if position is not None else 0))
        except OSError:
            pass
        return JournalState(
            path=str(self.path),
            activity=self._activity(),
            lines=self._lines,
            bad_lines=self.bad_lines,
            behind_bytes=behind,
            last_line_us=self._last_line_us,
            last_bad=self._last_bad,
            error=self.error,
        )

    def _activity(self) -> Activity:
        if self.vanished:
            return "vanished"
        if self.error is not None and not self._lines:
            return "unreadable"
        if not self._lines and not self.path.exists():
            return "waiting"
        return "following" if self._caught_up else "reading"

    def _opened(self) -> JournalFollower:
        if self._follower is None:
            self._follower = JournalFollower(self.path, position=self._position, on_bad_line=self._on_bad_line)
            # A directory of this name is no journal, and not one that holds journals either.
            self._follower.path = self.path
        return self._follower

    def _look(self) -> object:
        """What differs whenever there may be something new."""
        try:
            status = self.path.stat()
        except OSError:
            # Only rotated files are left, if any: the directory shows when there are others.
            try:
                return self.path.parent.stat().st_mtime_ns
            except OSError:
                return None
        if not stat.S_ISREG(status.st_mode):
            return _ODD
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns

    def _check(self) -> None:
        """Nothing came: say so when that is because the file cannot be opened."""
        try:
            with open(self.path, "rb"):
                pass
        except FileNotFoundError:
            pass
        except OSError as error:
            self._fail(error.strerror or str(error))

    def _fail(self, reason: str) -> None:
        self.error = f"{self.path} cannot be read ({reason}); check what it is and its permissions"
        self._caught_up = False
        self.close()

    def _rest(self) -> None:
        if self._follower is not None and time.monotonic() - self._news_at > _RESTS_AFTER_S:
            self.close()

    def _on_bad_line(self, bad: BadLine) -> None:
        self._count_bad(f"{bad.path}, byte {bad.offset}: {bad.reason}")

    def _count_bad(self, what: str) -> None:
        self.bad_lines += 1
        self._last_bad = what[:1_000]


def source_name(path: Path, host: str | None = None) -> str:
    """The name under which the store keeps how far a journal was read; with the ``host`` that has it, where others use the store."""
    return f"journal:{path}" if host is None else f"journal:{host}:{path}"


def batch_of(found: list[JournalRows], source: str, position: str | None, *, is_shared: bool = False) -> Batch:
    """Rows as one transaction, with the position behind them. ``is_shared``: others may read the same file into this store."""
    return Batch(
        spans=[row.span for row in found if row.span is not None],
        logs=[row.log for row in found],
        opened=[row.opened for row in found if row.opened is not None],
        positions={} if position is None else {source: position},
        relayed=is_shared,
    )


def _size(row: JournalRows) -> int:
    size = len(row.log.message) + len(row.log.details or b"")
    if row.span is not None:
        size += len(row.span.details or b"") + len(row.span.text or "")
    return size

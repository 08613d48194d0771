"""The journal's writer: callers append to a queue, one background thread encodes and writes whole lines.

``Journal.write_later`` is the hot path of the product: two comparisons and a ``deque.append``, no lock. The number it compares
with, ``_mark``, carries the thread's state: 0 while the thread sleeps (the first line wakes it), some thousands while it
lets a batch gather, the queue's size while it works.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
import weakref
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ai_dev_squad.background import Retry, Worker
from ai_dev_squad.events.checks import check_settings
from ai_dev_squad.events.pending import PendingLine
from ai_dev_squad.events.rotation import Rotation
from ai_dev_squad.events.writer import LineWriter
from ai_dev_squad.process import ExitOrder, after_fork, at_exit
from ai_dev_squad.schema import JournalLine

__all__ = ["JOURNAL_FILE_NAME", "Journal", "JournalStats", "NullJournal", "flush_all"]

JOURNAL_FILE_NAME = "ai_dev_squad.jsonl"
"""The journal's name in a log directory."""

_GATHER_LINES = 2_048
"""So many wake the thread before its time: one write for all of them, and the queue never gets full."""
_MOST_PENDING = _GATHER_LINES
"""More lines than this are made at once: what they tell of, such as long prompts, must not wait for a disk that hangs."""
_IDLE_S = 1.0
"""Between looks while nothing is written."""
_IDLE_ROUNDS = 10
"""Looks that find nothing, until file and thread are let go."""
_RETRY_FIRST_S, _RETRY_MOST_S = 0.05, 2.0
_BLOCKED_S = 0.0005
_EXIT_TIMEOUT_S = 5.0
# No disk that lives takes this long for what it was given.
_HUNG_S = 30.0


@dataclass(frozen=True)
class JournalStats:
    """What a journal of this process did so far."""

    written: int
    """Lines in the file."""
    dropped: int
    """Lines given up because the queue was full; each is counted in a ``telemetry.dropped`` line."""
    queued: int
    """Lines that wait to be written."""
    bytes: int
    """Bytes in the file, before compression."""
    errors: int
    """Attempts to write that failed."""
    rotations: int
    """Rotations by this process."""


def _resolved(path: str | os.PathLike[str]) -> Path:
    try:
        return Path(os.path.realpath(path))
    except OSError:
        return Path(path)  # the current directory is gone; opening the file will say so


class Journal:
    """An append-only file of JSON lines, written by a background thread that starts with the first line.

    ``queue_size`` lines may wait; when that many do, ``on_full`` chooses to drop the line (counted, and reported in the
    journal) or to block the caller until there's room, for as long as the file can be written at all. Lines reach the
    file within about ``flush_interval`` seconds. ``max_bytes`` and ``max_age`` (seconds) rotate the file, ``keep`` is how
    many rotated files stay (``None``: all), ``compress`` packs them with gzip, ``fsync`` forces every batch through to
    the disk. Several processes and forked workers may write one file. Raises ``ValueError`` for impossible settings.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        queue_size: int = 65_536,
        on_full: Literal["drop", "block"] = "drop",
        flush_interval: float = 0.1,
        max_bytes: int | None = 64 << 20,
        max_age: float | None = None,
        keep: int | None = 10,
        compress: bool = True,
        fsync: bool = False,
    ) -> None:
        # Resolved once: the program may change its directory, and a rotation must rename the file, not a link to it.
        self.path = _resolved(path)
        check_settings(self.path, queue_size, on_full, flush_interval, max_bytes, max_age, keep)
        self._rotation = Rotation(max_bytes, max_age, keep, compress)
        self._limit = queue_size
        self._on_full = on_full
        self._interval = flush_interval
        self._fsync = fsync
        self._gather = max(1, min(_GATHER_LINES, queue_size // 2))
        self._queue: deque[JournalLine | PendingLine] = deque()
        self._worker = Worker("ai-dev-squad-journal", self._turn)
        self._retry = Retry(_RETRY_FIRST_S, _RETRY_MOST_S)
        self._begin()
        _journals.add(self)
        at_exit(flush_all, ExitOrder.JOURNALS)

    def _begin(self) -> None:
        """The state of a journal that hasn't written yet, in this process."""
        self._mark = 0
        self._writer = LineWriter(
            self.path,
            self._queue,
            self._rotation,
            fsync=self._fsync,
            queue_size=self._limit,
            dropped=self._dropped,
        )
        self._io = threading.RLock()
        self._stopping = self._closed = False
        self._draining = self._worked = False
        self._hung_at: int | None = None
        self._idle = 0
        # ``next`` on a counter is atomic, ``+=`` on an attribute isn't.
        self._drop_count = itertools.count(1)
        self._drop_lock = threading.RLock()
        self._drops_asked = 0

    # --- the caller's side --------------------------------------------------------------------------------------------

    def write(self, line: JournalLine) -> None:
        """Hand a line over. Never raises, and waits only when ``on_full="block"`` and the queue is full."""
        if len(self._queue) >= self._mark:
            self._write_and_wake(line)
        else:
            self._queue.append(line)

    def write_later(self, pending: PendingLine) -> None:
        """The same for a line that this journal's thread makes when it writes it."""
        waiting = len(self._queue)
        if waiting >= _MOST_PENDING:
            self.write(pending.line())
        elif waiting >= self._mark:
            self._write_and_wake(pending)
        else:
            self._queue.append(pending)

    def _write_and_wake(self, line: JournalLine | PendingLine) -> None:
        if len(self._queue) >= self._limit and not self._make_room():
            next(self._drop_count)
            return
        self._queue.append(line)
        # Before asking whether we're closed: `close` sets these in the other order, so one of us sees the other.
        self._mark = self._limit
        # Asked again after waking: a thread that begins while we're closed ends at once.
        if self._closed or not self._worker.wake() or self._closed:
            self._mark = 0
            while self._drain(blocking=False) and self._queue:
                pass

    def _make_room(self) -> bool:
        """Wait for room in the queue, if that was chosen and can be hoped for."""
        if self._closed or not self._worker.start():
            self._drain(blocking=False)
            return len(self._queue) < self._limit
        written, since = self._writer.written, time.monotonic()
        while self._on_full == "block" and not self._worker.is_current:
            # While the disk fails or hangs there will be no room soon, and the caller isn't to suffer for it.
            if self._hung_at == self._writer.written or self._writer.failing or self._closed:
                break
            if self._writer.written != written:
                written, since = self._writer.written, time.monotonic()
            elif time.monotonic() - since > _HUNG_S:
                self._hung_at = written
                self._writer.report("writing the journal", OSError(f"nothing was written for {_HUNG_S:g} s"))
                break
            self._worker.wake()
            time.sleep(_BLOCKED_S)
            if len(self._queue) < self._limit:
                return True
        return len(self._queue) < self._limit

    def flush(self, timeout: float | None = None) -> bool:
        """Return when every line handed over before the call is in the file (with ``fsync``: on the disk).

        ``False`` if that failed or ``timeout`` (seconds; without one half a minute, which only a disk that hangs takes)
        ran out; the lines are kept and tried again.
        """
        on_disk = self._flush(_deadline(timeout))
        self._raise_strict()
        return on_disk

    def _flush(self, deadline: float) -> bool:
        if self._worker.is_current:
            return False
        on_disk = self._worker.answered(self._worker.ask(), deadline) if self._worker.alive else None
        return self._drain(blocking=True, deadline=deadline) if on_disk is None else on_disk

    def close(self, timeout: float | None = None) -> bool:
        """Flush, stop the thread, wait for a compression and close the file. A later line is written at once.

        Returns what ``flush`` returned. ``timeout``, as for ``flush``, bounds the whole call.
        """
        deadline = _deadline(timeout)
        on_disk = self._flush(deadline)
        if not on_disk:
            self._report_unwritten("closing")
        self._closed = self._stopping = True
        self._mark = 0
        if self._worker.alive:
            self._worker.wake()
        for worker in (self._worker, self._writer.compressor):
            worker.join(max(0.0, deadline - time.monotonic()))
        if self._queue:  # came between the flush and the moment from which lines are written at once
            self._drain(blocking=True, deadline=deadline)
        self._let_go()
        self._raise_strict()
        return on_disk

    def _let_go(self) -> None:
        if self._io.acquire(blocking=False):
            try:
                self._writer.close_file()
            finally:
                self._io.release()

    def _report_unwritten(self, doing: str) -> None:
        lines = self._writer.waiting
        if lines:
            self._writer.report(f"{doing} the journal {str(self.path)!r}", OSError(f"{lines} events are not on disk"))

    def _raise_strict(self) -> None:
        error, self._writer.strict_error = self._writer.strict_error, None
        if error is not None:
            raise error

    @property
    def stats(self) -> JournalStats:
        """What this journal did so far, in this process."""
        return JournalStats(
            written=self._writer.written,
            dropped=self._dropped(),
            queued=len(self._queue),
            bytes=self._writer.bytes,
            errors=self._writer.errors,
            rotations=self._writer.rotations,
        )

    def _dropped(self) -> int:
        with self._drop_lock:
            self._drops_asked += 1
            return next(self._drop_count) - self._drops_asked

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _turn(self) -> float | None:
        """Write what waits. Returns how many seconds may pass until there is more to do; ``None`` to rest."""
        if self._stopping:
            self._mark = 0
            return None
        self._mark = self._limit
        try:
            worked = self._drain(blocking=True) and self._worked
        except Exception as error:  # noqa: BLE001 - strict mode's exception is kept for whoever flushes next
            worked = False
            self._writer.report("writing the journal", error)
        if self._writer.failing:
            return self._retry.failed()
        self._retry.succeeded()
        self._idle = 0 if worked or self._queue else self._idle + 1
        # From here on a line that makes the queue as long as this wakes the thread.
        self._mark = 0 if self._idle else self._gather
        if len(self._queue) >= max(1, self._mark):
            return 0
        if self._idle <= _IDLE_ROUNDS:
            return _IDLE_S if self._idle else self._interval
        # A journal that nobody uses for a while keeps neither a thread nor an open file.
        self._idle = 0
        with self._io:
            self._writer.close_file()
        return None

    def _drain(self, *, blocking: bool, deadline: float | None = None) -> bool:
        """Write what was handed over before this moment and answer the flushes that asked for it."""
        wait = -1.0 if deadline is None else max(0.0, deadline - time.monotonic())
        if not (self._io.acquire(timeout=wait) if blocking else self._io.acquire(blocking=False)):
            return False
        # A signal handler or finalizer that logs may find its own thread in the middle of this.
        if self._draining:
            self._io.release()
            return False
        self._draining = True
        try:
            requests = self._worker.taken()
            before = self._writer.written
            on_disk = False
            try:
                on_disk = self._writer.write_lines(len(self._queue))
            finally:
                self._worked = self._writer.written != before
                for request in requests:
                    request.answer(on_disk)
            return on_disk
        finally:
            self._draining = False
            self._io.release()

    # --- processes ----------------------------------------------------------------------------------------------------

    def _after_fork(self) -> None:
        """In the child: the parent's thread writes the parent's lines, so the child begins with none."""
        self._queue.clear()
        self._writer.leave_to_parent()
        closed = self._closed
        self._begin()
        self._closed = self._stopping = closed


def _deadline(timeout: float | None) -> float:
    return time.monotonic() + (_HUNG_S if timeout is None else timeout)


class NullJournal:
    """A journal that keeps nothing, for programs that switched theirs off."""

    stats = JournalStats(written=0, dropped=0, queued=0, bytes=0, errors=0, rotations=0)

    def write(self, line: JournalLine) -> None:
        """Forget the line."""

    def write_later(self, pending: PendingLine) -> None:
        """Forget it unmade."""

    def flush(self, timeout: float | None = None) -> bool:
        """Nothing ever waits."""
        return True

    def close(self, timeout: float | None = None) -> bool:
        """Nothing is open."""
        return True


_journals: weakref.WeakSet[Journal] = weakref.WeakSet()


def flush_all() -> None:
    """Flush every journal of this process, each for at most five seconds, and let go of its files."""
    for journal in list(_journals):
        if journal.flush(_EXIT_TIMEOUT_S):
            journal._let_go()
        else:
            journal._report_unwritten("flushing")


def _after_fork_in_child() -> None:
    for journal in list(_journals):
        journal._after_fork()


after_fork(_after_fork_in_child)

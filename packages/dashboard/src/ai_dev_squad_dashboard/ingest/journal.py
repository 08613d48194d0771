"""Journals into the store: first what was written before, as fast as the store takes it, then what comes.

How far a journal was read is committed together with the rows, so a restart, or a kill at any moment, neither repeats nor
skips a line. One batch of a journal is under way at a time while the next is being read; memory is bounded by that.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from pathlib import Path

from ai_dev_squad.events.finder import JournalFinder
from ai_dev_squad_dashboard.ingest.counting import Counting
from ai_dev_squad_dashboard.ingest.from_journal import JournalRows
from ai_dev_squad_dashboard.ingest.journal_source import JournalSource, JournalState, batch_of, source_name
from ai_dev_squad_dashboard.ingest.pricing import Prices
from ai_dev_squad_dashboard.ingest.queue import Busy, IngestQueue
from ai_dev_squad_dashboard.store.base import StoreBegunAnewError, Written
from ai_dev_squad_dashboard.store.rows import Batch

__all__ = ["JournalState", "JournalTail"]

_log = logging.getLogger("ai_dev_squad_dashboard.ingest")

_FIND_EVERY_S = 1.0
_MANY = 100
"""Journals above which none is kept open between two looks: there are only so many open files."""
_TRIES = 3
"""Failures of a batch after which it is found out whether the batch or the store is at fault."""


class _Stopped(Exception):
    """The tail was told to stop while it waited."""


class _Underway:
    """A batch that was handed to the queue."""

    def __init__(self, source: JournalSource, found: list[JournalRows], position: str) -> None:
        self.source = source
        self.found = found
        self.position = position
        self.future: Future[Written] | None = None


class JournalTail:
    """Follows every journal in ``directories``, from a thread of its own after ``start``.

    Directories and journals may appear later; what cannot be read is told by ``states``. ``poll_s`` is the time between two
    looks, in seconds; a look at a journal without news costs one ``stat``. ``prices`` tell what caches saved; ``counting``,
    shared with what receives OTLP, that a call which both tell of counts once. ``host`` tells journals of one path apart where
    other machines use the store too.
    """

    def __init__(
        self,
        directories: Sequence[Path],
        queue: IngestQueue,
        *,
        poll_s: float = 0.25,
        prices: Prices | None = None,
        counting: Counting | None = None,
        host: str | None = None,
    ) -> None:
        self._finder = JournalFinder(directories)
        self._queue = queue
        self._poll_s = poll_s
        self._prices = prices or Prices()
        self._counting = counting
        self._host = host
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._sources: dict[Path, JournalSource] = {}
        self._absent: tuple[JournalState, ...] = ()
        self._find_at = 0.0
        self._underway: dict[Path, _Underway] = {}
        self._retry_s = 0.5
        self._begun_anew = queue.begun_anew
        self.dropped_rows = 0
        """Lines that the store refused, each by itself."""

    def start(self) -> None:
        """Begin to follow. Once only."""
        if self._thread is not None:
            raise RuntimeError("this JournalTail was started before; make another one")
        self._thread = threading.Thread(target=self._run, name="ai-dev-squad-journals", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Stop following; what was handed to the queue is the queue's business. Twice is harmless."""
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def catch_up(self) -> int:
        """Read in this thread until nothing is new and all of it is on disk. Returns the number of lines. Not after ``start``."""
        before = sum(source.state().lines for source in list(self._sources.values()))
        self._find_at = 0.0
        while self._turn():
            pass
        self._close()
        return sum(source.state().lines for source in list(self._sources.values())) - before

    def states(self) -> tuple[JournalState, ...]:
        """How each journal stands, and each directory that is not there, from any thread."""
        return (*(source.state() for source in list(self._sources.values())), *self._absent)

    # --- the following thread -----------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                try:
                    if not self._turn():
                        self._stop.wait(self._poll_s)
                except _Stopped:
                    break
                except Exception as error:  # noqa: BLE001 - a store that fails now may answer later
                    _log.warning("following journals failed, and is tried again: %s", error)
                    self._stop.wait(1.0)
        finally:
            self._close()

    def _turn(self) -> bool:
        """One batch of each journal that has news. Whether there were some."""
        self._start_over_if_lost()
        self._find()
        now_us = time.time_ns() // 1000
        sources = list(self._sources.items())
        busy = False
        for path, source in sources:
            try:
                busy |= self._advance(path, source, now_us)
            except _Stopped:
                raise
            except StoreBegunAnewError:
                return True
            except Exception as error:  # noqa: BLE001 - one odd journal must not end the others' following
                _log.warning("following %s failed, and is tried again", path, exc_info=error)
                source.rewind(self._queue.position(source.name))
                source.error = f"{path} could not be followed ({type(error).__name__}: {error}); it is tried again"
            if len(sources) > _MANY and source.caught_up:
                source.close()
        return busy

    def _start_over_if_lost(self) -> None:
        """A store that was begun anew has nothing of what was read before."""
        if self._begun_anew != self._queue.begun_anew:
            self._begun_anew = self._queue.begun_anew
            self._underway.clear()
            for source in self._sources.values():
                source.rewind(None)

    def _advance(self, path: Path, source: JournalSource, now_us: int) -> bool:
        # Reading goes on while the queue writes what was read before.
        found = None if source.vanished else source.read(now_us)
        self._finish(path)
        if found is None:
            return False
        self._underway[path] = underway = _Underway(source, self._counted(found[0]), found[1])
        underway.future = self._submit(self._batch(underway.found, source, underway.position))
        return True

    def _batch(self, found: list[JournalRows], source: JournalSource, position: str | None) -> Batch:
        return batch_of(found, source.name, position, is_shared=self._host is not None)

    def _counted(self, found: list[JournalRows]) -> list[JournalRows]:
        closing = [] if self._counting is None else [index for index, row in enumerate(found) if row.span is not None]
        if self._counting is not None and closing:
            spans = [span for row in found if (span := row.span) is not None]
            self._counting.settle(spans, [found[index].answer for index in closing])
            for index, span in zip(closing, spans, strict=True):
                found[index] = found[index]._replace(span=span)
        return found

    def _find(self) -> None:
        if time.monotonic() < self._find_at:
            return
        self._find_at = time.monotonic() + _FIND_EVERY_S
        found = self._finder.find()
        for path in found.journals:
            source = self._sources.get(path)
            if source is None:
                position = self._queue.position(source_name(path, self._host))
                self._sources[path] = JournalSource(path, position, self._prices, host=self._host)
            else:
                source.vanished = False
        for path in self._sources.keys() - set(found.journals):
            self._sources[path].vanished = True
            self._sources[path].close()
        self._absent = (
            *(_absent(path, None) for path in found.missing),
            *(_absent(path, reason) for path, reason in found.errors),
        )

    def _finish(self, path: Path) -> None:
        """Wait until the batch that is under way is on disk: the next one's position says that it is."""
        underway = self._underway.pop(path, None)
        if underway is None:
            return
        source, future = underway.source, underway.future
        tries = 0
        while True:
            error = self._outcome(future)
            if error is None:
                source.error = None
                self._retry_s = 0.5
                return
            if self._begun_anew != self._queue.begun_anew:
                raise StoreBegunAnewError
            tries += 1
            source.error = f"{path} is read, but the store does not take it: {error}"
            if tries >= _TRIES and len(underway.found) and self._store_works():
                self._write_by_halves(underway.found, source, underway.position)
                source.error = None
                return
            if self._stop.wait(self._retry_s):
                raise _Stopped
            self._retry_s = min(self._retry_s * 2, 10.0)
            future = self._submit(self._batch(underway.found, source, underway.position))

    def _submit(self, batch: Batch) -> Future[Written]:
        while True:
            try:
                return self._queue.submit(batch, after=self._begun_anew)
            except Busy:
                if self._stop.is_set():
                    raise _Stopped from None
                if self._queue.wait_for_room(1.0):
                    # There is room, or the queue is closing; in neither case is there a hurry.
                    self._stop.wait(0.01)

    def _outcome(self, future: Future[Written] | None) -> Exception | None:
        """``None`` once the batch is written, else why it is not."""
        while future is not None:
            try:
                future.result(timeout=0.5)
            except NotYet:
                if self._stop.is_set():
                    raise _Stopped from None
                continue
            except Exception as error:  # noqa: BLE001 - whatever the store says
                return error
            break
        return None

    def _store_works(self) -> bool:
        return self._outcome(self._submit(Batch())) is None

    def _write_by_halves(self, found: list[JournalRows], source: JournalSource, position: str | None) -> None:
        """Only what the store refuses by itself is left out; the position is committed with the last part."""
        if self._outcome(self._submit(self._batch(found, source, position))) is None:
            return
        if len(found) > 1:
            middle = len(found) // 2
            self._write_by_halves(found[:middle], source, None)
            self._write_by_halves(found[middle:], source, position)
            return
        self.dropped_rows += 1
        source.bad_lines += 1
        if position is not None:
            self._outcome(self._submit(Batch(positions={source.name: position})))

    def _close(self) -> None:
        for source in self._sources.values():
            source.close()


def _absent(path: Path, error: str | None) -> JournalState:
    return JournalState(
        path=str(path),
        activity="waiting" if error is None else "unreadable",
        lines=0,
        bad_lines=0,
        behind_bytes=0,
        last_line_us=None,
        last_bad=None,
        error=None if error is None else f"{path} cannot be listed ({error}); check its permissions",
    )

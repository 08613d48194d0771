"""The only way into the store: whoever has rows hands over a batch and learns when it is on disk.

One thread writes. What has queued up while it wrote becomes the next commit, so a lone batch waits for nobody and many
batches share the price of a commit. No timer is involved.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from ai_dev_squad_dashboard.store.base import Store, StoreBegunAnewError, StoreError, Written
from ai_dev_squad_dashboard.store.rows import Batch

__all__ = ["Busy", "IngestQueue", "QueueState", "Retention"]

_log = logging.getLogger("ai_dev_squad_dashboard.ingest")

OnWritten = Callable[[Written], object]

GROUP_ROWS = 10_000
"""Rows after which a commit takes no further batch: about 5,000 spans with their log lines."""
_RATE_SECONDS = 10
_LOOK_EVERY_S = 2.0
"""How often it is seen whether the store's file is still there, when nothing is written."""
_PROBE = "probe:"
"""The source under which a write is tried: what it says is nobody's position."""
_BEGUN_ANEW = "the store was begun anew; send this again, or read its source from the start"
_DAY_US = 86_400_000_000


class Busy(Exception):
    """Too much waits for the store already; the same batch is welcome again in ``retry_after_s`` seconds."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class Retention:
    """What the store may keep, and how often that is looked after."""

    days: int | None = None
    max_mib: int | None = None
    every_s: float = 3600.0
    first_s: float = 60.0
    """Seconds until the first look: after a start there is other work."""


@dataclass(frozen=True)
class QueueState:
    """How writing goes, for the health page. Counts are since the start of this process."""

    pending_rows: int
    """Rows that wait, those being written included."""
    max_pending_rows: int
    written_spans: int
    written_logs: int
    duplicates: int
    """Spans that were there already."""
    clashes: int
    """Others that came with the id of one that was there already, and are not stored."""
    dropped: int
    """Rows of batches that could not be written; their senders were told."""
    refused: int
    """Batches that were turned away because too much waited."""
    commits: int
    spans_per_s: float
    """New spans a second, over the last ten seconds."""
    retained_spans: int
    """Spans deleted because of their age or the size of the store."""
    last_written_us: int | None
    last_error: str | None
    last_error_us: int | None


class _Waiting:
    """A batch that waits, and whom to tell."""

    __slots__ = ("batch", "future", "rows")

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.future: Future[Written] = Future()
        self.rows = len(batch)


class IngestQueue:
    """Writes batches to ``store`` from a thread of its own. Every method may be called from any thread.

    ``on_written`` hears of each commit, in the writing thread and after the senders: keep it short. ``group_rows`` bounds
    a commit. ``retains`` says, whenever it is time to delete what is old, whether it is on this process to do so.
    """

    def __init__(
        self,
        store: Store,
        *,
        max_pending_rows: int,
        on_written: OnWritten | None = None,
        retention: Retention | None = None,
        retains: Callable[[], bool] = lambda: True,
        group_rows: int = GROUP_ROWS,
    ) -> None:
        self._store = store
        self._limit = max_pending_rows
        self._on_written = on_written
        self._retention, self._retains = retention, retains
        self._group_rows = group_rows
        self._changed = threading.Condition()
        self._waiting: deque[_Waiting] = deque()
        self._pending_rows = 0
        self._closing = False
        self._written = Written(0, 0, 0)
        self._dropped = self._refused = self._commits = self._retained = 0
        self._rate: deque[list[int]] = deque(maxlen=_RATE_SECONDS + 1)
        """[second on the monotonic clock, new spans in it]"""
        self._listener_failed: type[Exception] | None = None
        self._last_written_us: int | None = None
        self._last_error: tuple[str, int] | None = None
        self._writable = True
        self._retain_at = None if retention is None else time.monotonic() + retention.first_s
        self.begun_anew = 0
        """How often the store was begun anew: whoever followed a source reads it from its start then."""
        self._thread = threading.Thread(target=self._run, name="ai-dev-squad-writer", daemon=True)
        self._thread.start()

    def submit(self, batch: Batch, *, after: int | None = None) -> Future[Written]:
        """Queue a batch. The future resolves once it is on disk, with what became of the commit that carried it; it fails
        with the store's ``StoreError`` when the batch could not be written, and then nothing of it is stored. ``after`` is the
        ``begun_anew`` for which the batch continues its source.

        Raises ``StoreBegunAnewError`` when the store was begun anew since, ``Busy`` when more rows wait than allowed, or when
        the queue is closing.
        """
        one = _Waiting(batch)
        with self._changed:
            if self._closing:
                raise Busy("the dashboard is shutting down; send again in 5 s", 5)
            if after is not None and after != self.begun_anew:
                raise StoreBegunAnewError(_BEGUN_ANEW)
            # A batch larger than the limit is taken when it is alone: refusing it would be for ever.
            if self._pending_rows and self._pending_rows + one.rows > self._limit:
                self._refused += 1
                wait_s = self._seconds_of_work()
                raise Busy(
                    f"{self._pending_rows} rows wait for the store, and at most {self._limit} may; send again in {wait_s} s, "
                    "or raise max_pending_rows (DASHBOARD_MAX_PENDING_ROWS)",
                    wait_s,
                )
            self._pending_rows += one.rows
            self._waiting.append(one)
            self._changed.notify_all()
        return one.future

    def wait_for_room(self, timeout: float) -> bool:
        """Wait until less than half of the allowed rows wait, at most ``timeout`` seconds. Whether there is room."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closing or self._pending_rows <= self._limit // 2, timeout)

    def position(self, source: str) -> str | None:
        """How far ``source`` has been read, as the newest batch on disk says. Raises ``StoreError``."""
        return self._store.position(source)

    @property
    def writable(self) -> bool:
        """Whether the store took what it was last given. While it does not, it is tried every few seconds, also when nobody sends."""
        with self._changed:
            return self._writable

    def state(self) -> QueueState:
        """How it stands now."""
        now_s = int(time.monotonic())
        with self._changed:
            recent = sum(spans for second, spans in self._rate if second > now_s - _RATE_SECONDS)
            message, at_us = self._last_error or (None, None)
            return QueueState(
                pending_rows=self._pending_rows,
                max_pending_rows=self._limit,
                written_spans=self._written.spans,
                written_logs=self._written.logs,
                duplicates=self._written.duplicates,
                clashes=self._written.clashes,
                dropped=self._dropped,
                refused=self._refused,
                commits=self._commits,
                spans_per_s=recent / _RATE_SECONDS,
                retained_spans=self._retained,
                last_written_us=self._last_written_us,
                last_error=message,
                last_error_us=at_us,
            )

    def close(self, timeout: float = 10.0) -> bool:
        """Take nothing more, and write what waits. Returns whether all of it was written within ``timeout`` seconds.

        The senders of the rest are told that it was not.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout)
        with self._changed:
            left, self._waiting = list(self._waiting), deque()
        for one in left:
            _fail(one, StoreError("the dashboard was closed before this batch was written; send it again"))
        return not left and not self._thread.is_alive()

    # --- the writing thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            waiting = self._take()
            if waiting is None:
                return
            if waiting:
                self._write(waiting)
            else:
                self._look()
            self._retain_if_due()

    def _take(self) -> list[_Waiting] | None:
        """What the next commit carries; nothing when it is time to look after the store; ``None`` at the end."""
        look_at = time.monotonic() + _LOOK_EVERY_S
        with self._changed:
            while not self._waiting:
                if self._closing:
                    return None
                rest_s = min(look_at, look_at if self._retain_at is None else self._retain_at) - time.monotonic()
                if rest_s <= 0:
                    return []
                self._changed.wait(rest_s)
            waiting = [self._waiting.popleft()]
            rows = waiting[0].rows
            while self._waiting and rows + self._waiting[0].rows <= self._group_rows:
                rows += self._waiting[0].rows
                waiting.append(self._waiting.popleft())
            return waiting

    def _write(self, waiting: Sequence[_Waiting]) -> None:
        try:
            written = self._store.write(waiting[0].batch if len(waiting) == 1 else _merged(waiting))
        except StoreBegunAnewError as error:
            self._start_over(waiting, error)
            return
        except Exception as error:  # noqa: BLE001 - the thread must outlive whatever one batch does to the store
            if len(waiting) > 1:
                # One bad batch must not fail its neighbours.
                begun_anew = self.begun_anew
                for one in waiting:
                    if begun_anew == self.begun_anew:
                        self._write([one])
                    else:
                        self._settle([one], None, error)
                        _fail(one, StoreBegunAnewError(_BEGUN_ANEW))
                return
            self._settle(waiting, None, error)
            _fail(waiting[0], error)
            return
        self._settle(waiting, written, None)
        for one in waiting:
            if one.future.set_running_or_notify_cancel():
                one.future.set_result(written)
        if self._on_written is not None:
            try:
                self._on_written(written)
            except Exception as error:  # noqa: BLE001 - whoever listens must not stop the writing
                if self._listener_failed is not type(error):
                    self._listener_failed = type(error)
                    _log.warning("telling what was written failed; this is said once", exc_info=error)

    def _start_over(self, waiting: Sequence[_Waiting], error: StoreBegunAnewError) -> None:
        """Everything that waits belongs behind what was lost: its senders send it again, or read their source from its start."""
        with self._changed:
            self.begun_anew += 1
            waiting = [*waiting, *self._waiting]
            self._waiting.clear()
        self._settle(waiting, None, error)
        for one in waiting:
            _fail(one, error)

    def _look(self) -> None:
        try:
            self._store.mend()
            if not self.writable:
                # Who keeps senders away because of it waits for this, and not for them.
                self._store.write(Batch(positions={_PROBE: str(_now_us())}))
        except StoreBegunAnewError as error:
            self._start_over([], error)
        except Exception as error:  # noqa: BLE001 - the next look may succeed
            with self._changed:
                self._writable = False
                self._last_error = (_text(error), _now_us())
        else:
            with self._changed:
                self._writable = True

    def _settle(self, waiting: Sequence[_Waiting], written: Written | None, error: Exception | None) -> None:
        rows = sum(one.rows for one in waiting)
        with self._changed:
            self._pending_rows -= rows
            self._writable = written is not None
            if written is not None:
                self._commits += 1
                self._written = Written(
                    self._written.spans + written.spans,
                    self._written.duplicates + written.duplicates,
                    self._written.logs + written.logs,
                    self._written.clashes + written.clashes,
                )
                self._last_written_us = _now_us()
                self._count(written.spans)
            else:
                self._dropped += rows
                self._last_error = (_text(error), _now_us())
            self._changed.notify_all()

    def _count(self, spans: int) -> None:
        second = int(time.monotonic())
        if self._rate and self._rate[-1][0] == second:
            self._rate[-1][1] += spans
        else:
            self._rate.append([second, spans])

    def _seconds_of_work(self) -> int:
        """How long what waits will take, going by the last seconds; 1 to 30."""
        now_s = int(time.monotonic())
        recent = sum(spans for second, spans in self._rate if second > now_s - _RATE_SECONDS) / _RATE_SECONDS
        return min(30, max(1, round(self._pending_rows / 2 / recent))) if recent else 1

    def _retain_if_due(self) -> None:
        retention = self._retention
        if retention is None or self._retain_at is None or time.monotonic() < self._retain_at:
            return
        self._retain_at = time.monotonic() + retention.every_s
        if not self._retains():
            return
        try:
            deleted = self._store.retain(
                oldest_us=None if retention.days is None else _now_us() - retention.days * _DAY_US,
                max_bytes=None if retention.max_mib is None else retention.max_mib << 20,
            )
        except Exception as error:  # noqa: BLE001 - the next look may succeed; writing goes on meanwhile
            with self._changed:
                self._last_error = (f"deleting old spans failed: {_text(error)}", _now_us())
            return
        with self._changed:
            self._retained += deleted


def _merged(waiting: Sequence[_Waiting]) -> Batch:
    merged = Batch()
    for one in waiting:
        merged.spans += one.batch.spans
        merged.logs += one.batch.logs
        merged.opened += one.batch.opened
        merged.metrics += one.batch.metrics
        merged.positions.update(one.batch.positions)
        merged.relayed |= one.batch.relayed
        merged.clashes += one.batch.clashes
    return merged


def _fail(one: _Waiting, error: Exception) -> None:
    if one.future.set_running_or_notify_cancel():
        one.future.set_exception(error)


def _text(error: Exception | None) -> str:
    return str(error) if isinstance(error, StoreError) else f"{type(error).__name__}: {error}"


def _now_us() -> int:
    return time.time_ns() // 1000

"""Hands ended spans to an exporter, in batches, from a thread of its own.

The SDK's batch processor can't bound a flush or a shutdown while its exporter waits for a dead endpoint. This one
always keeps the promised time, counts what it loses, and says once, calmly, that spans are not arriving.
"""

from __future__ import annotations

import logging
import re
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from ai_dev_squad import process
from ai_dev_squad.background import Request, Worker
from ai_dev_squad.guard import report
from ai_dev_squad.process import ExitOrder, after_fork, bounded
from ai_dev_squad.tracing.redacting import redacted

__all__ = ["SpanDelivery", "quieten", "quietly"]

_log = logging.getLogger("ai_dev_squad")
_delivering = threading.local()


class SpanDelivery(SpanProcessor):
    """A span processor that never blocks the program and never outstays its time.

    A full queue loses its oldest span. ``on_lost(count, reason)`` hears of every loss, many at a time, never from the
    thread that ended a span. While ``stands_aside`` says so, ended spans are forgotten: somebody else delivers them.
    After ``shutdown`` it does nothing, so it may stay attached to a provider.
    """

    def __init__(
        self,
        exporter: SpanExporter,
        destination: str,
        *,
        max_queue_size: int = 8_192,
        max_batch_size: int = 512,
        delay_ms: float = 5_000,
        shutdown_timeout_ms: float = 2_000,
        at_exit: bool = True,
        redact: Callable[[str], str] | None = None,
        on_lost: Callable[[int, str], None] | None = None,
        stands_aside: Callable[[], bool] | None = None,
    ) -> None:
        self._stands_aside = stands_aside
        self.exporter, self.destination = exporter, destination
        self.exported = self.lost = 0
        self._max_queue_size, self._max_batch_size = max_queue_size, max_batch_size
        self._delay_s, self._shutdown_timeout_ms = delay_ms / 1000, shutdown_timeout_ms
        self._redact, self._on_lost = redact, on_lost
        self._queue: deque[ReadableSpan] = deque()
        self._worker = Worker("ai-dev-squad-spans", self._turn)
        self._closed = self._failing = self._given_up = False
        self._in_flight = self._overflowed = 0
        self._start_afresh()
        after_fork(weakref.WeakMethod(self._start_afresh))
        if at_exit:
            process.at_exit(weakref.WeakMethod(self.shutdown), ExitOrder.SPANS)

    def _start_afresh(self) -> None:
        # A forked child has no thread, and its parent exports what is queued.
        self._started = False
        self._due = time.monotonic() + self._delay_s
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        self._queue.clear()

    # --- called by the program ----------------------------------------------------------------------------------------

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Start the thread with the first span: at interpreter exit, when it may end, no thread can start any more."""
        if not self._started and not self._closed:
            self._started = self._worker.start()

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a sampled span."""
        if self._closed or not span.context.trace_flags.sampled:
            return
        if not self._started:
            self._started = self._worker.start()
        queue = self._queue
        while len(queue) >= self._max_queue_size:
            self._lose_oldest()
        queue.append(span)
        if len(queue) >= self._max_batch_size:
            self._worker.wake()

    def force_flush(self, timeout_millis: float = 30_000) -> bool:
        """Return when the spans that ended so far were handed to the exporter; ``False`` if the time ran out.

        ``True`` also when the exporter failed to deliver them: they're gone, and counted in ``lost``.
        """
        asked = self.begin_flush()
        return asked is None or (asked.wait(timeout_millis / 1000) and asked.result)

    def begin_flush(self) -> Request | None:
        """Ask for a flush without waiting: what will be answered, or ``None`` when nothing is queued."""
        if self._closed or not self._started or not self._worker.start():
            return None
        return self._worker.ask()

    def shutdown(self, timeout_ms: float | None = None) -> None:
        """Export what is queued and stop, within ``timeout_ms`` (default: that of the constructor)."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        limit_s = (self._shutdown_timeout_ms if timeout_ms is None else timeout_ms) / 1000
        deadline = time.monotonic() + limit_s
        if self._started:
            self._worker.wake()
        self._worker.join(limit_s * 0.9)
        left = sum(1 for _ in self._take(self._max_queue_size))
        for request in self._worker.taken():
            request.answer(False)
        # This ends an export that waits before it tries again, so that its thread can still say why it failed.
        bounded(quietly(self.exporter.shutdown), max(0.1, deadline - time.monotonic()), "shutting an exporter down")
        if not self._worker.join(max(0.05, deadline - time.monotonic())):
            self._given_up = True
            left += self._in_flight
        self._tell_overflow()
        if left:
            self._failed(left, f"{limit_s:g} s were not enough to deliver the last spans")

    @property
    def queued(self) -> int:
        """Spans that wait."""
        return len(self._queue)

    # --- the delivering thread ----------------------------------------------------------------------------------------

    def _turn(self) -> float | None:
        """Export what is due. Returns the seconds until more is; ``None`` at the end."""
        if not getattr(_delivering, "active", False):
            # Exporters make HTTP calls: whatever instruments those must not trace our own.
            otel_context.attach(otel_context.set_value(_suppress_key(), True))
            _delivering.active = True
        requests = self._worker.taken()
        everything = self._closed or bool(requests) or time.monotonic() >= self._due
        waiting = len(self._queue)
        # Woken because a batch is full: what makes no full batch yet may go on waiting for company.
        self._deliver(waiting if everything else waiting - waiting % self._max_batch_size)
        for request in requests:
            request.answer(True)
        self._tell_overflow()
        if self._closed:
            return None
        if everything:
            self._due = time.monotonic() + self._delay_s
        return max(0.0, self._due - time.monotonic())

    def _deliver(self, count: int) -> None:
        spans: list[ReadableSpan] = []
        for span in self._take(count):
            spans.append(span)
            if len(spans) >= self._max_batch_size:
                self._export(spans)
                spans = []
        if spans:
            self._export(spans)

    def _take(self, limit: int) -> Iterator[ReadableSpan]:
        for _ in range(limit):
            try:
                yield self._queue.popleft()
            except IndexError:
                return

    def _export(self, spans: list[ReadableSpan]) -> None:
        # Asked for each batch: an application may set up its own exporter after us.
        if self._stands_aside is not None and self._stands_aside():
            return
        _delivering.message = None
        why = "the exporter gave no reason"
        try:
            if self._redact is not None:
                redact = self._redact
                spans = [redacted(span, redact) for span in spans]
            self._in_flight = len(spans)
            delivered = self.exporter.export(spans) is SpanExportResult.SUCCESS
        except Exception as error:  # noqa: BLE001 - a failing exporter must not end the thread
            delivered, why = False, f"{type(error).__name__}: {error}"
        self._in_flight = 0
        if self._given_up:  # the shutdown has counted them already, and said so
            return
        if not delivered:
            self._failed(len(spans), _delivering.message or why)
            return
        self.exported += len(spans)
        if self._failing:
            self._failing = False
            _log.info("spans reach %s again; %d were lost meanwhile", self.destination, self.lost)

    def _failed(self, count: int, why: str) -> None:
        self._count_lost(count, "they could not be delivered")
        if self._failing:
            return
        self._failing = True
        _log.warning(
            "spans do not reach %s (%s). Your program is fine and its journal is complete; export goes on being tried. "
            "This is reported once until spans arrive again.",
            self.destination,
            _cause(why),
        )

    def _lose_oldest(self) -> None:
        for _ in self._take(1):
            with self._counting:
                self.lost += 1
                self._overflowed += 1

    def _tell_overflow(self) -> None:
        with self._counting:
            count, self._overflowed = self._overflowed, 0
        if count:
            self._tell(count, "the queue was full")

    def _count_lost(self, count: int, reason: str) -> None:
        with self._counting:
            self.lost += count
        self._tell(count, reason)

    def _tell(self, count: int, reason: str) -> None:
        if self._on_lost is not None:
            try:
                self._on_lost(count, reason)
            except Exception as error:  # noqa: BLE001 - counting a loss must not cause another
                _log.debug("reporting lost spans failed: %r", error)


def _cause(message: str) -> str:
    """The operating system's own words out of an HTTP library's nested message, if it has them."""
    found = re.search(r"\[Errno -?\d+\] [\w ]+", message)
    return found.group() if found else message


def _suppress_key() -> str:
    return getattr(otel_context, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation")


def quietly(call: Callable[[], Any]) -> Callable[[], None]:
    """``call``, with what the exporter logs meanwhile kept to ourselves."""

    def run() -> None:
        _delivering.active = True
        try:
            call()
        finally:
            _delivering.active = False

    return run


class _Quiet(logging.Filter):
    """Keeps what an exporter logs from our own thread, to be told once, calmly; other threads' records pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        if not getattr(_delivering, "active", False):
            return True
        try:
            # The first message names the cause; those that follow only say that it's being tried again.
            if getattr(_delivering, "message", None) is None:
                _delivering.message = record.getMessage()
        except Exception as error:  # noqa: BLE001 - a malformed record is still no reason to fail
            report("reading an exporter's log record", error)
        return False


_quiet = _Quiet()


def quieten(*loggers: str) -> None:
    """Let the exporters' retry messages be reported once by us instead of at every attempt."""
    for name in loggers:
        logger = logging.getLogger(name)
        if _quiet not in logger.filters:
            logger.addFilter(_quiet)

"""A request's body on its way to the store, the same for HTTP and gRPC: read, translate, hand over, wait until it is on disk."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from typing import Literal, get_args

from ai_dev_squad.guard import report
from ai_dev_squad_dashboard.store.base import StoreError, Written
from ai_dev_squad_dashboard.store.rows import Batch, SpanRow

from . import otlp_json, otlp_protobuf
from .accepted import accepted
from .coding_events import told, understood
from .counting import Counting
from .from_journal import JournalRows
from .from_journal import rows as rows_of_line
from .otlp_shapes import LogRecord, Origin, Unreadable
from .pricing import Prices
from .relayed import line_in
from .translate_signals import log_row, metric_rows

__all__ = ["SIGNALS", "Encoding", "Receiver", "Rejected", "Signal", "Submit", "Taken"]

Signal = Literal["traces", "logs", "metrics"]
Encoding = Literal["protobuf", "json"]
SIGNALS: tuple[Signal, ...] = get_args(Signal)

Taken = Callable[[Signal, Encoding, bytes], object]
"""Is told of each request whose content is on disk; it must not wait."""

Submit = Callable[[Batch], "Future[Written]"]
"""``IngestQueue.submit``: raises ``Busy`` when too much waits."""

PATIENCE_S = 30.0
"""Seconds that a sender waits for the disk before it is told to come again."""


@dataclass(frozen=True)
class Rejected:
    """What of a request was not taken, and why; the rest of it is on disk."""

    count: int = 0
    message: str = ""


class Receiver:
    """Takes requests. Safe under threads; one for everything that writes into a store, so that each call counts once."""

    def __init__(
        self,
        submit: Submit,
        prices: Prices | None = None,
        counting: Counting | None = None,
        taken: Taken | None = None,
    ) -> None:
        self._submit, self._taken = submit, taken
        self._prices = prices or Prices()
        self._reading = threading.Lock()
        self.counting = counting or Counting()
        """Decides which spans count. Whoever else stores spans of model calls asks it too."""

    def receive(self, signal: Signal, encoding: Encoding, body: bytes) -> Rejected:
        """Store what ``body`` says. When this returns, it is on disk.

        Raises ``InvalidRequest`` for a body that is no such message, ``Busy`` when the store cannot keep up, ``StoreError``
        when it cannot write; in all three cases nothing of it is stored.
        """
        batch = Batch()
        # Reading is computing, of which only one thread can do some at a time: in turns each is done sooner.
        with self._reading:
            rejected = _READ[signal](self, encoding, body, batch)
        if len(batch):
            try:
                self._submit(batch).result(PATIENCE_S)
            except NotYet:
                raise StoreError(f"the store has not written this within {PATIENCE_S:g} s; send it again") from None
            if self._taken is not None:
                self._taken(signal, encoding, body)
        elif not rejected.count and encoding == "json":
            return Rejected(0, otlp_json.overlooked(body, signal))
        return rejected

    def _spans(self, encoding: Encoding, body: bytes, batch: Batch) -> Rejected:
        read = otlp_protobuf.read_spans if encoding == "protobuf" else otlp_json.read_spans
        now_us, prices = time.time_ns() // 1000, self._prices
        rows: list[SpanRow] = batch.spans
        answers: list[str | None] = []
        reasons: list[str] = []
        for origin, spans in read(body):
            for span in spans:
                if isinstance(span, Unreadable):
                    reasons.append(f"a span could not be read: {span.reason}")
                    continue
                found = accepted(understood(span), origin, now_us, prices)
                if isinstance(found, str):
                    reasons.append(found)
                    continue
                rows.append(found.row)
                answers.append(found.answer)
                batch.logs += found.marks
        self.counting.settle(rows, answers)
        return _rejected(reasons)

    def _logs(self, encoding: Encoding, body: bytes, batch: Batch) -> Rejected:
        read = otlp_protobuf.read_logs if encoding == "protobuf" else otlp_json.read_logs
        now_us = time.time_ns() // 1000
        reasons: list[str] = []
        relayed: list[JournalRows] = []
        answers: list[str | None] = []
        for origin, records in read(body):
            for record in records:
                line = record if isinstance(record, Unreadable) else line_in(record)
                if isinstance(line, Unreadable):
                    reasons.append(f"a log record could not be read: {line.reason}")
                elif isinstance(line, LogRecord):
                    self._record(line, origin, now_us, batch, answers)
                elif line is not None:
                    try:
                        relayed.append(rows_of_line(line, now_us, self._prices))
                    except Exception as error:  # noqa: BLE001 - one odd line must not cost its neighbours
                        report("translating a line of a journal", error)
                        reasons.append(f"a line of a journal could not be read ({type(error).__name__})")
        if answers:
            self.counting.settle(batch.spans, answers)
        if relayed:
            self._relay(relayed, batch)
        return _rejected(reasons)

    def _record(self, record: LogRecord, origin: Origin, now_us: int, batch: Batch, answers: list[str | None]) -> None:
        """A record of a log, and the span that a coding agent's is. ``answers`` gets the provider's id of what it tells of."""
        row, of_agent = log_row(record, origin, now_us), told(record, origin, now_us)
        if of_agent is not None:
            if of_agent.span is not None:
                found = accepted(of_agent.span, origin, now_us, self._prices)
                if not isinstance(found, str):
                    batch.spans.append(found.row)
                    answers.append(found.answer)
            row = row._replace(
                framework=of_agent.agent.name,
                session_id=row.session_id or of_agent.session,
                trace_id=row.trace_id or of_agent.trace_id,
                span_id=row.span_id if row.trace_id or of_agent.span is None else of_agent.span.span_id,
            )
        batch.logs.append(row)

    def _relay(self, found: list[JournalRows], batch: Batch) -> None:
        """Lines of our journals that a collector has read: the run is rebuilt from them as from the file."""
        closing = [row for row in found if row.span is not None]
        spans = [row.span for row in closing if row.span is not None]
        self.counting.settle(spans, [row.answer for row in closing])
        batch.spans += spans
        batch.logs += [row.log for row in found]
        batch.opened += [row.opened for row in found if row.opened is not None]
        batch.relayed = True

    def _metrics(self, encoding: Encoding, body: bytes, batch: Batch) -> Rejected:
        read = otlp_protobuf.read_metrics if encoding == "protobuf" else otlp_json.read_metrics
        now_us, reasons = time.time_ns() // 1000, []
        for origin, metrics in read(body):
            for metric in metrics:
                if isinstance(metric, Unreadable):
                    reasons.append(f"a metric could not be read: {metric.reason}")
                    continue
                for row in metric_rows(metric, origin, now_us):
                    if row is None:
                        reasons.append("a data point has no time, or its metric no name or no known kind")
                    else:
                        batch.metrics.append(row)
        return _rejected(reasons)


_READ = {"traces": Receiver._spans, "logs": Receiver._logs, "metrics": Receiver._metrics}


def _rejected(reasons: list[str]) -> Rejected:
    """How many, and each different reason once."""
    return Rejected(len(reasons), "; ".join(dict.fromkeys(reasons))[:1000])

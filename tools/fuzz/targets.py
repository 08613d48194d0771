"""What each receiver is fuzzed with: any bytes end as the function says, and whatever else is raised is a finding.

Used by ``fuzz.py``, which looks for new findings, and by a test, which reads every input again that once was one.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path

import msgspec
from cheroot.errors import MaxSizeExceeded

from ai_dev_squad.events.reader import JournalError, decode_line
from ai_dev_squad_dashboard import lab_results
from ai_dev_squad_dashboard.ingest.from_journal import rows
from ai_dev_squad_dashboard.ingest.otlp_receive import SIGNALS, Encoding, Receiver
from ai_dev_squad_dashboard.ingest.otlp_shapes import InvalidRequest
from ai_dev_squad_dashboard.server_framing import Chunks, Request
from ai_dev_squad_dashboard.store.base import Written
from ai_dev_squad_dashboard.store.rows import Batch

__all__ = ["TARGETS"]

_NOW_US = 1_800_000_000_000_000


def _submit(batch: Batch) -> Future[Written]:
    """What a store asks of rows: details are JSON, texts are UTF-8, numbers fit 64 bits."""
    for row in (*batch.spans, *batch.logs, *batch.opened, *batch.metrics):
        "".join(value for value in row if isinstance(value, str)).encode()
        if any(isinstance(value, int) and not -(1 << 63) <= value < 1 << 63 for value in row):
            raise AssertionError(f"{row} does not fit 64 bits")
    for span in batch.spans:
        msgspec.json.decode(span.details or b"{}")
    done: Future[Written] = Future()
    done.set_result(Written(len(batch.spans), 0, len(batch.logs)))
    return done


_receiver = Receiver(_submit)


def _otlp(encoding: Encoding) -> Callable[[bytes], None]:
    def take(data: bytes) -> None:
        """The first byte chooses the signal: ``t``, ``l`` or ``m``, or any other by its number."""
        if data:
            names = {signal[0].encode(): signal for signal in SIGNALS}
            try:
                _receiver.receive(names.get(data[:1], SIGNALS[data[0] % 3]), encoding, data[1:])
            except InvalidRequest:
                pass

    return take


def _journal(data: bytes) -> None:
    """Lines become rows, or are no lines of a journal."""
    batch = Batch()
    for text in data.splitlines():
        try:
            line = decode_line(text)
        except JournalError:
            continue
        found = rows(line, _NOW_US)
        batch.logs.append(found.log)
        batch.spans += [found.span] if found.span is not None else []
        batch.opened += [found.opened] if found.opened is not None else []
    _submit(batch)


def _http(data: bytes) -> None:
    """Headers and a chunked body are read, or refused as a ``ValueError``."""
    for read in (lambda: Request.header_reader(io.BytesIO(data)), lambda: Chunks(io.BytesIO(data), 1 << 20).read()):
        try:
            read()
        except (ValueError, MaxSizeExceeded):
            pass


def _matrix(data: bytes) -> None:
    """A run of the lab is loaded, or its file is refused."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "matrix.json")
        path.write_bytes(data)
        try:
            lab_results.load(path)
        except ValueError:
            pass


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "otlp_json": _otlp("json"),
    "otlp_protobuf": _otlp("protobuf"),
    "journal": _journal,
    "http": _http,
    "matrix": _matrix,
}
"""Over gRPC come the same messages as in protobuf over HTTP, and the same code reads them."""

"""Fuzz the reading of OTLP with atheris, guided by coverage: any bytes end in rows, rejections or ``InvalidRequest``.

    pip install atheris ai-dev-squad-dashboard
    python tools/fuzz/otlp_fuzz.py -max_total_time=60 [CORPUS]

The first byte chooses the signal and the encoding. Not part of the tests: it runs as long as it is told to.
"""

from __future__ import annotations

import sys
from concurrent.futures import Future

import atheris

with atheris.instrument_imports(include=["ai_dev_squad_dashboard.ingest"]):
    from ai_dev_squad_dashboard.ingest.otlp_receive import SIGNALS, Receiver
    from ai_dev_squad_dashboard.ingest.otlp_shapes import InvalidRequest

import msgspec

from ai_dev_squad import guard
from ai_dev_squad_dashboard.store.base import Written
from ai_dev_squad_dashboard.store.rows import Batch


def _submit(batch: Batch) -> Future[Written]:
    for span in batch.spans:
        msgspec.json.decode(span.details or b"{}")
        "".join(value for value in span if isinstance(value, str)).encode()
    done: Future[Written] = Future()
    done.set_result(Written(len(batch.spans), 0, len(batch.logs)))
    return done


_receiver = Receiver(_submit)


def one_input(data: bytes) -> None:
    """Read one body; whatever else than ``InvalidRequest`` is raised is a finding."""
    if data:
        try:
            _receiver.receive(SIGNALS[data[0] % 3], "json" if data[0] & 128 else "protobuf", data[1:])
        except InvalidRequest:
            pass


if __name__ == "__main__":
    # A span that cannot be translated is rejected and reported; here it is a finding.
    guard.set_strict(True)
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()

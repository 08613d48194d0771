"""What one span costs beyond one machine: a receiver's processor, the engine's, bytes on disk, and a page on top of them.

Processor time is counted, not the clock on the wall, so a machine that has other work is no worse a place. One, two and four receivers write
into one engine at once, each in a process of its own: what a span costs then says what grows linearly and what does not.

    python benchmarks/cost_of_a_span.py [--spans 100000] [--write]

``--write`` keeps the result in ``cost_of_a_span.json``, from which ``capacity.py`` plans.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import sys
import tempfile
import time
from concurrent.futures import Future
from importlib.metadata import version
from pathlib import Path
from typing import Any

from capacity import MEASURED
from dashboard_engines import clickhouse_engine
from otlp_translate import SPANS, genai_request
from week_of_spans import WEEK_US, batch

from ai_dev_squad_dashboard.ingest.otlp_receive import Receiver
from ai_dev_squad_dashboard.store import Selection, open_store
from ai_dev_squad_dashboard.store.base import Written

_BATCH = 5_000


def receive_us(spans: int) -> float:
    """Processor time of reading and translating a span."""
    done: Future[Written] = Future()
    done.set_result(Written(0, 0, 0))
    receiver = Receiver(lambda _: done)
    body, times = genai_request(), max(1, spans // SPANS)
    receiver.receive("traces", "protobuf", body)
    began = time.process_time()
    for _ in range(times):
        receiver.receive("traces", "protobuf", body)
    return (time.process_time() - began) * 1e6 / (times * SPANS)


def _write(url: str, first_us: int, spans: int, told: Any) -> None:
    """One receiver's part: what it took of a processor, without making its rows."""
    store, took = open_store(url), 0.0
    for number in range(spans // _BATCH):
        rows = batch(_BATCH, first_us + number * _BATCH * 1_000, 1_000)
        began = time.process_time()
        store.write(rows)
        took += time.process_time() - began
    store.close()
    told.put(took)


def write_us(engine: Any, url: str, writers: int, spans: int, first_us: int) -> tuple[float, float]:
    """Processor time of a span in a receiver and in the engine, while so many receivers write ``spans`` each."""
    context = multiprocessing.get_context("spawn")
    told, before = context.Queue(), _server_s(engine.server)
    made = [
        context.Process(target=_write, args=(url, first_us + number * 3_600_000_000, spans, told))
        for number in range(writers)
    ]
    for each in made:
        each.start()
    own = sum(told.get(timeout=600) for _ in made)
    for each in made:
        each.join()
    many = writers * spans
    return own * 1e6 / many, (_server_s(engine.server) - before) * 1e6 / many


def _server_s(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def page_ms(engine: Any, now_us: int) -> float:
    """Processor time of the questions of an overview page over a week."""
    week = Selection(now_us - WEEK_US, now_us)
    began, times = engine.processor_s(), 5
    for _ in range(times):
        with engine.store.snapshot():
            engine.store.with_previous(week)
            engine.store.timeline(week, WEEK_US // 96)
            for by in ("model", "agent", "tool"):
                engine.store.groups(week, by, limit=10)
    return (engine.processor_s() - began) * 1e3 / times


def main() -> None:
    """Measure, print, and keep it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=40_000)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    now_us = time.time_ns() // 1_000
    with tempfile.TemporaryDirectory() as directory, clickhouse_engine(Path(directory)) as engine:
        url = engine.store.state().path
        writers = {
            many: write_us(engine, url, many, options.spans // many, now_us - (many + 1) * 86_400_000_000)
            for many in (1, 2, 4)
        }
        state = engine.store.state()
        costs = {
            "receive_us": round(receive_us(options.spans), 1),
            "hand_over_us": round(writers[1][0], 1),
            "store_us": round(writers[1][1], 1),
            "stored_bytes": round(state.bytes / state.spans, 1),
            "page_ms": round(page_ms(engine, now_us), 1),
        }
    measured = {
        "on": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": f"{os.cpu_count()} cores {platform.machine()}, shared with other work",
        "spans": state.spans,
        "Python": platform.python_version(),
        "chDB": version("chdb"),
        "clickhouse-connect": version("clickhouse-connect"),
    }
    told = {
        "costs": costs,
        "writers": {str(many): [round(own, 1), round(theirs, 1)] for many, (own, theirs) in writers.items()},
        "measured": measured,
    }
    print(json.dumps(told, indent=2))
    if options.write:
        MEASURED.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

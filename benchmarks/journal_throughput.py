"""Writing structured events: the caller's cost per event, and the rate at which events reach the disk.

Every variant writes the same fields as one JSON object a line into one file, as its documentation advises for a
service. *Caller* is the wall clock of the calling thread per event in a burst that fits every queue, *caller CPU* that
thread's own share of it; *sustained* counts all events of a long run and ends when the last line is in the file.
Afterwards the lines are counted.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import environments
from report import Report, Target, main
from worker import Worker, WorkerFailed, serve

Write = Callable[[], object]
Drain = Callable[[], object]

_OURS = "ours: Journal.write"
_VARIANTS = {
    _OURS: environments.OURS,
    "ours: StructuredLogger.log_event": environments.OURS,
    "loguru, enqueue, serialize": "logging",
    "structlog + orjson": "logging",
    "logging, QueueHandler, python-json-logger": "logging",
}
_MESSAGE = "planner finished the task"
_FIELDS: dict[str, Any] = {
    "event_type": "task.complete",
    "session_id": "session-0001",
    "agent_id": "planner",
    "framework": "langgraph",
    "name": "plan",
    "operation": "task",
    "status": "ok",
    "trace_id": "0af7651916cd43dd8448eb211c80319c",
    "span_id": "b7ad6b7169203331",
    "parent_span_id": "00f067aa0ba902b7",
    "duration_ms": 12.345,
}
_CALLER_LIMIT_US = 3.0
_FASTER = {"loguru, enqueue, serialize": 5.0, "structlog + orjson": 3.0}


@contextmanager
def _journal(path: Path) -> Iterator[tuple[Write, Drain]]:
    from datetime import datetime, timezone

    from ai_dev_squad.events import Journal
    from ai_dev_squad.schema import JournalLine

    journal = Journal(path, on_full="block", max_bytes=None)
    write, line, now, utc = journal.write, JournalLine, datetime.now, timezone.utc
    yield lambda: write(line(timestamp=now(utc), level="INFO", message=_MESSAGE, **_FIELDS)), journal.flush
    journal.close(10)


@contextmanager
def _logger(path: Path) -> Iterator[tuple[Write, Drain]]:
    from datetime import datetime, timezone

    from ai_dev_squad import StructuredLogger
    from ai_dev_squad.events import Journal
    from ai_dev_squad.redaction import Redactor
    from ai_dev_squad.schema import EventType, LogEvent, LogLevel

    journal = Journal(path, on_full="block", max_bytes=None)
    logger = StructuredLogger(str(path.parent), journal=journal, redactor=Redactor())
    names = ("session_id", "agent_id", "framework", "trace_id", "span_id", "duration_ms")
    fields = {name: _FIELDS[name] for name in names}
    metadata = {name: _FIELDS[name] for name in ("name", "operation", "status", "parent_span_id")}

    def write() -> None:
        now = datetime.now(timezone.utc)
        logger.log_event(LogEvent(EventType.TASK_COMPLETE, now, LogLevel.INFO, _MESSAGE, metadata=metadata, **fields))

    yield write, journal.flush
    journal.close(10)


@contextmanager
def _loguru(path: Path) -> Iterator[tuple[Write, Drain]]:
    from loguru import logger

    logger.remove()
    handler = logger.add(path, enqueue=True, serialize=True)
    yield lambda: logger.bind(**_FIELDS).info(_MESSAGE), logger.complete
    logger.remove(handler)


@contextmanager
def _structlog(path: Path) -> Iterator[tuple[Write, Drain]]:
    import logging

    import orjson
    import structlog

    with path.open("ab") as file:
        structlog.configure(
            processors=[
                structlog.contextvars.merge_contextvars,
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.JSONRenderer(serializer=orjson.dumps),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
            logger_factory=structlog.BytesLoggerFactory(file=file),
            cache_logger_on_first_use=True,
        )
        logger = structlog.get_logger()
        yield lambda: logger.info(_MESSAGE, **_FIELDS), file.flush


@contextmanager
def _stdlib(path: Path) -> Iterator[tuple[Write, Drain]]:
    import logging
    import logging.handlers
    import queue

    from pythonjsonlogger.json import JsonFormatter

    target = logging.FileHandler(path)
    target.setFormatter(JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    listener = logging.handlers.QueueListener(waiting, target)
    logger = logging.getLogger("bench")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.handlers = [logging.handlers.QueueHandler(waiting)]
    fields = {("operation_name" if name == "name" else name): value for name, value in _FIELDS.items()}
    listener.start()

    def drain() -> None:
        listener.stop()  # joins the thread after the last record
        listener.start()

    yield lambda: logger.info(_MESSAGE, extra=fields), drain
    listener.stop()
    target.close()


_OPEN = dict(zip(_VARIANTS, (_journal, _logger, _loguru, _structlog, _stdlib), strict=True))


def _work(name: str) -> None:
    """Write events to a file of this process and say how long it took."""
    path = Path(tempfile.mkdtemp(prefix="bench-events-", dir=os.environ.get("BENCH_DIR"))) / "events.jsonl"
    with _OPEN[name](path) as (write, drain):

        def run(burst: int, sustained: int) -> dict[str, Any]:
            before = _lines(path)
            cpu, started = time.thread_time(), time.perf_counter()
            for _ in range(burst):
                write()
            caller, cpu = time.perf_counter() - started, time.thread_time() - cpu
            drain()
            started = time.perf_counter()
            for _ in range(sustained):
                write()
            drain()
            seconds = time.perf_counter() - started
            written = _lines(path) - before
            size = path.stat().st_size / _lines(path)
            return {
                "caller_us": caller / burst * 1e6,
                "cpu_us": cpu / burst * 1e6,
                "per_second": sustained / seconds,
                "lost": burst + sustained - written,
                "bytes": size,
                "versions": environments.versions(
                    "ai-dev-squad", "msgspec", "loguru", "structlog", "orjson", "python-json-logger"
                ),
            }

        serve(run)


def _lines(path: Path) -> int:
    if not path.exists():
        return 0
    with path.open("rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))


def measure(options: argparse.Namespace) -> Report:
    """Alternate repetitions of all variants and compare."""
    repetitions, burst, sustained = (2, 2_000, 10_000) if options.quick else (9, 20_000, 100_000)
    report = Report(
        title="Writing structured events",
        how=f"Median of {repetitions} interleaved repetitions; a burst of {burst:,} events for the caller's cost, then "
        f"{sustained:,} events until all are in the file.",
        columns={
            "variant": "", "caller us": ".2f", "caller CPU us": ".2f", "best us": ".2f", "sustained /s": ",.0f",
            "of ours": ".2f", "bytes/line": ".0f", "lost": "d",
        },
    )  # fmt: skip
    answers: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        workers = {}
        for name, environment in _VARIANTS.items():
            python = environments.python_of(environment)
            if python is not None:
                workers[name] = Worker(python, __file__, name, BENCH_DIR=directory)
        for number in range(repetitions + 1):
            for name, worker in list(workers.items()):
                try:
                    answer = worker.ask(burst=burst, sustained=sustained)
                except WorkerFailed as error:
                    print(f"{name}: left out ({error})", file=sys.stderr)
                    del workers[name]
                    continue
                if number:  # the first repetition warms up
                    answers.setdefault(name, []).append(answer)
        for worker in workers.values():
            worker.close()
    rates = {name: median(a["per_second"] for a in found) for name, found in answers.items()}
    for name, found in answers.items():
        report.used(found[0]["versions"])
        report.rows.append(
            {
                "variant": name,
                "caller us": median(a["caller_us"] for a in found),
                "caller CPU us": median(a["cpu_us"] for a in found),
                "best us": min(a["caller_us"] for a in found),
                "sustained /s": rates[name],
                "of ours": rates[name] / rates.get(_OURS, rates[name]),
                "bytes/line": found[0]["bytes"],
                "lost": sum(a["lost"] for a in found),
            }
        )
    report.targets = _targets(report.rows)
    return report


def _targets(rows: list[dict[str, Any]]) -> list[Target]:
    found = {row["variant"]: row for row in rows}
    if _OURS not in found:
        return []
    ours = found[_OURS]
    limit = f"caller's cost at most {_CALLER_LIMIT_US:g} us"
    targets = [Target(limit, f"{ours['caller us']:.2f} us", ours["caller us"] <= _CALLER_LIMIT_US)]
    for peer, factor in _FASTER.items():
        if peer in found:
            ahead = ours["sustained /s"] / found[peer]["sustained /s"]
            targets.append(Target(f"sustained at least {factor:g}x {peer}", f"{ahead:.1f}x", ahead >= factor))
    return [*targets, Target("no event lost", str(ours["lost"]), ours["lost"] == 0)]


if __name__ == "__main__":
    main(measure, _work, __doc__)

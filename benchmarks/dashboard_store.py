"""The dashboard's store: how fast it answers the pages while it is filled, and how fast it takes spans in.

The store holds a week of spans (``week_of_spans``). Every question of a page is asked over the last 24 hours and 7 days, idle
and while 2,000 spans a second arrive. The query of a repetition never has the same end as the one before, so nothing is
answered from a cache of ours. At last, batches of 5,000 spans are written as fast as they are taken.

Ten million spans need about 20 GB of disk and a quarter of an hour: ``--spans 10000000``. On a machine that has others to serve,
``--idle`` asks the same questions of a store that nothing else happens in, and says only what they take of a processor.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from report import Report, Target, main, p50_p95
from week_of_spans import HOUR_US, RANDOM, WEEK_US, WORDS, add_arguments, batch, filled

from ai_dev_squad_dashboard.commands.tuning import tune_interpreter
from ai_dev_squad_dashboard.store import Selection, open_store
from ai_dev_squad_dashboard.store.duckdb_file import File
from ai_dev_squad_dashboard.store.duckdb_store import DuckDBStore
from ai_dev_squad_dashboard.store.rows import Batch

RANGES = {"24 h": (24 * HOUR_US, 100), "7 d": (WEEK_US, 300)}
RATE = 2_000


def questions(store: Any, trace_ids: Sequence[str]) -> dict[str, Callable[[Selection], object]]:
    """What the pages ask, as they ask it."""

    def overview(now: Selection) -> None:
        with store.snapshot():
            store.with_previous(now, drawn=(step_of(now), "framework"))
            store.timeline(now, step_of(now))
            for key in ("model", "agent", "tool"):
                store.groups(now, key, order="p95", limit=10)
            store.running(now.end_us - 24 * HOUR_US, 20)
            store.traces(now, limit=8, counted=False)
            store.facets(now)

    def costs(now: Selection) -> None:
        with store.snapshot():
            store.with_previous(now, drawn=(step_of(now), "model"))
            store.timeline(now, step_of(now), "model")
            for key in ("model", "provider", "agent", "framework", "day"):
                store.groups(now, key)
            store.unpriced(now)
            store.facets(now)

    def compare(chosen: Sequence[str]) -> None:
        with store.snapshot():
            for trace_id in chosen:
                for part in store.run(trace_id, beside=chosen).parts:
                    store.trace(part.trace_id)
                    for _ in store.details(part.trace_id):
                        pass
            store.related(chosen[0])

    ever = Selection(0, 1 << 60)
    following = store.traces(ever, order="duration").next
    group = store.errors(ever, limit=1)[0].id
    return {
        "overview (page)": overview,
        "costs (page)": costs,
        "trace list": store.traces,
        "one trace": lambda _: store.trace(RANDOM.choice(trace_ids)),
        "totals": store.totals,
        "timeline by framework": lambda now: store.timeline(now, step_of(now)),
        "groups by model": lambda now: store.groups(now, "model"),
        "groups by workflow": lambda now: store.groups(now, "workflow"),
        "groups by session": lambda now: store.groups(now, "session"),
        "unpriced": store.unpriced,
        "facets": store.facets,
        "sessions": store.sessions,
        "traces by cost": lambda now: store.traces(now, order="cost"),
        "traces by duration, next page": lambda now: store.traces(now, order="duration", cursor=following),
        "sessions by cost": lambda now: store.sessions(now, order="cost"),
        "users by cost": store.users,
        "tenants by errors": lambda now: store.users(now, key="tenant", order="errors"),
        "error groups": store.errors,
        "runs of one error": lambda now: store.traces(now, error_group=group),
        "compare (page)": lambda _: compare(RANDOM.sample(trace_ids, 6)),
        "choices for filters": store.choices,
        "traces of one agent": lambda now: store.traces(
            Selection(now.start_us, now.end_us, agents=("crewai-agent-1",))
        ),
        "search, common word": lambda now: store.traces(now, text=WORDS[0]),
        "search, absent word": lambda now: store.traces(now, text="absentword"),
        "search, part of a word": lambda now: store.traces(now, text=WORDS[0][:3]),
        "search, two words": lambda now: store.traces(now, text=f"{WORDS[0]} {WORDS[1]}"),
    }


def step_of(selection: Selection) -> int:
    """The step of a page's timeline, in microseconds: as fine as 180 of them allow."""
    return 900_000_000 if selection.end_us - selection.start_us <= 180 * 900_000_000 else HOUR_US


_SORTED = (
    "traces by cost", "traces by duration, next page", "sessions by cost", "users by cost", "tenants by errors", "error groups",
    "compare (page)",
)  # fmt: skip
_PAGES = ("overview (page)", "costs (page)", "trace list", "one trace")
PROMISED = {
    **{name: {label: limit for label, (_, limit) in RANGES.items()} for name in _PAGES},
    **{name: dict.fromkeys(RANGES, 150) for name in _SORTED},
}
"""What is promised to be answered in so many milliseconds, over 24 hours and 7 days."""


def ask(question: Callable[[Selection], object], length_us: int, repetitions: int) -> tuple[float, float]:
    """p50 and p95 in milliseconds."""
    took = []
    for number in range(repetitions + 1):
        now_us = time.time_ns() // 1000
        started = time.perf_counter()
        question(Selection(now_us - length_us, now_us + 1))
        if number:  # the first one reads the disk
            took.append((time.perf_counter() - started) * 1000)
        if sum(took) > 10_000:
            break
    return p50_p95(took)


def processor_ms(question: Callable[[Selection], object], length_us: int, until_us: int | None = None) -> float:
    """What one answer takes of a processor, median: on a machine that does other work as well, this says more than the time that
    passes.
    """
    took = []
    for number in range(7):
        end_us = until_us + number if until_us is not None else time.time_ns() // 1000 + 1
        cpu = time.process_time()
        question(Selection(end_us - length_us, end_us))
        took.append((time.process_time() - cpu) * 1000)
    return median(took)


@contextmanager
def arriving(store: Any, took: list[float], rate: int = RATE, size: int = 500) -> Iterator[None]:
    """So many spans a second, in batches of so many, for as long as the block lasts."""
    stop = threading.Event()
    batches = [batch(size, 0, 1_000_000 // rate) for _ in range(20)]

    def write() -> None:
        number = 0
        due = time.perf_counter()
        while not stop.is_set():
            now_us = time.time_ns() // 1000
            number += 1
            mark = f"{number:08x}"
            spans = [
                row._replace(trace_id=mark + row.trace_id[8:], start_us=now_us - 2_000_000 + row.start_us)
                for row in batches[number % 20].spans
            ]
            started = time.perf_counter()
            store.write(Batch(spans=spans))
            took.append((time.perf_counter() - started) * 1000)
            due += size / rate
            stop.wait(max(0.0, due - time.perf_counter()))

    thread = threading.Thread(target=write, name="arriving")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def memory_mib() -> tuple[float, float]:
    """What this process holds of memory now, and what it held at most."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    lines = dict(line.split(":", 1) for line in status.splitlines())
    return tuple(int(lines[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))  # type: ignore[return-value]


def _trace_ids(store: Any, now_us: int) -> list[str]:
    recent = store.traces(Selection(now_us - 24 * HOUR_US, now_us), limit=500).rows
    return [row.trace_id for row in (*recent, *store.traces(Selection(0, now_us - WEEK_US // 2), limit=500).rows)]


def idle(options: argparse.Namespace) -> Report:
    """Ask only, and for no words: there is no index."""
    report = Report(
        title="The dashboard's store, idle", how="", columns={"question": "", "range": "", "processor ms": ",.1f"}
    )
    with tempfile.TemporaryDirectory() as directory:
        path, _ = filled(options, directory)
        store = DuckDBStore(File(path, 1024))
        state = store.state()
        now_us = (state.newest_us or 0) + 1
        asked = questions(store, _trace_ids(store, now_us))
        for name in (name for name in asked if not name.startswith("search")):
            for label, (length_us, _) in RANGES.items():
                report.rows.append(
                    {"question": name, "range": label, "processor ms": processor_ms(asked[name], length_us, now_us)}
                )
        store.close()
    report.how = f"{state.spans:,} spans over 7 days, {state.bytes / 1e9:.2f} GB; median of 7; load {os.getloadavg()[0]:.1f} at the end."
    report.used({name: version(name) for name in ("duckdb", "arro3-core")})
    return report


def measure(options: argparse.Namespace) -> Report:
    """Fill, ask, write."""
    if getattr(options, "idle", False):
        return idle(options)
    tune_interpreter()  # as the dashboard's process is
    repetitions = 5 if options.quick else 40
    load = os.getloadavg()
    report = Report(
        title="The dashboard's store",
        how="",
        columns={
            "question": "", "range": "", "p50 ms": ",.1f", "p95 ms": ",.1f", "p50 ms, filling": ",.1f",
            "p95 ms, filling": ",.1f", "processor ms": ",.1f",
        },
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as directory:
        started = time.perf_counter()
        path, _ = filled(options, directory)
        filled_s = time.perf_counter() - started
        started = time.perf_counter()
        store = open_store(path)
        opened_ms = (time.perf_counter() - started) * 1000
        spans = store.state().spans
        ids = _trace_ids(store, time.time_ns() // 1000)
        measured: dict[tuple[str, str], list[float]] = {}
        taken: list[float] = []
        asked = questions(store, ids)
        for name, question in asked.items():
            for label, (length, _) in RANGES.items():
                measured[name, label] = [*ask(question, length, repetitions)]
        processor = {
            (name, label): processor_ms(question, length)
            for name, question in asked.items()
            for label, (length, _) in RANGES.items()
        }
        with arriving(store, taken):
            time.sleep(3)
            for name, question in asked.items():
                for label, (length, _) in RANGES.items():
                    measured[name, label] += ask(question, length, repetitions)
        for (name, label), numbers in measured.items():
            cells = (name, label, *numbers, processor[name, label])
            report.rows.append(dict(zip(report.columns, cells, strict=True)))
        now, most = memory_mib()
        sustained = ingest(store, 10 if options.quick else 80)
        size = store.state().bytes
        p50, p95 = p50_p95(taken)
        report.how = (
            f"{spans:,} spans over 7 days, made in {filled_s:,.0f} s, opened in {opened_ms:,.0f} ms; load {load[0]:.1f} before and "
            f"{os.getloadavg()[0]:.1f} after on {os.cpu_count()} cores; {size / 1e9:.2f} GB on "
            f"disk; {now:,.0f} MiB of memory at the end of the questions, {most:,.0f} at most (limit of the engine 1,024). "
            f"Batches of 500 while questions were asked: p50 {p50:.0f} ms, p95 {p95:.0f} ms, worst "
            f"{max(taken):,.0f} ms. As fast as they are taken, batches of 5,000: {sustained}."
        )
        for name, limits in PROMISED.items():
            for label, limit in limits.items():
                p95 = measured[name, label][3]
                report.targets.append(
                    Target(f"{name}, {label}: at most {limit} ms p95 while filled", f"{p95:.0f} ms", p95 <= limit)
                )
        store.close()
    report.used({name: version(name) for name in ("duckdb", "arro3-core")})
    return report


def ingest(store: Any, batches: int) -> str:
    """Batches of 5,000 spans, one after the other."""
    made = [batch(5_000, 0, 500) for _ in range(min(batches, 20))]
    took = []
    cpu = time.process_time()
    for number in range(batches):
        start_us = time.time_ns() // 1000 - 3_000_000
        spans = [
            row._replace(trace_id=f"f{number:07x}" + row.trace_id[8:], start_us=start_us + row.start_us)
            for row in made[number % len(made)].spans
        ]
        started = time.perf_counter()
        store.write(Batch(spans=spans))
        took.append(time.perf_counter() - started)
    cpu = time.process_time() - cpu
    p50, p95 = p50_p95(took)
    return (
        f"{batches * 5_000 / sum(took):,.0f} spans/s, p50 {p50 * 1000:.0f} ms, p95 {p95 * 1000:.0f} ms, worst "
        f"{max(took) * 1000:,.0f} ms, {cpu / batches / 5_000 * 1e6:.0f} us of a processor a span"
    )


def _add(arguments: argparse.ArgumentParser) -> None:
    add_arguments(arguments)
    arguments.add_argument("--idle", action="store_true", help="ask only, and say what answers take of a processor")


if __name__ == "__main__":
    main(measure, None, __doc__, _add)

"""The store's two engines side by side: the file of one machine, and ClickHouse.

Both are given the same runs over seven days, in batches of 5,000 as a receiver writes them, and asked the same questions, by turns.
ClickHouse is the real engine in a process of its own (chDB) behind a small HTTP front, so one client and one loopback are part of
what is measured, and neither a network nor a second machine is. Batches are made apart from the measurement.

    python benchmarks/dashboard_engines.py [--spans 1000000] [--rate 2000] [--clickhouse] [--directory DIR] [--settle] [--marks]

``--rate``: ClickHouse is asked once more while so many spans a second arrive, as a receiver stores them, once a second. ``--clickhouse``:
nothing but ClickHouse is filled and asked. ``--directory``: stores that stay, so that the next run asks those that are there. ``--settle``:
ClickHouse puts its parts together first, as it does by itself half an hour after the last span of a day. ``--marks``: only what
has a mark is asked.

It needs ``chdb`` and ``clickhouse-connect``: ``pip install --group engine`` and the dashboard's extra ``clickhouse``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from dashboard_store import RANGES, arriving, questions
from report import Report, Target, main, p50_p95
from week_of_spans import WEEK_US, batch

from ai_dev_squad_dashboard.store import Selection, open_store
from ai_dev_squad_dashboard.store.clickhouse.schema import COLD
from ai_dev_squad_dashboard.store.rows import Batch

_FRONT = Path(__file__).resolve().parents[1] / "tests" / "dashboard" / "clickhouse_front.py"
_BATCH = 5_000
_PAGES = {"overview (page)": (100, 200), "costs (page)": (100, 200)}
_PAGES_FILLING = {"overview (page)": (200, 300), "costs (page)": (200, 300)}
_LISTS = (
    "trace list", "one trace", "search, common word", "search, absent word", "search, part of a word", "search, two words"
)  # fmt: skip
_MOST_US = 70
"""Microseconds of a processor that writing a span to ClickHouse may take."""


@dataclass
class Engine:
    """A store, and whose processor it takes."""

    name: str
    store: Any
    directory: Path
    server: int | None = None
    """The process that does the work, where it is not this one."""
    took: list[float] = field(default_factory=list)
    cpu_s: float = 0.0

    def processor_s(self) -> float:
        """Seconds of a processor that this one, and the server, have taken so far."""
        return time.process_time() + (0.0 if self.server is None else _cpu_s(self.server))

    def size(self) -> int:
        """Bytes on disk."""
        return sum(path.stat().st_size for path in self.directory.rglob("*") if path.is_file())


def _cpu_s(process: int) -> float:
    # The clock of another process, as clock_getcpuclockid(3) names it: /proc tells it in hundredths of a second only.
    return time.clock_gettime((~process << 3) | 2)


def memory_mib(process: int | str) -> float:
    """What a process held of memory at most."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


@contextmanager
def duckdb_engine(directory: Path) -> Iterator[Engine]:
    """A file, as on one machine."""
    store = open_store(directory / "store.duckdb")
    try:
        yield Engine("DuckDB", store, directory)
    finally:
        store.close()


@contextmanager
def clickhouse_engine(directory: Path) -> Iterator[Engine]:
    """The engine in a process, behind HTTP."""
    with subprocess.Popen(
        [sys.executable, str(_FRONT), str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as front:
        assert front.stdin is not None
        assert front.stdout is not None
        store = open_store(f"clickhouse://default@127.0.0.1:{int(front.stdout.readline())}/bench")
        try:
            yield Engine("ClickHouse", store, directory, front.pid)
        finally:
            store.close()
            front.stdin.close()


def week(spans: int, now_us: int) -> Iterator[Batch]:
    """So many spans over seven days, batch by batch. Sessions and users come and go, as they do."""
    step_us = WEEK_US // spans
    for number in range(spans // _BATCH):
        made = batch(_BATCH, now_us - WEEK_US + number * _BATCH * step_us, step_us).spans
        yield Batch(
            spans=[
                row._replace(session_id=f"{row.session_id}-{number // 4}", user_id=f"{row.user_id}-{number // 40}")
                for row in made
            ]
        )


def fill(engines: list[Engine], spans: int, now_us: int) -> None:
    """A week of spans into each, batch by batch in turn."""
    for number, rows in enumerate(week(spans, now_us)):
        for engine in engines:
            cpu, started = engine.processor_s(), time.perf_counter()
            engine.store.write(rows)
            engine.took.append(time.perf_counter() - started)
            engine.cpu_s += engine.processor_s() - cpu
        if number % 20 == 19:
            print(f"  {(number + 1) * _BATCH:,} spans", flush=True, file=sys.stderr)


def settle(store: Any) -> None:
    """Have ClickHouse put the parts of its days together."""
    client, tables = store._client, ("spans", "content", "traces")

    for table in tables:
        client.do(f"ALTER TABLE {table} MODIFY SETTING min_partition_age_to_force_merge_seconds = 5")
    seen: list[Any] = []
    while len(seen) < 6 or any(each != seen[-1] for each in seen[-6:]):  # half a minute in which nothing changed
        time.sleep(5)
        seen.append((parts(store), client.number("SELECT sum(rows_read) FROM system.merges")))
    for table in tables:
        client.do(f"ALTER TABLE {table} MODIFY SETTING {COLD}")


def parts(store: Any) -> dict[str, int]:
    """How many parts ClickHouse has of each table that a page reads."""
    return dict(
        store._client.ask(
            f"SELECT table, count() FROM system.parts WHERE active AND database = '{store._client.address.database}' "
            "AND table IN ('spans', 'content', 'traces') GROUP BY table ORDER BY table"
        )
    )


def ask(
    engines: list[Engine], ids: list[str], now_us: int, repetitions: int, *, marked: bool = False
) -> dict[tuple[str, str], list[float]]:
    """Question and range → p50, p95, and what it takes of a processor in the median, client and server together, in milliseconds of
    each engine, which take turns.
    """
    asked = {engine.name: questions(engine.store, ids) for engine in engines}
    found: dict[tuple[str, str], list[float]] = {}
    for name in (*_PAGES, *_LISTS) if marked else asked[engines[0].name]:
        for label, (length_us, _) in RANGES.items():
            took: dict[str, list[float]] = {engine.name: [] for engine in engines}
            cpu_ms: dict[str, list[float]] = {engine.name: [] for engine in engines}
            for number in range(repetitions + 1):
                # Never the same moment twice, so that no answer is one that was given before.
                chosen = Selection(now_us - length_us - number, now_us + number)
                for engine in engines:
                    cpu_s, started = engine.processor_s(), time.perf_counter()
                    asked[engine.name][name](chosen)
                    took[engine.name].append((time.perf_counter() - started) * 1000)
                    cpu_ms[engine.name].append((engine.processor_s() - cpu_s) * 1000)
            found[name, label] = [
                part
                for engine in engines
                for part in (*p50_p95(took[engine.name][1:]), median(cpu_ms[engine.name][1:]))
            ]
    return found


def measure(options: argparse.Namespace) -> Report:
    """Fill, ask, and ask again while spans arrive."""
    spans = getattr(options, "spans", None) or (100_000 if options.quick else 1_000_000)
    rate, kept = getattr(options, "rate", None), getattr(options, "directory", None)
    kinds = {"DuckDB": duckdb_engine, "ClickHouse": clickhouse_engine}
    if getattr(options, "clickhouse", False):
        del kinds["DuckDB"]
    columns = [f"{name}, {part} ms" for name in kinds for part in ("p50", "p95", "processor")]
    columns += [f"ClickHouse, arriving, {part} ms" for part in ("p50", "p95", "processor")] if rate else []
    report = Report("The store's two engines", "", {"question": "", "range": "", **dict.fromkeys(columns, ",.1f")})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory, ExitStack() as held:
        places = {name: Path(kept or directory, name.lower()) for name in kinds}
        is_filled = all(place.exists() for place in places.values())
        for place in places.values():
            place.mkdir(parents=True, exist_ok=True)
        engines = [held.enter_context(kinds[name](place)) for name, place in places.items()]
        if not is_filled:
            fill(engines, spans, time.time_ns() // 1000)
        if getattr(options, "settle", False):
            settle(engines[-1].store)
        of_tables, marked = parts(engines[-1].store), getattr(options, "marks", False)
        state = engines[-1].store.state()
        now_us, repetitions = state.newest_us + 1, 3 if options.quick else 20
        ids = [row.trace_id for row in engines[-1].store.traces(Selection(now_us - WEEK_US, now_us), limit=200).rows]
        found = ask(engines, ids, now_us, repetitions, marked=marked)
        taken: list[float] = []
        if rate:
            with arriving(engines[-1].store, taken, rate, rate):
                moment_us = time.time_ns() // 1000
                for key, numbers in ask(engines[-1:], ids, moment_us, repetitions, marked=marked).items():
                    found[key] += numbers
        for (name, label), numbers in found.items():
            report.rows.append(dict(zip(report.columns, (name, label, *numbers), strict=True)))
        report.how = (
            f"{state.spans:,} spans over 7 days on {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end. "
            f"{_written(engines, spans, is_filled)}. ClickHouse's parts: "
            f"{', '.join(f'{count} of {table}' for table, count in of_tables.items())}. {_arrived(taken, rate)}"
        )
        written_us = None if is_filled else engines[-1].cpu_s / spans * 1e6
        report.targets = _targets(report, written_us, is_rated=bool(rate))
    report.used({name: version(name) for name in ("duckdb", "chdb", "clickhouse-connect")})
    return report


def _written(engines: list[Engine], spans: int, is_filled: bool) -> str:
    """What was written, and what is held."""
    told = []
    for engine in engines:
        written = (
            f"{engine.cpu_s / spans * 1e6:.0f} us of a processor and {sum(engine.took) / spans * 1e6:.0f} us a span, "
        )
        told.append(
            f"{engine.name} {'' if is_filled else written}{engine.size() / 1e9:,.2f} GB on disk, at most "
            f"{memory_mib(engine.server or 'self'):,.0f} MiB"
        )
    return (
        f"Writing in batches of {_BATCH:,}, indexes of words that are kept up later left out: {'; '.join(told)}. DuckDB's memory is "
        "that of the measuring process, too"
    )


def _arrived(taken: list[float], rate: int | None) -> str:
    if not rate:
        return ""
    p50, p95 = p50_p95(taken)
    return f"Batches of {rate:,} once a second while ClickHouse was asked: p50 {p50:.0f} ms, p95 {p95:.0f} ms, worst {max(taken):,.0f} ms."


def _targets(report: Report, written_us: float | None, *, is_rated: bool) -> list[Target]:
    limits = {(name, label): ms for name, both in _PAGES.items() for label, ms in zip(RANGES, both, strict=True)}
    limits |= {(name, label): 100 for name in _LISTS for label in RANGES}
    filling = {
        (name, label): ms for name, both in _PAGES_FILLING.items() for label, ms in zip(RANGES, both, strict=True)
    }
    found = []
    for when, of, column in (
        ("", limits, "ClickHouse, p95 ms"),
        (" while spans arrive", filling, "ClickHouse, arriving, p95 ms"),
    ):
        if when and not is_rated:
            continue
        p95 = {(row["question"], row["range"]): row[column] for row in report.rows}
        found += [
            Target(
                f"ClickHouse, {name}, {label}{when}: at most {ms} ms p95",
                f"{p95[name, label]:.0f} ms",
                p95[name, label] <= ms,
            )
            for (name, label), ms in of.items()
        ]
    if written_us is not None:
        promise = f"ClickHouse: writing at most {_MOST_US} us of a processor a span"
        found.append(Target(promise, f"{written_us:.0f} us", written_us <= _MOST_US))
    return found


def _add(arguments: argparse.ArgumentParser) -> None:
    arguments.add_argument("--spans", type=int, help="how many spans are stored; 1,000,000 when it is not said")
    arguments.add_argument("--rate", type=int, help="ask ClickHouse also while so many spans a second arrive")
    arguments.add_argument("--clickhouse", action="store_true", help="leave the file of one machine out")
    arguments.add_argument(
        "--settle", action="store_true", help="have ClickHouse put its parts together before it is asked"
    )
    arguments.add_argument("--marks", action="store_true", help="ask only what has a mark")
    arguments.add_argument("--directory", type=Path, help="where stores stay, or are from an earlier run")


if __name__ == "__main__":
    main(measure, None, __doc__, _add)

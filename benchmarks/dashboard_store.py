"""The dashboard's store: how fast it answers the pages while it is filled, and how fast it takes spans in.

A week of spans is made by copying a few thousand that went through the real writer, with new ids, times and content; what
follows from them (traces, roll-ups) is made by the writer itself. Then every question of a page is asked over the last 24
hours and 7 days, idle and while 2,000 spans a second arrive. The query of a repetition never has the same end as the one
before, so nothing is answered from a cache of ours. At last, batches of 5,000 spans are written as fast as they are taken.

Ten million spans need about 20 GB of disk and a quarter of an hour: ``--spans 10000000``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from report import Report, Target, main, p50_p95

from ai_dev_squad_dashboard.store import Selection, open_store
from ai_dev_squad_dashboard.store.duckdb_columns import SPAN_COLUMNS
from ai_dev_squad_dashboard.store.rows import Batch, LogRow, SpanRow

HOUR_US = 3_600_000_000
WEEK_US = 168 * HOUR_US
SOURCE_SPANS = 5_000
CHUNK = 40  # copies in one transaction: 200,000 spans
RANGES = {"24 h": (24 * HOUR_US, 100), "7 d": (WEEK_US, 300)}
RATE = 2_000
_random = random.Random(4)  # the same spans every time
_WORDS = ["".join(_random.choices("abcdefghijklmnopqrstuvwxyz", k=_random.randint(3, 9))) for _ in range(3_000)]


_ERRORS = ("RateLimitError", "TimeoutError", "ValidationError", "ToolException", "KeyError")


def words(count: int) -> str:
    """Something to read."""
    return " ".join(_random.choices(_WORDS, k=count))


def identity(digits: int) -> str:
    """A random id."""
    return f"{_random.getrandbits(digits * 4):0{digits}x}"


def trace(start_us: int, session: str | None = None) -> Iterator[SpanRow]:
    """A run of twenty spans: agents that call models and tools, about 1.3 kB of content and attributes each."""
    trace_id, root = identity(32), identity(16)
    framework = _random.choice(("langgraph", "crewai", "autogen"))
    model = f"model-{_random.randrange(8)}"
    common: dict[str, Any] = {
        "framework": framework,
        "service": "squad",
        "session_id": session or f"session-{_random.randrange(100)}",
        "user_id": f"user-{_random.randrange(200)}",
        "labels": json.dumps({"tenant": f"tenant-{_random.randrange(40)}", "tag": [f"tag-{_random.randrange(8)}"]}),
        "version": f"1.{_random.randrange(4)}",
        "instrumentation": "ai_dev_squad",
        "ingested_us": start_us,
    }
    yield SpanRow(
        trace_id, root, None, start_us, int(_random.lognormvariate(15, 0.7)), f"{framework}-{_random.randrange(5)}",
        "invoke_workflow", **common, details=b'{"attributes": {"service.name": "squad"}}', text=words(40),
        task=f"task-{_random.randrange(20)}", asked=words(12), answered=words(12),
    )  # fmt: skip
    for number in range(19):
        text = words(70)
        attributes = {
            "gen_ai.request.model": model,
            "server.address": "api.example.com",
            "gen_ai.response.id": identity(24),
        }
        messages = [{"role": "user", "parts": [{"type": "text", "content": text}]}]
        failed = _random.random() < 0.02
        more: dict[str, Any] = {
            **common,
            "status": "error" if failed else "ok",
            "error_type": _random.choice(_ERRORS) if failed else None,
            "error_message": f"{_WORDS[_random.randrange(20)]}, request {identity(12)}" if failed else None,
            "agent": f"{framework}-agent-{number // 5}",
            "details": json.dumps({"attributes": attributes, "input": messages, "output": messages}).encode(),
            "text": text,
        }
        start = start_us + number * 100_000
        if number % 4 == 0:
            name, operation, scale = more["agent"], "invoke_agent", 14.5
        elif number % 4 == 3:
            name, operation, scale = f"tool-{_random.randrange(12)}", "execute_tool", 11.0
            more["tool"] = name
        else:
            name, operation, scale = model, "chat", 14.0
            priced = _random.random() < 0.95
            more |= {
                "provider": "openai",
                "model": model,
                "input_tokens": _random.randrange(5_000),
                "output_tokens": _random.randrange(800),
                "cache_read_tokens": _random.randrange(1_000),
                "usage_source": "provider",
                "cost_usd": _random.random() / 100 if priced else None,
                "price": f"openai/{model}" if priced else None,
                "price_source": "genai-prices" if priced else None,
                "cost_reason": None if priced else "no price is known",
            }
        duration = int(_random.lognormvariate(scale, 1))
        yield SpanRow(trace_id, identity(16), root, start, duration, name, operation, **more)


def batch(spans: int, start_us: int, step_us: int) -> Batch:
    """Runs that begin ``step_us`` a span after one another."""
    rows: list[SpanRow] = []
    while len(rows) < spans:
        rows += trace(start_us + len(rows) * step_us)
    return Batch(spans=rows[:spans])


_CHANGED = {
    "start_us": "s.start_us + k.k * $step",
    "session_id": "s.session_id || '-' || k.k // 4",
    "user_id": "s.user_id || '-' || k.k // 40",
    # Content turned by some characters compresses like new content, because repetitions are far apart.
    "text": "substr(s.text, 1 + k.k % 300) || ' ' || substr(s.text, 1, k.k % 300)",
    "details": "encode('{\"copy\": ' || k.k || ', \"turned\": \"' || coalesce(md5(k.k || s.text), '') || '\", ' || "
    "substr(decode(s.details), 2))",
}
_TRACE = "(hash(s.trace_id, k.k)::UHUGEINT << 64) | hash(k.k, s.trace_id)::UHUGEINT"
_COPY = f"""
INSERT INTO spans (seq, series, bin, trace_id, span_id, parent_span_id, {", ".join(SPAN_COLUMNS)})
SELECT $seq + row_number() OVER (ORDER BY s.start_us + k.k * $step), s.series, s.bin, {_TRACE},
    hash(s.span_id, k.k), CASE WHEN s.parent_span_id IS NOT NULL THEN hash(s.parent_span_id, k.k) END,
    {", ".join(_CHANGED.get(name, f"s.{name}") for name in SPAN_COLUMNS)}
FROM spans s, (SELECT unnest(range($first, $end)) AS k) k WHERE s.seq <= {SOURCE_SPANS}
ORDER BY s.start_us + k.k * $step
"""
# What the writer keeps of traces and of lines, beside the spans themselves.
_BESIDE = {
    "excerpts": f"SELECT {_TRACE}, s.start_us + k.k * $step, s.kind, s.place, s.said",
    "labels": f"SELECT {_TRACE}, s.start_us + k.k * $step, s.key, s.value",
    "logs": "SELECT (SELECT max(id) FROM logs) + row_number() OVER (ORDER BY s.time_us + k.k * $step), s.time_us + k.k * $step, "
    "s.level, s.event_type, substr(s.message, 1 + k.k % 60) || ' ' || substr(s.message, 1, k.k % 60), s.framework, s.service, "
    f"s.session_id, s.agent, {_TRACE}, s.span_id, s.source, s.details",
}


def lines(spans: Sequence[SpanRow]) -> list[LogRow]:
    """A line of a log for every tenth span."""
    return [
        LogRow(
            span.start_us, _random.choice(("INFO", "INFO", "WARNING")), "log", words(15), span.framework, "squad",
            span.session_id, span.agent, span.trace_id, span.span_id,
        )
        for span in spans[::10]
    ]  # fmt: skip


def fill(store: Any, spans: int, now_us: int) -> None:
    """A week of ``spans`` spans that ends at ``now_us``."""
    copies = spans // SOURCE_SPANS
    step = WEEK_US // copies
    origin = now_us - 2 * WEEK_US
    source = batch(SOURCE_SPANS, origin, step // SOURCE_SPANS)
    source.logs = lines(source.spans)
    store.write(source)
    of_source = {"excerpts": "start_us", "labels": "start_us", "logs": "time_us"}
    writer = store._writer
    for first in range(0, copies, CHUNK):
        end = min(first + CHUNK, copies)
        with store._file.writing() as connection:
            shift = (now_us - WEEK_US - origin) // step
            values = {"seq": writer._next_span - 1, "first": first + shift, "end": end + shift, "step": step}
            connection.execute(_COPY, values)
            beside = {"first": first + shift, "end": end + shift, "step": step, "until": origin + WEEK_US // 2}
            for table, chosen in _BESIDE.items():
                connection.execute(
                    f"INSERT INTO {table} {chosen} FROM {table} s, (SELECT unnest(range($first, $end)) AS k) k "
                    f"WHERE s.{of_source[table]} < $until",
                    beside,
                )
            writer._next_log += (end - first) * len(source.logs)
            writer.follow_up(connection, writer._next_span + (end - first) * SOURCE_SPANS)
        if first % (10 * CHUNK) == 0:
            print(f"  {end * SOURCE_SPANS:,} spans", flush=True)
    store.retain(oldest_us=now_us - WEEK_US - 25 * HOUR_US)


def questions(store: Any, trace_ids: Sequence[str]) -> dict[str, Callable[[Selection], object]]:
    """What the pages ask, as they ask it."""

    def overview(now: Selection) -> None:
        with store.snapshot():
            store.with_previous(now)
            store.timeline(now, step_of(now))
            for key in ("model", "agent", "tool"):
                store.groups(now, key, order="p95", limit=10)
            store.running(now.end_us - 24 * HOUR_US, 20)
            store.traces(now, limit=8)
            store.facets(now)

    def costs(now: Selection) -> None:
        with store.snapshot():
            store.with_previous(now)
            store.timeline(now, step_of(now), "model")
            for key in ("model", "provider", "agent", "framework", "day"):
                store.groups(now, key)
            store.unpriced(now)
            store.facets(now)

    def compare(chosen: Sequence[str]) -> None:
        with store.snapshot():
            for trace_id in chosen:
                for part in store.run(trace_id).parts:
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
        "one trace": lambda _: store.trace(_random.choice(trace_ids)),
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
        "compare (page)": lambda _: compare(_random.sample(trace_ids, 6)),
        "choices for filters": store.choices,
        "traces of one agent": lambda now: store.traces(
            Selection(now.start_us, now.end_us, agents=("crewai-agent-1",))
        ),
        "search, common word": lambda now: store.traces(now, text=_WORDS[0]),
        "search, absent word": lambda now: store.traces(now, text="absentword"),
    }


def step_of(selection: Selection) -> int:
    """The step of a page's timeline, in microseconds."""
    return 900_000_000 if selection.end_us - selection.start_us <= 24 * HOUR_US else HOUR_US


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


@contextmanager
def arriving(store: Any, took: list[float]) -> Iterator[None]:
    """2,000 spans a second, in batches of 500, for as long as the block lasts."""
    stop = threading.Event()
    batches = [batch(500, 0, 500) for _ in range(20)]

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
            due += 500 / RATE
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


def measure(options: argparse.Namespace) -> Report:
    """Fill, ask, write."""
    repetitions = 5 if options.quick else 40
    load = os.getloadavg()
    report = Report(
        title="The dashboard's store",
        how="",
        columns={
            "question": "", "range": "", "p50 ms": ",.1f", "p95 ms": ",.1f", "p50 ms, filling": ",.1f",
            "p95 ms, filling": ",.1f",
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
        now_us = time.time_ns() // 1000
        ids = [row.trace_id for row in store.traces(Selection(now_us - 24 * HOUR_US, now_us), limit=500).rows]
        ids += [row.trace_id for row in store.traces(Selection(0, now_us - WEEK_US // 2), limit=500).rows]
        measured: dict[tuple[str, str], list[float]] = {}
        taken: list[float] = []
        asked = questions(store, ids)
        for name, question in asked.items():
            for label, (length, _) in RANGES.items():
                measured[name, label] = [*ask(question, length, repetitions)]
        with arriving(store, taken):
            time.sleep(3)
            for name, question in asked.items():
                for label, (length, _) in RANGES.items():
                    measured[name, label] += ask(question, length, repetitions)
        for (name, label), numbers in measured.items():
            report.rows.append(dict(zip(report.columns, (name, label, *numbers), strict=True)))
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
        f"{max(took) * 1000:,.0f} ms"
    )


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Which store is measured."""
    arguments.add_argument("--spans", type=int, help="how many spans are stored; 1,000,000 when it is not said")
    arguments.add_argument(
        "--file", type=Path, help="keep the store here, or use the one that an earlier run left here"
    )


def filled(options: argparse.Namespace, directory: str) -> tuple[Path, int]:
    """The file of the store that ``options`` name, made where it is missing, and how many spans were asked for."""
    # Run together with the others, a benchmark has no arguments of its own.
    spans = getattr(options, "spans", None) or (200_000 if options.quick else 1_000_000)
    path = getattr(options, "file", None) or Path(directory, "store.duckdb")
    if not path.exists():
        store = open_store(path)
        fill(store, spans, time.time_ns() // 1000)
        store.close()
    return path, spans


if __name__ == "__main__":
    main(measure, None, __doc__, add_arguments)

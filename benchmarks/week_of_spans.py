"""A store that holds a week of spans, for the dashboard's benchmarks.

It is made by copying a few thousand that went through the real writer, with new ids, times and content; what follows from them
(traces, roll-ups) is made by the writer itself.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ai_dev_squad_dashboard.store import open_store
from ai_dev_squad_dashboard.store.duckdb_columns import SPAN_COLUMNS
from ai_dev_squad_dashboard.store.rows import Batch, LogRow, SpanRow

HOUR_US = 3_600_000_000
WEEK_US = 168 * HOUR_US
SOURCE_SPANS = 5_000
CHUNK = 40  # copies in one transaction: 200,000 spans
RANDOM = random.Random(4)  # the same spans every time
WORDS = ["".join(RANDOM.choices("abcdefghijklmnopqrstuvwxyz", k=RANDOM.randint(3, 9))) for _ in range(3_000)]


_ERRORS = ("RateLimitError", "TimeoutError", "ValidationError", "ToolException", "KeyError")


def words(count: int) -> str:
    """Something to read."""
    return " ".join(RANDOM.choices(WORDS, k=count))


def identity(digits: int) -> str:
    """A random id."""
    return f"{RANDOM.getrandbits(digits * 4):0{digits}x}"


def trace(start_us: int, session: str | None = None) -> Iterator[SpanRow]:
    """A run of twenty spans: agents that call models and tools, about 1.3 kB of content and attributes each."""
    trace_id, root = identity(32), identity(16)
    framework = RANDOM.choice(("langgraph", "crewai", "autogen"))
    model = f"model-{RANDOM.randrange(8)}"
    common: dict[str, Any] = {
        "framework": framework,
        "service": "squad",
        "session_id": session or f"session-{RANDOM.randrange(100)}",
        "user_id": f"user-{RANDOM.randrange(200)}",
        "labels": json.dumps({"tenant": f"tenant-{RANDOM.randrange(40)}", "tag": [f"tag-{RANDOM.randrange(8)}"]}),
        "version": f"1.{RANDOM.randrange(4)}",
        "instrumentation": "ai_dev_squad",
        "ingested_us": start_us,
    }
    yield SpanRow(
        trace_id, root, None, start_us, int(RANDOM.lognormvariate(15, 0.7)), f"{framework}-{RANDOM.randrange(5)}",
        "invoke_workflow", **common, details=b'{"attributes": {"service.name": "squad"}}', text=words(40),
        task=f"task-{RANDOM.randrange(20)}", asked=words(12), answered=words(12),
    )  # fmt: skip
    for number in range(19):
        text = words(70)
        attributes = {
            "gen_ai.request.model": model,
            "server.address": "api.example.com",
            "gen_ai.response.id": identity(24),
        }
        messages = [{"role": "user", "parts": [{"type": "text", "content": text}]}]
        failed = RANDOM.random() < 0.02
        more: dict[str, Any] = {
            **common,
            "status": "error" if failed else "ok",
            "error_type": RANDOM.choice(_ERRORS) if failed else None,
            "error_message": f"{WORDS[RANDOM.randrange(20)]}, request {identity(12)}" if failed else None,
            "agent": f"{framework}-agent-{number // 5}",
            "details": json.dumps({"attributes": attributes, "input": messages, "output": messages}).encode(),
            "text": text,
        }
        start = start_us + number * 100_000
        if number % 4 == 0:
            name, operation, scale = more["agent"], "invoke_agent", 14.5
        elif number % 4 == 3:
            name, operation, scale = f"tool-{RANDOM.randrange(12)}", "execute_tool", 11.0
            more["tool"] = name
        else:
            name, operation, scale = model, "chat", 14.0
            priced = RANDOM.random() < 0.95
            more |= {
                "provider": "openai",
                "model": model,
                "input_tokens": RANDOM.randrange(5_000),
                "output_tokens": RANDOM.randrange(800),
                "cache_read_tokens": RANDOM.randrange(1_000),
                "usage_source": "provider",
                "cost_usd": RANDOM.random() / 100 if priced else None,
                "price": f"openai/{model}" if priced else None,
                "price_source": "genai-prices" if priced else None,
                "cost_reason": None if priced else "no price is known",
            }
        duration = int(RANDOM.lognormvariate(scale, 1))
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
            span.start_us, RANDOM.choice(("INFO", "INFO", "WARNING")), "log", words(15), span.framework, "squad",
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


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Which store is measured."""
    arguments.add_argument("--spans", type=int, help="how many spans are stored; 1,000,000 when it is not said")
    arguments.add_argument(
        "--file", type=Path, help="keep the store here, or use the one that an earlier run left here"
    )


def filled(options: argparse.Namespace, directory: str) -> tuple[Path, int]:
    """The file of the store that ``options`` name, made where it is missing, and how many spans were asked for."""
    spans = options.spans or (200_000 if options.quick else 1_000_000)
    path = options.file or Path(directory, "store.duckdb")
    if not path.exists():
        store = open_store(path)
        fill(store, spans, time.time_ns() // 1000)
        store.close()
    return path, spans

"""The dashboard's search: how fast words are found while spans arrive, what the index costs on disk, and whether it holds up writing.

A week of spans is made as for the store's benchmark. Then a common word, a rare one, one that occurs nowhere, a part of a word, an id
and two words are looked for over all of it, and words in logs, idle and while 2,000 spans a second arrive, and without the index. At last spans are written as
fast as they are taken, with the index and without: those of the store's benchmark, and conversations in which each call repeats all
messages before it, 14 kB a span.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dashboard_store import arriving, ask, processor_ms
from report import Report, Target, main, p50_p95
from week_of_spans import WEEK_US, WORDS, add_arguments, batch, filled, identity, words

from ai_dev_squad_dashboard.commands.tuning import tune_interpreter
from ai_dev_squad_dashboard.store import Selection, open_store
from ai_dev_squad_dashboard.store.duckdb_file import File
from ai_dev_squad_dashboard.store.duckdb_store import DuckDBStore
from ai_dev_squad_dashboard.store.rows import Batch, SpanRow

LIMIT_MS = 50
RATE = 20_000
SHARE = 1.3
RARE = "quetzalcoatlus"
CHARACTERS = 14_000
"""Of text in a call of a conversation, on the average."""
_CALLS, _ASKED, _ANSWERED, _RESULT = 12, 350, 450, 1_120
_SYSTEM = round(CHARACTERS - _ASKED - 1 - (_CALLS + 1) / 2 * (_ANSWERED + _RESULT + 2))
"""What stands before all messages: as much as is left, with the lines' ends."""
_random = random.Random(7)


def questions(store: Any) -> dict[str, Callable[[Selection], object]]:
    """What people look for."""
    common, other = WORDS[:2]
    part = max(WORDS, key=len)[2:7]
    texts = {
        "a common word": common,
        "a rare word": RARE,
        "a word that occurs nowhere": "absentword",
        "a part of a word": part,
        "two words": f"{common} {other}",
        "a common word and one that occurs nowhere": f"{common} absentword",
    }
    asked = {name: lambda now, text=text: store.traces(now, text=text) for name, text in texts.items()}  # type: ignore[misc]
    asked["a common word in logs"] = lambda now: store.logs(now, text=common)
    asked["a word that occurs nowhere in logs"] = lambda now: store.logs(now, text="absentword")
    return asked


def said_in(characters: int) -> str:
    """So many characters of words."""
    return words(characters // 4)[:characters]  # the shortest have three letters and a space


def conversation(start_us: int) -> Iterator[SpanRow]:
    """A run of twelve calls, each with all messages before it: ``CHARACTERS`` of text a span, on the average."""
    trace_id, root = identity(32), identity(16)
    said = [said_in(_SYSTEM), said_in(_ASKED)]
    for number in range(_CALLS):
        said += [said_in(_ANSWERED), f"result {identity(12)}\n{said_in(_RESULT - 20)}"]
        yield SpanRow(
            trace_id, root if not number else identity(16), root if number else None, start_us + number, 5, "model", "chat",
            usage_source="missing", cost_reason="none", text="\n".join(said),
        )  # fmt: skip


def conversations(spans: int) -> list[SpanRow]:
    """Runs, one after another."""
    rows: list[SpanRow] = []
    while len(rows) < spans:
        rows += conversation(len(rows))
    return rows[:spans]


def written(path: Path, made: list[list[SpanRow]], batches: int, *, indexed: bool) -> tuple[str, float, int]:
    """Write batches as fast as they are taken: what to say of it, spans a second, and bytes when all is indexed."""
    store = DuckDBStore(File(path, 1024), index=path.with_suffix(".search") if indexed else None)
    took, cpu = [], time.process_time()
    for number in range(batches):
        now_us = time.time_ns() // 1000
        mark = f"{number + 1:08x}"
        spans = [
            row._replace(trace_id=mark + row.trace_id[8:], start_us=now_us + row.start_us)
            for row in made[number % len(made)]
        ]
        started = time.perf_counter()
        store.write(Batch(spans=spans))
        took.append(time.perf_counter() - started)
    behind = store.search_state().behind
    if store.indexes is not None:
        store.indexes.settle(3600)
    cpu = time.process_time() - cpu
    rate = sum(map(len, made)) / len(made) * batches / sum(took)
    p50, p95 = p50_p95(took)
    size = store.state().bytes + store.search_state().bytes
    store.close()
    total = sum(map(len, made)) / len(made) * batches
    said = f"{rate:,.0f} spans/s (a batch p50 {p50 * 1000:.0f} ms, p95 {p95 * 1000:.0f} ms, worst {max(took) * 1000:,.0f} ms; "
    said += f"{cpu / total * 1e6:.0f} us of a processor a span" + (
        f"; {behind:,.0f} spans behind at the end)" if indexed else ")"
    )
    return said, rate, size


def measure(options: argparse.Namespace) -> Report:
    """Fill, index, ask, write."""
    tune_interpreter()  # as the dashboard's process is
    repetitions = 5 if options.quick else 40
    load = os.getloadavg()
    report = Report(
        title="The dashboard's search",
        how="",
        columns={
            "looked for": "", "p50 ms": ",.1f", "p95 ms": ",.1f", "p50 ms, filling": ",.1f", "p95 ms, filling": ",.1f",
            "p50 ms, without the index": ",.0f", "processor ms": ",.1f",
        },
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as directory:
        path, _ = filled(options, directory)
        reading = DuckDBStore(File(path, 1024))
        now_us = time.time_ns() // 1000
        for start_us in (now_us - WEEK_US + 10**9, now_us - WEEK_US // 2, now_us - 10**9):
            reading.write(Batch([SpanRow(identity(32), identity(16), None, start_us, 5, "rare", "chat", text=RARE)]))
        spans, plain = reading.state().spans, reading.state().bytes
        unindexed = {name: ask(question, WEEK_US, 3)[0] for name, question in questions(reading).items()}
        reading.close()

        started, cpu = time.perf_counter(), time.process_time()
        store: Any = open_store(path)
        store.indexes.settle(7200)
        indexed_s, cpu = time.perf_counter() - started, time.process_time() - cpu
        index_bytes = store.search_state().bytes
        measured = {name: [*ask(question, WEEK_US, repetitions)] for name, question in questions(store).items()}
        processor = {name: processor_ms(question, WEEK_US) for name, question in questions(store).items()}
        taken: list[float] = []
        with arriving(store, taken):
            time.sleep(3)
            for name, question in questions(store).items():
                measured[name] += ask(question, WEEK_US, repetitions)
            behind = store.search_state().behind
        store.close()
        for name, numbers in measured.items():
            report.rows.append(
                dict(zip(report.columns, (name, *numbers, unindexed[name], processor[name]), strict=True))
            )
            report.targets.append(
                Target(
                    f"{name}: at most {LIMIT_MS} ms p95 while filled", f"{numbers[3]:.0f} ms", numbers[3] <= LIMIT_MS
                )
            )

        lines = []
        kinds = {
            "runs of agents": [batch(5_000, 0, 500).spans for _ in range(10)],
            "conversations": [conversations(2_000) for _ in range(10)],
        }
        for kind, made in kinds.items():
            sizes = {}
            for indexed in (False, True):
                file = Path(directory, f"{kind[:3]}-{indexed}.duckdb")
                said, rate, sizes[indexed] = written(file, made, 4 if options.quick else 40, indexed=indexed)
                length = sum(len(row.text or "") for row in made[0]) / len(made[0])
                lines.append(f"{kind} ({length:,.0f} characters), {'with' if indexed else 'without'} the index: {said}")
            report.targets.append(
                Target(f"{kind}: at least {RATE:,} spans/s with the index", f"{rate:,.0f}", rate >= RATE)
            )
            share = sizes[True] / sizes[False]
            report.targets.append(Target(f"{kind}: at most {SHARE} times the disk", f"{share:.2f}", share <= SHARE))
        p50, p95 = p50_p95(taken)
        report.how = (
            f"{spans:,} spans over 7 days; load {load[0]:.1f} before and {os.getloadavg()[0]:.1f} after on {os.cpu_count()} cores. "
            f"{plain / 1e9:.2f} GB, the index {index_bytes / 1e9:.3f} GB besides ({index_bytes / spans:.0f} bytes a span), made in "
            f"{indexed_s:,.0f} s ({cpu / spans * 1e6:.0f} us of a processor a span). Batches of 500 while words were looked for: p50 "
            f"{p50:.0f} ms, p95 {p95:.0f} ms; the index {behind:,} spans behind. As fast as they are taken: {'; '.join(lines)}."
        )
        report.targets.append(
            Target(
                f"the week: at most {SHARE} times the disk",
                f"{1 + index_bytes / plain:.2f}",
                1 + index_bytes / plain <= SHARE,
            )
        )
    report.used({name: version(name) for name in ("duckdb", "arro3-core")})
    return report


if __name__ == "__main__":
    main(measure, None, __doc__, add_arguments)

"""Memory over a million operations: journal and ledger on, model calls with cost, a budget, a new session every run.

One process; after every interval it says how large it is (resident set), how many operations are open and how many
calls the ledger holds. A second, shorter process traces Python's allocations, which is exact and slow.
"""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
import time
import tracemalloc
from typing import Any

import environments
from report import Report, Target, main
from worker import Worker, resident_bytes, serve

_PER_RUN = 10  # one workflow, three tasks, three model calls, three tools
_INTERVALS = 10
_FLAT_BYTES = 16  # an operation; the smallest object that a leak could leave behind has 48 or more


def _one_run(session: str) -> None:
    from ai_dev_squad import operations
    from ai_dev_squad.schema import Usage

    start, request = operations.start, operations.ModelRequest("gpt-4o-mini", "openai")
    squad = start(operations.WORKFLOW, "squad", framework="bench", session_id=session)
    for name in ("plan", "code", "review"):
        task = start(operations.TASK, name, framework="bench", parent=squad, agent_id=name)
        call = start(operations.CHAT, "gpt-4o-mini", framework="bench", parent=task, request=request)
        call.usage = Usage(input_tokens=1_200, output_tokens=150, cache_read_input_tokens=1_024, source="provider")
        call.stop()
        tool = start(operations.TOOL, "search", framework="bench", parent=task)
        tool.stop()
        task.stop()
    squad.stop()


def _work(variant: str) -> None:
    """Run operations when asked; trace allocations if the variant says so."""
    import ai_dev_squad
    from ai_dev_squad import operations

    directory = tempfile.mkdtemp(prefix="bench-memory-", dir=os.environ.get("BENCH_DIR"))
    ai_dev_squad.configure(log_dir=directory, on_full="block", keep_files=1)
    ai_dev_squad.get_cost_tracker().budget_manager.set_budget("all", 1_000_000.0, "day")
    done = 0
    if variant == "traced":
        tracemalloc.start()

    def run(count: int) -> dict[str, Any]:
        nonlocal done
        started = time.perf_counter()
        for _ in range(count // _PER_RUN):
            _one_run(f"session-{done}")
            done += _PER_RUN
        ai_dev_squad.flush()
        seconds = time.perf_counter() - started
        gc.collect()
        traced, peak = tracemalloc.get_traced_memory()
        return {
            "operations": done,
            "rss_mib": resident_bytes() / 2**20,
            "open": len(operations.open_operations()),
            "us": seconds / count * 1e6,
            "traced_mib": traced / 2**20,
            "peak_mib": peak / 2**20,
            "versions": environments.versions("ai-dev-squad"),
        }

    serve(run)


def measure(options: argparse.Namespace) -> Report:
    """Run the million in intervals, then a tenth of it traced."""
    total = 50_000 if options.quick else 1_000_000
    report = Report(
        title="Memory over many operations",
        how="Start and end of workflow, tasks, tools and model calls through the core, journal, ledger and a budget "
        "on, a new session every run, everything flushed at the end of an interval.",
        columns={
            "operations": ",d", "RSS MiB": ".1f", "open operations": "d", "us/operation": ".1f",
            "traced MiB": ".2f", "traced peak MiB": ".2f",
        },
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        rows = {
            variant: _intervals(variant, count // _INTERVALS, directory)
            for variant, count in (("plain", total), ("traced", total // 10))
        }
    for variant, answers in rows.items():
        for answer in answers:
            row = {"operations": answer["operations"], "open operations": answer["open"], "us/operation": answer["us"]}
            if variant == "plain":
                row["RSS MiB"] = answer["rss_mib"]
            else:
                row |= {"traced MiB": answer["traced_mib"], "traced peak MiB": answer["peak_mib"]}
            report.rows.append(row)
            report.used(answer["versions"])
    plain = [(answer["operations"], answer["rss_mib"]) for answer in rows["plain"]]
    traced = [(answer["operations"], answer["traced_mib"]) for answer in rows["traced"]]
    # The ledger is full after a third of the traced run; the least of a third is without a compression under way.
    third = _INTERVALS // 3
    parts = traced[-2 * third : -third], traced[-third:]
    report.targets = [
        _target("resident set", plain[1], plain[-1]),
        _target("traced allocations", *(min(part, key=lambda pair: pair[1]) for part in parts)),
    ]
    return report


def _target(what: str, early: tuple[int, float], late: tuple[int, float]) -> Target:
    growth = (late[1] - early[1]) * 2**20 / (late[0] - early[0])
    promise = f"{what}: grows by less than {_FLAT_BYTES} bytes an operation from {early[0]:,} to {late[0]:,}"
    return Target(promise, f"{growth:+.1f}", growth < _FLAT_BYTES)


def _intervals(variant: str, count: int, directory: str) -> list[dict[str, Any]]:
    worker = Worker(environments.python_of(environments.OURS), __file__, variant, BENCH_DIR=directory)
    answers = [worker.ask(count=count) for _ in range(_INTERVALS)]
    worker.close()
    return answers


if __name__ == "__main__":
    main(measure, _work, __doc__)

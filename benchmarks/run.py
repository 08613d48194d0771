"""Run every benchmark, one after another, and print one Markdown report.

    python benchmarks/run.py [--quick] [--check] [--only NAME …] [--json FILE] [--keep] [--spans N] [--file STORE]

With ``--keep`` what was measured goes into ``benchmarks/results/``, too, of which tools/comparison makes its pages.

The exit code says whether the benchmarks ran, never whether something was fast enough.
"""

from __future__ import annotations

import datetime as dt
import importlib
import json
import os
import platform
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

from environments import CACHE
from report import Report, parser
from week_of_spans import add_arguments

RESULTS = Path(__file__).with_name("results")

_BENCHMARKS = (
    "import_time",
    "price_lookup",
    "redaction",
    "budget_reservation",
    "journal_throughput",
    "wire_overhead",
    "langgraph_overhead",
    "autogen_overhead",
    "agent_framework_overhead",
    "openai_agents_overhead",
    "pydantic_ai_overhead",
    "crewai_overhead",
    "dead_endpoint",
    "memory",
    "framework_memory",
    "dashboard_ingest",
    "otlp_translate",
    "dashboard_store",
    "dashboard_search",
    "dashboard_pages",
    "alert_rules",
)


def _machine() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text(encoding="utf-8", errors="replace") if cpuinfo.exists() else ""
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    load = f", load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, {platform.platform()}{load}"


def main() -> int:
    arguments = parser(__doc__)
    arguments.add_argument("--only", nargs="+", choices=_BENCHMARKS, default=_BENCHMARKS, metavar="NAME")
    arguments.add_argument("--keep", action="store_true", help="also into benchmarks/results/, beside what the day has")
    add_arguments(arguments)
    options = arguments.parse_args()
    today = dt.datetime.now(dt.timezone.utc).date().isoformat()
    results: dict[str, Any] = {"date": today, "machine": _machine()}
    print(f"# Benchmarks, {today}\n\n{results['machine']}. Figures of one run, side by side.\n", flush=True)
    failed = 0
    for name in options.only:
        try:
            report: Report = importlib.import_module(name).measure(options)
        except Exception:  # one broken benchmark must not cost the others
            failed += 1
            print(f"## {name}\n\nDid not run:\n\n```\n{traceback.format_exc()}```\n", flush=True)
            continue
        results[name] = asdict(report)
        print(report.markdown(options.check), flush=True)
    path = options.json or CACHE / "results.json"
    _write(path, results)
    if options.keep and not options.quick:
        kept = RESULTS / f"{today}.json"
        _write(kept, {**(json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}), **results})
    print(f"Everything, as JSON: {path}", file=sys.stderr)
    return failed


def _write(path: Path, results: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

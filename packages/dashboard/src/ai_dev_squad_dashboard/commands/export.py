"""``ai-dev-squad export``: spans or log lines of a store, as a file."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from ai_dev_squad_dashboard.commands import CommandError, moment_us, say

__all__ = ["register"]

_DAY_US = 86_400_000_000


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "export",
        help="write spans or log lines of a store to a file",
        description="Write spans or log lines of a store that no dashboard has open.",
    )
    parser.add_argument(
        "--db", type=Path, metavar="FILE", help="the store (default: DASHBOARD_DB, else logs/dashboard.duckdb)"
    )
    parser.add_argument("--kind", choices=("spans", "logs"), default="spans", help="what to write (default: spans)")
    parser.add_argument("--format", choices=("jsonl", "csv", "parquet"), help="default: by the file's name, else jsonl")
    parser.add_argument("--since", metavar="TIME", help="only what is newer: 30m, 24h, 7d, or a date (default: all)")
    parser.add_argument("--until", metavar="TIME", help="only what is older")
    parser.add_argument(
        "-o", "--output", required=True, metavar="FILE", help="the file to write; - for standard output"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from ai_dev_squad_dashboard.commands.stores import opened
    from ai_dev_squad_dashboard.settings import DashboardSettings
    from ai_dev_squad_dashboard.store import Selection

    file_format = _format(options.format, options.output)
    start_us = 0 if options.since is None else moment_us(options.since)
    end_us = time.time_ns() // 1000 + _DAY_US if options.until is None else moment_us(options.until)
    if start_us >= end_us:
        raise CommandError(f"--since {options.since} is not before --until {options.until}", 2)
    db = options.db or DashboardSettings.from_environment().db
    with opened(db, must_exist=True) as store:
        selection = Selection(start_us=start_us, end_us=end_us)
        if options.output != "-":
            target = Path(options.output)
            target.parent.mkdir(parents=True, exist_ok=True)
            count = store.export(options.kind, selection, target, file_format)
            say(f"{count:,} {options.kind} in {target}", error=True)
            return
        with tempfile.TemporaryDirectory() as directory:
            target = Path(directory) / f"export.{file_format}"
            store.export(options.kind, selection, target, file_format)
            _copy(target)


def _copy(source: Path) -> None:
    import shutil
    import sys

    with source.open("rb") as opened:
        shutil.copyfileobj(opened, sys.stdout.buffer)


def _format(given: str | None, output: str) -> str:
    if given is not None:
        return given
    suffix = Path(output).suffix.lstrip(".").lower()
    return {"csv": "csv", "parquet": "parquet"}.get(suffix, "jsonl")

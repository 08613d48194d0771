"""``ai-dev-squad export``: spans or log lines of a store, as a file."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from ai_dev_squad_dashboard.commands import CommandError, moment_us, say, told
from ai_dev_squad_dashboard.commands.places import add_place, place_of

__all__ = ["register"]

_DAY_US = 86_400_000_000


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "export",
        help="write spans or log lines of a store to a file",
        description="Write spans or log lines of a store to a file. A store that a dashboard has open is asked for over HTTP: --url.",
    )
    goal = parser.add_mutually_exclusive_group()
    add_place(goal)
    goal.add_argument("--url", help="a running dashboard, such as http://127.0.0.1:8080")
    parser.add_argument("--token", help="a read token for --url (better: AI_DEV_SQUAD_TOKEN)")
    parser.add_argument("--kind", choices=("spans", "logs"), default="spans", help="what to write (default: spans)")
    parser.add_argument("--format", choices=("jsonl", "csv", "parquet"), help="default: by the file's name, else jsonl")
    parser.add_argument("--since", metavar="TIME", help="only what is newer: 30m, 24h, 7d, or a date (default: all)")
    parser.add_argument("--until", metavar="TIME", help="only what is older")
    parser.add_argument(
        "-o", "--output", required=True, metavar="FILE", help="the file to write; - for standard output"
    )
    parser.set_defaults(run=told(_run))


def _run(options: argparse.Namespace) -> None:
    from ai_dev_squad_dashboard.commands.stores import opened
    from ai_dev_squad_dashboard.store import Selection

    file_format = _format(options.format, options.output)
    start_us = 0 if options.since is None else moment_us(options.since)
    end_us = time.time_ns() // 1000 + _DAY_US if options.until is None else moment_us(options.until)
    if start_us >= end_us:
        raise CommandError(f"--since {options.since} is not before --until {options.until}", 2)
    if options.url:
        _ask(options, file_format, start_us, end_us)
        return
    place = place_of(options)
    with opened(place, must_exist=True) as store:
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


def _ask(options: argparse.Namespace, file_format: str, start_us: int, end_us: int) -> None:
    """Let the dashboard that runs write it, and take it as it comes."""
    import shutil
    import sys
    from urllib.parse import urlencode

    from ai_dev_squad_cli.asking import answer_of
    from ai_dev_squad_dashboard.formats import iso

    asks = urlencode({"format": file_format, "from": iso(start_us), "to": iso(end_us)})
    with answer_of(options.url, f"/api/export/{options.kind}?{asks}", token=options.token) as answer:
        if options.output == "-":
            shutil.copyfileobj(answer, sys.stdout.buffer)
            return
        target = Path(options.output)
        target.parent.mkdir(parents=True, exist_ok=True)
        # Under another name until it is whole.
        part = target.with_name(target.name + ".part")
        try:
            with part.open("wb") as file:
                shutil.copyfileobj(answer, file)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    say(f"{options.kind} of {options.url} in {target}", error=True)


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

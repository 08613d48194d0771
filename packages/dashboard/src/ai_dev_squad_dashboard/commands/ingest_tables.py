"""``ai-dev-squad ingest --from clickhouse://…/otel_traces``: what a Collector has written to ClickHouse, into a store."""

from __future__ import annotations

import argparse
import signal
import threading
from contextlib import ExitStack
from typing import Any

from ai_dev_squad_dashboard.commands import CommandError, say
from ai_dev_squad_dashboard.commands.places import place_of
from ai_dev_squad_dashboard.store_url import without_password

__all__ = ["add_tables", "ingest_tables"]

_HOUR_US = 3_600_000_000


def add_tables(parser: argparse.ArgumentParser) -> None:
    """The options that name tables, and say how they are read."""
    parser.add_argument(
        "--from",
        dest="tables",
        action="append",
        default=[],
        metavar="URL",
        help="a table of the Collector's ClickHouse exporter, such as clickhouse://user:password@host:8123/otel/otel_traces; "
        "more than once for traces and logs",
    )
    parser.add_argument("--follow", action="store_true", help="with --from: go on until stopped")
    parser.add_argument(
        "--every", type=float, default=10.0, metavar="SECONDS", help="with --follow: how often to look (default: 10)"
    )
    parser.add_argument(
        "--late",
        type=float,
        default=24.0,
        metavar="HOURS",
        help="with --from: how much older than the newest a row may be and still be noticed (default: 24)",
    )


def ingest_tables(options: argparse.Namespace) -> int:
    """Run the command for tables. Returns the exit code: 1 when rows were refused."""
    if options.path or options.url:
        raise CommandError(
            "--from reads tables into a store: leave out files and --url, or ingest those by themselves", 2
        )
    if options.late <= 0 or options.every <= 0:
        raise CommandError(f"--late {options.late:g} and --every {options.every:g} have to be more than 0", 2)
    from ai_dev_squad import get_settings
    from ai_dev_squad_dashboard.commands.stores import opened
    from ai_dev_squad_dashboard.ingest.pricing import Prices
    from ai_dev_squad_dashboard.ingest.queue import IngestQueue

    try:
        from ai_dev_squad_dashboard.ingest.otel_source import OtelTable
    except ImportError as error:
        raise CommandError(
            f"clickhouse-connect is missing ({error}); pip install 'ai-dev-squad-dashboard[clickhouse]'"
        ) from None
    place = place_of(options)
    late_us = int(options.late * _HOUR_US)
    with ExitStack() as open_things:
        store = open_things.enter_context(opened(place, must_exist=False))
        queue = IngestQueue(store, max_pending_rows=50_000)
        open_things.callback(queue.close, 60)
        prices = Prices(get_settings().prices_file)
        tables = []
        for url in options.tables:
            table = OtelTable(url, store, queue.submit, late_us=late_us, prices=prices)
            open_things.callback(table.close)
            tables.append((url, table))
        refused = _read(tables) if not options.follow else _follow(tables, options.every)
        state = queue.state()
        say(
            f"{state.written_spans:,} spans and {state.written_logs:,} log lines stored in {without_password(str(place))}"
        )
    return 1 if refused else 0


def _read(tables: list[tuple[str, Any]]) -> int:
    refused = 0
    for url, table in tables:
        done = table.read()
        say(f"{without_password(url)}: {done.rows:,} rows of {done.minutes:,} minutes with news")
        if done.refused:
            say(f"{without_password(url)}: {done.refused:,} rows refused; {done.problem}", error=True)
            refused += done.refused
    return refused


def _follow(tables: list[tuple[str, Any]], every_s: float) -> int:
    """Until SIGINT or SIGTERM. A server that is away is asked again."""
    from ai_dev_squad_dashboard.store import StoreError

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    refused, told = 0, ""
    while not stop.is_set():
        trouble = ""
        for url, table in tables:
            try:
                done = table.read()
            except StoreError as error:
                trouble = str(error)
                continue
            if done.refused:
                refused += done.refused
                say(f"{without_password(url)}: {done.refused:,} rows refused; {done.problem}", error=True)
        if trouble != told:
            say(f"{trouble}; tried again until it does" if trouble else "rows are read again", error=True)
            told = trouble
        stop.wait(every_s)
    return refused

"""``ai-dev-squad mcp``: answers coding agents and other clients of the Model Context Protocol on standard input and output."""

from __future__ import annotations

import argparse
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ai_dev_squad_dashboard.commands import CommandError, log_paths, told
from ai_dev_squad_dashboard.commands.places import add_place, place_of

if TYPE_CHECKING:
    from ai_dev_squad_dashboard.mcp.sources import Source
    from ai_dev_squad_dashboard.store import Store

__all__ = ["register"]


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "mcp",
        help="answer coding agents over the Model Context Protocol",
        description="Answer a client of the Model Context Protocol on standard input and output: runs, errors, costs, budgets, SQL. "
        "Nothing is written. Reads journals unless told otherwise; they may be written to, and shown by a dashboard, meanwhile.",
    )
    goal = parser.add_mutually_exclusive_group()
    goal.add_argument(
        "--logs",
        action="append",
        metavar="DIR",
        help="a directory of journals; may be repeated (default: AI_DEV_SQUAD_LOG_DIR or logs)",
    )
    add_place(goal)
    goal.add_argument("--url", help="a running dashboard, such as http://127.0.0.1:8080")
    parser.add_argument("--token", help="a read token for --url (better: AI_DEV_SQUAD_TOKEN)")
    parser.add_argument(
        "--links",
        metavar="URL",
        default="http://127.0.0.1:8080",
        help="where a dashboard shows the same, for links in answers (default: http://127.0.0.1:8080; with --url that one)",
    )
    parser.set_defaults(run=told(_run))


def _run(options: argparse.Namespace) -> None:
    try:
        import anyio
        import mcp  # noqa: F401 - whether it is there

        from ai_dev_squad_dashboard.mcp.server import serve_stdio
    except ImportError as error:
        raise CommandError(
            f"the MCP server needs its extra ({error}): pip install 'ai-dev-squad-dashboard[mcp]'"
        ) from None
    with _source(options) as source:
        anyio.run(serve_stdio, source)


@contextmanager
def _source(options: argparse.Namespace) -> Iterator[Source]:
    """Whom to ask, as the options say."""
    from ai_dev_squad_dashboard.mcp.sources import RemoteSource

    if options.url:
        if not options.url.startswith(("http://", "https://")):
            raise CommandError(f"{options.url!r} is no address of a dashboard; write it like http://127.0.0.1:8080", 2)
        yield RemoteSource(options.url, options.token)
        return
    with ExitStack() as closing:
        if options.db is not None or options.store is not None:
            from ai_dev_squad_dashboard.commands.stores import opened

            yield _asking(closing, closing.enter_context(opened(place_of(options), must_exist=True)), options)
            return
        # A store of our own, made of the journals: the dashboard's stays free for the dashboard.
        folder = closing.enter_context(tempfile.TemporaryDirectory(prefix="ai-dev-squad-mcp-"))
        from ai_dev_squad_dashboard.store import open_store

        store = open_store(Path(folder) / "store.duckdb", memory_limit_mib=512)
        closing.callback(store.close)
        yield _asking(closing, store, options, follow=True)


def _asking(closing: ExitStack, store: Store, options: argparse.Namespace, *, follow: bool = False) -> Source:
    from ai_dev_squad_dashboard.ingest.journal import JournalTail
    from ai_dev_squad_dashboard.ingest.queue import IngestQueue
    from ai_dev_squad_dashboard.mcp.sources import SiteSource
    from ai_dev_squad_dashboard.page import Site
    from ai_dev_squad_dashboard.settings import DashboardSettings

    settings = DashboardSettings.from_environment(logs=tuple(log_paths(options.logs or [])))
    queue = IngestQueue(store, max_pending_rows=settings.max_pending_rows)
    closing.callback(queue.close)
    if not follow:
        return SiteSource(Site(store, queue, settings, sources=tuple), options.links)
    tail = JournalTail(settings.logs, queue)
    lock = threading.Lock()

    def catch_up() -> None:
        with lock:
            tail.catch_up()

    return SiteSource(Site(store, queue, settings, sources=tail.states), options.links, before=catch_up)

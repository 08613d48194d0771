"""``ai-dev-squad dashboard``: the pages, the ingest and the store, in one process."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ai_dev_squad_dashboard.commands import CommandError, say, told
from ai_dev_squad_dashboard.commands.tuning import tune_interpreter, tune_memory
from ai_dev_squad_dashboard.store_url import without_password

__all__ = ["register"]


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "dashboard",
        help="run the dashboard",
        description="Follow journals, receive OTLP, and show both. Every setting is also read from DASHBOARD_<NAME>.",
    )
    parser.add_argument(
        "--logs",
        action="append",
        type=Path,
        metavar="DIR",
        help="a journal directory to follow (default: logs); repeatable",
    )
    parser.add_argument(
        "--db", type=Path, metavar="FILE", help="the store (default: dashboard.duckdb in the first of --logs)"
    )
    parser.add_argument(
        "--store", metavar="URL", help="the store of another engine instead, such as clickhouse://host:8123/squad"
    )
    parser.add_argument("--host", help="the address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, help="the port (default: 8080); 0 takes a free one")
    parser.add_argument("--grpc-port", type=int, metavar="PORT", help="also receive OTLP over gRPC, usually on 4317")
    parser.add_argument("--alerts", type=Path, metavar="FILE", help="the rules of alerts, TOML")
    parser.add_argument("--open", action="store_true", help="open a browser once it runs")
    parser.add_argument(
        "--forward", metavar="URL", help="send what is received on to a second back end that takes OTLP"
    )
    parser.set_defaults(run=told(_run))


def _run(options: argparse.Namespace) -> int:
    from ai_dev_squad_dashboard.settings import DashboardSettings

    try:
        settings = DashboardSettings.from_environment(
            logs=tuple(options.logs) if options.logs else None,
            db=options.db,
            store=options.store,
            host=options.host,
            port=options.port,
            grpc_port=options.grpc_port,
            forward=options.forward,
            alerts=options.alerts,
        )
    except ValueError as error:
        raise CommandError(str(error), 2) from None

    from ai_dev_squad_dashboard.server import check_port, serve

    # Before the store is opened: a dashboard that runs already holds both, and this says it better.
    check_port(settings.host, settings.port)
    from ai_dev_squad_dashboard.app import create_app

    tune_memory()
    app = create_app(settings)

    def ready(url: str) -> None:
        say(f"Dashboard  {url}")
        for directory in settings.logs:
            say(
                f"Journals   {directory}{'' if directory.exists() else ' (not there yet; it will be followed once it is)'}"
            )
        say(f"Store      {settings.place_shown}")
        say(f"OTLP       {url}v1/traces")
        if settings.forward is not None:
            say(f"Forwards   {without_password(settings.forward)}")
        say("Stop with Ctrl+C.")
        if options.open:
            import webbrowser

            webbrowser.open(url)

    tune_interpreter()
    serve(app, settings, ready=ready)
    return 0

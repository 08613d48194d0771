"""``ai-dev-squad receive``: OTLP into a store, without pages."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ai_dev_squad_dashboard.commands import CommandError, say, told
from ai_dev_squad_dashboard.commands.places import add_place
from ai_dev_squad_dashboard.commands.tuning import tune_interpreter, tune_memory
from ai_dev_squad_dashboard.store_url import without_password

__all__ = ["register"]


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "receive",
        help="receive OTLP into a store, without pages",
        description="Take OTLP, and journal lines that a log shipper brings, into a store that dashboards show. The dashboard does "
        "so itself; this is for a store that many processes can use, such as ClickHouse, with as many receivers as are needed. "
        "Every setting is also read from DASHBOARD_<NAME>.",
    )
    add_place(parser)
    parser.add_argument("--host", help="the address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, help="the port of OTLP over HTTP (default: 4318); 0 takes a free one")
    parser.add_argument(
        "--grpc-port", type=int, metavar="PORT", help="also receive OTLP over gRPC, usually on 4317; 0 takes a free one"
    )
    parser.add_argument(
        "--forward", metavar="URL", help="send what is received on to a second back end that takes OTLP"
    )
    parser.set_defaults(run=told(_run))


def _run(options: argparse.Namespace) -> int:
    from ai_dev_squad_dashboard.settings import ReceiverSettings

    try:
        settings = ReceiverSettings.from_environment(
            db=options.db,
            store=options.store,
            host=options.host,
            port=options.port,
            grpc_port=options.grpc_port,
            forward=options.forward,
        )
    except ValueError as error:
        raise CommandError(str(error), 2) from None

    from ai_dev_squad_dashboard.receiving import create_receiver
    from ai_dev_squad_dashboard.server import check_port, serve
    from ai_dev_squad_dashboard.store import StoreError

    check_port(settings.host, settings.port)
    tune_memory()
    is_file = isinstance(settings.place, Path) or settings.place.startswith("duckdb:")
    try:
        app = create_receiver(settings)
    except StoreError as error:
        raise CommandError(f"{error}{_ONE_PROCESS if is_file and 'in use' in str(error) else ''}") from None

    def ready(url: str) -> None:
        say(f"Receiving  {url}v1/traces")
        grpc = app.extensions["ai_dev_squad"].grpc
        if grpc is not None:
            say(f"gRPC       {settings.host}:{grpc.bound_port}")
        say(f"Store      {settings.place_shown}")
        if settings.forward is not None:
            say(f"Forwards   {without_password(settings.forward)}")
        if is_file:
            say(
                "A file is one process's: no dashboard can show it meanwhile. For both at once use a store such as clickhouse://…"
            )
        say("Stop with Ctrl+C.")

    tune_interpreter()
    serve(app, settings, ready=ready)
    return 0


_ONE_PROCESS = (
    ". A file is one process's: let that dashboard receive, which it does on its own port, or keep spans where many processes "
    "can, such as --store clickhouse://user:password@host:8123/database"
)

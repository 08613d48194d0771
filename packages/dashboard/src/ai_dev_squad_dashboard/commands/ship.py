"""``ai-dev-squad ship``: journals to a dashboard, or any OTLP receiver, on another machine."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from ai_dev_squad_dashboard.commands import CommandError, log_paths, say, told

__all__ = ["register"]

_STATE = "ai_dev_squad.shipped"


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "ship",
        help="send journals to a dashboard on another machine",
        description="Follow journals and send each line as an OTLP log record, at least once, in order. The dashboard rebuilds "
        "the runs from them as from the files, and counts what comes twice once.",
    )
    parser.add_argument("path", nargs="*", help="journal directories or files (default: AI_DEV_SQUAD_LOG_DIR or logs)")
    parser.add_argument("--to", metavar="URL", help="the receiver (default: OTEL_EXPORTER_OTLP_ENDPOINT)")
    parser.add_argument("--token", help="an ingest token of the dashboard (better: AI_DEV_SQUAD_TOKEN)")
    parser.add_argument(
        "--header",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a header to send; may be given several times",
    )
    parser.add_argument(
        "--state",
        type=Path,
        metavar="FILE",
        help=f"what remembers how far was sent (default: {_STATE} beside the first journal)",
    )
    parser.add_argument("--once", action="store_true", help="send what is written now, and end")
    parser.set_defaults(run=told(_run))


def _run(options: argparse.Namespace) -> int:
    import signal

    from ai_dev_squad_dashboard.otlp_post import endpoint_for, post
    from ai_dev_squad_dashboard.shipping import Shipper, Unsendable

    url = options.to or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    if not url:
        raise CommandError("where to? name the receiver, such as --to http://dashboard.example:8080", 2)
    try:
        target = endpoint_for(url, "logs")
    except ValueError as error:
        raise CommandError(str(error), 2) from None
    paths, headers = log_paths(options.path), _headers(options)
    state = options.state or (paths[0].parent if paths[0].suffix else paths[0]) / _STATE
    try:
        shipper = Shipper(
            paths,
            lambda body: post(target, body, headers),
            state=state,
            target=target,
            tell=lambda text: say(text, error=True),
            waits=not options.once,
        )
        if options.once:
            shipped = shipper.ship_all()
        else:
            signal.signal(signal.SIGTERM, lambda *_: shipper.stop())
            shipped = shipper.follow()
    except Unsendable as error:
        raise CommandError(str(error)) from None
    say(f"{shipped.lines:,} lines sent to {target}")
    if shipped.bad_lines:
        say(f"{shipped.bad_lines:,} lines are no journal lines and were not sent", error=True)
    return 1 if shipped.refused else 0


def _headers(options: argparse.Namespace) -> dict[str, str]:
    headers = {}
    for text in options.header:
        name, found, value = text.partition("=")
        if not found or not name.strip():
            raise CommandError(f"--header {text!r} has no name and value; write it as NAME=VALUE", 2)
        headers[name.strip()] = value.strip()
    token = options.token or os.environ.get("AI_DEV_SQUAD_TOKEN")
    return {**headers, "Authorization": f"Bearer {token}"} if token else headers

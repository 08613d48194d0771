"""``ai-dev-squad live``: runs in journals while they happen, on a screen of their own."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ai_dev_squad_cli.reading import add_paths
from ai_dev_squad_cli.terminal import CommandError, log_paths

__all__ = ["register"]


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "live",
        help="watch runs while they happen",
        description="Show runs in journals while they happen: the list, the chosen one as a tree, tokens and cost. Needs a terminal, "
        "and: pip install 'ai-dev-squad-cli[live]'",
    )
    add_paths(parser)
    parser.add_argument(
        "--interval", type=float, default=0.5, metavar="S", help="seconds between two looks (default: 0.5)"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    if not 0.05 <= options.interval <= 3600:
        raise CommandError(f"--interval {options.interval:g} is no span of time here; use 0.05 to 3600 seconds", 2)
    try:
        from ai_dev_squad_cli.live.screen import LiveScreen
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "textual":
            raise
        raise CommandError("live needs textual; install it: pip install 'ai-dev-squad-cli[live]'") from None
    from ai_dev_squad_cli.live.watching import Watch

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CommandError(
            "live needs a terminal; `ai-dev-squad tail --follow` prints what happens to a file or a pipe"
        )
    with Watch(log_paths(options.path)) as watch:
        LiveScreen(watch, options.interval).run()

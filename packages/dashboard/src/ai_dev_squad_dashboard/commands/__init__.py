"""The commands that the dashboard adds to ``ai-dev-squad``, one module each, and what they share."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable

from ai_dev_squad_cli import CommandError, log_paths, moment_us, say, show_json, table, wants_colour

__all__ = ["CommandError", "log_paths", "moment_us", "say", "show_json", "table", "told", "wants_colour"]

Handler = Callable[[argparse.Namespace], int | None]


def told(handler: Handler) -> Handler:
    """The handler, its errors that are meant for people told as such."""

    @functools.wraps(handler)
    def telling(options: argparse.Namespace) -> int | None:
        try:
            return handler(options)
        except Exception as error:
            if isinstance(error, _expected()):
                raise CommandError(str(error)) from error
            raise

    return telling


def _expected() -> tuple[type[Exception], ...]:
    """Errors whose message is meant for people; only of modules that were needed, so that none is imported for this."""
    homes = {
        "StoreError": "ai_dev_squad_dashboard.store.base",
        "OutboxError": "ai_dev_squad_dashboard.alerts.outbox",
        "ServerError": "ai_dev_squad_dashboard.server",
        "GrpcUnavailable": "ai_dev_squad_dashboard.ingest.otlp_grpc",
    }
    return tuple(getattr(sys.modules[home], name) for name, home in homes.items() if home in sys.modules)

"""What the dashboard adds to ``ai-dev-squad costs``: the sums of a store."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from ai_dev_squad_cli.commands.costs import CostGroup, show_costs
from ai_dev_squad_dashboard.commands import moment_us, told

__all__ = ["register"]


def register(subparsers: Any) -> None:
    """Add to the command."""
    parser = subparsers.choices["costs"]
    parser.add_argument("--db", type=Path, metavar="FILE", help="a store instead, which no dashboard has open")
    of_journals = parser.get_default("run")

    def run(options: argparse.Namespace) -> int | None:
        if options.db is None:
            return int(of_journals(options) or 0)
        since_us = 0 if options.since is None else moment_us(options.since)
        show_costs(_stored(options.db, options.by, since_us), options)
        return None

    parser.set_defaults(run=told(run))


def _stored(db: Path, by: Any, since_us: int) -> list[CostGroup]:
    from ai_dev_squad_dashboard.commands.stores import opened
    from ai_dev_squad_dashboard.store import Selection

    with opened(db, must_exist=True) as store:
        selection = Selection(start_us=since_us, end_us=time.time_ns() // 1000 + 86_400_000_000)
        return [
            CostGroup(
                group.key,
                group.model_calls,
                group.errors,
                group.input_tokens,
                group.output_tokens,
                group.cache_read_tokens,
                group.cost_usd,
                group.unpriced_calls,
            )
            for group in store.groups(selection, by, limit=1_000)
        ]

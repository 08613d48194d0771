"""Which store a command is about."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

__all__ = ["add_place", "place_of"]


def add_place(goal: Any) -> None:
    """The options that name a store, for a parser or a group of it."""
    goal.add_argument(
        "--db", type=Path, metavar="FILE", help="the store (default: DASHBOARD_DB, else logs/dashboard.duckdb)"
    )
    goal.add_argument("--store", metavar="URL", help="the store of another engine (default: DASHBOARD_STORE)")


def place_of(options: argparse.Namespace) -> Path | str:
    """The store that options, or the environment, name."""
    if options.db is not None:
        return Path(options.db)
    from ai_dev_squad_dashboard.settings import DashboardSettings

    return DashboardSettings.from_environment(store=options.store).place

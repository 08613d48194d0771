"""What the dashboard adds to ``ai-dev-squad doctor``: its settings and its store, and trying a store that is a server."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ai_dev_squad_cli.commands.doctor import show_findings
from ai_dev_squad_cli.doctor_checks import Environment, Finding
from ai_dev_squad_cli.versions import installed
from ai_dev_squad_dashboard.commands import told

__all__ = ["look", "register"]


def register(subparsers: Any) -> None:
    """Add to the command."""
    parser = subparsers.choices["doctor"]
    parser.add_argument(
        "--store",
        metavar="URL",
        help="try a ClickHouse server instead: write and read a few rows in a database of its own, which is dropped afterwards",
    )
    examine_all = parser.get_default("run")

    def run(options: argparse.Namespace) -> int | None:
        if options.store is None:
            return int(examine_all(options))
        from ai_dev_squad_dashboard.commands.doctor_store import examine_store

        return show_findings(list(examine_store(options.store)), options)

    parser.set_defaults(run=told(run), looks=(*parser.get_default("looks"), look))


def look(environ: Environment) -> Iterator[Finding]:
    """At the dashboard's settings, its store and its index of words."""
    from ai_dev_squad_dashboard.settings import DashboardSettings, is_loopback

    try:
        settings = DashboardSettings.from_environment(environ)
    except ValueError as error:
        yield Finding("dashboard", "problem", f"its settings are not valid: {error}", "correct or unset that variable")
        return
    size = settings.db.stat().st_size if settings.db.is_file() else None
    store = f"{settings.db}, {size / 2**20:.1f} MiB" if size is not None else f"{settings.db}, made at the first start"
    who = "whoever can reach it" if not settings.needs_login else "those with a token or the password"
    reach = "this machine only" if is_loopback(settings.host) else f"{settings.host}"
    if settings.store is not None:
        store = settings.place_shown
    yield Finding("dashboard", "ok", f"store {store}; port {settings.port} for {reach}, open to {who}")
    if settings.store is None:
        yield _index(settings.db)
    if settings.grpc_port is not None and installed("grpcio") is None:
        yield Finding(
            "dashboard",
            "problem",
            f"OTLP over gRPC is to be received on port {settings.grpc_port}, but grpcio is not installed",
            "pip install 'ai-dev-squad-dashboard[grpc]', or unset DASHBOARD_GRPC_PORT",
        )


def _index(db: Path) -> Finding:
    from ai_dev_squad_dashboard.sqlite_words import NO_FTS5, is_available, lines_beside, traces_beside

    if not is_available():
        return Finding(
            "dashboard",
            "warning",
            NO_FTS5,
            "use a Python whose SQLite has it, such as that of python.org or of uv",
        )
    path = traces_beside(db)
    files = [each for each in (path, lines_beside(path)) if each.is_file()]
    size = sum(each.stat().st_size for each in files) / 2**20
    said = f"{path}, {size:.1f} MiB with that of logs" if files else f"{path}, made at the first start"
    return Finding("dashboard", "ok", f"index of words {said}; Health says how far it is")

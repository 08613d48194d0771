"""Serves the dashboard over sample data, or over none: the process that browser tests look at.

``python served.py DIRECTORY [--empty]``, and what else it takes (``--help``); it prints its address once it listens.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from pathlib import Path

from ai_dev_squad_dashboard.app import create_app, running
from ai_dev_squad_dashboard.server import serve
from ai_dev_squad_dashboard.settings import DashboardSettings
from ai_dev_squad_dashboard.store import open_store

OIDC = {
    "oidc_client_id": "dashboard",
    "oidc_client_secret": "secret-of-the-client",
    "oidc_scopes": ("openid", "profile", "groups"),
    "oidc_roles": ("groups=ops:administer", "groups=agents:act"),
}


def main() -> None:
    """Fill a store, and serve until interrupted."""
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("--empty", action="store_true")
    parser.add_argument("--six", action="store_true", help="the lab has run on six frameworks")
    parser.add_argument("--budgets", default="")
    parser.add_argument("--read-token", default="")
    parser.add_argument("--password-hash")
    parser.add_argument("--oidc", help="the issuer")
    parser.add_argument("--alerts", type=Path)
    arguments = parser.parse_args()
    settings = DashboardSettings(
        logs=(arguments.directory / "logs",),
        db=arguments.directory / "dashboard.duckdb",
        port=0,
        budgets=tuple(filter(None, arguments.budgets.split(","))),
        update_interval_s=0.2,
        read_tokens=tuple(filter(None, [arguments.read_token])),
        password_hash=arguments.password_hash,
        **(OIDC | {"oidc_issuer": arguments.oidc} if arguments.oidc else {}),
        alerts=arguments.alerts,
    )
    store = open_store(settings.db)
    if not arguments.empty:
        _module("sample").fill(store, time.time_ns() // 1000)
        _module("parity_files").fill(settings.logs[0], frameworks=6 if arguments.six else 3)
    app = create_app(settings, store=store)
    serve(app, running(app).settings)


def _module(name):
    # By its path: tests are no package.
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent.parent / "dashboard" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    import sys

    # Dataclasses look their module up.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()

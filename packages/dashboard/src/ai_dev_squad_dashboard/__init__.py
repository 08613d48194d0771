"""The dashboard: traces, sessions, logs, costs and budgets of AI agents, live and offline.

``create_app(settings)`` is a WSGI application; ``create_dashboard(host, port)`` and ``ObservabilityDashboard`` run one beside
your program. ``create_receiver(settings)`` is one that receives and shows nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .app import create_app
    from .live import RealTimeUpdater
    from .observability import ObservabilityDashboard, create_dashboard
    from .receiving import create_receiver
    from .settings import DashboardSettings, ReceiverSettings
    from .store import Store, StoreError, open_store

__all__ = [
    "DashboardSettings",
    "ObservabilityDashboard",
    "RealTimeUpdater",
    "ReceiverSettings",
    "Store",
    "StoreError",
    "create_app",
    "create_dashboard",
    "create_receiver",
    "open_store",
]

_HOMES = {
    "DashboardSettings": "settings",
    "ObservabilityDashboard": "observability",
    "RealTimeUpdater": "live",
    "ReceiverSettings": "settings",
    "Store": "store",
    "StoreError": "store",
    "create_app": "app",
    "create_dashboard": "observability",
    "create_receiver": "receiving",
    "open_store": "store",
}


def __getattr__(name: str) -> Any:
    # Imported when asked for: commands that only read a journal need neither Flask nor a store.
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

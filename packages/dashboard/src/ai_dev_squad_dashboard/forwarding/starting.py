"""A forwarder as settings ask for it."""

from __future__ import annotations

from ai_dev_squad_dashboard.settings import DashboardSettings

from .forwarder import Forwarder

__all__ = ["forwarder"]


def forwarder(settings: DashboardSettings) -> Forwarder | None:
    """What sends on, already running; ``None`` where nothing is to be."""
    if settings.forward is None:
        return None
    headers = {
        name.strip(): value.strip() for name, _, value in (each.partition("=") for each in settings.forward_headers)
    }
    return Forwarder(
        settings.forward, headers, content=settings.forward_content, max_bytes=settings.forward_max_mib << 20
    )

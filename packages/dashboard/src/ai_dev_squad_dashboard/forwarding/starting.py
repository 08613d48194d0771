"""A forwarder as settings ask for it."""

from __future__ import annotations

from ai_dev_squad_dashboard.settings import DashboardSettings
from ai_dev_squad_dashboard.store.base import Store

from .forwarder import Deleted, Forwarder
from .marked import Gone
from .spool import Spool, SpoolError, file_beside

__all__ = ["forwarder"]


def forwarder(settings: DashboardSettings, store: Store) -> Forwarder | None:
    """What sends on, already running; ``None`` where nothing is to be. Closes ``store`` when it raises ``SpoolError``."""
    if settings.forward is None:
        return None
    headers = {
        name.strip(): value.strip() for name, _, value in (each.partition("=") for each in settings.forward_headers)
    }
    try:
        spool = Spool(file_beside(settings.db), max_bytes=settings.forward_max_mib << 20)
    except SpoolError:
        store.close()
        raise
    return Forwarder(
        settings.forward, headers, content=settings.forward_content, spool=spool, deleted=_deleted_from(store)
    )


def _deleted_from(store: Store) -> Deleted:
    """Whatever is deleted goes run by run, so a trace that is no longer stored, after something was deleted, is gone."""

    def since(moment_us: int) -> Gone | None:
        newest = store.deletions(limit=1)
        if not newest or newest[0].at_us < moment_us:
            return None
        known: dict[str, bool] = {}

        def gone(trace_id: str) -> bool:
            if not trace_id:  # a log record of no run
                return False
            if trace_id not in known:
                known[trace_id] = store.trace(trace_id, limit=1) is None
            return known[trace_id]

        return gone

    return since

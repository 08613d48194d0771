"""The developer guide's way in: a dashboard beside the program, in its own process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ai_dev_squad import get_cost_tracker, get_logger

from .app import create_app, running
from .guide_api import cost_analysis, metrics, parity_matrix
from .query import Query
from .settings import DashboardSettings
from .store import open_memory_store

__all__ = ["ObservabilityDashboard", "create_dashboard"]


class ObservabilityDashboard:
    """A dashboard over this process's journal. It keeps nothing of its own: the journal is the memory, read again at each start.

    For many runs, or history that is searched often, run ``ai-dev-squad dashboard``, which keeps a store. Raises ``ValueError`` for
    a host that other machines reach, unless ``settings`` say who may look.
    """

    def __init__(self, host: str = "localhost", port: int = 8080, *, settings: DashboardSettings | None = None) -> None:
        self.host = host
        self.port = port
        self.logger = get_logger()
        self.cost_tracker = get_cost_tracker()
        self.settings = settings or DashboardSettings.from_environment(
            host=host, port=port, logs=(self.logger.log_dir,)
        )
        self.app = create_app(self.settings, store=open_memory_store())
        held = running(self.app)
        self.socketio = held.socketio
        self.updater = held.updater

    def run(self, debug: bool = False) -> None:
        """Serve until interrupted. ``debug`` is accepted for the guide's sake; nothing is reloaded."""
        from .server import serve

        serve(self.app, self.settings)

    def close(self) -> None:
        """Stop what runs in the background. Twice is harmless."""
        running(self.app).close()

    def _get_metrics(self, time_range: str, frameworks: Sequence[str]) -> Mapping[str, Any]:
        query = Query.parse([("range", time_range), ("frameworks", ",".join(frameworks))])
        return metrics(running(self.app).store, query)

    def _get_cost_analysis(self, time_range: str) -> Mapping[str, Any]:
        return cost_analysis(running(self.app).store, Query.parse([("range", time_range)]))

    def _get_parity_matrix(self) -> Mapping[str, Any]:
        return parity_matrix(running(self.app).store, Query.parse([("range", "7d")]), self.settings.logs)

    def _get_real_time_metrics(self) -> Mapping[str, Any]:
        return self._get_metrics("1h", ())


def create_dashboard(host: str = "localhost", port: int = 8080) -> ObservabilityDashboard:
    """A dashboard over this process's journal; ``.run()`` serves it."""
    return ObservabilityDashboard(host, port)

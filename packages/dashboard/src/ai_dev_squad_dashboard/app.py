"""The application: store, ingest, pages and live updates put together, once per ``create_app``."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import Flask
from flask_socketio import SocketIO  # type: ignore[import-untyped]

from ai_dev_squad.process import at_exit

from . import (
    alert_routes,
    api,
    deleting,
    errors,
    find,
    formats,
    keyboard,
    layout,
    live,
    openapi,
    pages,
    parity_export,
    probes,
    security,
    trace_export,
)
from .alerts import Rules, read_rules
from .alerts.alerting import Alerting
from .budgets import parse_budget
from .forwarding import starting
from .held import Held
from .ingest.journal import JournalTail
from .ingest.otlp import create_blueprint as create_otlp_blueprint
from .ingest.otlp import receiver
from .ingest.otlp_grpc import start_grpc_server
from .ingest.queue import IngestQueue, Retention
from .live_limit import LiveLimit
from .marks.routes import create_blueprint as create_marks_blueprint
from .mcp.http import create_blueprint as create_mcp_blueprint
from .metrics.routes import create_blueprint as create_metrics_blueprint
from .page import Site
from .settings import DashboardSettings
from .sharing import changes_of, retains, shared_events, shared_state
from .sql.routes import create_blueprint as create_sql_blueprint
from .store import Store, open_store
from .takeaway.routes import create_blueprint as create_export_blueprint

if TYPE_CHECKING:
    from .shared_events import SharedEvents
    from .shared_state import SharedState

__all__ = ["Running", "create_app", "running"]


@dataclass(kw_only=True)
class Running(Held):
    """What an application holds open; ``close`` lets go of it."""

    settings: DashboardSettings
    tail: JournalTail | None
    socketio: SocketIO
    live_limit: LiveLimit
    updater: live.RealTimeUpdater
    alerting: Alerting
    events: SharedEvents | None = None

    def _watching(self, timeout: float) -> list[Callable[[], object]]:
        steps: list[Callable[[], object]] = [self.updater.stop, lambda: self.alerting.stop(timeout)]
        return steps if self.events is None else [*steps, self.events.stop]

    def _bringing(self, timeout: float) -> list[Callable[[], object]]:
        others = super()._bringing(timeout)
        return others if self.tail is None else [*others, self.tail.stop]


def create_app(settings: DashboardSettings | None = None, *, store: Store | None = None, follow: bool = True) -> Flask:
    """A WSGI application. One process may hold a store's file, so run one worker with threads.

    ``settings``: from the environment when absent. ``store``: one that is open already, which the application then closes.
    ``follow``: whether journals are followed. Raises ``StoreError`` when the store, or what is to be sent on,
    cannot be opened.
    """
    settings = settings or DashboardSettings.from_environment()
    app = Flask(__name__)
    # Keys keep the order of the dataclasses, and forms are small: OTLP has its own limit.
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.config["MAX_FORM_MEMORY_SIZE"] = 64 * 1024
    # First what may refuse the settings, so that nothing is open yet when it does.
    shared = shared_state(settings.redis)
    guard = security.attach(app, settings, shared)
    for rule in settings.budgets:
        parse_budget(rule)
    rules = read_rules(settings.alerts) if settings.alerts is not None else Rules()
    store = store or open_store(settings.place, memory_limit_mib=settings.memory_limit_mib)
    forwarder = starting.forwarder(settings, store)
    retention = Retention(days=settings.retention_days, max_mib=settings.max_store_mib)
    told = None if shared is None else lambda _: shared.written()
    queue = IngestQueue(
        store,
        max_pending_rows=settings.max_pending_rows,
        retention=retention,
        retains=retains(shared, retention.every_s),
        on_written=told,
    )
    received = receiver(queue.submit, None if forwarder is None else forwarder.offer)
    host = None if settings.store is None else socket.gethostname()
    tail = JournalTail(settings.logs, queue, counting=received.counting, host=host) if follow else None
    alerting = _alerting(store, queue, settings, rules, shared)
    changes = changes_of(store, shared, is_alone=settings.store is None)
    sources = tail.states if tail is not None else tuple
    site = Site(store, queue, settings, sources=sources, alerting=alerting, changes=changes, forwarder=forwarder)

    readiness = probes.Readiness(lambda: queue.writable)

    _attach_pages(app, site)
    app.register_blueprint(probes.create_blueprint(readiness))
    app.register_blueprint(create_otlp_blueprint(queue.submit, settings, received))
    events = shared_events(shared)
    socketio, live_limit, updater = live.attach(app, site, guard, events)

    held = Running(
        settings=settings,
        store=store,
        queue=queue,
        readiness=readiness,
        shared=shared,
        tail=tail,
        socketio=socketio,
        live_limit=live_limit,
        updater=updater,
        alerting=alerting,
        events=events,
        forwarder=forwarder,
    )
    app.extensions["ai_dev_squad"] = held
    # A WSGI server that ends tells nobody but the interpreter.
    at_exit(held.close)
    if settings.grpc_port is not None:
        try:
            held.grpc = start_grpc_server(
                queue.submit, settings, settings.grpc_port, authorized=guard.check_ingest, into=received
            )
        except BaseException:
            held.close()
            raise
    if tail is not None:
        tail.start()
    updater.start(settings.update_interval_s)
    alerting.start()
    return app


def _attach_pages(app: Flask, site: Site) -> None:
    """What is shown and asked of the store: pages, the API beside them, and what they are made with."""
    errors.attach(app)
    formats.attach(app.jinja_env)
    layout.attach(app, site)
    keyboard.attach(app)
    for create in (
        pages.create_blueprint,
        api.create_blueprint,
        deleting.create_blueprint,
        find.create_blueprint,
        create_export_blueprint,
        create_sql_blueprint,
        create_marks_blueprint,
        create_mcp_blueprint,
        create_metrics_blueprint,
        trace_export.create_blueprint,
        parity_export.create_blueprint,
        alert_routes.create_blueprint,
    ):
        app.register_blueprint(create(site))
    app.register_blueprint(openapi.create_blueprint())


def _alerting(
    store: Store, queue: IngestQueue, settings: DashboardSettings, rules: Rules, shared: SharedState | None
) -> Alerting:
    if shared is None:
        return Alerting(store, queue, settings, rules)
    from .alerts.shared_alerting import SharedAlerting

    return SharedAlerting(store, queue, settings, rules, shared=shared)


def running(app: Flask) -> Running:
    """What ``app`` holds open."""
    held: Running = app.extensions["ai_dev_squad"]
    return held

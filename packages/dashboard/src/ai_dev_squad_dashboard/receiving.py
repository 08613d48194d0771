"""Ingest apart from pages: OTLP in, store out, with the limits, the tokens and the back-pressure of a dashboard.

As many as needed may write into a store that many processes can use, behind a balancer that sends whole traces to one of them:
which of two spans tells of a call that counts already is known to the process that has seen both.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, NotFound

from ai_dev_squad.process import at_exit

from . import probes
from .forwarding import starting
from .held import Held
from .ingest.otlp import create_blueprint, receiver
from .ingest.otlp_grpc import start_grpc_server
from .ingest.queue import IngestQueue
from .security import Guard, headers
from .settings import ReceiverSettings
from .sharing import shared_state
from .store import Store, open_store

__all__ = ["Receiving", "create_receiver"]

_NO_PAGES = "There are no pages here: POST OTLP to /v1/traces, /v1/logs or /v1/metrics, and look at the dashboard."


@dataclass(kw_only=True)
class Receiving(Held):
    """What a receiver holds open; ``close`` lets go of it."""


def create_receiver(settings: ReceiverSettings | None = None, *, store: Store | None = None) -> Flask:
    """A WSGI application that receives OTLP and shows nothing. Run one worker with threads.

    ``settings``: from the environment when absent. ``store``: one that is open already, which the application then closes.
    Raises ``StoreError`` when the store, or what is to be sent on, cannot be opened, ``GrpcUnavailable`` when gRPC is asked for and cannot be had.
    """
    settings = settings or ReceiverSettings.from_environment()
    app = Flask(__name__, static_folder=None)
    # Nobody logs in here, so no key is kept.
    guard = Guard(replace(settings, secret_key=secrets.token_urlsafe(48)))
    store = store or open_store(settings.place, memory_limit_mib=settings.memory_limit_mib)
    forwarder = starting.forwarder(settings, store)
    shared = shared_state(settings.redis)
    told = None if shared is None else lambda _: shared.written()  # so that live pages of dashboards are shown anew
    queue = IngestQueue(store, max_pending_rows=settings.max_pending_rows, on_written=told)
    readiness = probes.Readiness(lambda: queue.writable)
    held = Receiving(store=store, queue=queue, readiness=readiness, shared=shared, forwarder=forwarder)
    received = receiver(queue.submit, None if forwarder is None else forwarder.offer)
    _attach(app, guard)
    app.register_blueprint(probes.create_blueprint(held.readiness))
    app.register_blueprint(create_blueprint(queue.submit, settings, received))
    app.extensions["ai_dev_squad"] = held
    at_exit(held.close)
    if settings.grpc_port is not None:
        try:
            held.grpc = start_grpc_server(
                queue.submit, settings, settings.grpc_port, authorized=guard.check_ingest, into=received
            )
        except BaseException:
            held.close()
            raise
    return app


def _attach(app: Flask, guard: Guard) -> None:
    """Admit whoever may send, and say in JSON what went wrong."""

    @app.before_request
    def admit() -> None:
        if isinstance(request.routing_exception, NotFound):
            raise NotFound(_NO_PAGES)
        if request.routing_exception is None:
            guard.admit(request)

    @app.after_request
    def complete(response: Response) -> Response:
        headers.secure(response.headers)
        return response

    @app.errorhandler(HTTPException)
    def refuse(error: HTTPException) -> Any:
        problem = {"status": error.code, "title": error.name, "message": str(error.description or "")}
        response = Response(msgspec.json.encode({"error": problem}), error.code, mimetype="application/json")
        for name, value in error.get_headers():
            if name.lower() not in {"content-type", "content-length"}:
                response.headers[name] = value
        return response

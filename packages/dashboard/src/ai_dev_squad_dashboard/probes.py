"""What asks from outside how this process is: an orchestrator, a balancer, the health check of an image.

| Route | 200 | Otherwise |
| --- | --- | --- |
| `/healthz` | the process answers, whatever became of its store: to start it again would mend nothing | no answer |
| `/readyz` | visitors and senders are welcome | 503: it is about to end, or its store cannot be written |
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from flask import Blueprint, Response

__all__ = ["Readiness", "create_blueprint"]


class Readiness:
    """Whether visitors and senders are welcome. ``writable`` says whether what they send could be kept."""

    def __init__(self, writable: Callable[[], bool]) -> None:
        self._writable = writable
        self._draining = threading.Event()

    def drain(self) -> None:
        """From now on nobody new is welcome; who comes all the same is served."""
        self._draining.set()

    @property
    def trouble(self) -> str | None:
        """Why nobody is welcome, in a word that tells strangers nothing: ``draining`` or ``store``; ``None`` when all are."""
        if self._draining.is_set():
            return "draining"
        return None if self._writable() else "store"


def create_blueprint(readiness: Readiness) -> Blueprint:
    """``/healthz`` and ``/readyz``, which answer everybody."""
    blueprint = Blueprint("probes", __name__)

    @blueprint.get("/healthz")
    def healthz() -> Response:
        return Response("", 200, mimetype="text/plain")

    @blueprint.get("/readyz")
    def readyz() -> Response:
        trouble = readiness.trouble
        return Response(trouble or "", 200 if trouble is None else 503, mimetype="text/plain")

    return blueprint

"""``GET /metrics``, for whoever may look."""

from __future__ import annotations

from flask import Blueprint, Response, request
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from ai_dev_squad_dashboard.page import Site
from ai_dev_squad_dashboard.store.base import StoreError

from .counting import Tally
from .families import SiteCollector

__all__ = ["create_blueprint"]


def create_blueprint(site: Site) -> Blueprint:
    """The route. What arrives from now on is counted."""
    blueprint = Blueprint("metrics", __name__)
    tally = Tally(site.store)
    try:
        tally.start()
    except StoreError:
        pass  # the first scrape that is answered begins to count
    registry = CollectorRegistry()
    registry.register(SiteCollector(site, tally))

    @blueprint.get("/metrics")
    def metrics() -> Response:
        encode, kind = choose_encoder(request.headers.get("Accept", ""))
        return Response(encode(registry), content_type=kind)

    return blueprint

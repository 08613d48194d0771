"""A program's metrics, to be had by a Prometheus: one function that serves them, and one for who has a registry already."""

from __future__ import annotations

from ai_dev_squad import runtime
from ai_dev_squad.process import at_exit
from ai_dev_squad.prometheus import ProgramMetrics, load

__all__ = ["metrics_collector", "serve_metrics"]


def metrics_collector() -> ProgramMetrics:
    """This program's metrics, counted from now on, as a collector: ``registry.register(ai_dev_squad.metrics_collector())``.

    The same one each time; ``shutdown`` ends it. Raises ``ImportError`` without the extra ``prometheus``.
    """
    if runtime.pipeline().prometheus is None:
        load()  # says so where it cannot be, before anything is configured
    runtime.configure(prometheus=True)
    found = runtime.pipeline().prometheus
    if found is None:
        raise ValueError("enabled=False is configured, so there is nothing to count; configure(enabled=True) first")
    return found


def serve_metrics(port: int = 9464, host: str = "127.0.0.1") -> int:
    """Serve this program's metrics at ``http://host:port/metrics`` from a thread of its own, until the process ends.
    ``port=0`` takes a free one; returns the one that it is. Raises ``OSError`` where it is taken, ``ImportError``
    without the extra ``prometheus``.

    In a registry of its own, so that nothing else of the program is shown.
    """
    found = metrics_collector()
    from prometheus_client import CollectorRegistry, start_http_server

    registry = CollectorRegistry()
    registry.register(found)
    server, _ = start_http_server(port, addr=host, registry=registry)
    at_exit(server.server_close)
    return int(server.server_port)

"""The developer guide's tests of the dashboard, with only the imports changed, and what else it says of the dashboard."""

from __future__ import annotations

import importlib.util
import threading
import time
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ai_dev_squad import Usage, configure_cost_tracking, configure_logging, configure_tracing, flush, operations
from ai_dev_squad_dashboard import ObservabilityDashboard, RealTimeUpdater, create_dashboard
from ai_dev_squad_dashboard.server import DashboardServer
from ai_dev_squad_dashboard.settings import DashboardSettings

_home = Path(__file__).parents[1] / "dashboard" / "live_client.py"
_spec = importlib.util.spec_from_file_location("ai_dev_squad_live_client", _home)
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
LiveClient = _module.LiveClient

METRICS = {
    "total_cost_usd",
    "total_tokens",
    "total_requests",
    "avg_response_time_ms",
    "cost_by_model",
    "usage_over_time",
}


class TestObservabilityIntegration(unittest.TestCase):
    """The guide's integration tests."""

    def setUp(self) -> None:
        """Set up the full observability stack."""
        self.logger = configure_logging(log_dir="test_logs")
        self.tracer = configure_tracing(service_name="test_service")
        self.cost_tracker = configure_cost_tracking()
        self.dashboard = create_dashboard(port=8081)
        self.addCleanup(self.dashboard.close)

    def test_end_to_end_flow(self) -> None:
        """Test complete observability flow."""
        # Start tracing
        with self.tracer.trace_operation("test_operation") as span:
            # Log events
            self.logger.log_agent_start("test_agent", "developer", "test_framework")

            # Track costs
            cost_entry = self.cost_tracker.track_llm_usage(
                model_name="gpt-3.5-turbo", provider="openai", input_tokens=100, output_tokens=50, duration_ms=1500
            )

            # Verify data is connected
            self.assertIsNotNone(cost_entry)
            self.assertIsNotNone(span)

    def test_dashboard_api(self) -> None:
        """Test dashboard API endpoints."""
        with self.dashboard.app.test_client() as client:
            # Test metrics endpoint
            response = client.get("/api/metrics?time_range=1h")
            self.assertEqual(response.status_code, 200)

            data = response.get_json()
            self.assertIn("total_cost_usd", data)
            self.assertIn("total_requests", data)


@pytest.fixture
def dashboard() -> Iterator[ObservabilityDashboard]:
    """A dashboard as the guide makes it."""
    configure_logging(log_dir="logs")
    made = create_dashboard()
    yield made
    made.close()


def test_the_dashboard_has_the_guides_attributes(dashboard: ObservabilityDashboard) -> None:
    """Host, port, application, socket and the two sources stand where the guide has them."""
    assert (dashboard.host, dashboard.port) == ("localhost", 8080)
    assert dashboard.app.extensions["socketio"] is dashboard.socketio
    assert dashboard.logger.log_dir.name == "logs"
    assert dashboard.cost_tracker.entries == []


@pytest.mark.parametrize(
    "path, keys",
    [
        ("/api/metrics?time_range=24h&frameworks=langgraph,crewai", METRICS),
        ("/api/cost-analysis?time_range=7d", {"total_cost_usd", "cost_by_model", "cost_over_time"}),
        ("/api/parity-matrix", {"frameworks"}),
    ],
)
def test_the_guides_routes_answer_with_its_keys(dashboard: ObservabilityDashboard, path: str, keys: set[str]) -> None:
    """Each of the three routes answers JSON that has the guide's keys."""
    response = dashboard.app.test_client().get(path)

    assert (response.status_code, response.mimetype) == (200, "application/json")
    assert keys <= response.get_json().keys()


@pytest.mark.parametrize("path", ["/", "/parity-matrix"])
def test_the_guides_pages_are_there(dashboard: ObservabilityDashboard, path: str) -> None:
    """The two pages of the guide are HTML."""
    response = dashboard.app.test_client().get(path)

    assert (response.status_code, response.mimetype) == (200, "text/html")


def test_what_is_observed_arrives(dashboard: ObservabilityDashboard) -> None:
    """A model call in this process's journal is counted by the dashboard that follows it."""
    call = operations.start(
        operations.CHAT, "gpt-4o-mini", framework="none", request=operations.ModelRequest("gpt-4o-mini", "openai")
    )
    call.usage = Usage(input_tokens=1000, output_tokens=100, source="provider")
    call.stop()
    assert flush()

    deadline = time.monotonic() + 30
    while dashboard._get_real_time_metrics()["total_requests"] == 0 and time.monotonic() < deadline:
        time.sleep(0.01)

    metrics = dashboard._get_real_time_metrics()
    assert (metrics["total_requests"], metrics["total_tokens"]) == (1, 1100)
    assert list(metrics["cost_by_model"]) == ["gpt-4o-mini"]


def test_connecting_is_answered_with_the_metrics(dashboard: ObservabilityDashboard) -> None:
    """A socket client that connects receives ``metrics_update`` with the keys of ``/api/metrics``."""
    client = dashboard.socketio.test_client(dashboard.app, headers={"Host": "localhost:8080"})

    (received,) = client.get_received()
    client.disconnect()

    assert received["name"] == "metrics_update"
    assert received["args"][0].keys() >= METRICS


def test_an_updater_made_by_hand_sends_the_metrics(dashboard: ObservabilityDashboard) -> None:
    """``RealTimeUpdater(dashboard).start(interval)`` sends ``metrics_update`` again and again until ``stop()``."""
    client = dashboard.socketio.test_client(dashboard.app, headers={"Host": "localhost:8080"})
    client.get_received()
    sent, emit = threading.Semaphore(0), dashboard.socketio.emit

    def counted(*args: Any, **more: Any) -> None:
        emit(*args, **more)
        sent.release()

    dashboard.socketio.emit = counted  # type: ignore[method-assign]
    updater = RealTimeUpdater(dashboard)
    updater.start(interval=0.01)
    assert updater.running
    assert sent.acquire(timeout=30)
    assert sent.acquire(timeout=30)
    updater.stop()
    received = client.get_received()
    client.disconnect()

    assert not updater.running
    assert updater.update_thread is not None
    assert not updater.update_thread.is_alive()
    assert {event["name"] for event in received} == {"metrics_update"}
    assert received[0]["args"][0].keys() >= METRICS


def test_metrics_come_over_a_real_connection(dashboard: ObservabilityDashboard) -> None:
    """The running server sends ``metrics_update`` to a client of the Socket.IO protocol, and an updater sends the next one."""
    server = DashboardServer(dashboard.app, DashboardSettings(host="localhost", port=0, logs=dashboard.settings.logs))
    server.start()
    client = LiveClient(server.url)
    updater = RealTimeUpdater(dashboard)
    try:
        (first,) = client.wait("metrics_update")[:1]
        updater.start(interval=0.05)
        came = client.wait("metrics_update", 3)
    finally:
        updater.stop()
        client.close()
        server.stop()

    assert first.keys() >= METRICS
    assert all(message.keys() >= METRICS for message in came)

"""What orchestrators and balancers are told: alive, welcome, about to end, or unable to keep what is sent."""

from __future__ import annotations

import http.client
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask import Flask

from ai_dev_squad_dashboard import DashboardSettings, create_app
from ai_dev_squad_dashboard.app import running
from ai_dev_squad_dashboard.ingest import queue
from ai_dev_squad_dashboard.server import DashboardServer
from ai_dev_squad_dashboard.store import StoreError, open_memory_store
from ai_dev_squad_dashboard.store.rows import Batch

TRACES = {
    "resourceSpans": [
        {
            "scopeSpans": [
                {
                    "spans": [
                        {
                            "traceId": "1" * 32,
                            "spanId": "1" * 16,
                            "name": "sent",
                            "startTimeUnixNano": "1795305600000000000",
                            "endTimeUnixNano": "1795305600100000000",
                        }
                    ]
                }
            ]
        }
    ]
}


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """A dashboard over a store in memory, which is looked after all the time."""
    monkeypatch.setattr(queue, "_LOOK_EVERY_S", 0.01)
    app = create_app(DashboardSettings(db=Path("dashboard.duckdb")), store=open_memory_store(), follow=False)
    yield app
    running(app).close()


def answers(app: Flask) -> dict[str, tuple[int, str]]:
    """Status and text of each probe."""
    browser = app.test_client()
    return {
        path: (answer.status_code, answer.text) for path in ("/healthz", "/readyz") for answer in [browser.get(path)]
    }


def reached(look: Callable[[], object], wanted: object) -> object:
    """What ``look`` finds once it is ``wanted``, or after ten seconds."""
    for _ in range(1_000):
        if look() == wanted:
            break
        time.sleep(0.01)
    return look()


def test_a_store_that_cannot_be_written_keeps_senders_away_until_it_can(app, monkeypatch):
    """Ready is withdrawn while writes fail, alive is not; it comes back by itself, without anybody sending."""
    store = running(app).store

    def full(batch: Batch) -> None:
        raise StoreError("the disk is full")

    before = answers(app)
    with monkeypatch.context() as broken:
        broken.setattr(store, "write", full)
        sent = app.test_client().post("/v1/traces", json=TRACES).status_code
        failing = answers(app)
    mended = reached(lambda: answers(app), before)
    assert (before, sent, failing, mended) == (
        {"/healthz": (200, ""), "/readyz": (200, "")},
        503,
        {"/healthz": (200, ""), "/readyz": (503, "store")},
        before,
    )


def test_one_batch_that_cannot_be_stored_is_no_lasting_trouble(app):
    """What only one sender's rows cannot do, the next look at the store can: nobody else is kept away for good."""
    held = running(app)
    refused = held.queue.submit(Batch(spans=[("nonsense",)]))  # type: ignore[list-item]
    assert isinstance(refused.exception(10), Exception)
    assert reached(lambda: held.readiness.trouble, None) is None


def test_while_it_drains_it_serves_on_and_lets_go_of_connections(app):
    """A visitor who comes before the balancer has heard of it gets the page, and a connection that is not kept."""
    settings = DashboardSettings(port=0)
    server = DashboardServer(app, settings)
    server.start()
    try:
        seen = []
        for path in ("/api/overview", "drain", "/api/overview", "/readyz", "/healthz"):
            if path == "drain":
                server.drain()
                continue
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
            connection.request("GET", path)
            answer = connection.getresponse()
            text = answer.read().decode() if path == "/readyz" else ""
            seen.append((path, answer.status, text, answer.will_close))
            connection.close()
    finally:
        server.stop()
    assert seen == [
        ("/api/overview", 200, "", False),
        ("/api/overview", 200, "", True),
        ("/readyz", 503, "draining", True),
        ("/healthz", 200, "", True),
    ]


def test_sigterm_drains_and_a_second_one_means_it(tmp_path, monkeypatch):
    """Told to drain for ten minutes, the process says at once that it ends, and does end when asked again."""
    monkeypatch.setenv("DASHBOARD_DRAIN_S", "600")
    process = subprocess.Popen(
        [sys.executable, "-m", "ai_dev_squad_dashboard.cli", "dashboard", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=tmp_path,
        text=True,
    )
    try:
        assert process.stdout is not None
        address = urlsplit(process.stdout.readline().split()[1])

        def ready() -> tuple[int, bytes]:
            connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            found = answer.status, answer.read()
            connection.close()
            return found

        before = ready()
        process.send_signal(signal.SIGTERM)
        draining = reached(ready, (503, b"draining"))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert (before, draining, process.returncode) == ((200, b""), (503, b"draining"), -signal.SIGTERM)
    finally:
        process.kill()
        process.communicate()

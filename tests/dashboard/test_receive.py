"""Ingest apart from pages: what is sent is stored, whoever may not send is refused, and the end loses nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import pytest
from flask import Flask
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse

from ai_dev_squad_dashboard import DashboardSettings, ReceiverSettings, create_receiver, open_store
from ai_dev_squad_dashboard.store import Selection, StoreError, open_memory_store

EVER = Selection(start_us=0, end_us=1 << 60)
LINE = (
    '{"schema":1,"timestamp":"2026-11-22T00:00:00Z","level":"INFO","event_type":"tool.result","message":"looked up",'
    '"name":"t","operation":"execute_tool","status":"ok","trace_id":"' + "b" * 32 + '","span_id":"' + "b" * 16 + '"}'
)
LOGS = {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": LINE}}]}]}]}


def spans(first: int, count: int) -> dict[str, Any]:
    """A request with so many spans, numbered from ``first``."""
    sent = [
        {
            "traceId": f"f{number:031x}",
            "spanId": f"f{number:015x}",
            "name": f"sent {number}",
            "startTimeUnixNano": "1795305600000000000",
            "endTimeUnixNano": "1795305600100000000",
        }
        for number in range(first, first + count)
    ]
    return {"resourceSpans": [{"scopeSpans": [{"spans": sent}]}]}


@pytest.fixture
def receivers(tmp_path: Path) -> Iterator[Any]:
    """Makes receivers over stores in memory."""
    made: list[Flask] = []

    def make(**settings: Any) -> Flask:
        made.append(create_receiver(ReceiverSettings(db=tmp_path / "x.duckdb", **settings), store=open_memory_store()))
        return made[-1]

    yield make
    for app in made:
        app.extensions["ai_dev_squad"].close()


def test_it_stores_what_is_sent_and_shows_nothing(receivers, tmp_path: Path) -> None:
    """OTLP is taken as by the dashboard, lines of journals too; any other address says where to look."""
    app = receivers()
    sender, store = app.test_client(), app.extensions["ai_dev_squad"].store

    assert sender.post("/v1/traces", json=spans(0, 3)).status_code == 200
    assert sender.post("/v1/logs", json=LOGS).status_code == 200

    assert (store.totals(EVER).spans, store.running(0)) == (4, [])
    assert [(row.source, row.message) for row in store.logs(EVER).rows] == [("journal", "looked up")]
    assert {path: sender.get(path).status_code for path in ("/", "/api/overview", "/login", "/static/app.css")} == {
        "/": 404, "/api/overview": 404, "/login": 404, "/static/app.css": 404,
    }  # fmt: skip
    problem = sender.get("/traces").get_json()["error"]["message"]
    assert (
        problem
        == "There are no pages here: POST OTLP to /v1/traces, /v1/logs or /v1/metrics, and look at the dashboard."
    )
    assert sender.get("/v1/traces").status_code == 405
    assert list(tmp_path.iterdir()) == []


def test_only_who_has_an_ingest_token_sends(receivers) -> None:
    """Another token, or none, is refused; who asks whether it lives needs none; another site's browser is refused."""
    digest, other = (sha256(text).hexdigest() for text in (b"ingest", b"read"))
    sender = receivers(ingest_tokens=(digest,), read_tokens=(other,)).test_client()

    def status(token: str | None, **headers: str) -> int:
        given = {"Authorization": f"Bearer {token}"} if token else {}
        return int(sender.post("/v1/traces", json=spans(0, 1), headers={**given, **headers}).status_code)

    assert [status(token) for token in ("ingest", "read", "wrong", None)] == [200, 403, 401, 401]
    assert status("ingest", Origin="https://elsewhere.example") == 403
    assert status("ingest", Host="elsewhere.example") == 400
    assert [sender.get(path).status_code for path in ("/healthz", "/readyz")] == [200, 200]


def test_a_sender_is_told_to_wait_while_nothing_can_be_stored(receivers, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is 503 with the time to wait, and a balancer is told to send others elsewhere."""
    app = receivers()

    def full(_: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(app.extensions["ai_dev_squad"].store, "write", full)
    answer = app.test_client().post("/v1/traces", json=spans(0, 1))
    ready = app.test_client().get("/readyz")
    assert (answer.status_code, answer.headers["Retry-After"], ready.status_code, ready.text) == (
        503,
        "5",
        503,
        "store",
    )


@pytest.mark.parametrize(
    "settings, problem",
    [
        ({"host": "0.0.0.0"}, "host '0.0.0.0' is reachable from other machines"),
        ({"read_tokens": ("a" * 64,)}, "others are asked who they are, so nobody could send"),
    ],
)
def test_settings_that_leave_a_hole_or_nobody_are_refused(settings: Any, problem: str) -> None:
    """Open to everybody, or to nobody: the message says what to set. Ingest tokens alone are right here."""
    with pytest.raises(ValueError, match="ingest_tokens is empty, and") as refused:
        ReceiverSettings(**settings)
    assert problem in str(refused.value)
    assert "set DASHBOARD_INGEST_TOKENS" in str(refused.value)
    assert ReceiverSettings(**{**settings, "ingest_tokens": ("b" * 64,)}).port == 4318


def start(directory: Path, *arguments: str) -> subprocess.Popen[str]:
    """The command, in a process of its own."""
    command = [sys.executable, "-m", "ai_dev_squad_dashboard.cli", "receive", "--port", "0", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=directory, text=True)


def test_the_command_takes_both_protocols_and_ends_with_everything_on_disk(tmp_path: Path) -> None:
    """HTTP and gRPC; a second process on the same file is told what to do instead; SIGTERM loses nothing."""
    process = start(tmp_path, "--db", "spans.duckdb", "--grpc-port", "0")
    try:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(5)]
        address, port = urlsplit(said[0].split()[1]), int(said[1].rpartition(":")[2])

        second = start(tmp_path, "--db", "spans.duckdb")
        refusal, _ = second.communicate(timeout=60)

        connection = HTTPConnection(address.hostname or "", address.port, timeout=30)
        connection.request("POST", "/v1/traces", json.dumps(spans(0, 50)), {"Content-Type": "application/json"})
        assert connection.getresponse().status == 200
        connection.close()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            export = channel.unary_unary(
                "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
                request_serializer=ExportLogsServiceRequest.SerializeToString,
                response_deserializer=ExportLogsServiceResponse.FromString,
            )
            assert export(ParseDict(LOGS, ExportLogsServiceRequest()), timeout=30) == ExportLogsServiceResponse()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()

    assert (process.returncode, second.returncode) == (0, 1)
    assert "let that dashboard receive" in refusal
    assert said[2:] == [
        "Store      spans.duckdb\n",
        "A file is one process's: no dashboard can show it meanwhile. For both at once use a store such as clickhouse://…\n",
        "Stop with Ctrl+C.\n",
    ]
    store = open_store(tmp_path / "spans.duckdb")
    assert (store.totals(EVER).spans, len(store.logs(EVER).rows)) == (51, 1)
    store.close()


def test_a_dashboard_settings_stay_as_strict_as_they_were() -> None:
    """Whoever shows pages still needs somebody who may look."""
    with pytest.raises(ValueError, match="ingest_tokens alone would leave nobody who may look"):
        DashboardSettings(ingest_tokens=("b" * 64,))

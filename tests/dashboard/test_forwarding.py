"""What is received is sent on to a second back end: whole, marked, without content, never in the way of who sends, and at least once
whatever ends when.
"""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from werkzeug.serving import make_server

from ai_dev_squad_dashboard.app import create_app
from ai_dev_squad_dashboard.forwarding.forwarder import Forwarder
from ai_dev_squad_dashboard.forwarding.marked import MARK, is_content, marked
from ai_dev_squad_dashboard.forwarding.spool import Spool, SpoolError
from ai_dev_squad_dashboard.ingest.otlp_json import read_spans as read_json
from ai_dev_squad_dashboard.ingest.otlp_protobuf import read_spans as read_protobuf
from ai_dev_squad_dashboard.otlp_post import Answer
from ai_dev_squad_dashboard.receiving import create_receiver
from ai_dev_squad_dashboard.settings import DashboardSettings, ReceiverSettings
from ai_dev_squad_dashboard.store.deletions import Subject

NOW_NS = time.time_ns()
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Backend:
    """A second back end: it keeps what it gets, and answers what it is told, one after the other, then 200."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.asked = 0
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.open = threading.Event()
        self.open.set()
        backend = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
                backend.asked += 1
                backend.open.wait(20)
                status, headers = backend.answers.pop(0) if backend.answers else (200, {})
                if status == 200:
                    backend.got.append((self.path, dict(self.headers), body))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def backend() -> Iterator[Backend]:
    made = Backend()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.open.set()
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@contextmanager
def served(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        app.extensions["ai_dev_squad"].close()


def until(true: Callable[[], object]) -> None:
    """Wait for it; a test that waits in vain is stuck, not slow."""
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def request_of(*, resource: dict[str, str] | None = None, **attributes: str) -> dict[str, Any]:
    def pairs(given: dict[str, str]) -> list[dict[str, Any]]:
        return [{"key": key.replace("__", "."), "value": {"stringValue": value}} for key, value in given.items()]

    span = {
        "traceId": TRACE, "spanId": SPAN, "name": "work", "startTimeUnixNano": str(NOW_NS), "endTimeUnixNano": str(NOW_NS + 1000),
        "attributes": pairs(attributes), "events": [{"timeUnixNano": str(NOW_NS), "name": "said", "attributes": pairs(attributes)}],
    }  # fmt: skip
    return {"resourceSpans": [{"resource": {"attributes": pairs(resource or {})}, "scopeSpans": [{"spans": [span]}]}]}


def as_protobuf(request: dict[str, Any]) -> bytes:
    from google.protobuf.json_format import ParseDict

    message = ExportTraceServiceRequest()
    ParseDict(request, message)
    for part in message.resource_spans:  # this reads ids as base64
        for span in part.scope_spans[0].spans:
            span.trace_id, span.span_id = bytes.fromhex(TRACE), bytes.fromhex(SPAN)
    return message.SerializeToString()


def spool_in(directory: Path, max_bytes: int = 1 << 20) -> Spool:
    return Spool(directory / "a.duckdb.forward", max_bytes=max_bytes)


def test_a_dashboard_sends_on_what_the_sdk_sent(backend: Backend, tmp_path: Path) -> None:
    """Spans arrive at both back ends, with the headers that were set; what was asked and answered stays here."""
    settings = DashboardSettings(
        logs=(tmp_path,), db=tmp_path / "a.duckdb", forward=backend.url, forward_headers=("X-Team=blue",)
    )
    app = create_app(settings, follow=False)
    with served(app) as url:
        provider = TracerProvider(resource=Resource({"service.name": "shop"}))
        provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{url}/v1/traces")))
        span = provider.get_tracer("my").start_span(
            "chat",
            attributes={"gen_ai.operation.name": "chat", "gen_ai.input.messages": "[]", "gen_ai.prompt.name": "p"},
        )
        span.end()
        provider.shutdown()
        until(lambda: backend.got)
        metrics = requests.get(f"{url}/metrics", timeout=10).text
    ((path, headers, body),) = backend.got
    assert (path, headers["X-Team"], headers["Content-Type"]) == ("/v1/traces", "blue", "application/x-protobuf")
    ((origin, (sent,)),) = read_protobuf(body)
    assert (origin.service, sent.span_id) == ("shop", format(span.get_span_context().span_id, "016x"))
    assert sent.attributes == {"gen_ai.operation.name": "chat", "gen_ai.prompt.name": "p"}
    assert 'ai_dev_squad_forwarded_requests_total{outcome="sent"} 1.0' in metrics


def test_two_dashboards_that_forward_to_each_other_go_round_once(tmp_path: Path) -> None:
    """What comes back is stored once and goes no further."""
    first = Backend()  # whose address is known before there is a dashboard behind it
    first.server.server_close()
    settings = ReceiverSettings(db=tmp_path / "b.duckdb", forward=first.url)
    other = create_receiver(settings)
    with served(other) as url:
        one = create_receiver(ReceiverSettings(db=tmp_path / "a.duckdb", forward=url, port=first.server.server_port))
        server = make_server("127.0.0.1", first.server.server_port, one, threaded=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        assert requests.post(f"{first.url}/v1/traces", json=request_of(), timeout=10).status_code == 200
        held, far = one.extensions["ai_dev_squad"], other.extensions["ai_dev_squad"]
        until(lambda: far.forwarder.state().sent == 1)
        until(lambda: held.forwarder.state().waiting == 0)
        assert held.forwarder.state().sent == 1
        assert (held.queue.state().written_spans, held.queue.state().duplicates) == (1, 1)
        server.shutdown()
        thread.join()
        server.server_close()
        held.close()


def test_a_dead_end_holds_nobody_up(tmp_path: Path) -> None:
    """Nobody listens there: senders are answered, requests wait as far as they may, the rest is dropped, and closing ends soon."""
    dead = Backend()
    dead.server.server_close()
    app = create_receiver(ReceiverSettings(db=tmp_path / "a.duckdb", forward=dead.url, forward_max_mib=1))
    with served(app) as url:
        for _ in range(3):
            assert requests.post(f"{url}/v1/traces", json=request_of(note="x" * 400_000), timeout=20).status_code == 200
        forwarder = app.extensions["ai_dev_squad"].forwarder
        until(lambda: forwarder.state().retried)
        state = forwarder.state()
        assert (state.sent, state.dropped, state.waiting) == (0, 2, 1)
        assert "refused" in str(state.last_problem)


def test_a_slow_end_holds_nobody_up(backend: Backend, tmp_path: Path) -> None:
    """While the other end does not answer, senders are; once it does, all of it arrives, in order."""
    backend.open.clear()
    app = create_receiver(ReceiverSettings(db=tmp_path / "a.duckdb", forward=backend.url))
    with served(app) as url:
        for number in range(5):
            assert requests.post(f"{url}/v1/traces", json=request_of(n=str(number)), timeout=20).status_code == 200
        assert backend.got == []
        backend.open.set()
        until(lambda: len(backend.got) == 5)
    assert [next(read_json(body))[1][0].attributes["n"] for _, _, body in backend.got] == ["0", "1", "2", "3", "4"]


def numbers_of(backend: Backend) -> list[str]:
    return [next(read_json(body))[1][0].attributes["n"] for _, _, body in backend.got]


def test_what_was_answered_outlives_a_kill(backend: Backend, tmp_path: Path) -> None:
    """Killed while the other end does not answer, a receiver leaves its successor all that it has taken: it arrives, in order, and the
    request that was under way comes twice.
    """
    backend.open.clear()
    command = [sys.executable, "-m", "ai_dev_squad_cli", "receive", "--port", "0", "--forward", backend.url]
    process = subprocess.Popen([*command, "--db", str(tmp_path / "a.duckdb")], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    url = next(found[0] for line in process.stdout if (found := re.search(r"http://\S+/v1/traces", line)))
    for number in range(3):
        assert requests.post(url, json=request_of(n=str(number)), timeout=30).status_code == 200
    until(lambda: backend.asked)
    process.kill()
    process.wait()
    process.stdout.close()
    backend.open.set()
    with served(create_receiver(ReceiverSettings(db=tmp_path / "a.duckdb", forward=backend.url))) as url:
        assert requests.post(f"{url}/v1/traces", json=request_of(n="3"), timeout=30).status_code == 200
        until(lambda: len(backend.got) == 5)
    assert sorted(numbers_of(backend)) == ["0", "0", "1", "2", "3"]
    assert list(dict.fromkeys(numbers_of(backend))) == ["0", "1", "2", "3"]


def test_one_process_sends_what_two_have_taken(tmp_path: Path) -> None:
    """Two on one file: what either takes is sent by the one that came first, and by the other once that has ended."""
    sent: list[str] = []

    def by(name: str) -> Callable[..., Answer]:
        def send(url: str, body: bytes, headers: Any) -> Answer:
            sent.append(f"{next(read_json(body))[1][0].attributes['n']} by {name}")
            return Answer("taken")

        return send

    def body(number: int) -> bytes:
        return json.dumps(request_of(n=str(number))).encode()

    one = Forwarder("http://x", {}, content=False, spool=spool_in(tmp_path), send=by("one"))
    one.offer("traces", "json", body(0))
    until(lambda: sent)
    other = Forwarder("http://x", {}, content=False, spool=spool_in(tmp_path), send=by("other"))
    other.offer("traces", "json", body(1))
    one.offer("traces", "json", body(2))
    until(lambda: len(sent) == 3)
    one.close()
    other.offer("traces", "json", body(3))
    until(lambda: len(sent) == 4)
    other.close()
    assert sent == ["0 by one", "1 by one", "2 by one", "3 by other"]


def test_what_was_deleted_meanwhile_does_not_leave(backend: Backend, tmp_path: Path) -> None:
    """A run that was deleted while it waited is not sent on, in either encoding, and what came with it is."""
    backend.open.clear()
    app = create_app(DashboardSettings(logs=(tmp_path,), db=tmp_path / "a.duckdb", forward=backend.url), follow=False)
    both = request_of(n="goes")
    stays = {**both["resourceSpans"][0]["scopeSpans"][0]["spans"][0], "traceId": "1" * 32, "name": "stays"}
    both["resourceSpans"][0]["scopeSpans"][0]["spans"].append(stays)
    with served(app) as url:
        first = requests.post(f"{url}/v1/traces", json=request_of(resource={"n": "0"}, n="first"), timeout=20)
        assert first.status_code == 200
        until(lambda: backend.asked)  # this one has left
        assert requests.post(f"{url}/v1/traces", json=both, timeout=20).status_code == 200
        protobuf = {"Content-Type": "application/x-protobuf"}
        body = as_protobuf(request_of(n="second"))
        assert requests.post(f"{url}/v1/traces", data=body, headers=protobuf, timeout=20).status_code == 200
        running = app.extensions["ai_dev_squad"]
        running.store.delete(Subject("trace", TRACE), by="ada", at_us=time.time_ns() // 1000)
        backend.open.set()
        until(lambda: running.forwarder.state().waiting == 0)
    assert [[span.name for _, spans in read_json(body) for span in spans] for _, _, body in backend.got] == [
        ["work"],
        ["stays"],
    ]  # and nothing of the third, of which nothing was left


def test_health_tells_what_waits_and_why(tmp_path: Path) -> None:
    """To where, how much waits, what was not kept and why the other end does not take it, on the page and as JSON."""
    dead = Backend()
    dead.server.server_close()
    settings = DashboardSettings(logs=(tmp_path,), db=tmp_path / "a.duckdb", forward=dead.url, forward_max_mib=1)
    app = create_app(settings, follow=False)
    with served(app) as url:
        for _ in range(2):
            assert requests.post(f"{url}/v1/traces", json=request_of(note="x" * 400_000), timeout=20).status_code == 200
        until(lambda: app.extensions["ai_dev_squad"].forwarder.state().retried)
        found = requests.get(f"{url}/api/health", timeout=20).json()
        page = requests.get(f"{url}/health", timeout=20).text
    told = found["forwarded"]
    assert (told["to"], told["sent"], told["dropped"], told["waiting"]) == (dead.url, 0, 1, 1)
    assert [concern["title"] for concern in found["concerns"][:1]] == ["1 request was not kept to be sent on"]
    assert found["concerns"][1]["title"].startswith(f"{dead.url} does not take what is sent on: ")
    assert "0 requests; 1 waits (0.8 MiB of 1.0 MiB), the oldest came " in page


@pytest.mark.parametrize("wrong", ["a directory", "no database"])
def test_a_file_that_cannot_be_used_is_told(tmp_path: Path, wrong: str) -> None:
    """What stands in its place is named with the cure, and the store is let go of."""
    path = tmp_path / "a.duckdb.forward"
    if wrong == "a directory":
        path.mkdir()
    else:
        path.write_text("Dear diary, this is no database. " * 100)
    with pytest.raises(SpoolError, match=f"{path}, where requests wait to be sent on, cannot be used"):
        create_receiver(ReceiverSettings(db=tmp_path / "a.duckdb", forward="http://c:4318"))
    create_receiver(ReceiverSettings(db=tmp_path / "a.duckdb")).extensions["ai_dev_squad"].close()


def test_a_disk_that_takes_nothing_holds_nobody_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What cannot be kept is counted and told; what was sent and cannot be noted so is not sent again for that."""
    sent: list[str] = []

    def send(url: str, body: bytes, headers: Any) -> Answer:
        sent.append(url)
        return Answer("taken")

    spool = spool_in(tmp_path)
    body = json.dumps(request_of()).encode()
    forwarder = Forwarder("http://x", {}, content=False, spool=spool, send=send)
    monkeypatch.setattr(forwarder, "_look_s", 0.0)
    noted, full = spool.done, [True, True, True]

    def done(waiting: Any) -> None:
        if full:
            full.pop()
            raise SpoolError("the disk is full")
        noted(waiting)

    monkeypatch.setattr(spool, "done", done)
    forwarder.offer("traces", "json", body)
    until(lambda: forwarder.state().waiting == 0)
    spool.close()
    forwarder.offer("traces", "json", body)
    state = forwarder.state()
    forwarder.close()
    assert (sent, state.sent, state.dropped) == (["http://x/v1/traces"], 1, 1)
    assert "cannot be used" in str(state.last_problem)


def test_what_is_to_come_again_comes_again(backend: Backend, tmp_path: Path) -> None:
    """429, 503 and a login that is refused are repeated, after the seconds that the other end asks for; 400 is for good."""
    backend.answers = [(429, {"Retry-After": "0"}), (503, {"Retry-After": "0"}), (200, {}), (400, {}), (200, {})]
    forwarder = Forwarder(backend.url, {}, content=True, spool=spool_in(tmp_path))
    for number in range(3):
        forwarder.offer("traces", "json", json.dumps(request_of(n=str(number))).encode())
    until(lambda: len(backend.got) == 2)
    forwarder.close()
    state = forwarder.state()
    assert (state.sent, state.refused, state.retried, state.dropped) == (2, 1, 2, 0)
    assert [next(read_json(body))[1][0].attributes["n"] for _, _, body in backend.got] == ["0", "2"]


def test_pauses_grow_and_end_at_a_minute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """While nobody answers, attempts become ever more seldom."""
    waited: list[float] = []
    answers = iter([Answer("away", "nobody")] * 8 + [Answer("taken")])
    forwarder = Forwarder("http://x", {}, content=False, spool=spool_in(tmp_path), send=lambda *_: next(answers))
    monkeypatch.setattr(forwarder._closing, "wait", waited.append)
    forwarder.offer("traces", "json", json.dumps(request_of()).encode())
    until(lambda: forwarder.state().sent)
    assert waited == [1, 2, 4, 8, 16, 32, 60, 60]
    forwarder.close()


@pytest.mark.parametrize("encoding", ["json", "protobuf"])
@pytest.mark.parametrize("content", [True, False])
def test_a_request_is_marked_and_rid_of_content(encoding: Any, content: bool) -> None:
    """Both encodings: the resource names who forwards it after those before; attributes of spans and events with content are gone."""
    request = request_of(
        resource={MARK: "before", "service.name": "shop"},
        gen_ai__input__messages="secret", llm__input_messages__0__message__content="secret", gen_ai__request__model="m",
    )  # fmt: skip
    body = json.dumps(request).encode() if encoding == "json" else as_protobuf(request)
    sent = marked("traces", encoding, body, "me", content=content)
    assert sent is not None
    ((origin, (span,)),) = (read_json if encoding == "json" else read_protobuf)(sent)
    assert origin.resource == {MARK: "before me", "service.name": "shop"}
    kept = {"gen_ai.request.model": "m"}
    if content:
        kept |= {"gen_ai.input.messages": "secret", "llm.input_messages.0.message.content": "secret"}
    assert (span.attributes, span.events[0].attributes, span.span_id) == (kept, kept, SPAN)
    assert marked("traces", encoding, sent, "me", content=content) is None


@pytest.mark.parametrize("encoding", ["json", "protobuf"])
def test_events_that_are_content_are_emptied(encoding: Any) -> None:
    """Where messages are events, what was said stands under names that mean nothing elsewhere; a program's own event keeps them."""
    request = request_of(resource={})
    span = request["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    pairs = [{"key": key, "value": {"stringValue": key}} for key in ("content", "message", "finish_reason")]
    span["events"] = [
        {"timeUnixNano": "1", "name": name, "attributes": pairs}
        for name in ("gen_ai.user.message", "gen_ai.choice", "chat.closed")
    ]
    body = json.dumps(request).encode() if encoding == "json" else as_protobuf(request)
    sent = marked("traces", encoding, body, "me", content=False)
    assert sent is not None
    ((_, (received,)),) = (read_json if encoding == "json" else read_protobuf)(sent)
    assert [sorted(event.attributes) for event in received.events] == [
        ["finish_reason"],
        ["finish_reason"],
        ["content", "finish_reason", "message"],
    ]


def test_logs_leave_only_with_content(tmp_path: Path) -> None:
    """A log says whatever a program writes; without leave to send content none is sent on, also not one that waited from before."""
    sent: list[str] = []

    def send(url: str, body: bytes, headers: Any) -> Answer:
        sent.append(url)
        return Answer("taken")

    body = b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "x"}}]}]}]}'
    for content in (False, True):
        forwarder = Forwarder("http://x", {}, content=content, spool=spool_in(tmp_path), send=send)
        forwarder.offer("logs", "json", body)
        forwarder.close()
    assert sent == ["http://x/v1/logs"]
    spool = spool_in(tmp_path)
    spool.put("logs", "json", body)
    forwarder = Forwarder("http://x", {}, content=False, spool=spool, send=send)
    until(lambda: forwarder.state().waiting == 0)
    forwarder.close()
    assert sent == ["http://x/v1/logs"]


@pytest.mark.parametrize(
    "name, is_one",
    [("gen_ai.output.messages", True), ("gen_ai.prompt.0.content", True), ("gen_ai.prompt.version", False), ("input.value", True),
     ("gen_ai.usage.input_tokens", False), ("traceloop.entity.name", False), ("pydantic_ai.all_messages", True),
     ("gcp.vertex.agent.llm_request", True), ("gcp.vertex.agent.session_id", False)],
)  # fmt: skip
def test_content_is_known_by_its_name(name: str, is_one: bool) -> None:
    """The conventions' names, and those of other instrumentations."""
    assert is_content(name) is is_one


@pytest.mark.parametrize(
    "said, message",
    [
        ({"forward": "collector:4318"}, "is no address"),
        ({"forward": "http://localhost:8080"}, "is this dashboard itself"),
        ({"forward": "http://[::1]:x"}, "is no address"),
        ({"forward": "http://c", "forward_headers": ("abc",)}, "without a name and a value"),
        ({"forward": "http://c", "forward_max_mib": 0}, "too small"),
    ],
)
def test_settings_that_cannot_be_are_refused(said: dict[str, Any], message: str) -> None:
    """Before anything is opened, and without repeating a secret."""
    with pytest.raises(ValueError, match=message):
        DashboardSettings(**said)


def test_the_environment_names_it_all() -> None:
    """Address, headers, content and the bound of what waits."""
    settings = DashboardSettings.from_environment(
        {
            "DASHBOARD_FORWARD": "http://c:4318",
            "DASHBOARD_FORWARD_HEADERS": "Authorization=Bearer abc,X-Team=blue",
            "DASHBOARD_FORWARD_CONTENT": "true",
            "DASHBOARD_FORWARD_MAX_MIB": "8",
        }
    )
    assert (settings.forward, settings.forward_content, settings.forward_max_mib) == ("http://c:4318", True, 8)
    assert settings.forward_headers == ("Authorization=Bearer abc", "X-Team=blue")
    assert "abc" not in repr(settings)

"""What the core's tests share: an OTLP endpoint that lives, and two that are dead."""

from __future__ import annotations

import gzip
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service


class Receiver:
    """A small OTLP/HTTP receiver that remembers what arrived."""

    def __init__(self, status: int = 200) -> None:
        self.requests: list[tuple[str, dict[str, str], service.ExportTraceServiceRequest]] = []
        self.status = status
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                encoding = self.headers.get("Content-Encoding")
                body = gzip.decompress(body) if encoding == "gzip" else body
                body = zlib.decompress(body) if encoding == "deflate" else body
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.requests.append((self.path, headers, service.ExportTraceServiceRequest.FromString(body)))
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def spans(self) -> list[str]:
        """Names of all spans that arrived."""
        return [
            span.name
            for _, _, request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def close(self) -> None:
        """Stop listening."""
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def new_receiver() -> Iterator[Callable[[], Receiver]]:
    """``new_receiver()`` is a living endpoint."""
    with ExitStack() as receivers:

        def receive() -> Receiver:
            one = Receiver()
            receivers.callback(one.close)
            return one

        yield receive


@pytest.fixture
def receiver(new_receiver: Callable[[], Receiver]) -> Receiver:
    """A living endpoint."""
    return new_receiver()


@pytest.fixture
def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield listener.getsockname()[1]

"""A local OTLP/HTTP receiver: answers everything at once, counts requests and bytes, and spans while asked to.

POST /v1/traces      as any collector
POST /count/on|off   decode what comes in and count its spans per service (not while something is timed)
GET  /stats          {"requests": …, "bytes": …, "spans": {service: …}}
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Self

__all__ = ["Sink"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    counting = False
    requests = 0
    bytes = 0
    spans: ClassVar[Counter[str]] = Counter()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.startswith("/count/"):
            _Handler.counting = self.path.endswith("/on")
        else:
            _Handler.requests += 1
            _Handler.bytes += len(body)
            if _Handler.counting and self.path.endswith("/traces"):
                _count(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
        self._answer(b"", "application/x-protobuf")

    def do_GET(self) -> None:
        stats = {"requests": _Handler.requests, "bytes": _Handler.bytes, "spans": dict(_Handler.spans)}
        self._answer(json.dumps(stats).encode(), "application/json")

    def _answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def _count(body: bytes) -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans:
        names = [a.value.string_value for a in resource_spans.resource.attributes if a.key == "service.name"]
        spans = sum(len(scope.spans) for scope in resource_spans.scope_spans)
        _Handler.spans[names[0] if names else "?"] += spans


class Sink:
    """The receiver in a process of its own, as a context manager."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.endpoint = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        return self

    def count(self, on: bool) -> None:
        """Decode and count spans from now on, or stop."""
        path = f"{self.endpoint}/count/{'on' if on else 'off'}"
        urllib.request.urlopen(urllib.request.Request(path, data=b"", method="POST")).close()

    def stats(self) -> dict[str, Any]:
        """What came in so far."""
        with urllib.request.urlopen(f"{self.endpoint}/stats") as answer:
            return json.load(answer)

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    server.serve_forever()

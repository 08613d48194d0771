"""What tests of alerts share: a clock that stands, a server that behaves as told, a row and a rule."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ai_dev_squad_dashboard.alerts.alert import Alert
from ai_dev_squad_dashboard.store.rows import SpanRow

__all__ = ["MINUTE", "NOW", "SECOND", "Clock", "Post", "Server", "alert", "call", "serving", "until"]

SECOND = 1_000_000
MINUTE = 60 * SECOND
NOW = 1_800_000_000 * SECOND  # 2027-01-15T08:00:00Z, a Friday


class Clock:
    """Stands until it is moved."""

    def __init__(self, now_us: int = NOW) -> None:
        self.now_us = now_us

    def __call__(self) -> int:
        return self.now_us


@dataclass
class Post:
    """A request that a server got."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


@dataclass
class Server:
    """A real server on the loopback."""

    url: str = ""
    posts: list[Post] = field(default_factory=list)
    answer: Answer = lambda handler: reply(handler, 204)

    def titles(self) -> list[str]:
        """Of all alerts that came, in order."""
        return [each["title"] for post in self.posts for each in post.json["alerts"]]


def reply(handler: http.server.BaseHTTPRequestHandler, status: int, text: str = "", **headers: str) -> None:
    """Answer a request."""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(text.encode())))
    handler.end_headers()
    handler.wfile.write(text.encode())


@contextmanager
def serving(answer: Answer | None = None, *, host: str = "127.0.0.1") -> Iterator[Server]:
    """A server that takes POSTs until the block ends."""
    server = Server()
    if answer is not None:
        server.answer = answer

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.posts.append(Post(self.path, dict(self.headers.items()), body))
            server.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    class Quiet(http.server.ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            pass  # who asks may go away: that is what some tests are about

    httpd = Quiet((host, 0), Handler)
    server.url = f"http://{host}:{httpd.server_address[1]}/hook/T0SECRET"
    thread = threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()


def until(condition: Callable[[], Any], what: str = "") -> Any:
    """Wait for something that is bound to happen; how long it takes is no matter."""
    for _ in range(3000):
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"it did not happen: {what}")


def call(number: int, *, end_us: int = NOW, lasts_us: int = SECOND, **more: Any) -> SpanRow:
    """A model call that ended at ``end_us``."""
    given = {
        "operation": "chat", "name": "gpt-4o", "model": "gpt-4o", "agent": "coder", "usage_source": "provider",
        "input_tokens": 100, "output_tokens": 10, "cost_usd": 1.0, **more,
    }  # fmt: skip
    return SpanRow(
        trace_id=f"{number + 1:032x}",
        span_id=f"{number + 1:016x}",
        parent_span_id=f"{1 << 60:016x}",
        start_us=end_us - lasts_us,
        duration_us=lasts_us,
        **given,
    )


def alert(rule: str = "dear", **more: Any) -> Alert:
    """An alert about an agent."""
    given = {
        "what": "fired", "severity": "warning", "group": {"agent": "coder"}, "measure": "cost_usd", "unit": "USD",
        "value": 6.0, "threshold": 5.0, "above": True, "over_us": 60 * MINUTE, "since_us": NOW, "time_us": NOW,
        "note": "Look at the agent.", **more,
    }  # fmt: skip
    return Alert(rule=rule, **given)

"""A journal with something of everything in it, and everything that a store knows, to compare two of them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec
from flask import Flask
from werkzeug.serving import make_server

from ai_dev_squad import LogEvent, LogLevel, Usage, configure, feedback, flush, get_logger, session
from ai_dev_squad import attributes as keys
from ai_dev_squad.kinds import AGENT, CHAT, TASK, TOOL, ModelRequest
from ai_dev_squad.operations import start
from ai_dev_squad.schema import Link, utc_now
from ai_dev_squad_dashboard.ingest import otlp
from ai_dev_squad_dashboard.ingest.journal import JournalTail
from ai_dev_squad_dashboard.ingest.otlp_receive import Receiver
from ai_dev_squad_dashboard.ingest.queue import IngestQueue
from ai_dev_squad_dashboard.settings import DashboardSettings
from ai_dev_squad_dashboard.store import Selection, Store, open_memory_store

__all__ = ["EVER", "as_read_from", "receiver", "receiving", "whole_store", "write_journal"]

EVER = Selection(start_us=0, end_us=1 << 60)


def write_journal(directory: Path, runs: int = 3, *, name: str = "crew") -> Path:
    """Runs with content, a router, a tool that fails, money, labels, what people think, hand-written events; one is left open."""
    configure(log_dir=directory, service_name="squad", capture_content=True)
    before = None
    for number in range(runs):
        with session(f"{name}-{number}", user_id=f"user {number % 2}"):
            links = [] if before is None else [Link(trace_id=before, span_id="b" * 16, type="resumes")]
            run = start(AGENT, name, framework="langgraph", links=links, task="tidy up")
            step = start(TASK, "plan", framework="langgraph", parent=run)
            asked = {
                keys.INPUT_MESSAGES: [
                    {"role": "user", "parts": [{"type": "text", "content": f"“{number}” \u2028 ünd 1.0"}]}
                ]
            }
            request = ModelRequest(model="gpt-4o-mini", provider="openai")
            router = start(CHAT, "router", framework="langgraph", parent=step, request=request)
            call = start(CHAT, "gpt-4o-mini", framework="langgraph", parent=router, request=request, attributes=asked)
            call.usage = Usage(
                input_tokens=1_000 + number, output_tokens=100, cache_read_input_tokens=512, source="provider"
            )
            call.stop()
            router.stop()
            start(CHAT, "of nobody", framework="langgraph", parent=step, request=ModelRequest("of nobody", None)).stop()
            start(TOOL, "look up", framework="langgraph", parent=run).fail(KeyError(f"“{number}” is not there"))
            feedback(run.trace_id, name="helpful", score=number / 2, label="good", comment="as asked")
            event = LogEvent(
                "custom.event",
                utc_now(),
                LogLevel.WARNING,
                f"said by hand {number}",
                metadata={"t": 1.0, "n": [1, None]},
            )
            get_logger().log_event(event)
            step.stop()
            run.stop()
            before = run.trace_id
    start(AGENT, f"{name} left open", framework="langgraph")
    assert flush()
    return directory / "ai_dev_squad.jsonl"


def whole_store(store: Store, directory: Path) -> dict[str, Any]:
    """All rows and answers, whatever the order in which they came and the time at which. ``directory``: for files on the way."""
    rows: dict[str, Any] = {}
    for kind in ("spans", "logs"):
        file = directory / f"{kind}.jsonl"
        store.export(kind, EVER, file, "jsonl")  # type: ignore[arg-type]
        read = [json.loads(line) for line in file.read_bytes().split(b"\n") if line]
        rows[kind] = sorted(json.dumps(_rounded({**row, "ingested_us": 0}), sort_keys=True) for row in read)
    by = ("framework", "agent", "model", "tool")
    answers = {
        "totals": store.totals(EVER),
        "groups": {each: store.groups(EVER, each, order="key", latency=True) for each in by},  # type: ignore[arg-type]
        "timeline": store.timeline(EVER, 60_000_000),
        "sessions": store.sessions(EVER).rows,
        "users": store.users(EVER).rows,
        "errors": store.errors(EVER),
        "choices": store.choices(EVER),
        "facets": store.facets(EVER),
        "running": store.running(0),
        "entries": store.entries(EVER),
        "traces": store.traces(EVER, limit=200).rows,
        "unpriced": store.unpriced(EVER),
        "marks": (store.marked(EVER, "framework"), store.mark_labels(EVER)),
    }
    return rows | {name: _rounded(msgspec.to_builtins(answer)) for name, answer in answers.items()}


def _rounded(value: Any) -> Any:
    """Sums of money depend in their last digits on the order in which they are made; JSON tells 1 and 1.0 not apart."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else round(value, 9)
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, (list, tuple)) else value


@contextmanager
def receiver() -> Iterator[tuple[Receiver, Store]]:
    """What takes requests, and its store."""
    with ExitStack() as stack:
        store = open_memory_store()
        stack.callback(store.close)
        queue = IngestQueue(store, max_pending_rows=50_000)
        stack.callback(queue.close)
        yield Receiver(queue.submit), store


def as_read_from(directories: list[Path], scratch: Path) -> dict[str, Any]:
    """What a dashboard knows that reads the files themselves."""
    with ExitStack() as stack:
        store = open_memory_store()
        stack.callback(store.close)
        queue = IngestQueue(store, max_pending_rows=50_000)
        stack.callback(queue.close)
        JournalTail(directories, queue, counting=Receiver(queue.submit).counting).catch_up()
        return whole_store(store, scratch)


@contextmanager
def receiving() -> Iterator[tuple[str, Store]]:
    """A real receiver and its store, which has what was acknowledged."""
    with ExitStack() as stack:
        store = open_memory_store()
        stack.callback(store.close)
        queue = IngestQueue(store, max_pending_rows=10_000)
        stack.callback(queue.close)
        app = Flask(__name__)
        into = otlp.receiver(queue.submit)
        app.register_blueprint(otlp.create_blueprint(queue.submit, DashboardSettings(), into))
        server = make_server("127.0.0.1", 0, app, threaded=True)
        stack.callback(server.server_close)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        stack.callback(thread.join)
        stack.callback(server.shutdown)
        yield f"http://127.0.0.1:{server.server_port}", store

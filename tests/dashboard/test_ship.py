"""Journals that travel: every line arrives at least once and counts once, whatever happens on the way."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from shipped import receiving

from ai_dev_squad import Usage, configure_logging, flush
from ai_dev_squad.events.rotation import rotate
from ai_dev_squad.kinds import AGENT, CHAT, TOOL, ModelRequest
from ai_dev_squad.operations import start
from ai_dev_squad_dashboard.cli import main
from ai_dev_squad_dashboard.ingest.journal import JournalTail
from ai_dev_squad_dashboard.ingest.queue import IngestQueue
from ai_dev_squad_dashboard.otlp_post import endpoint_for, post
from ai_dev_squad_dashboard.shipping import Shipper
from ai_dev_squad_dashboard.store import Selection, open_memory_store
from ai_dev_squad_dashboard.store.base import Store
from ai_dev_squad_testing.fixtures import wait_until

EVER = Selection(start_us=0, end_us=1 << 60)
Told = list[str]


def write_runs(directory: Path, count: int = 3) -> Path:
    """Runs with a model call and a tool that fails. Returns their journal."""
    configure_logging(log_dir=directory, service_name="squad")
    for number in range(count):
        run = start(AGENT, "crew", framework="langgraph", session_id=f"s{number}")
        request = ModelRequest(model="gpt-4o-mini", provider="openai")
        call = start(CHAT, "gpt-4o-mini", framework="langgraph", parent=run, request=request)
        call.usage = Usage(input_tokens=1_000 + number, output_tokens=100, source="provider")
        call.stop()
        start(TOOL, "look up", framework="langgraph", parent=run).fail(KeyError(f"“{number}” \u2028 is not there"))
        run.stop()
    assert flush()
    return directory / "ai_dev_squad.jsonl"


def facts(store: Store) -> list[Any]:
    """Every run with its spans, tokens and cost, and every line."""
    traces = [store.trace(row.trace_id) for row in store.traces(EVER).rows]
    spans = sorted(
        (span.trace_id, span.span_id, span.name, span.status, span.input_tokens, span.output_tokens, span.cost_usd)
        for trace in traces
        if trace is not None
        for span in trace.spans
    )
    lines = sorted((row.time_us, row.event_type, row.message, row.trace_id) for row in store.logs(EVER, limit=500).rows)
    return [spans, lines, store.running(0)]


def ship(*arguments: str | Path) -> int:
    """The command's exit code."""
    return main(["ship", *map(str, arguments)])


def as_read_from(journal: Path) -> list[Any]:
    """What a dashboard knows that reads the file itself."""
    with ExitStack() as stack:
        store = open_memory_store()
        stack.callback(store.close)
        queue = IngestQueue(store, max_pending_rows=10_000)
        stack.callback(queue.close)
        JournalTail([journal], queue).catch_up()
        return facts(store)


def test_a_journal_that_travelled_says_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs, tokens, cost, lines and what still runs are as if the dashboard had read the file, rotated files included."""
    journal = write_runs(tmp_path / "logs")
    rotate(journal)
    write_runs(tmp_path / "logs", 2)
    start(AGENT, "left open", framework="langgraph")
    assert flush()

    with receiving() as (url, store):
        assert ship(tmp_path / "logs", "--to", url, "--once") == 0
        arrived = facts(store)

    assert arrived == as_read_from(journal)
    assert len(arrived[0]) == 15
    assert capsys.readouterr().out == f"31 lines sent to {url}/v1/logs\n"


def test_a_line_that_comes_twice_counts_once(tmp_path: Path) -> None:
    """With its memory lost, the shipper sends everything again: spans, sums and lines stay as they were."""
    journal = write_runs(tmp_path / "logs")

    with receiving() as (url, store):
        ship(journal, "--to", url, "--once", "--state", tmp_path / "one")
        once = facts(store)
        ship(journal, "--to", url, "--once", "--state", tmp_path / "another")

        assert facts(store) == once


def test_it_goes_on_where_it_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each receiver has a place of its own in each journal."""
    journal = write_runs(tmp_path / "logs", 1)
    with receiving() as (url, store), receiving() as (other, other_store):
        ship(journal, "--to", url, "--once")
        write_runs(tmp_path / "logs", 2)
        capsys.readouterr()

        ship(journal, "--to", url, "--once")
        ship(journal, "--to", other, "--once")

        assert capsys.readouterr().out.splitlines() == [
            f"12 lines sent to {url}/v1/logs",
            f"18 lines sent to {other}/v1/logs",
        ]
        assert facts(store) == facts(other_store)


class Scripted:
    """A receiver that does to each request what the script says, and takes all others."""

    def __init__(self, *script: str) -> None:
        self.script = list(script)
        self.bodies: list[list[str]] = []
        self.taken: list[str] = []

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = gzip.decompress(handler.rfile.read(int(handler.headers["Content-Length"])))
        records = json.loads(body)["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
        lines = [record["body"]["stringValue"] for record in records]
        self.bodies.append(lines)
        what = self.script.pop(0) if self.script else "200"
        if what == "cut":
            handler.close_connection = True
            return
        if what == "picky" or what == "small":
            self.script.insert(0, what)
            bad = any("poison" in line for line in lines) if what == "picky" else len(lines) > 2
            what = ("400" if what == "picky" else "413") if bad else "200"
        if what == "200":
            self.taken += lines
        handler.send_response(int(what))
        if what == "503":
            handler.send_header("Retry-After", "0")
        handler.send_header("Content-Length", "0")
        handler.end_headers()


@contextmanager
def scripted(*script: str) -> Iterator[tuple[str, Scripted]]:
    """The address of such a receiver, and what it saw."""
    receiver = Scripted(*script)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.answer(self)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def of_lines(journal: Path) -> list[str]:
    """The lines of a journal, as they stand."""
    return journal.read_text(encoding="utf-8").splitlines()


def test_what_is_refused_for_now_is_sent_again(tmp_path: Path, told: Told) -> None:
    """A receiver that is busy gets the same lines again, in order, and is told of once."""
    journal = write_runs(tmp_path / "logs")
    with scripted("503", "503") as (url, receiver):
        shipped = shipper(journal, url, tmp_path / "state", told).ship_all()

    assert [len(lines) for lines in receiver.bodies] == [18, 18, 18]
    assert [json.loads(line) for line in receiver.taken] == [json.loads(line) for line in of_lines(journal)]
    assert (shipped.lines, shipped.refused) == (18, 0)
    target = f"{url}/v1/logs"
    assert told == [
        f"{target} does not take it: refused with status 503; tried again until it does",
        f"{target} takes lines again",
    ]


@pytest.mark.parametrize("fault", ["cut", "500", "401", "404"])
def test_once_gives_up_and_says_why(tmp_path: Path, fault: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be sent now is an error, and is sent the next time."""
    journal = write_runs(tmp_path / "logs")
    with scripted(fault) as (url, receiver):
        assert ship(journal, "--to", url, "--once") == 1
        assert f"{url}/v1/logs does not take it: " in capsys.readouterr().err
        assert ship(journal, "--to", url, "--once") == 0

    assert len(receiver.taken) == 18


def test_a_receiver_with_small_pockets_gets_smaller_requests(tmp_path: Path, told: Told) -> None:
    """What is too large is halved until it fits."""
    journal = write_runs(tmp_path / "logs")
    with scripted("small") as (url, receiver):
        shipper(journal, url, tmp_path / "state", told).ship_all()

    assert [json.loads(line) for line in receiver.taken] == [json.loads(line) for line in of_lines(journal)]
    assert told == []


def test_a_line_that_is_never_taken_costs_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its neighbours arrive, it is told of, and the exit code says so."""
    journal = write_runs(tmp_path / "logs")
    lines = of_lines(journal)
    lines.insert(5, lines[4].replace("crew", "poison").replace("gpt-4o-mini", "poison"))
    assert "poison" in lines[5]
    journal.write_text("\n".join(lines) + "\n", encoding="utf-8")

    with scripted("picky") as (url, receiver):
        assert ship(journal, "--to", url, "--once") == 1

    assert [json.loads(line) for line in receiver.taken] == [json.loads(line) for line in lines if "poison" not in line]
    assert capsys.readouterr().err == "a line is left out: refused with status 400\n"


def test_a_kill_at_any_moment_loses_nothing(tmp_path: Path) -> None:
    """Killed after it has sent and before it has written that down, it sends those lines again, and they count once."""
    journal = write_runs(tmp_path / "logs", 1)
    with receiving() as (url, store):
        command = [sys.executable, "-m", "ai_dev_squad_dashboard.cli", "ship", str(journal), "--to", url]
        killed_at_writing = (
            "import os, signal, ai_dev_squad_dashboard.shipping as s\n"
            "s.write_private = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
            f"from ai_dev_squad_dashboard.cli import main; main({command[3:]!r})"
        )
        done = subprocess.run([sys.executable, "-c", killed_at_writing], check=False)
        assert done.returncode == -signal.SIGKILL
        assert len(facts(store)[1]) == 6

        write_runs(tmp_path / "logs", 1)
        assert ship(journal, "--to", url, "--once") == 0

        assert facts(store) == as_read_from(journal)


def test_it_follows_until_it_is_told_to_end(tmp_path: Path) -> None:
    """A journal that appears later is sent as it grows; SIGTERM ends it, and it says how much it sent."""
    directory = tmp_path / "logs"
    directory.mkdir()
    with receiving() as (url, store):
        command = [sys.executable, "-m", "ai_dev_squad_dashboard.cli", "ship", str(directory), "--to", url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            write_runs(directory, 2)
            assert wait_until(lambda: len(facts(store)[1]) == 12, 60)
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=60)

    assert (process.returncode, out) == (0, f"12 lines sent to {url}/v1/logs\n")


def test_a_memory_that_is_none_of_ours_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that says something else is not overwritten."""
    journal, state = write_runs(tmp_path / "logs"), tmp_path / "notes"
    state.write_text("buy milk", encoding="utf-8")

    assert ship(journal, "--to", "http://127.0.0.1:9", "--once", "--state", state) == 1

    assert f"{state} does not say how far journals were sent" in capsys.readouterr().err
    assert state.read_text(encoding="utf-8") == "buy milk"


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "where to? name the receiver, such as --to http://dashboard.example:8080"),
        (
            ["--to", "example"],
            "'example' is no address; write it with http:// or https://, such as http://127.0.0.1:8080",
        ),
        (["--to", "http://x", "--header", "a"], "--header 'a' has no name and value; write it as NAME=VALUE"),
    ],
)
def test_what_was_asked_wrongly_is_said(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the value and the cure."""
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    assert ship(*arguments) == 2
    assert capsys.readouterr().err == f"ai-dev-squad: {message}\n"


@pytest.mark.parametrize(
    "url, endpoint",
    [
        ("http://h:1", "http://h:1/v1/logs"),
        ("https://h/otlp/", "https://h/otlp/v1/logs"),
        ("http://h/v1/logs", "http://h/v1/logs"),
    ],
)
def test_addresses_are_completed(url: str, endpoint: str) -> None:
    """The path of the signal follows the base, unless it is there."""
    assert endpoint_for(url, "logs") == endpoint


def shipper(journal: Path, url: str, state: Path, told: Told) -> Shipper:
    """One that waits, and tells into a list."""
    target = endpoint_for(url, "logs")
    return Shipper([journal], lambda body: post(target, body, {}), state=state, target=target, tell=told.append)


@pytest.fixture
def told() -> Told:
    """What a person was told."""
    return []

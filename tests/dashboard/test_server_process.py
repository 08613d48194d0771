"""The dashboard as a process of its own: it starts, is killed under load, starts again, and ends cleanly."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ai_dev_squad.events.rotation import compress_rotated, rotate
from ai_dev_squad_dashboard.store import Selection, Store, open_store

EVER = Selection(start_us=0, end_us=1 << 60)


class Dashboard:
    """A running ``ai-dev-squad dashboard``."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ai_dev_squad_dashboard.cli", "dashboard", "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=directory,
            text=True,
        )
        assert self.process.stdout is not None
        first = self.process.stdout.readline()
        if not first.startswith("Dashboard"):
            raise AssertionError(first + self.process.communicate(timeout=30)[0])
        self.address = urlsplit(first.split()[1])

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.address.hostname or "", self.address.port, timeout=30)

    def get(self, path: str) -> int:
        connection = self.connect()
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()

    def kill(self) -> None:
        """As the kernel does when memory is short."""
        self.process.kill()
        self.process.communicate(timeout=30)

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Ask it to end: exit code and what it still said."""
        self.process.send_signal(number)
        output, _ = self.process.communicate(timeout=60)
        return self.process.returncode, output


@pytest.fixture
def dashboards() -> Iterator[Callable[..., Dashboard]]:
    """Starts dashboards, and sees to it that none is left."""
    started: list[Dashboard] = []

    def start(directory: Path, *arguments: str) -> Dashboard:
        started.append(Dashboard(directory, *arguments))
        return started[-1]

    yield start
    for dashboard in started:
        if dashboard.process.poll() is None:
            dashboard.kill()


def journal_line(number: int) -> str:
    trace = f"{number + 1:032x}"
    return (
        f'{{"schema":1,"timestamp":"2026-11-22T00:00:00.{number % 1_000_000:06d}Z","level":"INFO","event_type":"tool.result",'
        f'"message":"line {number}","name":"t","operation":"execute_tool","status":"ok","trace_id":"{trace}",'
        f'"span_id":"{trace[16:]}","duration_ms":1.0}}\n'
    )


def request_body(first: int, count: int) -> bytes:
    spans = [
        {
            "traceId": f"f{number:031x}",
            "spanId": f"f{number:015x}",
            "name": f"sent {number}",
            "startTimeUnixNano": str(1_795_305_600_000_000_000 + number),
            "endTimeUnixNano": str(1_795_305_600_100_000_000 + number),
        }
        for number in range(first, first + count)
    ]
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()


def stored_messages(store: Store) -> list[str]:
    found: list[str] = []
    cursor = None
    while True:
        page = store.logs(EVER, cursor=cursor, limit=1_000)
        found += [row.message for row in page.rows]
        cursor = page.next
        if cursor is None:
            return found


class Sender(threading.Thread):
    """Sends spans as fast as they are acknowledged, and keeps the numbers of those that were."""

    def __init__(self, dashboard: Dashboard, first: int) -> None:
        super().__init__(daemon=True)
        self.dashboard = dashboard
        self.first = first
        self.acknowledged: list[int] = []

    def run(self) -> None:
        connection = self.dashboard.connect()
        try:
            for first in range(self.first, self.first + 1_000_000, 20):
                connection.request("POST", "/v1/traces", request_body(first, 20), {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                if answer.status == 200:
                    self.acknowledged += range(first, first + 20)
        except (OSError, http.client.HTTPException):
            pass  # it was killed: what was not acknowledged does not count
        finally:
            connection.close()


def test_kill_under_load_loses_nothing_and_repeats_nothing(
    tmp_path: Path, dashboards: Callable[..., Dashboard]
) -> None:
    """Killed three times while a journal grows, rotates and spans arrive: every acknowledged span and every line is there once."""
    journal = tmp_path / "logs" / "ai_dev_squad.jsonl"
    journal.parent.mkdir()
    written = allowed = 0
    writing = threading.Event()
    writing.set()

    def write() -> None:
        nonlocal written
        while writing.is_set():
            # However slow the machine is, there is no more than this to read in the end.
            if written == allowed:
                time.sleep(0.005)
                continue
            with journal.open("a") as opened:
                opened.writelines(journal_line(number) for number in range(written, written + 50))
            written += 50
            if written % 3_000 == 0:
                rotate(journal)
                compress_rotated(journal, None)
            time.sleep(0.005)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    senders: list[Sender] = []
    moments = random.Random(4)
    for life in range(3):
        dashboard = dashboards(tmp_path)
        allowed += 20_000
        senders.append(Sender(dashboard, life * 10_000_000))
        senders[-1].start()
        while len(senders[-1].acknowledged) < 200:
            time.sleep(0.01)
        time.sleep(moments.uniform(0.0, 0.3))
        dashboard.kill()
        senders[-1].join(30)
    writing.clear()
    writer.join(30)

    dashboard = dashboards(tmp_path)
    connection = dashboard.connect()
    connection.request("POST", "/v1/traces", request_body(90_000_000, 1), {"Content-Type": "application/json"})
    assert connection.getresponse().status == 200
    connection.close()
    for _ in range(600):
        time.sleep(0.05)
        if is_at_end(dashboard, journal):
            break
    code, _ = dashboard.end()
    assert code == 0

    store = open_store(tmp_path / "logs" / "dashboard.duckdb")
    messages = stored_messages(store)
    assert sorted(messages, key=lambda text: int(text.split()[1])) == [f"line {number}" for number in range(written)]
    lost = [
        number
        for sender in senders
        for number in sender.acknowledged
        if store.span(f"f{number:031x}", f"f{number:015x}") is None
    ]
    assert lost == []
    store.close()


def is_at_end(dashboard: Dashboard, journal: Path) -> bool:
    """Whether the dashboard holds the journal's current file open and has read all of it."""
    fds = Path(f"/proc/{dashboard.process.pid}/fd")
    for link in fds.iterdir():
        try:
            if os.path.realpath(link) == str(journal):
                at = int((fds.parent / "fdinfo" / link.name).read_text().split()[1])
                return at >= journal.stat().st_size
        except OSError:
            pass
    return False


@pytest.mark.parametrize("number, drain_s", [(signal.SIGTERM, "0.1"), (signal.SIGINT, "600")])
def test_it_ends_cleanly(
    tmp_path: Path, dashboards: Callable[..., Dashboard], monkeypatch: pytest.MonkeyPatch, number: int, drain_s: str
) -> None:
    """On SIGTERM, once it has drained, and on SIGINT, which waits for nothing, it exits with 0 and says nothing bad, with a live
    client, an idle one and a half-sent request.
    """
    monkeypatch.setenv("DASHBOARD_DRAIN_S", drain_s)
    dashboard = dashboards(tmp_path)
    host = (dashboard.address.hostname or "", dashboard.address.port or 0)
    assert dashboard.get("/healthz") == 200
    live, idle, half = (socket.create_connection(host, timeout=30) for _ in range(3))
    live.sendall(
        b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: aaaaaaaaaaaaaaaaaaaaaa==\r\n\r\n" % host[1]
    )
    assert live.recv(4_096).startswith(b"HTTP/1.1 101")
    half.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    code, output = dashboard.end(number)
    for connection in (live, idle, half):
        connection.close()
    assert (code, "Traceback" in output, "leaked" in output) == (0, False, False)
    # What it held is free again.
    open_store(tmp_path / "logs" / "dashboard.duckdb").close()


def test_a_second_dashboard_is_told_of_the_first(tmp_path: Path, dashboards: Callable[..., Dashboard]) -> None:
    """On the same port the port's message comes; on another one the store's, which names the file and the cure."""
    first = dashboards(tmp_path)
    program = [sys.executable, "-m", "ai_dev_squad_dashboard.cli"]
    for arguments, expected in [
        (["dashboard", "--port", str(first.address.port)], f"port {first.address.port} of 127.0.0.1 is in use"),
        (["dashboard", "--port", "0"], "dashboard.duckdb"),
        (["costs", "--db", "logs/dashboard.duckdb"], "dashboard.duckdb"),
    ]:
        done = subprocess.run(
            [*program, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 1, done.stderr
        assert done.stderr.startswith("ai-dev-squad: ")
        assert expected in done.stderr
        assert "Traceback" not in done.stderr
    assert first.get("/healthz") == 200


def test_otlp_files_are_sent_to_a_running_dashboard(tmp_path: Path, dashboards: Callable[..., Dashboard]) -> None:
    """``ingest --url`` sends to a dashboard that runs; without one it says how to start one."""
    dashboard = dashboards(tmp_path)
    (tmp_path / "spans.json").write_bytes(request_body(0, 3))
    program = [
        sys.executable,
        "-m",
        "ai_dev_squad_dashboard.cli",
        "ingest",
        "spans.json",
        "--url",
        dashboard.address.geturl(),
    ]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "spans.json: 1 requests\n", "")
    assert dashboard.end()[0] == 0
    store = open_store(tmp_path / "logs" / "dashboard.duckdb")
    assert store.totals(EVER).spans == 3
    store.close()
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "start one with `ai-dev-squad dashboard`" in done.stderr


def test_logs_are_followed_until_interrupted(tmp_path: Path) -> None:
    """``logs tail --follow`` waits for a journal that is not there yet, shows what comes, and ends on Ctrl+C."""
    # A shell starts what runs in the background deaf to Ctrl+C, and these tests may be run so.
    deaf = signal.signal(signal.SIGINT, signal.default_int_handler)
    program = [sys.executable, "-m", "ai_dev_squad_dashboard.cli", "logs", "tail", "-f", "--json", "logs"]
    process = subprocess.Popen(program, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, deaf)
    with process:
        try:
            assert process.stdout is not None
            (tmp_path / "logs").mkdir()
            for number in range(3):
                with (tmp_path / "logs" / "a.jsonl").open("a") as opened:
                    opened.write(journal_line(number))
                assert json.loads(process.stdout.readline())["message"] == f"line {number}"
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=30)
            assert (process.returncode, err) == (130, "")
        finally:
            process.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="the heaps are those of glibc")
def test_threads_share_few_heaps(tmp_path):
    """What a large request leaves in one thread's heap serves the next thread: without this there is a heap for each of them."""
    program = """
import ctypes, re, sys, threading
from pathlib import Path
from ai_dev_squad_dashboard.commands import tuning
if sys.argv[1] == "tuned":
    tuning.tune_memory()
together = threading.Barrier(9)
def work():
    together.wait()
    kept = [bytearray(2000) for _ in range(2000)]
    together.wait()
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
together.wait(); together.wait()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(b"heaps.xml", b"w"))
libc.malloc_info(0, file); libc.fclose(file)
print(len(re.findall("<heap nr", Path("heaps.xml").read_text())))
"""
    environ = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"}
    heaps = {
        how: int(
            subprocess.run(
                [sys.executable, "-c", program, how],
                cwd=tmp_path,
                env=environ,
                capture_output=True,
                check=True,
                timeout=60,
            ).stdout
        )
        for how in ("tuned", "as it is")
    }
    assert (heaps["tuned"] <= 2, heaps["as it is"] > 2) == (True, True)

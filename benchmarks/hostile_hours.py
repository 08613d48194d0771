"""24 hostile hours in ten minutes: everything that is known to hurt a dashboard at once, under load, against a real process.

    python benchmarks/hostile_hours.py --minutes 10

Attackers state impossible numbers and times, send spans that cannot be read, bombs, half heads, doubtful framing and handshakes
without end, and delete the store's file. Meanwhile honest programs send spans and write a journal, and honest visitors, from
another address, look at every page. What is measured: how long visitors wait, without the attacks first and then with them,
because the machine that does both says little by itself; what processor time the dashboard took; whether anything that was
acknowledged is missing at the end; and how much memory the dashboard took, beside what its settings allow it. Where the machine
itself stood still, it is said what waits were besides that. It ends with 1
when something is missing, when a page failed, or when the memory was beyond its bound. `--only` and `--without` choose attacks.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from standstill import Standstill, watched

from ai_dev_squad_dashboard.store import Selection, open_store

PAGES = (
    "/",
    "/traces",
    "/sessions",
    "/costs",
    "/agents",
    "/logs",
    "/parity-matrix",
    "/health",
    "/api/overview",
    "/api/costs",
)
VISITOR = "127.0.0.2"
"""Another address of this machine, where it has one: Linux has them all."""
ENGINE_MIB = 256
"""What the store's engine is allowed (``DASHBOARD_MEMORY_LIMIT_MIB``)."""
BESIDES_MIB = 384
"""What the rest of the process may take: 160 MiB when it starts, 50,000 rows that wait, and requests of 20 MiB while they are read."""
SPANS_PER_REQUEST = 200
REQUESTS_PER_S = 10


@dataclass
class Run:
    """One dashboard, and what was seen of it."""

    port: int
    db: Path
    journal: Path
    pid: int
    ended: threading.Event = field(default_factory=threading.Event)
    acknowledged: set[str] = field(default_factory=set)
    """Traces whose senders were told that they are on disk."""
    written: int = 0
    """Lines of the journal."""
    still: Standstill = field(default_factory=Standstill)
    waits: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    """Page → from when to when somebody waited for it."""
    calm: dict[str, Any] = field(default_factory=dict)
    """How long visitors waited before the attacks began."""
    attacked: dict[str, Any] = field(default_factory=dict)
    """The same under attack."""
    failed: Counter[str] = field(default_factory=Counter)
    attacks: Counter[str] = field(default_factory=Counter)
    memory_mib: list[float] = field(default_factory=list)

    def repeat(self, name: str, act: Callable[[], Any], every_s: float) -> threading.Thread:
        """``act`` again and again until the end. An attack that is refused is an attack all the same."""

        def loop() -> None:
            while not self.ended.wait(every_s):
                with suppress(OSError, http.client.HTTPException):
                    act()
                self.attacks[name] += 1

        thread = threading.Thread(target=loop, name=name, daemon=True)
        thread.start()
        return thread

    def ask(
        self, method: str, path: str, body: bytes | None = None, source: str = "127.0.0.1", **headers: str
    ) -> tuple[int, bytes]:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60, source_address=(source, 0))
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def send(self, spans: list[dict[str, Any]]) -> int:
        """Spans as OTLP/JSON."""
        body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()
        return self.ask("POST", "/v1/traces", body, Content_Type="application/json")[0]

    def raw(self, sent: bytes) -> None:
        """Bytes as they are, and whatever comes back."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(sent)
            connection.recv(1000)


def span(trace_id: str, tokens: Any = "120", start_ns: int | None = None, **more: Any) -> dict[str, Any]:
    """A model call of a run of its own."""
    now = time.time_ns()
    values = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.provider.name": "openai"}
    attributes: list[dict[str, Any]] = [{"key": key, "value": {"stringValue": value}} for key, value in values.items()]
    attributes.append({"key": "gen_ai.usage.input_tokens", "value": {"intValue": tokens}})
    times = {"startTimeUnixNano": str(now - 10**9 if start_ns is None else start_ns), "endTimeUnixNano": str(now)}
    return {"traceId": trace_id, "spanId": trace_id[:16], "name": "chat", "attributes": attributes, **times, **more}


def new_id() -> str:
    """A trace id."""
    return os.urandom(16).hex()


# --- honest ones --------------------------------------------------------------------------------------------------------


def honest_sender(run: Run) -> None:
    """Sends again what was not acknowledged, as exporters do."""
    spans = [span(new_id()) for _ in range(SPANS_PER_REQUEST)]
    while not run.ended.is_set():
        try:
            if run.send(spans) == 200:
                run.acknowledged.update(each["traceId"] for each in spans)
                return
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.2)


def honest_program(run: Run) -> None:
    """Writes lines into its journal."""
    with run.journal.open("a") as journal:
        for _ in range(20):
            trace_id = new_id()
            moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            line = {
                "schema": 1, "timestamp": moment, "level": "INFO", "event_type": "tool.result", "message": "done", "name": "t",
                "operation": "execute_tool", "status": "ok", "trace_id": trace_id, "span_id": trace_id[:16], "duration_ms": 1.0,
            }  # fmt: skip
            journal.write(json.dumps(line) + "\n")
            run.written += 1


def visitor(run: Run) -> None:
    """Looks at each page in turn."""
    for page in PAGES:
        began = time.monotonic()
        try:
            status, _ = run.ask("GET", page, source=VISITOR)
        except (OSError, http.client.HTTPException) as error:
            status = 0
            run.failed[f"{page}: {type(error).__name__}"] += 1
        run.waits.setdefault(page, []).append((began, time.monotonic()))
        if status not in (0, 200):
            run.failed[f"{page}: {status}"] += 1
        time.sleep(0.1)


# --- the others ---------------------------------------------------------------------------------------------------------


def impossible_numbers(run: Run) -> None:
    """More tokens than there are, a clock that was never set."""
    run.send([span(new_id(), str(2**53 - 1)) for _ in range(100)])
    run.send([span(new_id(), start_ns=1) for _ in range(100)])


def unreadable_spans(run: Run) -> None:
    """A 65-bit number and half an emoji among spans that are fine."""
    run.send([span(new_id()), span(new_id(), 1 << 65), span(new_id(), name="cut \ud83d")])


def bomb(run: Run) -> None:
    """A hundred MiB of zeros in a hundred kB."""
    run.ask("POST", "/v1/traces", BOMB, Content_Type="application/json", Content_Encoding="gzip")


BOMB = gzip.compress(bytes(100 << 20))


def noise(run: Run) -> None:
    """Bytes that are no message."""
    run.ask("POST", "/v1/traces", random.randbytes(2000), Content_Type="application/x-protobuf")


def half_heads(run: Run) -> None:
    """Connections that send half a header and stay."""
    hold(run, 150, b"GET / HTTP/1.1\r\nHost: local", 5)


def slow_bodies(run: Run) -> None:
    """Bodies that are announced and do not come."""
    hold(run, 100, b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n{", 8)


def hold(run: Run, connections: int, beginning: bytes, seconds: float) -> None:
    """Open connections that send the beginning of a request, and nothing more until they are closed."""
    held = []
    for _ in range(connections):
        connection = socket.create_connection(("127.0.0.1", run.port), timeout=5)
        connection.sendall(beginning)
        held.append(connection)
    run.ended.wait(seconds)
    for connection in held:
        connection.close()


def handshakes(run: Run) -> None:
    """Live connections that nobody reads."""
    run.ask("GET", f"/socket.io/?EIO=4&transport=polling&xsid={random.random()}")


def doubtful_framing(run: Run) -> None:
    """A request that two servers read in two ways."""
    run.raw(
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\nhi\r\n"
    )


def odd_addresses(run: Run) -> None:
    """Sessions that are called like paths, and searches of every kind."""
    for path in ("/sessions/..%2Fx", "/traces?q=%00%27%22", "/api/traces?cursor=zzzz", "/logs?range=30d&q=a"):
        run.ask("GET", path)


def delete_the_store(run: Run) -> None:
    """The file goes while it is in use."""
    for each in run.db.parent.glob(run.db.name + "*"):
        each.unlink(missing_ok=True)


def measure(run: Run) -> None:
    """What the process takes of memory."""
    for line in Path(f"/proc/{run.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            run.memory_mib.append(int(line.split()[1]) / 1024)


ATTACKS: dict[str, tuple[Callable[[Run], None], float]] = {
    attack.__name__: (attack, every_s)
    for attack, every_s in (
        (impossible_numbers, 1.0), (unreadable_spans, 0.5), (bomb, 1.0), (noise, 0.2), (half_heads, 0.5), (slow_bodies, 0.5),
        (handshakes, 0.05), (doubtful_framing, 0.1), (odd_addresses, 1.0), (delete_the_store, 20.0),
    )
}  # fmt: skip
"""Name → what is done, and how often in seconds."""


def play(run: Run, seconds: float, attacks: Iterable[str]) -> None:
    """Honest ones alone for a quarter of the time, then all at once; then quiet."""
    threads = [
        *(run.repeat("honest sender", lambda: honest_sender(run), 4 / REQUESTS_PER_S) for _ in range(4)),
        run.repeat("honest program", lambda: honest_program(run), 0.2),
        *(run.repeat("visitor", lambda: visitor(run), 0.1) for _ in range(2)),
        run.repeat("measure", lambda: measure(run), 1.0),
    ]
    began_s = processor_s(run.pid)
    time.sleep(seconds / 4)
    run.calm, run.waits = waited(run), {}
    run.calm["memory_mib"] = round(max(run.memory_mib))
    run.calm["processors"] = round((processor_s(run.pid) - began_s) / (seconds / 4), 2)
    began_s = processor_s(run.pid)
    for name in attacks:
        attack, every_s = ATTACKS[name]
        threads.append(run.repeat(name, lambda attack=attack: attack(run), every_s))  # type: ignore[misc]
    time.sleep(seconds * 3 / 4)
    run.ended.set()
    run.attacked = waited(run)
    run.attacked["processors"] = round((processor_s(run.pid) - began_s) / (seconds * 3 / 4), 2)
    for thread in threads:
        thread.join(70)


def processor_s(pid: int) -> float:
    """The processor time that a process has taken, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def waited(run: Run) -> dict[str, Any]:
    """How long visitors waited."""
    pages = {
        page: [(until - since, run.still.within(since, until)) for since, until in list(each)]
        for page, each in run.waits.items()
    }
    waits = sorted(seconds for each in pages.values() for seconds, _ in each)
    if not waits:
        return {"pages": 0}
    besides = [seconds - stood for each in pages.values() for seconds, stood in each]
    return {
        "pages": len(waits),
        "median_s": round(waits[len(waits) // 2], 3),
        "p99_s": round(waits[int(len(waits) * 0.99)], 3),
        "worst_s": round(waits[-1], 3),
        "beyond_1_s": sum(seconds > 1 for seconds in waits),
        "besides_standstill": {"worst_s": round(max(besides), 3), "beyond_1_s": sum(seconds > 1 for seconds in besides)},
        "worst_of": {page: round(max(seconds - stood for seconds, stood in each), 2) for page, each in sorted(pages.items())},
    }  # fmt: skip


def report(run: Run) -> dict[str, Any]:
    """The figures, after the dashboard has ended: what its file holds is what counts."""
    store = open_store(run.db)
    ever, stored = Selection(0, 1 << 60), set()
    page = store.traces(ever, limit=10_000)
    while True:
        stored.update(row.trace_id for row in page.rows)
        if page.next is None:
            break
        page = store.traces(ever, cursor=page.next, limit=10_000)
    missing = run.acknowledged - stored
    lines = sum(group.calls for group in store.groups(ever, "tool", limit=10) if group.key == "t")
    store.close()
    return {
        "calm": run.calm,
        "attacked": run.attacked,
        "failed": dict(run.failed),
        "acknowledged": len(run.acknowledged),
        "acknowledged_missing": len(missing),
        "journal_lines": run.written,
        "journal_missing": run.written - lines,
        "memory_mib": {"first": round(run.memory_mib[0]), "most": round(max(run.memory_mib)), "last": round(run.memory_mib[-1]), "bound": ENGINE_MIB + BESIDES_MIB},
        "machine_stood_still": {"times": len(run.still.times), "seconds": round(run.still.seconds, 1)},
        "times": dict(run.attacks),
    }  # fmt: skip


def _wait_for(run: Run, process: subprocess.Popen[bytes]) -> None:
    """Until it answers; a busy machine may take its time."""
    while process.poll() is None:
        with suppress(OSError, http.client.HTTPException):
            if run.ask("GET", "/healthz")[0] == 200:
                return
        time.sleep(0.1)
    raise SystemExit("the dashboard ended before it answered")


def main() -> int:
    """Start a dashboard, play, and say what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--only", nargs="*", choices=ATTACKS, metavar="ATTACK", help=f"of {', '.join(ATTACKS)}")
    parser.add_argument("--without", nargs="*", choices=ATTACKS, default=[], metavar="ATTACK")
    options = parser.parse_args()
    attacks = [name for name in (ATTACKS if options.only is None else options.only) if name not in options.without]
    with tempfile.TemporaryDirectory() as directory:
        logs, db = Path(directory, "logs"), Path(directory, "store", "dashboard.duckdb")
        logs.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        command = [
            "dashboard",
            "--port",
            str(port),
            "--db",
            str(db),
            "--logs",
            str(logs),
        ]
        errors = Path(directory, "errors.txt")
        with errors.open("wb") as told:
            process = subprocess.Popen(
                [Path(sys.executable).with_name("ai-dev-squad"), *command],
                stdout=told,
                stderr=told,
                env={**os.environ, "DASHBOARD_MEMORY_LIMIT_MIB": str(ENGINE_MIB)},
            )
        try:
            run = Run(port, db, logs / "ai_dev_squad.jsonl", process.pid)
            _wait_for(run, process)
            with watched() as run.still:
                play(run, options.minutes * 60, attacks)
                time.sleep(3)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
        sys.stdout.write(errors.read_text()[-1500:] + "\n")
        found = report(run)
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    too_much = found["memory_mib"]["most"] > found["memory_mib"]["bound"]
    return int(bool(found["acknowledged_missing"] or found["journal_missing"] or found["failed"] or too_much))


if __name__ == "__main__":
    sys.exit(main())

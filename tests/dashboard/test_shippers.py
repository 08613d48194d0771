"""Real log shippers on a real journal: what arrives is what a dashboard knows that reads the files, all of it and once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "core"))

from redis_server import free_port
from shipped import EVER, as_read_from, receiving, whole_store, write_journal

from ai_dev_squad.events.rotation import rotate
from ai_dev_squad_dashboard.cli import main
from ai_dev_squad_testing.fixtures import wait_until

SYSLOG_NG = Template(r"""
@version: 3.38
options { keep-hostname(yes); log-msg-size(1048576); stats-freq(0); };
source journals {
  wildcard-file(base-dir("$logs") filename-pattern("*.jsonl") flags(no-parse) follow-freq(0.1) log-iw-size(10000));
};
destination dashboard {
  http(
    url("$url/v1/logs") headers("Content-Type: application/json")
    body-prefix('{"resourceLogs":[{"scopeLogs":[{"logRecords":[') delimiter(",") body-suffix("]}]}]}")
    body('$$(format-json --scope none body.stringValue=$$MESSAGE)')
    batch-lines(20) batch-timeout(100) persist-name("dashboard") time-reopen(1) retries(1000000)
    disk-buffer(reliable(yes) disk-buf-size(104857600) mem-buf-size(1048576) dir("$state"))
    response-action(429 => retry, 502 => retry, 503 => retry, 504 => retry)
  );
};
log { source(journals); destination(dashboard); flags(flow-control); };
""")


@contextmanager
def process(*command: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program of the test's own, ended without warning."""
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            yield running
        finally:
            running.kill()


def test_syslog_ng_brings_what_the_file_says(tmp_path: Path) -> None:
    """Debian's syslog-ng follows a journal that grows and is killed on the way: the whole store is as from the file."""
    program = shutil.which("syslog-ng")
    if program is None:
        pytest.skip("syslog-ng is not installed here (apt-get install syslog-ng-core syslog-ng-mod-http)")
    logs, state = tmp_path / "logs", tmp_path / "state"
    state.mkdir()
    journal = write_journal(logs)
    with receiving() as (url, store):
        configuration = tmp_path / "syslog-ng.conf"
        configuration.write_text(SYSLOG_NG.substitute(logs=logs, url=url, state=state))
        files = ("-f", configuration, "-R", state / "persist", "-c", state / "control", "-p", state / "pid")
        command = (program, "-F", "--no-caps", *files)

        def has_all() -> bool:
            return len(store.logs(EVER, limit=500).rows) >= len(journal.read_bytes().splitlines())

        with process(*command):
            assert wait_until(lambda: bool(store.logs(EVER, limit=1).rows), 60)
        write_journal(logs, name="later")
        with process(*command):
            assert wait_until(has_all, 60)
        arrived = whole_store(store, tmp_path)

    assert arrived == as_read_from([logs], tmp_path)


def test_rotel_hands_on_what_ship_sends(tmp_path: Path) -> None:
    """`ship` to a collector, the collector in protobuf to the dashboard, rotated files included: as from the files."""
    rotel = pytest.importorskip("rotel", reason="rotel is not installed here (pip install rotel); Linux only")
    logs = tmp_path / "logs"
    rotate(write_journal(logs))
    write_journal(logs, 1, name="later")
    port = free_port()
    with receiving() as (url, store):
        agent = Path(rotel.__file__).with_name("rotel-agent")
        inward = ("--otlp-http-endpoint", f"127.0.0.1:{port}", "--otlp-grpc-endpoint", f"127.0.0.1:{free_port()}")
        outward = ("--exporter", "otlp", "--otlp-exporter-endpoint", url, "--otlp-exporter-protocol", "http")
        with process(agent, "start", *inward, *outward, "--batch-timeout", "100ms"):
            ship = [
                "ship",
                str(logs),
                "--to",
                f"http://127.0.0.1:{port}",
                "--once",
                "--state",
                str(tmp_path / "shipped"),
            ]
            assert wait_until(lambda: main(ship) == 0, 60)
            known = as_read_from([logs], tmp_path)
            assert wait_until(lambda: whole_store(store, tmp_path) == known, 60)


def test_ship_brings_what_the_file_says(tmp_path: Path) -> None:
    """The whole store, and the same when it sends everything a second time and the file is read as well."""
    logs = tmp_path / "logs"
    rotate(write_journal(logs))
    write_journal(logs, 1, name="later")
    known = as_read_from([logs], tmp_path)
    with receiving() as (url, store):
        for memory in ("one", "another"):
            assert main(["ship", str(logs), "--to", url, "--once", "--state", str(tmp_path / memory)]) == 0
            assert whole_store(store, tmp_path) == known

"""The journal when things go wrong for real: killed processes, forks, full disks, removed directories, signals."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ai_dev_squad import guard
from ai_dev_squad.events import Journal, follow_journal, read_journal
from ai_dev_squad.events.journal import JOURNAL_FILE_NAME
from ai_dev_squad.events.rotation import rotate
from ai_dev_squad.schema import JournalLine, utc_now

posix = pytest.mark.skipif(os.name != "posix", reason="forks, signals and file limits are POSIX")

PRELUDE = """
import os, sys, signal, time
from ai_dev_squad import StructuredLogger
from ai_dev_squad.events import Journal
from ai_dev_squad.schema import JournalLine, utc_now
def line(i, **more):
    return JournalLine(timestamp=utc_now(), level="INFO", event_type="custom.event", message="m" * 50, metadata={"i": i, **more})
path = sys.argv[1]
"""


def start(code: str, *args: Any, **more: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "ignore", "-c", PRELUDE + code, *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


def finish(process: subprocess.Popen[str]) -> str:
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return output


def line(i: int) -> JournalLine:
    return JournalLine(
        timestamp=utc_now(), level="INFO", event_type="custom.event", message="m" * 50, metadata={"i": i}
    )


def numbers(path: Path) -> list[int]:
    return [e.metadata["i"] for e in read_journal(path, strict=True) if "i" in (e.metadata or {})]


def reports(path: Path) -> list[dict[str, Any]]:
    found = [e.metadata for e in read_journal(path, strict=True) if e.event_type == "telemetry.dropped"]
    return [{key: value for key, value in metadata.items() if key != "pid"} for metadata in found]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / JOURNAL_FILE_NAME


@pytest.fixture
def lenient():
    """Failures of ours are logged, as in a user's program, not raised."""
    guard.set_strict(False)


# --- kill -9 ----------------------------------------------------------------------------------------------------------


@posix
def test_kill_9_loses_nothing_that_flush_acknowledged(path: Path) -> None:
    """Killed at any moment, again and again: everything acknowledged is there once, and the file reads cleanly."""
    code = """
journal = Journal(path, flush_interval=0.001, max_bytes=10_000_000, keep=None)
n = int(sys.argv[2])
while True:
    for _ in range(5000):
        journal.write(line(n)); n += 1
    journal.flush()
    print(n, flush=True)
"""
    acknowledged, begins = [], [0]
    rng = random.Random(7)
    for _ in range(5):
        process = start(code, path, begins[-1])
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(rng.random() * 0.1)
        process.kill()
        said = process.stdout.read().split()
        process.communicate()
        done = int(said[-1]) if said else begins[-1] + 5000
        acknowledged.append(range(begins[-1], done))
        # What the killed process wrote without acknowledgement overlaps nothing that comes next.
        begins.append(done + 1_000_000)
    journal = Journal(path, keep=None, compress=False)
    journal.write(line(-1))
    journal.close()

    found = numbers(path.parent)
    assert len(found) == len(set(found))
    assert {n for run in acknowledged for n in run} - set(found) == set()
    assert found[-1] == -1


@posix
@pytest.mark.parametrize("torn", [b'{"schema":1,"timest', b'{"schema":1,"message":"' + b"x" * 200_000, b"\0" * 100])
def test_a_new_process_starts_on_a_fresh_line(path: Path, torn: bytes) -> None:
    """A line that a killed writer left unfinished is taken out and reported; nothing is glued to it."""
    journal = Journal(path)
    journal.write(line(0))
    journal.close()
    with path.open("ab") as file:
        file.write(torn)
    journal = Journal(path)
    journal.write(line(1))
    journal.close()

    assert numbers(path) == [0, 1]
    assert reports(path) == [{"dropped": 1, "reason": "torn_line", "bytes": len(torn)}]


def test_a_last_line_that_only_lacks_its_newline_is_kept(path: Path) -> None:
    """A complete line without a newline gets one, and what isn't ours isn't removed."""
    journal = Journal(path)
    journal.write(line(0))
    journal.close()
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    second = Journal(path)
    second.write(line(1))
    second.close()
    with path.open("ab") as file:
        file.write(b"# a note by hand")
    third = Journal(path)
    third.write(line(2))
    third.close()

    bad: list[bytes] = []
    found = [e.metadata["i"] for e in read_journal(path, on_bad_line=lambda b: bad.append(b.text))]
    assert (found, bad) == ([0, 1, 2], [b"# a note by hand\n"])


@posix
def test_a_compression_that_was_killed_is_done_again(path: Path) -> None:
    """Leftovers of an interrupted compression are replaced, and each line is read once in the meantime."""
    journal = Journal(path, max_bytes=400, keep=None, compress=False)
    for i in range(6):
        journal.write(line(i))
    journal.close()
    rotated = sorted(path.parent.glob("*.0*.jsonl"))
    Path(f"{rotated[0]}.gz.tmp").write_bytes(b"half")
    Path(f"{path.with_name('ai_dev_squad.000000.jsonl')}.gz.tmp").write_bytes(b"of a file that is gone")
    # Killed after the rename, before the plain file was removed:
    import gzip

    Path(f"{rotated[1]}.gz").write_bytes(gzip.compress(rotated[1].read_bytes()))
    assert numbers(path) == list(range(6))

    again = Journal(path, max_bytes=400, keep=None)
    again.write(line(6))
    again.close()

    assert numbers(path) == list(range(7))
    names = {file.name for file in path.parent.iterdir()}
    assert {name for name in names if name.endswith(".tmp")} == set()
    assert {f"{file.name}.gz" for file in rotated} <= names
    assert not any(file.exists() for file in rotated)


# --- fork and several processes ---------------------------------------------------------------------------------------


@posix
def test_forked_workers_and_their_parent_share_one_file(path: Path) -> None:
    """Each line is written once: the parent's by the parent, though children were forked with a full queue."""
    code = """
journal = Journal(path, flush_interval=0.5, max_bytes=20_000, keep=None)
for i in range(100):
    journal.write(line(i))
children = []
for worker in range(4):
    pid = os.fork()
    if pid == 0:
        for i in range(100):
            journal.write(line(1000 * (worker + 1) + i))
        sys.exit(0)
    children.append(pid)
for i in range(100, 200):
    journal.write(line(i))
for pid in children:
    assert os.waitpid(pid, 0)[1] == 0
"""
    finish(start(code, path))
    found = numbers(path)
    expected = [*range(200), *(1000 * (worker + 1) + i for worker in range(4) for i in range(100))]

    assert sorted(found) == sorted(expected)


@posix
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_workers_write_their_last_lines(path: Path, tmp_path: Path, method: str) -> None:
    """Workers of multiprocessing leave past atexit; their lines arrive all the same."""
    program = tmp_path / "program.py"
    program.write_text(
        PRELUDE
        + """
import multiprocessing
journal = Journal(path, flush_interval=30)
def work(n):
    journal.write(line(n))
    journal.write(line(n + 1))
if __name__ == "__main__":
    journal.write(line(0))
    workers = [multiprocessing.get_context(sys.argv[2]).Process(target=work, args=(n,)) for n in (10, 20)]
    for worker in workers: worker.start()
    for worker in workers: worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
"""
    )
    command = [sys.executable, "-W", "ignore", str(program), str(path), method]
    subprocess.run(command, check=True, timeout=60)

    assert sorted(numbers(path)) == [0, 10, 11, 20, 21]


@posix
def test_two_processes_rotate_one_journal(path: Path) -> None:
    """Writers that rotate under one another's hands lose, repeat and tear nothing, and no file is too big."""
    code = """
journal = Journal(path, flush_interval=0.001, max_bytes=5_000, keep=None)
base = int(sys.argv[2])
for i in range(600):
    journal.write(line(base + i))
    if i % 20 == 0:
        journal.flush()
"""
    processes = [start(code, path, base) for base in (0, 10_000, 20_000)]
    for process in processes:
        finish(process)

    found = numbers(path)
    assert sorted(found) == [base + i for base in (0, 10_000, 20_000) for i in range(600)]
    for base in (0, 10_000, 20_000):
        mine = [n for n in found if base <= n < base + 600]
        assert mine == sorted(mine)
    plain = [file for file in path.parent.iterdir() if file.suffix == ".jsonl"]
    assert [file.name for file in plain if file.stat().st_size > 5_000] == []


def test_a_file_that_others_filled_meanwhile_is_rotated_as_well(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between our rotation and the next file's lock another writer fills that file: no file is too big all the same."""
    other = Journal(path, max_bytes=400, keep=None, compress=False)

    def rotate_slowly(journal: Path) -> Path:
        target = rotate(journal)
        monkeypatch.setattr("ai_dev_squad.events.append.rotate", rotate)
        for i in (10, 11):
            other.write(line(i))
        assert other.flush(20)
        return target

    monkeypatch.setattr("ai_dev_squad.events.append.rotate", rotate_slowly)
    journal = Journal(path, max_bytes=400, keep=None, compress=False)
    for i in range(3):
        journal.write(line(i))
    assert journal.flush(20)
    journal.close()
    other.close()

    assert numbers(path) == [0, 1, 10, 11, 2]
    assert [file.name for file in path.parent.iterdir() if file.stat().st_size > 400] == []


def test_a_number_is_given_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing of the directory that misses a file, as it may while that is compressed, never makes two of one number."""
    path.parent.mkdir()
    path.write_text("new")
    path.with_name("ai_dev_squad.000001.jsonl").write_text("first")
    path.with_name("ai_dev_squad.000002.jsonl.gz").write_text("second")
    monkeypatch.setattr("ai_dev_squad.events.rotation._names", lambda directory: [])

    assert rotate(path).name == "ai_dev_squad.000003.jsonl"


# --- the disk ---------------------------------------------------------------------------------------------------------


@posix
def test_a_full_disk_is_survived_reported_and_recovered_from(path: Path) -> None:
    """A file that may not grow: the caller goes on, no half line stays, and the lines arrive when there's room again."""
    code = """
import logging, resource, threading
logging.basicConfig(level=logging.WARNING, stream=sys.stdout, format="%(name)s %(message)s")
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
journal = Journal(path, queue_size=20)
for i in range(10):
    journal.write(line(i))
assert journal.flush(20) is False
size = os.path.getsize(path)
text = open(path, "rb").read()
assert 0 < size <= 1000 and text.endswith(b"\\n"), (size, text[-50:])
for i in range(10, 100):
    journal.write(line(i))
assert journal.flush(20) is False
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert journal.flush(20) is True
"""
    output = finish(start(code, path))

    assert numbers(path) == list(range(30))
    [report] = reports(path)
    assert report.pop("seconds") >= 0
    assert report == {"dropped": 70, "reason": "write_failed", "error": "OSError: [Errno 27] File too large"}
    assert output.count("writing the journal") == 1


@posix
def test_a_small_disk_that_is_really_full(tmp_path: Path, lenient: None) -> None:
    """On a file system of 64 KiB: what was acknowledged stays, and after space is made the rest arrives."""
    mount = tmp_path / "disk"
    mount.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(mount)], check=False, capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"mounting a small file system is not permitted here: {mounted.stderr.strip()}")
    try:
        ballast = mount / "ballast"
        ballast.write_bytes(b"x" * 50_000)
        path = mount / "logs" / JOURNAL_FILE_NAME
        journal = Journal(path)
        for i in range(300):
            journal.write(line(i))
        assert journal.flush(20) is False
        assert path.read_bytes().endswith(b"\n")
        ballast.unlink()
        assert journal.flush(20) is True
        journal.close()
        assert numbers(path) == list(range(300))
        assert [r["reason"] for r in reports(path)] == ["write_failed"]
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_a_removed_directory_is_made_again_and_reported(path: Path, lenient: None) -> None:
    """Lines after the removal are in a new file, and the journal says that the old one went away."""
    journal = Journal(path)
    journal.write(line(0))
    journal.flush()
    size = path.stat().st_size
    shutil.rmtree(path.parent)
    journal.write(line(1))
    assert journal.flush(20) is True
    journal.close()

    assert numbers(path) == [1]
    assert reports(path) == [{"reason": "journal_removed", "bytes": size}]


def test_a_replaced_file_is_noticed(path: Path) -> None:
    """When other software moves the journal away, lines go to a new file of the old name."""
    journal = Journal(path)
    journal.write(line(0))
    journal.flush()
    path.rename(path.with_name("moved.jsonl"))
    journal.write(line(1))
    journal.close()

    assert (numbers(path.with_name("moved.jsonl")), numbers(path)) == ([0], [1])


@posix
def test_a_program_that_closes_all_files_keeps_its_own(path: Path, tmp_path: Path) -> None:
    """Becoming a daemon closes the journal's file as well; a file of the program that has its number then gets no line of ours."""
    code = """
from ai_dev_squad import operations
import ai_dev_squad
ai_dev_squad.configure(log_dir=os.path.dirname(path))
operation = operations.start(operations.AGENT, "planner", framework="own")
assert ai_dev_squad.flush()
os.closerange(3, 256)
own = [os.open(f"{sys.argv[2]}/own{i}", os.O_RDWR | os.O_CREAT) for i in range(32)]
for fd in own:
    os.write(fd, b"mine")
operations.start(operations.TOOL, "look_up", framework="own", parent=operation).stop()
operations.start(operations.AGENT, "coder", framework="own")
assert ai_dev_squad.flush()
operation.stop()
ai_dev_squad.shutdown()
for fd in own:
    os.write(fd, b" and still open")
print({open(f"{sys.argv[2]}/own{i}").read() for i in range(32)})
"""
    journal = path.parent / JOURNAL_FILE_NAME

    assert finish(start(code, path, tmp_path)) == "{'mine and still open'}\n"
    ended = [(line.name, line.status) for line in read_journal(journal, strict=True) if line.status is not None]
    assert ended == [("look_up", "ok"), ("planner", "ok"), ("coder", "abandoned")]


def test_a_place_that_cannot_be_written_recovers(path: Path, lenient: None) -> None:
    """A file stands where the directory should be: callers go on, and everything is written once it's gone."""
    path.parent.write_text("in the way")
    journal = Journal(path, queue_size=10, on_full="block")
    for i in range(10):
        journal.write(line(i))
    assert journal.flush(20) is False
    # Some wait in the writer and ten in the queue; a blocking queue doesn't make callers wait for a broken disk.
    for i in range(10, 25):
        journal.write(line(i))
    path.parent.unlink()
    assert journal.flush(20) is True
    journal.close()

    kept = numbers(path)
    [report] = reports(path)
    assert kept == list(range(len(kept)))
    assert 11 <= len(kept) <= 20
    assert (report["dropped"], report["reason"]) == (25 - len(kept), "write_failed")
    assert "Not a directory" in report["error"]


def test_the_thread_tries_again_without_being_asked(path: Path, lenient: None) -> None:
    """Nobody has to call flush for the journal to recover."""
    path.parent.write_text("in the way")
    journal = Journal(path, flush_interval=0.01)
    journal.write(line(0))
    deadline = time.monotonic() + 20
    while not journal.stats.errors:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    path.parent.unlink()
    while not journal.stats.written:
        assert time.monotonic() < deadline
        time.sleep(0.005)

    assert numbers(path) == [0]
    journal.close()


def test_a_rotation_that_fails_does_not_stop_the_writing(
    path: Path, lenient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the file can't be renamed, lines go on into the file there is."""

    def refuse(journal: Path) -> Path:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("ai_dev_squad.events.append.rotate", refuse)
    journal = Journal(path, max_bytes=300)
    for i in range(10):
        journal.write(line(i))
    assert journal.flush(20) is True
    journal.close()

    assert numbers(path) == list(range(10))
    assert [file.name for file in path.parent.iterdir()] == [JOURNAL_FILE_NAME]


# --- the end of the process -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ending", ["", "sys.exit(0)", "import atexit; atexit.register(lambda: journal.write(line(2)))"]
)
def test_the_last_lines_are_written_at_exit(path: Path, ending: str) -> None:
    """Nobody has to close a journal: what was logged before the exit, and during it, is in the file."""
    code = f"""
journal = Journal(path, flush_interval=60)
journal.write(line(0))
journal.write(line(1))
{ending}
"""
    finish(start(code, path))

    assert numbers(path) == ([0, 1, 2] if "atexit" in ending else [0, 1])


def test_an_exception_that_ends_the_program_loses_nothing(path: Path) -> None:
    """A traceback and status 1 as always, and the lines before it."""
    process = start("journal = Journal(path); journal.write(line(0)); 1 / 0", path)
    _, errors = process.communicate(timeout=60)

    assert (process.returncode, numbers(path)) == (1, [0])
    assert errors.strip().endswith("ZeroDivisionError: division by zero")


@posix
def test_a_dead_disk_does_not_hold_up_the_exit(path: Path) -> None:
    """The process ends with its own status though its lines can't be written, and says how many weren't."""
    code = """
import logging
logging.basicConfig(level=logging.WARNING, stream=sys.stdout)
open(os.path.dirname(path), "w").close()
journal = Journal(path)
for i in range(3): journal.write(line(i))
sys.exit(0)
"""
    assert "OSError: 3 events are not on disk" in finish(start(code, path))


@posix
def test_sigterm_writes_the_last_lines_and_ends_as_always(path: Path) -> None:
    """A logger's process that is terminated ends by SIGTERM, with its lines in the file."""
    code = """
logger = StructuredLogger(os.path.dirname(path))
for i in range(100):
    logger.log_custom_event({"i": i})
print("ready", flush=True)
time.sleep(60)
"""
    process = start(code, path)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)

    assert process.returncode == -signal.SIGTERM
    assert numbers(path) == list(range(100))


def test_what_one_process_appends_another_reads_as_json(path: Path) -> None:
    """The file is what it says: UTF-8, one JSON object a line."""
    finish(start("journal = Journal(path); journal.write(line(0, text='Grüße \\U0001f600'))", path))

    [entry] = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]
    assert entry["metadata"] == {"i": 0, "text": "Grüße \U0001f600"}


# --- what is no file, and disks that hang -----------------------------------------------------------------------------


@posix
def test_a_pipe_in_place_of_the_file_is_refused_by_name(tmp_path: Path) -> None:
    """Nothing waits for the other end: not who makes a journal there, not who reads one, not who follows one."""
    path = tmp_path / JOURNAL_FILE_NAME
    os.mkfifo(path)
    with pytest.raises(ValueError, match="is a pipe or a socket, and a journal is a file; name a file"):
        Journal(path)
    with pytest.raises(OSError, match="is a pipe or a socket"):
        list(read_journal(path))
    assert follow_journal(path).read() == []


@posix
def test_a_pipe_that_takes_the_files_place_is_told_and_holds_nobody_up(
    tmp_path: Path, lenient: None, caplog: pytest.LogCaptureFixture
) -> None:
    """Lines wait, as with a full disk, and go where they belong when there is a file again."""
    path = tmp_path / JOURNAL_FILE_NAME
    journal = Journal(path)
    os.mkfifo(path)
    journal.write(line(1))
    assert not journal.flush(10)
    assert "is a pipe or a socket" in caplog.text
    path.unlink()
    assert journal.flush(10)
    journal.close()
    assert numbers(path) == [1]


def test_a_disk_that_hangs_holds_nobody_up_for_ever(
    tmp_path: Path, lenient: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A write that never returns: flush says so in the end, and a caller who chose to wait for room goes on without."""
    monkeypatch.setattr("ai_dev_squad.events.journal._HUNG_S", 0.3)
    path, lives, write = tmp_path / JOURNAL_FILE_NAME, threading.Event(), os.write

    def hang(fd: int, data: Any) -> int:
        lives.wait(60)
        return write(fd, data)

    journal = Journal(path, queue_size=10, on_full="block")
    monkeypatch.setattr("os.write", hang)
    for number in range(30):
        journal.write(line(number))
    assert not journal.flush()
    lives.set()
    assert journal.flush(60)
    assert journal.stats.dropped > 0
    journal.close()
    assert "nothing was written for 0.3 s" in caplog.text

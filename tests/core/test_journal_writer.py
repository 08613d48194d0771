"""The journal's file and the lines that reach it: whole lines whatever the disk does, and nothing lost in silence."""

from __future__ import annotations

import errno
import gzip
import os
import shutil
import stat
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from ai_dev_squad import guard
from ai_dev_squad.events import Journal
from ai_dev_squad.events.append import AppendFile
from ai_dev_squad.events.journal import JOURNAL_FILE_NAME, flush_all
from ai_dev_squad.events.rotation import Rotation, compress_rotated, journals_in, prune, rotate, rotated_files
from ai_dev_squad.events.sanitise import encode_safely
from ai_dev_squad.events.writer import LineWriter
from ai_dev_squad.schema import JournalLine, utc_now

posix = pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / JOURNAL_FILE_NAME


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """A user's log: failures are told there, not raised."""
    before = guard.set_strict(False)
    yield caplog
    guard.set_strict(before)


def report(what: str, error: str) -> str:
    return f"{what} failed ({error}). Your program is fine; some telemetry is missing. Reported once."


def line(i: int) -> JournalLine:
    return JournalLine(timestamp=utc_now(), level="INFO", event_type="custom.event", message="said", metadata={"i": i})


def lines_of(path: Path) -> list[Any]:
    """Of each line its number, or, of one that tells what was lost, what it says."""
    found = [msgspec.json.decode(text) for text in path.read_bytes().splitlines()]
    assert {one["metadata"].pop("pid", os.getpid()) for one in found} == {os.getpid()}
    return [
        (one["level"], one["event_type"], one["message"], one["metadata"])
        if "i" not in one["metadata"]
        else one["metadata"]["i"]
        for one in found
    ]


def line_writer(path: Path, queue: deque[JournalLine], rotation: Rotation | None = None, **more: Any) -> LineWriter:
    settings: dict[str, Any] = {"fsync": False, "queue_size": 10, "dropped": lambda: 0, **more}
    return LineWriter(path, queue, rotation or Rotation(compress=False), **settings)


# --- the file ---------------------------------------------------------------------------------------------------------


@posix
def test_who_may_read_a_journal_is_what_the_umask_says(path: Path) -> None:
    """Its file is nobody's program, and packing a rotated one lets nobody else read it."""
    before = os.umask(0o027)
    try:
        AppendFile(path, Rotation(), lambda reason, details: None).append(b"{}\n")
        mode = stat.S_IMODE(path.stat().st_mode)
        path.chmod(0o600)
        rotated = rotate(path)
        compress_rotated(path, None)
    finally:
        os.umask(before)

    assert (mode, stat.S_IMODE(Path(f"{rotated}.gz").stat().st_mode)) == (0o640, 0o600)


@pytest.mark.parametrize("before", [b"", b'{"i":0}\n'])
@pytest.mark.parametrize("room, kept", [(0, 0), (7, 0), (8, 8), (9, 8), (15, 8), (16, 16), (23, 16)])
def test_of_a_batch_that_does_not_fit_its_whole_lines_stay(
    path: Path, monkeypatch: pytest.MonkeyPatch, before: bytes, room: int, kept: int
) -> None:
    """The disk is full in the midst of a line: that one is taken out again, and what was written is said to the byte."""
    data, left, write = b'{"i":1}\n{"i":2}\n{"i":3}\n', [room], os.write
    path.parent.mkdir()
    path.write_bytes(before)

    def write_what_fits(fd: int, view: memoryview) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        took = write(fd, view[: min(3, left[0])])
        left[0] -= took
        return took

    file = AppendFile(path, Rotation(), lambda reason, details: None)
    monkeypatch.setattr(os, "write", write_what_fits)
    size, error = file.append(data)
    monkeypatch.setattr(os, "write", write)

    assert (size, str(error)) == (kept, "[Errno 28] No space left on device")
    assert path.read_bytes() == before + data[:kept]
    assert file.append(data[kept:]) == (len(data) - kept, None)
    assert path.read_bytes() == before + data


def test_a_file_that_is_replaced_all_the_time_is_given_up(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred times another file has the name by then: the lines wait, and the error says why."""
    file = AppendFile(path, Rotation(), lambda reason, details: None)
    monkeypatch.setattr(file, "_is_current", lambda: False)

    size, error = file.append(b"{}\n")

    assert size == 0
    assert str(error) == f"the journal {str(path)!r} is replaced faster than it can be opened"


def test_a_journal_makes_the_directories_that_it_is_in(tmp_path: Path) -> None:
    """However many are missing."""
    path = tmp_path / "a" / "b" / "c" / JOURNAL_FILE_NAME

    assert AppendFile(path, Rotation(), lambda reason, details: None).append(b"{}\n") == (3, None)
    assert path.read_bytes() == b"{}\n"


def test_a_file_is_filled_to_the_byte_by_as_few_writes_as_it_takes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A newline that was missing counts, a file as large as it may be is not rotated before the next line, and a batch is cut once."""
    wrote, write = [], os.write
    monkeypatch.setattr(os, "write", lambda fd, view: wrote.append(bytes(view)) or write(fd, view))
    path.parent.mkdir()
    path.write_bytes(b"{}")
    told: list[str] = []
    file = AppendFile(path, Rotation(max_bytes=9), lambda reason, details: told.append(reason))

    assert file.append(b"{}\n{}\n[]\n[]\n[]\n[]\n") == (18, None)
    names = [path.with_name(f"ai_dev_squad.{number:06d}.jsonl") for number in (1, 2)]
    assert [name.read_bytes() for name in (*names, path)] == [b"{}\n{}\n{}\n", b"[]\n[]\n[]\n", b"[]\n"]
    assert wrote == [b"\n", b"{}\n{}\n", b"[]\n[]\n[]\n", b"[]\n"]
    assert told == ["rotated", "rotated"]


def test_a_file_whose_age_cannot_be_told_is_young(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first line is somebody's note: it ages from when we opened it."""
    clock = SimpleNamespace(now=1000.0)
    stopped = SimpleNamespace(time=lambda: clock.now, monotonic=lambda: clock.now)
    monkeypatch.setattr("ai_dev_squad.events.append.time", stopped)
    path.parent.mkdir()
    path.write_bytes(b"a note\n")
    file = AppendFile(path, Rotation(max_age=60), lambda reason, details: None)
    found = []
    for clock.now in (1000.0, 1059.0, 1060.0):
        assert file.append(b"{}\n") == (3, None)
        found.append(sorted(name.name for name in path.parent.iterdir()))

    assert found == [[JOURNAL_FILE_NAME]] * 2 + [["ai_dev_squad.000001.jsonl", JOURNAL_FILE_NAME]]


def test_nothing_is_forced_to_the_disk_unless_that_is_asked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operating system does that in its time; what is asked is forced once a batch, also when it waited for nothing but that."""
    forced: list[int] = []
    monkeypatch.setattr(os, "fsync", forced.append)
    journal = Journal(path)
    journal.write(line(0))
    assert journal.flush(20)
    assert journal.close()
    file = AppendFile(path, Rotation(), lambda reason, details: None)
    file.append(b"")
    file.append(b"{}\n")
    assert forced == []

    file.append(b"{}\n", fsync=True)
    file.append(b"", fsync=True)
    assert len(forced) == 2


# --- what is told -----------------------------------------------------------------------------------------------------


def test_an_outage_is_told_with_its_length_and_its_losses(
    path: Path, told: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line in the journal for all attempts that failed, before the lines that waited; one report in the program's log."""
    clock, dropped = SimpleNamespace(now=100.0), SimpleNamespace(count=2)
    monkeypatch.setattr("ai_dev_squad.events.writer.time", SimpleNamespace(monotonic=lambda: clock.now))
    queue = deque([line(0)])
    writer = line_writer(path, queue, dropped=lambda: dropped.count)
    path.parent.write_text("in the way")
    assert (writer.write_lines(1), writer.failing, writer.waiting) == (False, True, 2)
    clock.now, dropped.count = 101.0, 5
    queue.append(line(1))
    assert (writer.write_lines(1), writer.errors, writer.waiting) == (False, 2, 3)
    clock.now = 102.5
    path.parent.unlink()

    assert (writer.write_lines(1), writer.failing, writer.waiting) == (True, False, 0)
    why = f"NotADirectoryError: [Errno 20] Not a directory: {str(path)!r}"
    lost = {"dropped": 2, "reason": "queue_full", "queue_size": 10}
    outage = {"dropped": 3, "reason": "write_failed", "seconds": 2.5, "error": why}
    assert lines_of(path) == [
        ("WARNING", "telemetry.dropped", "2 events were dropped: 10 were waiting to be written already", lost),
        0,
        (
            "WARNING",
            "telemetry.dropped",
            "the journal could not be written for 2.5 s; 3 events were dropped meanwhile",
            outage,
        ),
        1,
    ]
    assert told.messages == [report(f"writing the journal {str(path)!r}", why)]
    assert (writer.written, writer.bytes) == (4, path.stat().st_size)


def test_a_journal_that_was_removed_is_told(path: Path, told: pytest.LogCaptureFixture) -> None:
    """The new file begins with how much the old one had, and the program's log is told which file it was."""
    queue = deque([line(0)])
    writer = line_writer(path, queue)
    assert writer.write_lines(1)
    size = path.stat().st_size
    shutil.rmtree(path.parent)
    queue.append(line(1))
    assert writer.write_lines(1)
    assert writer.write_lines(0)

    message = "the journal was removed with the lines in it; a new one was begun"
    removed = {"bytes": size, "reason": "journal_removed"}
    assert lines_of(path) == [1, ("WARNING", "telemetry.dropped", message, removed)]
    assert told.messages == [report(f"keeping the journal {str(path)!r}", "FileNotFoundError: the file was removed")]


def test_a_torn_line_is_told(path: Path, told: pytest.LogCaptureFixture) -> None:
    """It was another writer's, who is not here to tell; the program's log is none of its business."""
    path.parent.mkdir()
    path.write_bytes(b'{"schema":1,"time')
    writer = line_writer(path, deque([line(0)]))
    assert writer.write_lines(1)

    message = "a line that another writer left unfinished was removed"
    torn = {"dropped": 1, "reason": "torn_line", "bytes": 17}
    assert lines_of(path) == [0, ("WARNING", "telemetry.dropped", message, torn)]
    assert told.messages == []


def test_a_rotation_that_fails_is_told_once(
    path: Path, told: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not tried again for a minute, and the lines stay together meanwhile; then it is."""
    clock, tries = SimpleNamespace(now=50.0), []

    def refuse(journal: Path) -> Path:
        tries.append(clock.now)
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("ai_dev_squad.events.append.rotate", refuse)
    stopped = SimpleNamespace(monotonic=lambda: clock.now, time=lambda: 0.0)
    monkeypatch.setattr("ai_dev_squad.events.append.time", stopped)
    queue: deque[JournalLine] = deque()
    writer = line_writer(path, queue, Rotation(max_bytes=1))
    for clock.now in (50.0, 51.0, 109.9, 110.0):
        queue.extend([line(0), line(0)])
        assert writer.write_lines(2)

    assert tries == [50.0, 110.0]
    assert lines_of(path) == [0] * 8
    assert told.messages == [
        report(f"rotating the journal {str(path)!r}", "PermissionError: [Errno 13] Permission denied")
    ]
    assert writer.rotations == 0


def test_a_compression_that_fails_is_told_and_leaves_the_plain_file(
    path: Path, told: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was packed so far is removed, the lines are all there, and the next sweep tries again."""
    real = os.fsync

    def fail(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    path.parent.mkdir()
    path.write_bytes(encode_safely(line(0)))
    rotated = rotate(path)
    writer = line_writer(path, deque(), Rotation(compress=True))
    monkeypatch.setattr(os, "fsync", fail)
    writer._tidy()

    assert [file.name for file in path.parent.iterdir()] == [rotated.name]
    why = "OSError: [Errno 5] Input/output error"
    assert told.messages == [report(f"compressing the rotated journals of {str(path)!r}", why)]
    monkeypatch.setattr(os, "fsync", real)
    writer._tidy()
    assert [file.name for file in path.parent.iterdir()] == [f"{rotated.name}.gz"]


def test_lines_that_an_exit_leaves_behind_are_counted_in_the_log(path: Path, told: pytest.LogCaptureFixture) -> None:
    """At the end nothing can be done but say how many are missing, and where they should be."""
    path.parent.write_text("in the way")
    journal = Journal(path)
    journal.write(line(0))
    assert journal.flush(10) is False
    journal.write(line(1))
    flush_all()
    assert journal.close(10) is False
    path.parent.unlink()

    why = f"NotADirectoryError: [Errno 20] Not a directory: {str(path)!r}"
    assert told.messages == [
        report(f"writing the journal {str(path)!r}", why),
        report(f"flushing the journal {str(path)!r}", "OSError: 2 events are not on disk"),
        report(f"closing the journal {str(path)!r}", "OSError: 2 events are not on disk"),
    ]


def test_a_fault_of_ours_in_the_thread_is_told_and_the_thread_lives(
    path: Path, told: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it is, the lines that came after it are written."""
    journal, write_lines, faults = Journal(path), LineWriter.write_lines, [RuntimeError("never thought of")]

    def fail_once(writer: LineWriter, count: int) -> bool:
        if faults:
            raise faults.pop()
        return write_lines(writer, count)

    monkeypatch.setattr(LineWriter, "write_lines", fail_once)
    journal.write(line(0))
    journal.flush(20)
    journal.write(line(1))
    assert journal.flush(20)
    journal.close()

    assert lines_of(path) == [0, 1]
    assert told.messages == [report("writing the journal", "RuntimeError: never thought of")]


def test_threads_have_names(path: Path) -> None:
    """Whoever lists a program's threads sees whose they are."""
    before = {thread.name for thread in threading.enumerate()}
    path.parent.mkdir()
    path.with_name("ai_dev_squad.000001.jsonl").write_bytes(b"")
    journal, release = Journal(path), threading.Event()
    journal._writer.compressor._turn = lambda: release.wait(20) and None
    journal.write(line(0))
    assert journal.flush(20)

    assert {thread.name for thread in threading.enumerate()} - before == {"ai-dev-squad-journal", "ai-dev-squad-gzip"}
    release.set()
    journal.close()


def test_an_exit_waits_five_seconds_for_a_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For each journal, and no longer: the process wants to end."""
    asked: list[float | None] = []
    journal = Journal(path)
    monkeypatch.setattr(Journal, "flush", lambda journal, timeout=None: asked.append(timeout) or True)
    flush_all()

    assert set(asked) == {5.0}
    monkeypatch.undo()
    journal.close()


# --- rotated files ----------------------------------------------------------------------------------------------------


def test_a_packed_journal_is_named_within_its_file(path: Path) -> None:
    """Whoever unpacks it gets the name back, and the lines."""
    path.parent.mkdir()
    path.write_bytes(encode_safely(line(0)))
    plain = path.read_bytes()
    rotate(path)
    compress_rotated(path, None)
    packed = (path.parent / "ai_dev_squad.000001.jsonl.gz").read_bytes()

    assert (packed[10:].partition(b"\0")[0], gzip.decompress(packed)) == (b"ai_dev_squad.000001.jsonl", plain)


def test_what_is_to_go_is_not_packed_before(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a hundred rotated files that nobody keeps, none costs a compression."""
    path.parent.mkdir()
    for number in range(1, 5):
        path.with_name(f"ai_dev_squad.{number:06d}.jsonl").write_text("{}\n")
    packed: list[str] = []
    monkeypatch.setattr("ai_dev_squad.events.rotation._compress", lambda plain: packed.append(plain.name))
    compress_rotated(path, 2)

    assert packed == ["ai_dev_squad.000003.jsonl", "ai_dev_squad.000004.jsonl"]
    assert sorted(file.name for file in path.parent.iterdir()) == packed


def test_two_processes_may_tidy_the_same_files(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another one removed between our look and our hand is no error: not a file to go, not one to be packed."""
    path.parent.mkdir()
    names = [f"ai_dev_squad.{number:06d}.jsonl" for number in (1, 2)]
    monkeypatch.setattr("ai_dev_squad.events.rotation._names", lambda directory: names)

    prune(path, 0)
    compress_rotated(path, None)
    assert [file.path.name for file in rotated_files(path)] == names
    assert list(path.parent.iterdir()) == []


def test_a_directory_may_hold_anything_beside_journals(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is called like a journal is one, plain, packed, or left with its rotated files."""
    names = ["notes.txt", "b.jsonl", "a.000001.jsonl.gz", "z.json", "a.0001.jsonl", "c.jsonl.gz", "b.000007.jsonl"]
    monkeypatch.setattr("ai_dev_squad.events.rotation._names", lambda directory: names)

    assert [journal.name for journal in journals_in(path.parent)] == ["a.0001.jsonl", "a.jsonl", "b.jsonl", "c.jsonl"]


# --- callers ----------------------------------------------------------------------------------------------------------


def test_a_closed_journal_waits_for_nobody(path: Path) -> None:
    """While another thread writes, a line that finds the queue full is dropped, and one that does not waits in it."""
    journal = Journal(path, queue_size=1)
    journal.close()

    def write_two() -> None:
        journal.write(line(0))
        journal.write(line(1))

    caller = threading.Thread(target=write_two, daemon=True)
    with journal._io:
        caller.start()
        caller.join(20)
        assert (caller.is_alive(), journal.stats.queued, journal.stats.dropped) == (False, 1, 1)

    assert journal.close() is True
    lost = {"dropped": 1, "reason": "queue_full", "queue_size": 1}
    message = "1 events were dropped: 1 were waiting to be written already"
    assert lines_of(path) == [("WARNING", "telemetry.dropped", message, lost), 0]

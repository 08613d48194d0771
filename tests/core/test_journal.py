"""The journal's writer: what is handed over arrives whole, in order, once; what can't be kept is counted."""

from __future__ import annotations

import gc
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ai_dev_squad import guard
from ai_dev_squad.events import Journal, NullJournal, read_journal
from ai_dev_squad.events.journal import flush_all
from ai_dev_squad.events.pending import PendingLine
from ai_dev_squad.schema import JournalLine, LogLevel, utc_now


def line(i: Any = 0, **fields: Any) -> JournalLine:
    fields.setdefault("metadata", {"i": i})
    return JournalLine(timestamp=utc_now(), level="INFO", event_type="custom.event", message=f"event {i}", **fields)


def numbers(path: Path) -> list[int]:
    return [found.metadata["i"] for found in read_journal(path, strict=True) if "i" in (found.metadata or {})]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "ai_dev_squad.jsonl"


@pytest.fixture
def lenient():
    """Failures of ours are logged, as in a user's program, not raised."""
    guard.set_strict(False)
    return guard


def wait_for(condition: Any, what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, f"waited too long for: {what}"
        time.sleep(0.005)


def test_lines_arrive_whole_and_in_order(path: Path) -> None:
    """What one thread writes stands in the file in that order after flush, one JSON object a line."""
    journal = Journal(path)
    for i in range(1000):
        journal.write(line(i))

    assert journal.flush() is True
    texts = path.read_text().splitlines()
    assert [json.loads(text)["metadata"]["i"] for text in texts] == list(range(1000))
    assert journal.stats.written == 1000
    assert journal.stats.bytes == path.stat().st_size
    journal.close()


def test_one_line_is_exactly_this(path: Path) -> None:
    """Absent fields are left out, the schema comes first, and newlines inside a message don't end the line."""
    journal = Journal(path)
    at = utc_now().replace(microsecond=123456)
    journal.write(JournalLine(timestamp=at, level="INFO", event_type="agent.start", message="two\nlines", agent_id="a"))
    journal.close()

    stamp = at.strftime("%Y-%m-%dT%H:%M:%S.123456Z")
    assert path.read_text() == (
        f'{{"schema":1,"timestamp":"{stamp}","level":"INFO","event_type":"agent.start",'
        '"message":"two\\nlines","agent_id":"a"}\n'
    )


def test_no_thread_and_no_file_before_the_first_line(path: Path) -> None:
    """Making a journal starts nothing and creates nothing; flushing it then has nothing to wait for."""
    before = threading.active_count()
    journal = Journal(path)

    assert journal.flush() is True
    assert journal.close() is True
    assert threading.active_count() == before
    assert not path.parent.exists()


def test_lines_reach_the_file_without_flush(path: Path) -> None:
    """The thread writes on its own."""
    journal = Journal(path, flush_interval=0.01)
    journal.write(line(1))
    wait_for(lambda: path.exists() and numbers(path) == [1], "the first line")
    journal.write(line(2))

    wait_for(lambda: numbers(path) == [1, 2], "the second line")
    journal.close()


def test_many_threads_lose_nothing(path: Path) -> None:
    """Lines of eight threads all arrive, each thread's in its own order, also with a queue that is too short."""
    journal = Journal(path, queue_size=50, on_full="block")

    def work(worker: int) -> None:
        for i in range(300):
            journal.write(line(i, agent_id=str(worker)))

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()

    found = list(read_journal(path, strict=True))
    by_worker = {str(w): [e.metadata["i"] for e in found if e.agent_id == str(w)] for w in range(8)}
    assert by_worker == {str(w): list(range(300)) for w in range(8)}
    assert journal.stats.dropped == 0


def test_a_full_queue_drops_counts_and_says_so_in_the_journal(path: Path) -> None:
    """With on_full="drop" the newest lines are dropped, and written + dropped is everything that was handed over."""
    journal = Journal(path, queue_size=10)
    with journal._io:  # the writer can't get on
        for i in range(35):
            journal.write(line(i))
        assert journal.stats.dropped == 25
    journal.close()

    found = list(read_journal(path, strict=True))
    reports = [entry for entry in found if entry.event_type == "telemetry.dropped"]
    assert numbers(path) == list(range(10))
    assert [(r.level, r.message, r.metadata) for r in reports] == [
        (
            "WARNING",
            "25 events were dropped: 10 were waiting to be written already",
            {"dropped": 25, "reason": "queue_full", "queue_size": 10, "pid": os.getpid()},
        )
    ]


def test_drops_are_counted_exactly_when_threads_compete(path: Path) -> None:
    """No drop escapes the count, whichever threads drop at the same time."""
    journal = Journal(path, queue_size=100)

    def work() -> None:
        for i in range(2000):
            journal.write(line(i))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()

    found = list(read_journal(path, strict=True))
    told = sum(entry.metadata["dropped"] for entry in found if entry.event_type == "telemetry.dropped")
    kept = sum(1 for entry in found if entry.event_type == "custom.event")
    assert kept + told == 12_000
    assert told == journal.stats.dropped


def test_flush_waits_for_what_was_written_before_it(path: Path) -> None:
    """Each flush acknowledges what its thread wrote, while others keep writing."""
    journal = Journal(path)
    stop = threading.Event()

    def noise() -> None:
        while not stop.is_set():
            journal.write(line(-1))
            time.sleep(0.0005)

    thread = threading.Thread(target=noise)
    thread.start()
    try:
        for i in range(20):
            journal.write(line(i))
            assert journal.flush(10) is True
            assert [n for n in numbers(path) if n >= 0] == list(range(i + 1))
    finally:
        stop.set()
        thread.join()
        journal.close()


def test_flush_gives_up_in_time(path: Path) -> None:
    """flush(timeout) answers False when the writer is stuck, and the line is still written later."""
    journal = Journal(path)
    journal.write(line(0))
    journal.flush()
    with journal._io:
        journal.write(line(1))
        stuck = threading.Thread(target=lambda: answers.append(journal.flush(0.05)))
        answers: list[bool] = []
        stuck.start()
        stuck.join()

    assert answers == [False]
    assert journal.flush() is True
    assert numbers(path) == [0, 1]
    journal.close()


def test_writing_after_close_writes_at_once(path: Path) -> None:
    """A closed journal loses nothing: exit handlers that run late still find their lines in the file."""
    journal = Journal(path)
    journal.write(line(0))
    journal.close()
    journal.write(line(1))

    assert numbers(path) == [0, 1]
    assert journal.close() is True


def test_a_journal_that_cannot_start_a_thread_writes_at_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At interpreter shutdown threads can't be started; lines are then written by the caller."""

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    journal = Journal(path)
    journal.write(line(0))
    journal.write(line(1))

    assert numbers(path) == [0, 1]


def test_an_idle_journal_keeps_no_thread_and_no_open_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while without lines the thread ends, the file is closed, and the next line starts both again."""
    monkeypatch.setattr("ai_dev_squad.events.journal._IDLE_S", 0.001)
    journal = Journal(path, flush_interval=0.001)
    journal.write(line(0))
    wait_for(lambda: not journal._worker.alive, "the end of the thread")
    assert numbers(path) == [0]
    assert journal._writer._file._fd is None

    journal.write(line(1))
    assert journal.flush() is True
    assert numbers(path) == [0, 1]
    journal.close()


def test_a_line_logged_while_a_line_is_written_is_not_lost(path: Path) -> None:
    """Finalizers and signal handlers may log in the middle of the writer's own work."""
    journal = Journal(path)
    journal.close()  # lines are now written by the caller, so that the nesting is certain

    class Nasty:
        def __del__(self) -> None:
            journal.write(line("inner"))

    cycle: list[Any] = [Nasty()]
    cycle.append(cycle)
    del cycle
    original = journal._writer._file.append

    def collect(data: bytes, *, fsync: bool = False) -> Any:
        gc.collect()
        return original(data, fsync=fsync)

    journal._writer._file.append = collect  # type: ignore[method-assign]
    journal.write(line("outer"))

    assert numbers(path) == ["outer", "inner"]


def test_what_json_cannot_hold_is_described_and_written(path: Path) -> None:
    """Lone surrogates, giant integers, live objects, odd keys and cycles cost a value at most, never the line."""

    class Live:
        def __repr__(self) -> str:
            raise RuntimeError("never ask me")

    cycle: dict[str, Any] = {"name": "x"}
    cycle["self"] = cycle
    wide: list[Any] = [object()]
    for _ in range(30):
        wide = [wide, wide]
    values: dict[str, Any] = {
        "surrogate": "a\ud800b",
        "giant": 10**5000,
        "live": Live(),
        "keys": {(1, "x"): 1, Live: 2, None: 3},
        "cycle": cycle,
        "many": [object()] * 1002,
    }
    journal = Journal(path)
    journal.write(line(0, metadata={"i": 0}))
    for name, value in values.items():
        journal.write(line(0, metadata={name: value}))
    journal.write(line(0, metadata={"wide": wide}))
    journal.write(JournalLine(timestamp=utc_now(), level="INFO", event_type="custom.event", message="b\udfffd"))
    journal.write(object())  # type: ignore[arg-type]
    journal.write(line(1))
    journal.close()

    found = [json.loads(text) for text in path.read_text().splitlines()]
    here = f"{Live.__module__}.{Live.__qualname__}"
    assert [entry.get("metadata") for entry in found[:6]] == [
        {"i": 0},
        {"surrogate": "a\\ud800b"},
        {"giant": "<int of 16610 bits>"},
        {"live": f"<{here}>"},
        {"keys": {"(1, x)": 1, "<type>": 2, "None": 3}},
        {"cycle": {"name": "x", "self": "<dict that contains itself>"}},
    ]
    assert found[6]["metadata"]["many"][-2:] == ["<object>", "<2 more>"]
    assert "left out: too deep or too much" in json.dumps(found[7])
    assert found[8]["message"] == "b\\udfffd"
    assert found[9]["metadata"] == {
        "dropped": 1,
        "reason": "not_encodable",
        "type": "object",
        "error": "AttributeError",
    }
    assert found[10]["metadata"] == {"i": 1}


def test_stats_and_drops_start_anew_for_each_journal(path: Path) -> None:
    """Figures belong to one journal object."""
    first, second = Journal(path), Journal(path.with_name("other.jsonl"))
    first.write(line(0))
    first.close()

    assert (first.stats.written, second.stats.written) == (1, 0)


def test_two_journals_of_one_process_share_a_file(path: Path) -> None:
    """Two loggers on one directory don't tear one another's lines."""
    first, second = Journal(path), Journal(path)
    for i in range(0, 200, 2):
        first.write(line(i))
        second.write(line(i + 1))
        if i % 20 == 0:
            first.flush()
    first.close()
    second.close()

    assert sorted(numbers(path)) == list(range(200))


def test_a_link_to_the_journal_stays_a_link(path: Path, tmp_path: Path) -> None:
    """Rotation renames the file behind a symbolic link, not the link."""
    path.parent.mkdir()
    link = tmp_path / "link.jsonl"
    link.symlink_to(path)
    journal = Journal(link, max_bytes=100, compress=False)
    for i in range(3):
        journal.write(line(i))
    journal.close()

    assert link.is_symlink()
    assert numbers(path) == [0, 1, 2]


def test_fsync_forces_each_batch_to_the_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With fsync, flush returns only after the operating system's own flush of this file."""
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_ino))
    journal = Journal(path, fsync=True)
    journal.write(line(0))
    assert journal.flush() is True

    assert set(synced) == {path.stat().st_ino}
    journal.close()


def test_a_failed_fsync_is_not_acknowledged_and_writes_nothing_twice(
    path: Path, monkeypatch: pytest.MonkeyPatch, lenient: Any
) -> None:
    """Flush says False until the disk took the lines, and they stand in the file once."""
    real, broken = os.fsync, threading.Event()
    broken.set()

    def fsync(fd: int) -> None:
        if broken.is_set():
            raise OSError(5, "Input/output error")
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    journal = Journal(path, fsync=True)
    journal.write(line(0))
    assert journal.flush(10) is False
    broken.clear()
    assert journal.flush(10) is True
    journal.close()

    assert numbers(path) == [0]
    assert [e.metadata["reason"] for e in read_journal(path) if e.event_type == "telemetry.dropped"] == ["write_failed"]


@pytest.mark.parametrize(
    "setting, value, allowed",
    [
        ("queue_size", 0, "a whole number of lines, 1 or more"),
        ("queue_size", 2.5, "a whole number of lines, 1 or more"),
        ("queue_size", None, "a whole number of lines, 1 or more"),
        ("on_full", "wait", "'drop' or 'block'"),
        ("flush_interval", 0, "seconds, more than 0"),
        ("flush_interval", None, "seconds, more than 0"),
        ("max_bytes", 0, "a whole number of bytes, 1 or more, or None for no limit"),
        ("max_bytes", 1e6, "a whole number of bytes, 1 or more, or None for no limit"),
        ("max_age", -1, "seconds, more than 0, or None for no limit"),
        ("max_age", float("nan"), "seconds, more than 0, or None for no limit"),
        ("max_age", "1h", "seconds, more than 0, or None for no limit"),
        ("keep", True, "a whole number of files, 0 or more, or None for all"),
        ("keep", 1.5, "a whole number of files, 0 or more, or None for all"),
        ("keep", -1, "a whole number of files, 0 or more, or None for all"),
    ],
)
def test_impossible_settings_name_the_cure(path: Path, setting: str, value: Any, allowed: str) -> None:
    """A bad setting is an error at once that names the value and what is allowed."""
    with pytest.raises(ValueError, match="is not allowed") as caught:
        Journal(path, **{setting: value})

    assert str(caught.value) == f"{setting}={value!r} is not allowed; use {allowed}"


@pytest.mark.parametrize(
    "setting, least",
    [("queue_size", 1), ("flush_interval", 1e-6), ("max_bytes", 1), ("max_age", 1e-6), ("max_age", 1), ("keep", 0)],
)
def test_the_least_of_each_setting_is_allowed(path: Path, setting: str, least: float) -> None:
    """A journal with it keeps its lines; with ``keep=0`` it is the rotated files that go."""
    settings: dict[str, Any] = {"on_full": "block", "keep": None, setting: least}
    journal = Journal(path, **settings)
    for i in range(3):
        journal.write(line(i))
    journal.close()

    assert numbers(path.parent) == [0, 1, 2]


def test_a_directory_is_no_journal(tmp_path: Path) -> None:
    """Naming a directory is an error that says what to name."""
    with pytest.raises(ValueError, match=r"is a directory; name a file in it, such as 'ai_dev_squad.jsonl'"):
        Journal(tmp_path)


def test_the_null_journal_keeps_nothing(tmp_path: Path) -> None:
    """A journal that is switched off takes everything and answers like one."""
    journal = NullJournal()
    journal.write(line(0))

    assert (journal.flush(1), journal.close(1), journal.stats.written) == (True, True, 0)
    assert list(tmp_path.iterdir()) == []


def test_strict_mode_raises_a_failure_at_flush(path: Path) -> None:
    """What goes wrong in the thread reaches a test at the next flush, once."""
    journal = Journal(path)
    path.parent.parent.joinpath("logs").write_text("a file where the directory should be")
    journal.write(line(0))
    with pytest.raises(NotADirectoryError):
        journal.flush(10)
    path.parent.unlink()

    assert journal.flush(10) is True
    assert numbers(path) == [0]
    journal.close()


def test_flush_all_flushes_every_journal(path: Path) -> None:
    """At exit no journal is forgotten."""
    journals = [Journal(path.with_name(f"{name}.jsonl"), flush_interval=60) for name in "abc"]
    for journal in journals:
        journal.write(line(0))
        journal.write(line(1))
    flush_all()

    assert [numbers(journal.path) for journal in journals] == [[0, 1]] * 3
    for journal in journals:
        journal.close()


def test_levels_of_lines_are_those_of_events() -> None:
    """The names that a line may carry are the names of LogLevel."""
    assert [level.name for level in LogLevel] == ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


# --- lines that are made when they are written ------------------------------------------------------------------------


class Later(PendingLine, gc=False):
    """A line that notes which thread made it."""

    number: int
    made_by: list[str]

    def line(self) -> JournalLine:
        self.made_by.append(threading.current_thread().name)
        if self.number < 0:
            raise ValueError("nothing to tell")
        return line(self.number)


def test_a_line_may_be_made_by_the_thread_that_writes_it(path: Path) -> None:
    """It stands where it was handed over, among lines that were made before."""
    made_by: list[str] = []
    journal = Journal(path)
    journal.write(line(0))
    journal.write_later(Later(1, made_by))
    journal.write(line(2))
    journal.write_later(Later(3, made_by))
    journal.flush()

    assert numbers(path) == [0, 1, 2, 3]
    assert made_by == ["ai-dev-squad-journal"] * 2
    journal.close()
    journal.write_later(Later(4, made_by))
    assert numbers(path) == [0, 1, 2, 3, 4]
    assert made_by[2:] == [threading.current_thread().name]


def test_a_line_that_cannot_be_made_costs_no_other(path: Path, lenient: Any) -> None:
    """In its place stands that there was one."""
    journal = Journal(path)
    for number in (0, -1, 2):
        journal.write_later(Later(number, []))
    journal.close()

    found = [json.loads(text) for text in path.read_text().splitlines()]
    assert [entry["metadata"].get("i") for entry in found] == [0, None, 2]
    assert found[1]["event_type"] == "telemetry.dropped"
    kind = f"{Later.__module__}.{Later.__qualname__}"
    assert found[1]["metadata"] == {"dropped": 1, "reason": "not_encodable", "type": kind, "error": "ValueError"}


def test_few_lines_wait_unmade(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a disk hangs, what the lines beyond the first few tell of is let go at once."""
    monkeypatch.setattr("ai_dev_squad.events.journal._MOST_PENDING", 3)
    writing, may_go_on, write = threading.Event(), threading.Event(), os.write

    def hang(fd: int, data: Any) -> int:
        if threading.current_thread().name == "ai-dev-squad-journal":
            writing.set()
            assert may_go_on.wait(20)
        return write(fd, data)

    journal, made_by = Journal(path), list[str]()
    monkeypatch.setattr("os.write", hang)
    journal.write(line(0))
    assert writing.wait(20)
    for number in range(1, 6):
        journal.write_later(Later(number, made_by))
    at_once = list(made_by)
    may_go_on.set()
    journal.close()

    assert at_once == [threading.current_thread().name] * 2
    assert numbers(path) == list(range(6))


def test_a_journal_that_keeps_nothing_makes_no_line() -> None:
    """Where the journal is off, nobody reads it."""
    made_by: list[str] = []
    NullJournal().write_later(Later(0, made_by))
    assert made_by == []

"""Following journals: they appear, rotate, are cut, vanish and are torn, and every line is stored exactly once."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from ai_dev_squad.events.rotation import compress_rotated, rotate
from ai_dev_squad_dashboard.ingest import journal_source
from ai_dev_squad_dashboard.ingest.journal import JournalTail
from ai_dev_squad_dashboard.ingest.journal_source import JournalState
from ai_dev_squad_dashboard.ingest.otlp_receive import Receiver
from ai_dev_squad_dashboard.ingest.queue import IngestQueue
from ai_dev_squad_dashboard.store import Selection, Store, StoreError, open_memory_store, open_store
from ai_dev_squad_dashboard.store.base import Written
from ai_dev_squad_dashboard.store.duckdb_file import File
from ai_dev_squad_dashboard.store.rows import Batch

EVER = Selection(start_us=0, end_us=1 << 60)
START = datetime(2026, 11, 22, tzinfo=timezone.utc)


def text(number: int, who: str = "a") -> str:
    """A closing line of a span of its own; ``who`` tells writers apart."""
    moment = (START + timedelta(milliseconds=number)).isoformat().replace("+00:00", "Z")
    trace = f"{who.encode().hex()}{number:x}".rjust(32, "0")
    return (
        f'{{"schema":1,"timestamp":"{moment}","level":"INFO","event_type":"tool.result","message":"{who}{number}",'
        f'"name":"t","operation":"execute_tool","status":"ok","trace_id":"{trace}","span_id":"{trace[16:]}","duration_ms":1.0}}\n'
    )


def write(path: Path, numbers: range, who: str = "a") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as opened:
        opened.writelines(text(number, who) for number in numbers)


def messages(store: Store) -> list[str]:
    found: list[str] = []
    cursor = None
    while True:
        page = store.logs(EVER, cursor=cursor, limit=500)
        found += [row.message for row in page.rows]
        cursor = page.next
        if cursor is None:
            return sorted(found, key=lambda message: (message[0], int(message[1:])))


def named(numbers: range, who: str = "a") -> list[str]:
    return [f"{who}{number}" for number in numbers]


@contextmanager
def ingest(directory: Path, store: Store, **more: float) -> Iterator[JournalTail]:
    """A tail that reads when it is asked to."""
    queue = IngestQueue(store, max_pending_rows=50_000)
    try:
        yield JournalTail([directory], queue, **more)
    finally:
        queue.close()


@contextmanager
def following(directory: Path, store: Store) -> Iterator[JournalTail]:
    with ingest(directory, store, poll_s=0.01) as tail:
        tail.start()
        try:
            yield tail
        finally:
            tail.stop()


def eventually(holds: Callable[[], bool]) -> None:
    for _ in range(2_000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("this never came true")


@pytest.fixture
def store() -> Iterator[Store]:
    opened = open_memory_store()
    yield opened
    opened.close()


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    return tmp_path / "logs"


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ai_dev_squad_dashboard.ingest.journal._FIND_EVERY_S", 0.05)


def open_journals() -> list[str]:
    """The journals that this process holds open."""
    links = [os.path.realpath(link) for link in Path(f"/proc/{os.getpid()}/fd").iterdir()]
    return [link for link in links if link.endswith(".jsonl")]


def state_of(tail: JournalTail, name: str) -> JournalState:
    (found,) = [state for state in tail.states() if Path(state.path).name == name]
    return found


def test_everything_written_before_is_read(logs: Path, store: Store) -> None:
    """Rotated, compressed and current files, other journals and those one level below are read, each line once."""
    journal = logs / "ai_dev_squad.jsonl"
    write(journal, range(10))
    rotate(journal)
    write(journal, range(10, 20))
    rotate(journal)
    compress_rotated(journal, None)
    write(journal, range(20, 25))
    write(logs / "other.jsonl", range(3), "b")
    write(logs / "deeper" / "ai_dev_squad.jsonl", range(4), "c")
    write(logs / "deeper" / "too" / "far.jsonl", range(5), "d")
    with ingest(logs, store) as tail:
        assert tail.catch_up() == 32
        assert tail.catch_up() == 0
        assert [
            (Path(state.path).name, state.lines, state.activity, state.behind_bytes) for state in tail.states()
        ] == [
            ("ai_dev_squad.jsonl", 25, "following", 0),
            ("other.jsonl", 3, "following", 0),
            ("ai_dev_squad.jsonl", 4, "following", 0),
        ]
    assert messages(store) == [*named(range(25)), *named(range(3), "b"), *named(range(4), "c")]
    assert store.totals(EVER).spans == 32


def test_a_restart_goes_on_where_it_stopped(logs: Path, tmp_path: Path) -> None:
    """A new process on the same store reads only what was written since, also when the file was rotated and compressed."""
    journal = logs / "ai_dev_squad.jsonl"
    for numbers in (range(7), range(7, 12), range(12, 13)):
        write(journal, numbers)
        store = open_store(tmp_path / "a.duckdb")
        with ingest(logs, store) as tail:
            assert tail.catch_up() == len(numbers)
        store.close()
        rotate(journal)
        compress_rotated(journal, None)
    store = open_store(tmp_path / "a.duckdb")
    assert messages(store) == named(range(13))
    assert list(store.positions()) == [f"journal:{journal}"]
    store.close()


def test_new_lines_are_stored_while_it_follows(logs: Path, store: Store) -> None:
    """What is appended, a journal that appears, and a directory that appears are picked up by themselves."""
    with following(logs, store) as tail:
        eventually(lambda: [(state.activity, state.path) for state in tail.states()] == [("waiting", str(logs))])
        write(logs / "ai_dev_squad.jsonl", range(3))
        eventually(lambda: messages(store) == named(range(3)))
        write(logs / "ai_dev_squad.jsonl", range(3, 5))
        write(logs / "sub" / "ai_dev_squad.jsonl", range(2), "b")
        eventually(lambda: messages(store) == [*named(range(5)), *named(range(2), "b")])


def test_a_torn_last_line_waits_for_its_end(logs: Path, store: Store) -> None:
    """Half a line is neither stored nor reported; the whole line is stored once."""
    journal = logs / "ai_dev_squad.jsonl"
    write(journal, range(1))
    whole = text(1)
    with journal.open("a") as opened:
        opened.write(whole[:50])
    with ingest(logs, store) as tail:
        assert tail.catch_up() == 1
        with journal.open("a") as opened:
            opened.write(whole[50:])
        assert tail.catch_up() == 1
        assert state_of(tail, "ai_dev_squad.jsonl").bad_lines == 0
    assert messages(store) == named(range(2))


def test_bad_lines_are_skipped_and_told(logs: Path, store: Store) -> None:
    """Lines that are no journal lines are counted, with the last one's place and reason, and the others are stored."""
    journal = logs / "ai_dev_squad.jsonl"
    write(journal, range(1))
    with journal.open("a") as opened:
        opened.write("what?\n")
    write(journal, range(1, 2))
    with ingest(logs, store) as tail:
        tail.catch_up()
        state = state_of(tail, "ai_dev_squad.jsonl")
    assert (state.bad_lines, state.lines, state.activity) == (1, 2, "following")
    assert state.last_bad is not None
    assert state.last_bad.startswith(f"{journal}, byte {len(text(0))}: it is not a JSON object")
    assert messages(store) == named(range(2))


def test_a_journal_that_vanishes_is_told_and_no_trouble(logs: Path, store: Store) -> None:
    """A deleted journal is reported as vanished while others go on; a new one in its place is read from its start."""
    write(logs / "gone.jsonl", range(3))
    write(logs / "stays.jsonl", range(1), "b")
    with following(logs, store) as tail:
        eventually(lambda: len(messages(store)) == 4)
        (logs / "gone.jsonl").unlink()
        eventually(lambda: state_of(tail, "gone.jsonl").activity == "vanished")
        write(logs / "stays.jsonl", range(1, 3), "b")
        write(logs / "gone.jsonl", range(10, 12))
        expected = [*named(range(3)), *named(range(10, 12)), *named(range(3), "b")]
        eventually(lambda: messages(store) == expected)
        assert state_of(tail, "gone.jsonl").activity == "following"


def test_a_directory_that_vanishes_is_no_trouble(logs: Path, store: Store) -> None:
    """The whole directory may be removed and made again."""
    write(logs / "a.jsonl", range(2))
    with following(logs, store) as tail:
        eventually(lambda: len(messages(store)) == 2)
        shutil.rmtree(logs)
        eventually(lambda: {state.activity for state in tail.states()} == {"vanished", "waiting"})
        write(logs / "a.jsonl", range(5, 7))
        eventually(lambda: messages(store) == [*named(range(2)), *named(range(5, 7))])


def test_what_cannot_be_opened_is_told(logs: Path, store: Store) -> None:
    """Links in a circle, pipes and directories with the name of a journal are reported, and the journals beside are read."""
    logs.mkdir()
    (logs / "circle.jsonl").symlink_to(logs / "circle.jsonl")
    os.mkfifo(logs / "pipe.jsonl")
    (logs / "folder.jsonl").mkdir()
    write(logs / "fine.jsonl", range(2))
    with ingest(logs, store) as tail:
        assert tail.catch_up() == 2
        told = {Path(state.path).name: (state.activity, state.error) for state in tail.states()}
    assert told == {
        "circle.jsonl": (
            "unreadable",
            f"{logs}/circle.jsonl cannot be read (Too many levels of symbolic links); check what it is and its permissions",
        ),
        "pipe.jsonl": (
            "unreadable",
            f"{logs}/pipe.jsonl cannot be read (it is no regular file); check what it is and its permissions",
        ),
        "fine.jsonl": ("following", None),
    }


def test_a_damaged_rotated_file_costs_only_itself(logs: Path, store: Store) -> None:
    """A gzip file cut in the middle gives what can be read of it, and the files after it are read."""
    journal = logs / "ai_dev_squad.jsonl"
    write(journal, range(200))
    rotate(journal)
    compress_rotated(journal, None)
    (packed,) = logs.glob("*.gz")
    packed.write_bytes(packed.read_bytes()[:-200])
    write(journal, range(200, 203))
    with ingest(logs, store) as tail:
        tail.catch_up()
        state = state_of(tail, "ai_dev_squad.jsonl")
    found = messages(store)
    assert found[-3:] == named(range(200, 203))
    assert found[:-3] == named(range(len(found) - 3))
    assert state.bad_lines >= 1
    with pytest.raises(EOFError), gzip.open(packed) as opened:
        opened.read()


def test_a_journal_cut_in_place_is_begun_anew(logs: Path, store: Store) -> None:
    """A file that was truncated and written anew is read from its start."""
    journal = logs / "ai_dev_squad.jsonl"
    write(journal, range(5))
    with ingest(logs, store) as tail:
        tail.catch_up()
        journal.write_text("")
        write(journal, range(10, 12))
        tail.catch_up()
    assert messages(store) == [*named(range(5)), *named(range(10, 12))]


def test_several_writers_and_rotations_at_once(logs: Path, store: Store) -> None:
    """Threads that append whole lines while the file is rotated and compressed lose nothing on the way into the store."""
    journal = logs / "ai_dev_squad.jsonl"
    logs.mkdir()
    lock = threading.Lock()

    def run(who: str) -> None:
        for number in range(300):
            with lock:
                write(journal, range(number, number + 1), who)
                if number % 60 == 59:
                    rotate(journal)
                    compress_rotated(journal, None)

    threads = [threading.Thread(target=run, args=(who,)) for who in "abc"]
    with following(logs, store):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        expected = [message for who in "abc" for message in named(range(300), who)]
        eventually(lambda: messages(store) == expected)


def test_a_full_pipeline_is_waited_for(logs: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for few rows at a time everything arrives all the same: journals wait, they never drop."""
    monkeypatch.setattr(journal_source, "BATCH_LINES", 10)
    for who in "abcde":
        write(logs / f"{who}.jsonl", range(50), who)
    queue = IngestQueue(store, max_pending_rows=15)
    assert JournalTail([logs], queue).catch_up() == 250
    queue.close()
    assert len(messages(store)) == 250


class Moody:
    """A store that fails as it is told, in front of a real one."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self.full = False
        self.refuses: str | None = None

    def write(self, batch: Batch) -> Written:
        if self.full:
            raise StoreError("the disk is full")
        if self.refuses in [row.message for row in batch.logs]:
            raise StoreError(f"{self.refuses} cannot be stored")
        return self.inner.write(batch)

    def mend(self) -> None:
        self.inner.mend()

    def position(self, source: str) -> str | None:
        return self.inner.position(source)


def test_a_store_that_fails_for_a_while_costs_nothing(logs: Path, store: Store) -> None:
    """While the disk is full the state says so and nothing is skipped; afterwards everything is stored once."""
    moody = Moody(store)
    moody.full = True
    write(logs / "a.jsonl", range(4))
    with following(logs, moody) as tail:  # type: ignore[arg-type]
        eventually(lambda: "the disk is full" in (state_of(tail, "a.jsonl").error or "") if tail.states() else False)
        write(logs / "a.jsonl", range(4, 6))
        moody.full = False
        eventually(lambda: messages(store) == named(range(6)))
        eventually(lambda: state_of(tail, "a.jsonl").error is None)


def test_a_line_that_the_store_refuses_costs_only_itself(
    logs: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the store works but not with one line, that line is left out and counted, and the position moves on."""
    moody = Moody(store)
    moody.refuses = "a7"
    write(logs / "a.jsonl", range(20))
    queue = IngestQueue(moody, max_pending_rows=1_000)  # type: ignore[arg-type]
    tail = JournalTail([logs], queue)
    monkeypatch.setattr(tail, "_retry_s", 0.001)
    tail.catch_up()
    assert (tail.dropped_rows, state_of(tail, "a.jsonl").bad_lines) == (1, 1)
    assert JournalTail([logs], queue).catch_up() == 0
    queue.close()
    assert messages(store) == [*named(range(7)), *named(range(8, 20))]


def test_an_idle_journal_is_not_read(logs: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at a journal without news opens nothing, and after a while the file is closed."""
    monkeypatch.setattr(journal_source, "_RESTS_AFTER_S", 0.0)
    write(logs / "a.jsonl", range(2))
    with following(logs, store) as tail:
        eventually(lambda: len(messages(store)) == 2)
        eventually(lambda: open_journals() == [])
        # It is found again where it was left.
        write(logs / "a.jsonl", range(2, 3))
        eventually(lambda: messages(store) == named(range(3)))
        assert state_of(tail, "a.jsonl").lines == 3


def test_more_journals_than_may_be_open(logs: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """With very many journals the files are closed again at once."""
    monkeypatch.setattr("ai_dev_squad_dashboard.ingest.journal._MANY", 3)
    for number in range(20):
        write(logs / f"j{number}.jsonl", range(number, number + 1))
    with following(logs, store):
        eventually(lambda: messages(store) == named(range(20)))
        eventually(lambda: open_journals() == [])


def test_a_damaged_position_means_reading_anew(logs: Path, store: Store) -> None:
    """A position that cannot be read is told, and spans that are read again are duplicates, not new ones."""
    journal = logs / "a.jsonl"
    write(journal, range(2))
    store.write(Batch(positions={f"journal:{journal}": "garbage"}))
    with ingest(logs, store) as tail:
        assert tail.catch_up() == 2


def test_one_journal_named_by_its_path(logs: Path, store: Store) -> None:
    """A journal may be given instead of a directory; its neighbours are left alone, and it need not exist yet."""
    write(logs / "b.jsonl", range(2), "b")
    with ingest(logs / "a.jsonl", store) as tail:
        assert tail.catch_up() == 0
        assert [state.activity for state in tail.states()] == ["waiting"]
        write(logs / "a.jsonl", range(3))
        assert tail.catch_up() == 3
    assert messages(store) == named(range(3))


def test_journals_of_one_path_on_two_machines_are_two_journals(logs: Path, store: Store) -> None:
    """In a store of many each machine has its own place in its own file, and what both have read is there once."""
    queue = IngestQueue(store, max_pending_rows=50_000)

    def read_on(host: str, numbers: range, prefix: str) -> int:
        (logs / "a.jsonl").unlink(missing_ok=True)
        write(logs / "a.jsonl", numbers, prefix)
        return JournalTail([logs], queue, host=host).catch_up()

    read = [
        read_on("one", range(3), "a"),
        read_on("two", range(2), "b"),
        read_on("one", range(5), "a"),
        read_on("three", range(5), "a"),
    ]
    queue.close()
    assert read == [3, 2, 2, 5]
    assert sorted(messages(store)) == sorted(named(range(5), "a") + named(range(2), "b"))


@pytest.mark.parametrize("first", ["file", "collector"])
def test_lines_that_a_collector_sends_rebuild_the_run_once(logs: Path, store: Store, first: str) -> None:
    """As OTLP log records, sent twice, and from the file as well: the same spans and lines as from the file alone."""
    write(logs / "a.jsonl", range(20))
    lines = (logs / "a.jsonl").read_text().splitlines()
    records = [{"body": {"stringValue": line}} for line in [*lines, "plain text", '{"schema": "no line of ours"}']]
    body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).encode()
    queue = IngestQueue(store, max_pending_rows=50_000)
    into = Receiver(queue.submit)
    with ingest(logs, store) as tail:
        for act in (tail.catch_up, lambda: into.receive("logs", "json", body))[:: 1 if first == "file" else -1]:
            act()
        into.receive("logs", "json", body.replace(b"plain text", b"plain text 2"))
    queue.close()
    assert store.totals(EVER).spans == 20
    told = [row.message for row in store.logs(EVER, limit=500).rows if row.source == "journal"]
    assert sorted(told, key=lambda message: int(message[1:])) == named(range(20))
    others = sorted(row.message for row in store.logs(EVER, limit=500).rows if row.source == "otlp")
    assert others == ["plain text", "plain text 2"] + ['{"schema": "no line of ours"}'] * 2


def test_a_store_that_had_to_be_begun_anew_is_filled_from_the_journals_again(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file was cut short, nothing could be saved: every line is there again, once, those that came meanwhile too."""
    path = tmp_path / "store.duckdb"
    write(logs / "a.jsonl", range(3000))
    write(logs / "b.jsonl", range(100), "b")
    store = open_store(path)
    with ingest(logs, store) as tail:
        tail.catch_up()
    store.close()
    store = open_store(path)

    def unreadable(_: File) -> bool:
        raise StoreError("what is left cannot be read")

    monkeypatch.setattr(File, "rewrite", unreadable)
    with ingest(logs, store) as tail:
        os.truncate(path, path.stat().st_size // 2)
        write(logs / "a.jsonl", range(3000, 3010))
        tail.catch_up()
        assert [each.lost for each in store.state().incidents] == [True]
        assert messages(store) == named(range(3010)) + named(range(100), "b")
        assert store.totals(EVER).spans == 3110
    store.close()


def test_the_runs_of_a_killed_program_end(logs: Path, store: Store) -> None:
    """What a program had open when it was killed runs until then, and is abandoned after it."""
    program = """
import sys
import ai_dev_squad
from ai_dev_squad import operations

ai_dev_squad.configure(log_dir=sys.argv[1])
operations.start(operations.AGENT, "planner", framework="own")
ai_dev_squad.flush()
print("open", flush=True)
sys.stdin.read()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(logs)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"

    def seen() -> tuple[list[str], list[str]]:
        with ingest(logs, store) as tail:
            tail.catch_up()
        return [row.name for row in store.running(0, 10)], [row.status for row in store.traces(EVER).rows]

    before = seen()
    process.kill()
    process.communicate()

    assert before == (["planner"], [])
    assert seen() == ([], ["abandoned"])

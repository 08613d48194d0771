"""Readers and followers: every whole line once and in order, whatever happened to the files; bad lines are named."""

from __future__ import annotations

import gzip
import os
import shutil
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad.events import (
    JOURNAL_FILE_NAME,
    BadLine,
    Journal,
    JournalError,
    JournalPosition,
    follow_journal,
    read_journal,
)
from ai_dev_squad.events.reader import decode_line
from ai_dev_squad.events.rotation import Rotation, journals_in, rotated_files
from ai_dev_squad.schema import Cost, ErrorInfo, JournalLine, Link, Usage, utc_now

START = datetime(2026, 1, 1, 0, 0, 0, 100_000, tzinfo=timezone.utc)


def line(i: int, **fields: Any) -> JournalLine:
    return JournalLine(
        timestamp=START + timedelta(microseconds=i),
        level="INFO",
        event_type="custom.event",
        message=f"event {i}",
        metadata={"i": i},
        **fields,
    )


def encoded(*wanted: int) -> bytes:
    return msgspec.json.Encoder().encode_lines([line(i) for i in wanted])


def ids(lines: Any) -> list[int]:
    return [found.metadata["i"] for found in lines]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "logs" / JOURNAL_FILE_NAME
    path.parent.mkdir()
    return path


def written(path: Path, count: int, **settings: Any) -> None:
    journal = Journal(path, **settings)
    for i in range(count):
        journal.write(line(i))
        journal.flush()
    journal.close()


# --- reading ----------------------------------------------------------------------------------------------------------


def test_what_was_written_is_read_back_equal(path: Path) -> None:
    """A line with every field survives the file."""
    full = line(
        1,
        session_id="s",
        correlation_id="c",
        agent_id="planner",
        framework="langgraph",
        name="gpt-4o-mini",
        operation="chat",
        status="error",
        trace_id="0" * 31 + "1",
        span_id="0" * 15 + "2",
        parent_span_id="0" * 15 + "3",
        duration_ms=12.345,
        usage=Usage(input_tokens=100, output_tokens=20, cache_read_input_tokens=64, source="provider"),
        cost=Cost(usd=0.00012, price="openai/gpt-4o-mini", price_date="2026-10-01", price_source="genai-prices"),
        error=ErrorInfo(type="RateLimitError", message="slow down"),
        links=[Link(trace_id="0" * 31 + "4", span_id="0" * 15 + "5", type="resume")],
    )
    journal = Journal(path)
    journal.write(full)
    journal.close()

    assert list(read_journal(path, strict=True)) == [full]


@pytest.mark.parametrize("compress", [True, False])
def test_rotated_files_are_read_first_and_in_order(path: Path, compress: bool) -> None:
    """More than ten rotated files, compressed or not, and then the current one, by file and by directory."""
    written(path, 40, max_bytes=300, keep=None, compress=compress)

    assert len(rotated_files(path)) > 10
    assert all(file.compressed is compress for file in rotated_files(path))
    assert ids(read_journal(path, strict=True)) == list(range(40))
    assert ids(read_journal(path.parent, strict=True)) == list(range(40))
    assert ids(read_journal(rotated_files(path)[1].path, strict=True)) == [2, 3]


def test_only_the_newest_rotated_files_are_kept(path: Path) -> None:
    """keep=N leaves N rotated files and their lines; numbers go on rising."""
    written(path, 20, max_bytes=300, keep=3)

    assert [file.number for file in rotated_files(path)] == [7, 8, 9]
    assert ids(read_journal(path, strict=True)) == list(range(12, 20))


def test_keep_zero_keeps_none(path: Path) -> None:
    """keep=0 leaves the current file alone."""
    written(path, 6, max_bytes=300, keep=0)

    assert [file.name for file in path.parent.iterdir()] == [JOURNAL_FILE_NAME]


def test_a_file_is_rotated_by_the_age_of_its_first_line(path: Path) -> None:
    """The age is told by the file itself, so it counts over restarts; a young file stays."""
    path.write_bytes(encoded(0))
    old = Journal(path, max_age=3600)
    old.write(JournalLine(timestamp=utc_now(), level="INFO", event_type="custom.event", message="", metadata={"i": 1}))
    old.flush()
    old.write(line(2))
    old.close()

    assert [ids(read_journal(file.path)) for file in rotated_files(path)] == [[0]]
    assert ids(read_journal(path)) == [0, 1, 2]


@pytest.mark.parametrize(
    "size, more, born, due",
    [
        (0, 500, 0.0, False),
        (60, 40, None, False),
        (60, 41, None, True),
        (60, 1, 900.0, False),
        (60, 1, 899.0, True),
    ],
)
def test_when_a_rotation_is_due(size: int, more: int, born: float | None, due: bool) -> None:
    """An empty file never is; otherwise at more than max_bytes, or at max_age."""
    assert Rotation(max_bytes=100, max_age=100.0).due(size, more, born, now=999.0) is due


def test_bad_lines_are_skipped_and_named(path: Path) -> None:
    """Each line that can't be read is reported with its place, its text and the reason; the others are read."""
    future = b'{"schema":9,"timestamp":"2030-01-01T00:00:00Z","level":"INFO","event_type":"a.b","message":""}\n'
    first = len(encoded(0))
    path.write_bytes(encoded(0) + b"garbage\n\n" + encoded(1) + future + b'{"schema":1}\n' + b"\xff\xfe\n" + encoded(2))
    bad: list[BadLine] = []

    assert ids(read_journal(path, on_bad_line=bad.append)) == [0, 1, 2]
    assert ids(read_journal(path)) == [0, 1, 2]
    assert [(b.path, b.line_number, b.offset, b.text) for b in bad] == [
        (path, 2, first, b"garbage\n"),
        (path, 5, 2 * first + 9, future),
        (path, 6, 2 * first + 9 + len(future), b'{"schema":1}\n'),
        (path, 7, 2 * first + 9 + len(future) + 13, b"\xff\xfe\n"),
    ]
    assert [b.reason.partition(" (")[0] for b in bad] == [
        "it is not a JSON object",
        (
            "it has schema 9, written by a newer version of this package; this one reads schema 1. "
            "Upgrade it: pip install --upgrade ai-dev-squad"
        ),
        "it is not a journal line of schema 1",
        "it is not a JSON object",
    ]


@pytest.mark.parametrize(
    "stated, read",
    [
        ("0001-01-01T00:00:00+14:00", "1900-01-01T00:00:00+00:00"),
        ("9999-12-31T23:59:59-14:00", "9000-01-01T00:00:00+00:00"),
        ("1970-01-01T00:00:00", "1970-01-01T00:00:00+00:00"),
    ],
)
def test_a_time_that_no_clock_tells_is_one_that_can_be_reckoned_with(stated: str, read: str) -> None:
    """The line is kept, with all that its operation took."""
    found = decode_line(
        b'{"schema":1,"timestamp":"%b","level":"INFO","event_type":"a.b","message":""}' % stated.encode()
    )

    assert found.timestamp.isoformat() == read


def test_strict_reading_raises_with_place_and_cure(path: Path) -> None:
    """strict=True stops at a line of a future schema and says which file, which line, and what to do."""
    path.write_bytes(encoded(0).replace(b'"schema":1', b'"schema":2'))
    with pytest.raises(JournalError) as caught:
        list(read_journal(path, strict=True))

    assert str(caught.value) == (
        f"{path}, line 1: it has schema 2, written by a newer version of this package; this one reads schema 1. "
        "Upgrade it: pip install --upgrade ai-dev-squad"
    )


def test_an_unfinished_last_line_is_no_error_while_the_file_is_written(path: Path) -> None:
    """Even strict reading accepts it in the current file, and reports it; in a rotated file it's an error."""
    path.write_bytes(encoded(0) + encoded(1)[:-10])
    bad: list[BadLine] = []
    assert ids(read_journal(path, strict=True, on_bad_line=bad.append)) == [0]
    assert [(b.line_number, b.reason.partition(":")[0]) for b in bad] == [(2, "it is unfinished")]

    path.rename(path.with_name("ai_dev_squad.000001.jsonl"))
    with pytest.raises(JournalError, match="line 2: it is unfinished"):
        list(read_journal(path, strict=True))


def test_a_damaged_compressed_file_gives_what_it_has(path: Path) -> None:
    """The lines before the damage are read, the damage is reported, and later files are read."""
    packed = gzip.compress(encoded(*range(1000)))
    path.with_name("ai_dev_squad.000001.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    path.with_name("ai_dev_squad.000002.jsonl.gz").write_bytes(b"no gzip at all")
    path.write_bytes(encoded(1000))
    bad: list[BadLine] = []

    found = ids(read_journal(path, on_bad_line=bad.append))
    assert found == [*range(len(found) - 1), 1000]
    assert len(found) > 100
    assert [b.reason.partition(" (")[0] for b in bad] == ["the file is damaged from here on"] * 2


def test_no_journal_is_an_error_at_once(tmp_path: Path) -> None:
    """A wrong path is named before anything is iterated, with the setting that says where journals are."""
    with pytest.raises(FileNotFoundError, match=r"no journal at '.*x.jsonl'; give the log directory \(setting log_dir"):
        read_journal(tmp_path / "x.jsonl")
    with pytest.raises(FileNotFoundError, match="no journal in the directory"):
        read_journal(tmp_path)


def test_a_directory_may_hold_several_journals(path: Path) -> None:
    """Journals of a directory are read one after the other by name; other files are left alone."""
    path.write_bytes(encoded(1))
    path.with_name("other.jsonl").write_bytes(encoded(3))
    path.with_name("other.000001.jsonl").write_bytes(encoded(2))
    path.with_name("gone.000001.jsonl").write_bytes(b"")
    with gzip.open(path.with_name("gone.000002.jsonl.gz"), "wb") as file:
        file.write(encoded(9))
    path.with_name("notes.txt").write_text("x")

    assert [journal.name for journal in journals_in(path.parent)] == [JOURNAL_FILE_NAME, "gone.jsonl", "other.jsonl"]
    assert ids(read_journal(path.parent, strict=True)) == [1, 9, 2, 3]


def test_reading_while_the_journal_rotates_neither_loses_nor_repeats(path: Path) -> None:
    """A reader that began before a rotation and a compression reads each line that was there once."""
    written(path, 10, max_bytes=300, keep=None, compress=False)
    reader = read_journal(path, strict=True)
    assert next(reader).metadata == {"i": 0}
    written(path, 3, max_bytes=300, keep=None, compress=True)

    assert ids(reader)[:9] == list(range(1, 10))


def test_a_naive_time_in_a_file_is_utc(path: Path) -> None:
    """A line that another program wrote without an offset is taken as UTC."""
    path.write_bytes(
        b'{"schema":1,"timestamp":"2026-01-01T00:00:00.1","level":"INFO","event_type":"a.b","message":""}\n'
    )

    assert [found.timestamp for found in read_journal(path, strict=True)] == [START]


@given(cut=st.integers(0, 10 * 140), compressed=st.booleans())
def test_any_cut_yields_exactly_the_lines_before_it(
    tmp_path_factory: pytest.TempPathFactory, cut: int, compressed: bool
) -> None:
    """Wherever a file ends, its whole lines are read, no more and no fewer, and a torn one is reported."""
    directory = tmp_path_factory.mktemp("cut")
    data = encoded(*range(10))[:cut]
    whole = data.count(b"}}\n") if data.endswith(b"\n") else data.count(b"}}\n") + data.endswith(b"}}")
    torn = data != b"" and not data.endswith((b"\n", b"}}"))
    if compressed:
        (directory / "a.000001.jsonl.gz").write_bytes(gzip.compress(data))
    else:
        (directory / "a.jsonl").write_bytes(data)
    bad: list[BadLine] = []

    assert ids(read_journal(directory, on_bad_line=bad.append)) == list(range(whole))
    assert len(bad) == torn
    shutil.rmtree(directory)


@given(junk=st.lists(st.binary(max_size=80), max_size=8))
def test_no_content_makes_lenient_reading_fail(tmp_path_factory: pytest.TempPathFactory, junk: list[bytes]) -> None:
    """Whatever bytes stand between good lines, the good lines are read."""
    directory = tmp_path_factory.mktemp("junk")
    parts = [b"\n".join((encoded(i).rstrip(b"\n"), piece)) + b"\n" for i, piece in enumerate(junk)]
    (directory / "a.jsonl").write_bytes(b"".join(parts))

    assert ids(read_journal(directory)) == list(range(len(junk)))
    shutil.rmtree(directory)


# --- following --------------------------------------------------------------------------------------------------------


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def test_a_follower_gets_each_line_once_over_rotations_and_restarts(path: Path) -> None:
    """Reading in small steps, with new followers from saved positions, while the journal rotates and compresses."""
    found: list[int] = []
    journal = Journal(path, max_bytes=700, keep=None)
    follower = follow_journal(path.parent)
    for i in range(120):
        journal.write(line(i))
        if i % 3 == 0:
            journal.flush()
        if i % 10 == 0:
            found += ids(follower.read())
        if i % 17 == 0:
            saved = str(follower.position)
            follower.close()
            follower = follow_journal(path.parent, position=saved)
            found += ids(follower.read(2))
    journal.close()
    found += ids(follower.read())
    follower.close()

    assert found == list(range(120))
    assert follower.bad_lines == 0


def test_a_follower_waits_for_a_journal_that_does_not_exist_yet(path: Path) -> None:
    """The dashboard may start before the program that it watches."""
    path.parent.rmdir()
    with follow_journal(path.parent) as follower:
        assert follower.read() == []
        path.parent.mkdir()
        path.write_bytes(encoded(0, 1))
        assert ids(follower.read()) == [0, 1]


def test_a_follower_waits_for_the_rest_of_a_line(path: Path) -> None:
    """A torn last line is returned when it's complete, not before."""
    data = encoded(0, 1)
    with follow_journal(path) as follower:
        found: list[int] = []
        for i in range(0, len(data), 7):
            append(path, data[i : i + 7])
            found += ids(follower.read())
        assert found == [0, 1]
        assert follower.position.offset == len(data)


def test_a_follower_never_goes_on_from_a_torn_line_that_was_taken_out(path: Path) -> None:
    """A writer that mends the file after a crash doesn't confuse who follows it."""
    append(path, encoded(0) + encoded(1)[:-9])
    with follow_journal(path) as follower:
        assert ids(follower.read()) == [0]
        journal = Journal(path)
        journal.write(line(2))
        journal.close()
        assert [entry.event_type for entry in follower.read()] == ["custom.event", "telemetry.dropped"]
        assert follower.bad_lines == 0


@pytest.mark.parametrize("more", [1, 50])
def test_a_follower_notices_a_truncated_file(path: Path, more: int) -> None:
    """A file cut to nothing in place is read from its new beginning, also if it has outgrown the old place since."""
    path.write_bytes(encoded(*range(5)))
    with follow_journal(path) as follower:
        assert ids(follower.read()) == list(range(5))
        os.truncate(path, 0)
        append(path, encoded(*range(100, 100 + more)))
        assert ids(follower.read()) == list(range(100, 100 + more))


def test_a_follower_notices_a_removed_directory(path: Path) -> None:
    """A journal that was removed and begun again is followed again."""
    path.write_bytes(encoded(0))
    with follow_journal(path) as follower:
        assert ids(follower.read()) == [0]
        shutil.rmtree(path.parent)
        assert follower.read() == []
        path.parent.mkdir()
        path.write_bytes(encoded(1))
        assert ids(follower.read()) == [1]


def test_a_follower_that_slept_through_pruning_goes_on_with_what_is_left(path: Path) -> None:
    """If the file of its position is gone, it returns what is newer and nothing twice."""
    journal = Journal(path, max_bytes=300, keep=2, compress=False)
    journal.write(line(0))
    journal.flush()
    follower = follow_journal(path)
    assert ids(follower.read()) == [0]
    saved = follower.position
    follower.close()
    for i in range(1, 20):
        journal.write(line(i))
        journal.flush()
    journal.close()

    left = ids(read_journal(path))
    assert left[0] > 2
    with follow_journal(path, position=saved) as resumed:
        assert ids(resumed.read()) == left


def test_a_follower_reports_bad_lines_and_goes_on(path: Path) -> None:
    """A line that can't be read is counted and given to the callback with its place."""
    path.write_bytes(encoded(0) + b"garbage\n" + encoded(1))
    bad: list[BadLine] = []
    with follow_journal(path, on_bad_line=bad.append) as follower:
        assert ids(follower.read()) == [0, 1]
        assert follower.bad_lines == 1
    assert [(b.offset, b.text) for b in bad] == [(len(encoded(0)), b"garbage\n")]


def test_a_follower_reports_the_torn_end_of_a_finished_file(path: Path) -> None:
    """What never became a line is reported when its file was rotated."""
    path.write_bytes(encoded(0) + b'{"torn')
    bad: list[BadLine] = []
    with follow_journal(path, on_bad_line=bad.append) as follower:
        assert ids(follower.read()) == [0]
        path.rename(path.with_name("ai_dev_squad.000001.jsonl"))
        path.write_bytes(encoded(1))
        assert ids(follower.read()) == [1]
    assert [b.text for b in bad] == [b'{"torn']


def test_following_by_iteration_waits_for_lines_until_it_is_stopped(path: Path) -> None:
    """A loop over the follower gets lines as they are written and ends after stop()."""
    found: list[int] = []
    enough = threading.Event()
    follower = follow_journal(path, poll_interval=0.005)

    def work() -> None:
        for entry in follower:
            found.append(entry.metadata["i"])
            if len(found) == 3:
                enough.set()

    thread = threading.Thread(target=work)
    thread.start()
    for i in range(3):
        append(path, encoded(i))
    assert enough.wait(20)
    follower.stop()
    thread.join(20)
    follower.close()

    assert (found, thread.is_alive()) == ([0, 1, 2], False)


def test_a_position_survives_as_text() -> None:
    """str() and parse() are inverses; other text is an error that says what is a position."""
    position = JournalPosition(file="ab", offset=12, after=3)

    assert JournalPosition.parse(str(position)) == position
    with pytest.raises(
        ValueError, match=r"'nonsense' is no journal position .* use what str\(follower.position\) gave"
    ):
        follow_journal("logs", position="nonsense")


@given(
    steps=st.lists(
        st.one_of(st.tuples(st.just("write"), st.integers(1, 4)), st.tuples(st.just("read"), st.integers(0, 3)),
                  st.just(("rotate", 0)), st.just(("compress", 0)), st.just(("restart", 0))),
        max_size=25,
    )
)  # fmt: skip
def test_following_is_exactly_once_in_any_order_of_events(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    """However writes, reads, rotations, compressions and restarts interleave, each line comes once, in order."""
    directory = tmp_path_factory.mktemp("follow")
    path = directory / JOURNAL_FILE_NAME
    count = rotations = 0
    found: list[int] = []
    follower = follow_journal(path)
    for step, amount in steps:
        if step == "write":
            append(path, encoded(*range(count, count + amount)))
            count += amount
        elif step == "read":
            found += ids(follower.read(amount or None))
        elif step == "rotate" and path.exists():
            rotations += 1
            path.rename(directory / f"ai_dev_squad.{rotations:06d}.jsonl")
        elif step == "compress":
            for file in rotated_files(path):
                if not file.compressed:
                    Path(f"{file.path}.gz").write_bytes(gzip.compress(file.path.read_bytes()))
                    file.path.unlink()
        elif step == "restart":
            saved = str(follower.position)
            follower.close()
            follower = follow_journal(path, position=saved)
    found += ids(follower.read())
    follower.close()
    shutil.rmtree(directory)

    assert found == list(range(count))

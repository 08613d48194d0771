"""What a process has left open when it was killed: whoever comes next writes how it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest

import ai_dev_squad
from ai_dev_squad import operations
from ai_dev_squad.events import Journal, read_journal
from ai_dev_squad.events.finder import JournalFinder
from ai_dev_squad.events.left_open import end_left_open
from ai_dev_squad.events.removal import remove_from_journals
from ai_dev_squad.runs import read_runs
from ai_dev_squad.schema import ErrorInfo, JournalLine

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX")

_PROGRAM = """
import sys, time
import ai_dev_squad
from ai_dev_squad import operations

squad = operations.start(operations.WORKFLOW, "squad", framework="own", session_id="ada")
operations.start(operations.TOOL, "done", framework="own", parent=squad).stop()
operations.start(operations.CHAT, "gpt-4o", framework="own", parent=squad)
ai_dev_squad.flush()
print("open", flush=True)
sys.stdin.read()
"""


def _started(directory: Path, program: str = _PROGRAM) -> subprocess.Popen[str]:
    """A program that has something open, and waits."""
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


@pytest.fixture
def program(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = _started(tmp_path)
    yield process
    process.kill()
    process.communicate()


def _names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def _left(directory: Path) -> list[str]:
    return [name for name in _names(directory) if name.endswith(".open")]


def _kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def _statuses(directory: Path) -> dict[str, str]:
    return {step.name: step.status for run in read_runs(directory) for step in run.steps}


def _opening(event_type: str, operation: str, name: str, **more: Any) -> JournalLine:
    return JournalLine(
        timestamp=datetime(2026, 1, 1, tzinfo=timezone.utc),
        level="INFO",
        event_type=event_type,
        message=f"{operation} {name}",
        operation=operation,
        name=name,
        trace_id="1" * 32,
        span_id="2" * 16,
        **more,
    )


def test_nothing_is_ended_while_its_process_lives(program: subprocess.Popen[str], tmp_path: Path) -> None:
    """A run that takes long is open, however often somebody looks."""
    assert [end_left_open(tmp_path / "logs") for _ in range(3)] == [0, 0, 0]

    assert _statuses(tmp_path / "logs") == {"squad": "open", "done": "ok", "gpt-4o": "open"}


def test_what_a_killed_process_left_open_is_ended_once(program: subprocess.Popen[str], tmp_path: Path) -> None:
    """The first look at the journal after a kill ends all of it as abandoned, at the moment it was last heard of."""
    _kill(program)

    found = [JournalFinder([tmp_path / "logs"]).find().journals for _ in range(2)]

    assert found == [(tmp_path / "logs" / "ai_dev_squad.jsonl",)] * 2
    assert _statuses(tmp_path / "logs") == {"squad": "abandoned", "done": "ok", "gpt-4o": "abandoned"}
    opening, ending = (
        [
            line
            for line in read_journal(tmp_path / "logs", strict=True)
            if line.event_type == event and line.name != "done"
        ]
        for event in ("llm.request", "llm.response")
    )
    assert [(line.span_id, line.parent_span_id) for line in ending] == [
        (line.span_id, line.parent_span_id) for line in opening
    ]
    assert (ending[0].level, ending[0].message) == ("WARNING", "chat gpt-4o: abandoned")
    assert ending[0].error == ErrorInfo(
        type="ProcessGone",
        message="the process ended without closing this, killed or out of memory; the duration is up to when it was last heard of",
    )
    assert ending[0].metadata == opening[0].metadata
    assert (ending[0].usage, ending[0].cost) == (None, None)
    assert _left(tmp_path / "logs") == []


def test_the_next_program_ends_what_the_last_one_left(program: subprocess.Popen[str], tmp_path: Path) -> None:
    """Where nobody reads, whoever writes the same journal next does it."""
    _kill(program)

    with_news = Journal(tmp_path / "logs" / "ai_dev_squad.jsonl")
    with_news.write(
        JournalLine(timestamp=datetime.now(timezone.utc), level="INFO", event_type="custom.event", message="hello")
    )
    assert with_news.close()

    assert set(_statuses(tmp_path / "logs").values()) == {"ok", "abandoned"}


def test_a_program_that_ends_leaves_no_file(tmp_path: Path) -> None:
    """Told to end, or done, a program leaves its journal and nothing beside it."""
    for end in ("", "sys.exit(3)", "import os, signal; os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)"):
        program = _PROGRAM.replace("sys.stdin.read()", end)
        subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=False, capture_output=True)

    assert _names(tmp_path / "logs") == ["ai_dev_squad.jsonl"]
    assert set(_statuses(tmp_path / "logs").values()) == {"ok", "abandoned"}


def test_a_forked_child_has_a_file_of_its_own(tmp_path: Path) -> None:
    """A child that is killed ends with what it had opened itself, and its parent's runs go on."""
    program = _PROGRAM.replace(
        'print("open", flush=True)',
        """
import os, signal
if (child := os.fork()) == 0:
    operations.start(operations.AGENT, "child", framework="own")
    ai_dev_squad.flush()
    os.kill(os.getpid(), signal.SIGKILL)
os.waitpid(child, 0)
print("open", flush=True)
""",
    )
    process = _started(tmp_path, program)

    assert end_left_open(tmp_path / "logs") == 1
    assert _statuses(tmp_path / "logs") == {"squad": "open", "done": "ok", "gpt-4o": "open", "child": "abandoned"}
    assert len(_left(tmp_path / "logs")) == 1

    process.communicate()
    assert set(_statuses(tmp_path / "logs").values()) == {"ok", "abandoned"}
    assert _left(tmp_path / "logs") == []


def test_many_look_at_once(program: subprocess.Popen[str], tmp_path: Path) -> None:
    """Eight processes that look at the same moment write each end once."""
    _kill(program)
    look = "import sys; from pathlib import Path; from ai_dev_squad.events.left_open import end_left_open\n"
    look += "sys.stdin.read(1); print(end_left_open(Path('logs')))"
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", look], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(8)
    ]

    told = sorted(int(reader.communicate("x")[0]) for reader in readers)

    assert told == [0] * 7 + [2]
    assert len([line for line in read_journal(tmp_path / "logs") if line.status == "abandoned"]) == 2


def test_captured_content_is_left_out_where_it_is_long(tmp_path: Path) -> None:
    """The file stays small: of an opening line with a long prompt only what is short is repeated."""
    journal = Journal(tmp_path / "ai_dev_squad.jsonl")
    content = {"gen_ai.provider.name": "openai", "gen_ai.input.messages": [{"content": "x" * 100_000}]}
    journal.write(_opening("llm.request", "chat", "gpt-4o", metadata=content))
    assert journal.flush()

    (left,) = _left(tmp_path)
    assert (tmp_path / left).stat().st_size < 500
    assert b'"metadata":{"gen_ai.provider.name":"openai"}' in (tmp_path / left).read_bytes()


def test_a_torn_file_gives_what_is_whole(tmp_path: Path) -> None:
    """A kill amid the write of the small file costs what it has torn, and nothing else."""
    whole = _opening("agent.start", "invoke_agent", "planner")
    torn = tmp_path / f".ai_dev_squad.jsonl.{'0' * 32}.open"
    torn.write_bytes(msgspec.json.encode(whole) + b'\n{"schema":1,"timestamp":"2026-')

    assert end_left_open(tmp_path) == 1
    assert _statuses(tmp_path) == {"planner": "abandoned"}


def test_a_directory_that_cannot_be_written_stays_as_it_is(program: subprocess.Popen[str], tmp_path: Path) -> None:
    """A reader that may only read changes nothing, and is told nothing of it."""
    _kill(program)
    (left,) = _left(tmp_path / "logs")
    journal = tmp_path / "logs" / "ai_dev_squad.jsonl"
    journal.rename(tmp_path / "elsewhere")
    journal.mkdir()  # root may write whatever the mode says, but no directory

    assert end_left_open(tmp_path / "logs") == 0
    assert _left(tmp_path / "logs") == [left]


def test_a_deleted_person_does_not_come_back(program: subprocess.Popen[str], tmp_path: Path) -> None:
    """What is ended later names nobody whose lines were taken out."""
    _kill(program)
    journal = tmp_path / "logs" / "ai_dev_squad.jsonl"

    remove_from_journals([journal], session_ids=["ada"])

    assert end_left_open(tmp_path / "logs") == 0
    assert b"ada" not in b"".join(path.read_bytes() for path in (tmp_path / "logs").iterdir())


def test_the_file_goes_when_nothing_is_open_any_more(tmp_path: Path) -> None:
    """A journal that is let go of keeps no file while nothing is open."""
    ai_dev_squad.configure(log_dir=tmp_path)
    run = operations.start(operations.AGENT, "planner", framework="own")
    ai_dev_squad.flush()
    assert len(_left(tmp_path)) == 1

    run.stop()
    ai_dev_squad.shutdown()

    assert _names(tmp_path) == ["ai_dev_squad.jsonl"]


def test_a_file_that_cannot_be_removed_disturbs_nobody(tmp_path: Path) -> None:
    """Letting go of a journal raises nothing of its small file, such as where its directory may not be written any more."""
    ai_dev_squad.configure(log_dir=tmp_path)
    run = operations.start(operations.AGENT, "planner", framework="own")
    ai_dev_squad.flush()
    (left,) = _left(tmp_path)
    (tmp_path / left).rename(tmp_path / "elsewhere")
    (tmp_path / left).mkdir()  # root may remove whatever the mode says, but no directory by this

    run.stop()
    ai_dev_squad.shutdown()

    assert _statuses(tmp_path) == {"planner": "ok"}

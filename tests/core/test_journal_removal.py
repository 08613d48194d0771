"""Lines are taken out of journals that are written and read meanwhile: nothing else changes for anybody."""

from __future__ import annotations

import gzip
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import msgspec
import pytest

from ai_dev_squad.attributes import USER_ID
from ai_dev_squad.events import read_journal
from ai_dev_squad.events.follow import JournalFollower
from ai_dev_squad.events.removal import Removed, remove_from_journals
from ai_dev_squad.events.rotation import compress_rotated, rotate
from ai_dev_squad.schema import JournalLine

ALICE, BOB = "a" * 32, "b" * 32
NOW = datetime(2026, 11, 28, tzinfo=timezone.utc)


def line(message: str, trace_id: str | None = None, **more) -> bytes:
    """A line of a journal."""
    known = JournalLine(
        timestamp=NOW, level="INFO", event_type="custom.event", message=message, trace_id=trace_id, **more
    )
    return msgspec.json.encode(known) + b"\n"


def messages(journal: Path) -> list[str]:
    """What readers find, without a complaint."""
    return [each.message for each in read_journal(journal, strict=True)]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A journal in three files: compressed, rotated and current, each with something of Alice's, first lines among them."""
    path = tmp_path / "squad.jsonl"
    path.write_bytes(line("hers 1", ALICE, session_id="alice") + line("his 1", BOB, session_id="bob"))
    rotate(path)
    compress_rotated(path, None)
    path.write_bytes(line("his 2", BOB) + line("hers 2", ALICE) + line("his 3", BOB))
    rotate(path)
    path.write_bytes(line("hers 3", ALICE) + line("hers 4", metadata={USER_ID: "user-alice"}) + line("his 4"))
    return path


@pytest.mark.parametrize(
    "chosen, lines, left",
    [
        ({"trace_ids": [ALICE]}, 3, ["his 1", "his 2", "his 3", "hers 4", "his 4"]),
        ({"session_ids": ["alice"]}, 3, ["his 1", "his 2", "his 3", "hers 4", "his 4"]),
        ({"user_ids": ["user-alice"]}, 1, ["hers 1", "his 1", "his 2", "hers 2", "his 3", "hers 3", "his 4"]),
        ({"trace_ids": [ALICE], "user_ids": ["user-alice"]}, 4, ["his 1", "his 2", "his 3", "his 4"]),
    ],
)  # fmt: skip
def test_lines_go_and_the_others_stay(journal, chosen, lines, left):
    """By trace, session or user, from every file; a session's runs go as a whole, wherever their lines say so."""
    removed = remove_from_journals([journal], **chosen)

    assert removed.lines == lines
    assert messages(journal) == left
    assert remove_from_journals([journal], **chosen) == Removed(0, 0)
    assert [path for path in journal.parent.iterdir() if path.suffix == ".removing"] == []


def test_no_byte_of_them_is_left(journal):
    """The words are in no file, unpacked or not."""
    remove_from_journals([journal], trace_ids=[ALICE], user_ids=["user-alice"])
    files = [gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes() for path in journal.parent.iterdir()]  # fmt: skip

    assert [word for word in (b"hers", b"alice", ALICE.encode()) if any(word in content for content in files)] == []


@pytest.mark.parametrize("read", range(9))
def test_every_place_that_a_reader_kept_stays_right(journal, read):
    """Whoever had read so far reads what follows, nothing twice and nothing less: one that kept its place, and one that goes on."""
    everything = messages(journal)
    going = JournalFollower(journal)
    before = [each.message for each in going.read(read)]
    kept = str(going.position)
    remove_from_journals([journal], trace_ids=[ALICE])
    with journal.open("ab") as opened:
        opened.write(line("new"))
    stays = [*(text for text in everything if text not in {"hers 1", "hers 2", "hers 3"}), "new"]
    wanted = [text for text in stays if text not in before]

    with JournalFollower(journal, position=kept) as resumed:
        assert [each.message for each in resumed.read()] == wanted
    # It may still hold a file of before, whose lines it had in memory.
    assert [text for text in (each.message for each in going.read()) if text in stays] == wanted
    going.close()


WRITER = """
import sys
from pathlib import Path
from ai_dev_squad.events.append import AppendFile
from ai_dev_squad.events.rotation import Rotation

file = AppendFile(Path(sys.argv[1]), Rotation(max_bytes=20_000, compress=False), lambda *_: None)
for text in sys.stdin.buffer:
    assert file.append(text)[1] is None
"""


def test_a_program_that_writes_meanwhile_loses_nothing(tmp_path):
    """Another process appends and rotates while lines are taken out again and again: every other line is there, once and in order."""
    journal, count = tmp_path / "squad.jsonl", 1500
    journal.touch()
    lines = b"".join(line(f"{number}", BOB if number % 3 else ALICE) for number in range(count))
    given = tmp_path / "lines"
    given.write_bytes(lines)
    with given.open("rb") as opened, subprocess.Popen([sys.executable, "-c", WRITER, journal], stdin=opened) as writer:
        while writer.poll() is None:
            remove_from_journals([journal], trace_ids=[ALICE])
    remove_from_journals([journal], trace_ids=[ALICE])

    assert writer.returncode == 0
    assert messages(journal) == [str(number) for number in range(count) if number % 3]


def test_a_torn_line_of_theirs_goes_as_well(tmp_path):
    """What a writer that died left behind cannot be read; it goes when it has their id in it, and stays otherwise."""
    journal = tmp_path / "squad.jsonl"
    journal.write_bytes(line("hers", ALICE)[:-3] + b"\n" + line("his", BOB)[:-3] + b"\n")
    removed = remove_from_journals([journal], trace_ids=[ALICE])

    assert removed == Removed(1, 1)
    assert ALICE.encode() not in journal.read_bytes()
    assert BOB.encode() in journal.read_bytes()

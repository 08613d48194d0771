"""Which journals there are: in directories and one level below, each once, whatever is missing, linked or cannot be listed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ai_dev_squad.events import finder
from ai_dev_squad.events.finder import Found, JournalFinder


def made(*paths: Path) -> tuple[Path, ...]:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return paths


def test_journals_are_found_in_a_directory_and_one_level_below(tmp_path: Path) -> None:
    """In the order of their names; what is no journal and what lies deeper is not."""
    found = made(tmp_path / "a.jsonl", tmp_path / "b.jsonl", tmp_path / "one" / "c.jsonl", tmp_path / "two" / "d.jsonl")
    made(tmp_path / "a.txt", tmp_path / "a.jsonl.1.gz", tmp_path / "one" / "deeper" / "e.jsonl")
    (tmp_path / "named.jsonl").mkdir()

    assert JournalFinder([tmp_path]).find() == Found(found, (), ())


def test_a_journal_is_found_once(tmp_path: Path) -> None:
    """By its absolute path, whether it is given itself, as well as its directory, or by a link; also before it is there."""
    (journal,) = made(tmp_path / "logs" / "a.jsonl")
    later = tmp_path / "later.jsonl"
    (tmp_path / "link").symlink_to(journal.parent)
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    given = [tmp_path / "link", Path("logs"), journal, later, tmp_path / "link" / "a.jsonl"]

    os.chdir(tmp_path)

    assert JournalFinder(given).find() == Found((journal, later), (), ())
    assert JournalFinder([tmp_path]).find() == Found((journal,), (), ())


def test_what_is_missing_and_what_cannot_be_listed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the reason, as it was given; the others are found all the same, and a later look finds what has come."""
    kept, closed, _ = made(tmp_path / "logs" / "a.jsonl", tmp_path / "logs" / "closed" / "b.jsonl", tmp_path / "file")
    missing, wrong = tmp_path / "missing", tmp_path / "file" / "logs"
    scandir = os.scandir
    failures = {closed.parent: OSError()}

    def refusing(path: Path) -> object:
        if path in failures:
            raise failures[path]
        return scandir(path)

    monkeypatch.setattr(finder.os, "scandir", refusing)
    looking = JournalFinder([missing, wrong, kept.parent])

    assert looking.find() == Found((kept,), (missing,), ((wrong, "Not a directory"), (closed.parent, "OSError")))
    failures[closed.parent] = FileNotFoundError()
    assert looking.find() == Found((kept,), (missing,), ((wrong, "Not a directory"),))
    failures.clear()
    (late,) = made(missing / "late.jsonl")
    assert looking.find() == Found((late, kept, closed), (), ((wrong, "Not a directory"),))


def test_a_directory_that_has_not_changed_is_listed_again_after_five_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clocks of file systems are coarse; one that has changed is listed at once."""
    (journal,) = made(tmp_path / "a.jsonl")
    scandir, listed, now = os.scandir, list[Path](), [100.0]
    monkeypatch.setattr(finder.os, "scandir", lambda path: listed.append(path) or scandir(path))
    monkeypatch.setattr(finder.time, "monotonic", lambda: now[0])
    looking = JournalFinder([tmp_path])

    def look(moment: float, changed: int) -> int:
        now[0] = moment
        os.utime(tmp_path, ns=(changed, changed))
        listed.clear()
        assert looking.find().journals == (journal,)
        return len(listed)

    moments = [
        (100.0, 7),
        (100.0, 7),
        (104.9, 7),
        (105.0, 7),
        (109.9, 7),
        (109.9, 8),
        (109.9, 6),
        (114.8, 6),
        (114.9, 6),
    ]
    assert [look(*moment) for moment in moments] == [1, 0, 0, 1, 0, 1, 1, 0, 1]

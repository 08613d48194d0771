"""Who counts a response that went on in the background, and for how long that is remembered."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

import ai_dev_squad
from ai_dev_squad.wire import claims


@pytest.fixture(autouse=True)
def a_process_that_begins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It has claimed nothing yet."""
    monkeypatch.setattr(claims, "_remembered", claims.OrderedDict())
    monkeypatch.setattr(claims, "_tidied", set())
    ai_dev_squad.configure(log_dir=tmp_path)


def claimed_before(tmp_path: Path, identifier: str, days: float) -> Path:
    """What another process has claimed so many days before now, as the disk has it."""
    before = {*tmp_path.glob(".background/*")}
    assert claims.claim(identifier)
    (path,) = {*tmp_path.glob(".background/*")} - before
    then = path.stat().st_mtime - days * 86_400
    os.utime(path, (then, then))
    claims._remembered.clear()
    claims._tidied.clear()
    return path


def test_a_claim_outlives_a_clock_that_jumps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process whose clock is a year ahead counts nothing that another one has counted today."""
    claimed_before(tmp_path, "resp_1", days=0)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 400 * 86_400)
    assert claims.claim("resp_2")
    assert not claims.claim("resp_1")


def test_claims_go_when_no_provider_keeps_the_response_any_more(tmp_path: Path) -> None:
    """After a month; what is younger stays."""
    old = claimed_before(tmp_path, "resp_old", days=32)
    young = claimed_before(tmp_path, "resp_young", days=29)
    assert claims.claim("resp_new")
    assert (old.exists(), young.exists()) == (False, True)
    assert not claims.claim("resp_young")


def test_without_a_journal_nothing_is_written(tmp_path: Path) -> None:
    """The process remembers by itself, until it is told to forget."""
    ai_dev_squad.configure(log_dir=tmp_path / "none", journal=False)
    assert [claims.claim("resp_1"), claims.claim("resp_1"), claims.claim("resp_2")] == [True, False, True]
    claims.forget()
    assert claims.claim("resp_1")
    assert not (tmp_path / "none").exists()

"""One lock on an open file: between processes, with a limit when asked, and an answer where there is none."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ai_dev_squad.file_locks import lock_file, unlock_file

HOLDER = """
import os, sys
from ai_dev_squad.file_locks import lock_file, unlock_file
fd = os.open(sys.argv[1], os.O_RDWR)
print(lock_file(fd), flush=True)
sys.stdin.readline()
unlock_file(fd)
print("given back", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("some text")
    return tmp_path / "file"


@pytest.fixture
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until it is told something."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        yield process
        process.kill()


def test_another_process_waits_until_the_lock_is_given_back(path: Path, holder: subprocess.Popen[str]) -> None:
    """With a limit it gives up and says so; the holder's open file still exists when the lock is free again."""
    fd = os.open(path, os.O_RDWR)

    with pytest.raises(TimeoutError, match=r"another process has held the lock for over 0\.02 s"):
        lock_file(fd, 0.02)
    assert holder.stdin is not None
    assert holder.stdout is not None
    holder.stdin.write("\n")
    holder.stdin.flush()
    assert holder.stdout.readline() == "given back\n"
    assert lock_file(fd) is True
    unlock_file(fd)
    assert lock_file(fd, 0) is True
    os.close(fd)


def test_the_lock_of_a_process_that_is_killed_is_free(path: Path, holder: subprocess.Popen[str]) -> None:
    """Nobody has to clean up after a crash."""
    holder.kill()
    holder.wait()
    fd = os.open(path, os.O_RDWR)

    assert lock_file(fd, 10) is True
    os.close(fd)


@pytest.mark.skipif(os.name != "posix", reason="the system call is POSIX's")
@pytest.mark.parametrize("timeout", [None, 1.0])
def test_a_file_system_without_locks_is_told_from_a_failure(
    path: Path, timeout: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No lock is an answer; a descriptor that isn't open is an error."""
    fd = os.open(path, os.O_RDWR)

    def refuse(fd: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    with monkeypatch.context() as patched:
        patched.setattr("fcntl.flock", refuse)
        assert lock_file(fd, timeout) is False
    os.close(fd)
    with pytest.raises(OSError, match="Bad file descriptor"):
        lock_file(fd, timeout)

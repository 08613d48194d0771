"""Locks on open files that hold between processes, on every system.

A lock belongs to the open file, so that two processes never have it at once, and it goes with the process that holds it.
It is advice: it keeps out who asks for it.
"""

from __future__ import annotations

import errno
import os
import sys
import time

__all__ = ["lock_file", "unlock_file"]

_PAUSE_S = 0.005
_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


def lock_file(fd: int, timeout: float | None = None) -> bool:
    """Take the lock of an open file, waiting for it. ``False`` when the file system has none.

    Raises ``TimeoutError`` when another process holds it for longer than ``timeout`` seconds (``None``: waits for ever).
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    try:
        if deadline is None and _wait_for_lock(fd):
            return True
        while not _try_lock(fd):
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"another process has held the lock for over {timeout:g} s")
            time.sleep(_PAUSE_S)
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return False
        raise
    return True


def unlock_file(fd: int) -> None:
    """Give the lock back. Closing alone would not do: a child forked meanwhile shares the open file."""
    _unlock(fd)


if sys.platform == "win32":  # pragma: no cover - the same three functions for another system
    import msvcrt

    # A locked byte can be neither read nor written by others, so it's one that no file ever has.
    _BYTE = 2**62

    def _wait_for_lock(fd: int) -> bool:
        return False  # there it gives up after ten seconds, so it's tried again and again instead

    def _try_lock(fd: int) -> bool:
        try:
            _at_byte(fd, msvcrt.LK_NBLCK)
        except OSError as error:
            if error.errno in {errno.EACCES, errno.EDEADLOCK}:
                return False
            raise
        return True

    def _unlock(fd: int) -> None:
        _at_byte(fd, msvcrt.LK_UNLCK)

    def _at_byte(fd: int, mode: int) -> None:
        before = os.lseek(fd, 0, os.SEEK_CUR)
        os.lseek(fd, _BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(fd, mode, 1)
        finally:
            os.lseek(fd, before, os.SEEK_SET)

else:
    import fcntl

    def _wait_for_lock(fd: int) -> bool:
        fcntl.flock(fd, fcntl.LOCK_EX)
        return True

    def _try_lock(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_UN)

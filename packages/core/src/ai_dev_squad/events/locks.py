"""Locks on open files that hold between processes; none on Windows, where one process owns a journal."""

from __future__ import annotations

import errno
import sys

__all__ = ["lock_file", "unlock_file"]

if sys.platform == "win32":

    def lock_file(fd: int) -> bool:
        """Take the lock of an open file, waiting for it. ``False`` when the platform or file system has none."""
        return False

    def unlock_file(fd: int) -> None:
        """Give the lock back."""

else:
    import fcntl

    _UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}

    def lock_file(fd: int) -> bool:
        """Take the lock of an open file, waiting for it. ``False`` when the platform or file system has none."""
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno in _UNSUPPORTED:
                return False
            raise
        return True

    def unlock_file(fd: int) -> None:
        """Give the lock back."""
        fcntl.flock(fd, fcntl.LOCK_UN)

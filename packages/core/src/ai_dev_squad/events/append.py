"""One file that several processes append whole lines to.

Every append holds the file's lock, so a file that doesn't end in a newline was left behind by a writer that died, and
whoever comes next mends it. The file may be rotated, removed or replaced at any time by somebody else; that is noticed
under the lock, and the line goes to the file that has the name now.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from ai_dev_squad.events.checks import refuse_pipe
from ai_dev_squad.events.rotation import Rotation, first_line_time, rotate
from ai_dev_squad.file_locks import lock_file, unlock_file

__all__ = ["AppendFile", "is_open_as"]

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_TAIL = 65_536
"""Bytes that are read at a time, backwards, to find where the last whole line ends."""
_ROTATION_PAUSE_S = 60.0
"""Between attempts to rotate a file that could not be."""


class AppendFile:
    """The file at ``path``, opened when first written to. Not for several threads at once: its owner has a lock.

    ``notice(reason, details)`` is told what happened to the file: ``"journal_removed"``, ``"torn_line"``,
    ``"rotated"``, ``"rotation_failed"``.
    """

    def __init__(self, path: Path, rotation: Rotation, notice: Callable[[str, dict[str, object]], None]) -> None:
        self.path = path
        self._rotation = rotation
        self._notice = notice
        self._fd: int | None = None
        self._identity: tuple[int, int] | None = None
        self._locked = False
        self._size = 0
        self._end = -1
        self._born: float | None = None
        self._no_rotation_before = 0.0

    def append(self, data: bytes, *, fsync: bool = False) -> tuple[int, OSError | None]:
        """Append whole lines. Returns how many bytes, always whole lines, are in the file, and what went wrong."""
        written = 0
        try:
            fd = self._acquire()
            try:
                self._mend(fd)
                error: OSError | None = None
                if fsync and not data:
                    os.fsync(fd)
                while written < len(data) and error is None:
                    # Asked again of the file that comes next: before we have its lock, others may have filled it.
                    while self._rotate_if_due(fd, data.find(b"\n", written) + 1 - written):
                        fd = self._acquire()
                        self._mend(fd)
                    more, error = self._write(fd, self._fitting(data, written))
                    written += more
                    if error is None and fsync:
                        os.fsync(fd)
            finally:
                self._release()
        except OSError as caught:
            error = caught
        return written, error

    def close(self) -> None:
        """Close the file; the next append opens it again."""
        fd, identity = self._fd, self._identity
        self._fd, self._identity, self._locked = None, None, False
        if fd is not None and is_open_as(fd, identity):
            os.close(fd)

    def __del__(self) -> None:
        self.close()

    # --- the lock -----------------------------------------------------------------------------------------------------

    def _acquire(self) -> int:
        """The descriptor of the file that has our name, locked."""
        for _ in range(100):
            fd = self._opened()
            # Asked before waiting for the lock as well: the lock of a rotated file is held while it's compressed.
            if not self._is_current():
                self.close()
                continue
            self._locked = lock_file(fd)
            if self._is_current():
                return fd
            self._release()
            self.close()
        raise OSError(f"the journal {str(self.path)!r} is replaced faster than it can be opened")

    def _release(self) -> None:
        if self._fd is not None and self._locked:
            unlock_file(self._fd)
        self._locked = False

    def _opened(self) -> int:
        if self._fd is not None and is_open_as(self._fd, self._identity):
            return self._fd
        self._fd, self._locked = None, False
        refuse_pipe(self.path)
        try:
            fd = os.open(self.path, _FLAGS, 0o666)
        except FileNotFoundError:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(self.path, _FLAGS, 0o666)
        self._fd = fd
        status = os.fstat(fd)
        self._identity = (status.st_dev, status.st_ino)
        self._end = -1
        self._born = None
        return fd

    def _is_current(self) -> bool:
        """Whether the open file is still the one that has the name; also learns its size."""
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            self._note_removal()
            return False
        self._size = status.st_size if stat.S_ISREG(status.st_mode) else -1
        return (status.st_dev, status.st_ino) == self._identity

    def _note_removal(self) -> None:
        assert self._fd is not None
        status = os.fstat(self._fd)
        # A file that somebody rotated still has a name; this one has none.
        if status.st_nlink == 0:
            self._notice("journal_removed", {"bytes": status.st_size})

    # --- writing ------------------------------------------------------------------------------------------------------

    def _write(self, fd: int, data: bytes) -> tuple[int, OSError | None]:
        written = 0
        view = memoryview(data)
        try:
            while written < len(data):
                written += os.write(fd, view[written:])
        except OSError as error:
            return self._keep_whole_lines(fd, data, written), error
        self._size += written if self._size >= 0 else 0
        self._end = self._size
        return written, None

    def _fitting(self, data: bytes, start: int) -> bytes:
        """The lines from ``start`` on that this file may still take; at least one."""
        limit = self._rotation.max_bytes
        room = len(data) if limit is None or self._size < 0 else limit - self._size
        if len(data) - start <= room or time.monotonic() < self._no_rotation_before:
            return data[start:] if start else data
        end = data.rfind(b"\n", start, start + max(room, 0)) + 1 or data.find(b"\n", start) + 1
        return data[start:end]

    def _keep_whole_lines(self, fd: int, data: bytes, written: int) -> int:
        """After a disk filled up in the middle of a line: take that line's beginning out again."""
        whole = data.rfind(b"\n", 0, written) + 1
        if whole != written and self._size >= 0 and self._locked:
            try:
                os.ftruncate(fd, self._size + whole)
            except OSError:  # pragma: no cover - the next append finds the torn line and mends it
                pass
        self._end = -1
        return whole

    def _mend(self, fd: int) -> None:
        """Make the file end in a newline. A torn line is taken out, as its writer never vouched for it."""
        if self._size <= 0 or self._size == self._end or _read_at(fd, self._size - 1, 1) == b"\n":
            return
        tail = _tail(fd, self._size)
        # Without a lock the rest may be on its way; what isn't ours isn't ours to remove.
        if not self._locked or _is_json(tail) or tail[:1] not in {b"{", b"\0"}:
            os.write(fd, b"\n")
            self._size += 1
            return
        self._size -= len(tail)
        os.ftruncate(fd, self._size)
        self._notice("torn_line", {"bytes": len(tail)})

    # --- rotation -----------------------------------------------------------------------------------------------------

    def _rotate_if_due(self, fd: int, more: int) -> bool:
        """Rotate and let go of the file if it's time. A failing rotation never stops the writing."""
        if self._size <= 0 or not self._rotation.due(self._size, more, self._birth(fd), time.time()):
            return False
        if time.monotonic() < self._no_rotation_before:
            return False
        try:
            if os.name == "nt":  # pragma: no cover - an open file can't be renamed there
                self.close()
            target = rotate(self.path)
        except FileNotFoundError:
            # The directory went away under us; taking the lock again finds that out and makes a new one.
            target = None
        except OSError as error:
            self._no_rotation_before = time.monotonic() + _ROTATION_PAUSE_S
            self._notice("rotation_failed", {"error": error})
            return self._fd is None
        self._release()
        self.close()
        if target is not None:
            self._notice("rotated", {"path": target})
        return True

    def _birth(self, fd: int) -> float | None:
        if self._rotation.max_age is None:
            return None
        if self._born is None:
            line = _read_at(fd, 0, _TAIL).partition(b"\n")[0]
            born = first_line_time(line)
            # A clock that was set back must not keep the file for ever.
            self._born = time.time() if born is None else min(born, time.time())
        return self._born


def _read_at(fd: int, offset: int, length: int) -> bytes:
    os.lseek(fd, offset, os.SEEK_SET)
    return os.read(fd, length)


def _tail(fd: int, size: int) -> bytes:
    """What stands behind the last newline."""
    tail = b""
    start = size
    while start > 0:
        step = min(_TAIL, start)
        start -= step
        _, newline, rest = _read_at(fd, start, step).rpartition(b"\n")
        if newline:
            return rest + tail
        tail = rest + tail
    return tail


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def is_open_as(fd: int, identity: tuple[int, int] | None) -> bool:
    """Whether a descriptor is still that of the file with this device and inode.

    A program that becomes a daemon closes all files, ours with them; what has the number now is somebody else's.
    """
    try:
        status = os.fstat(fd)
    except OSError:
        return False
    return (status.st_dev, status.st_ino) == identity

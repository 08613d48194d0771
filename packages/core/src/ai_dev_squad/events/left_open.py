"""What a process leaves open when it is killed, so that whoever comes next can write how it ended.

A process that is killed writes no closing line, and its runs would seem to go on for ever. So each writer of a journal keeps a
small file beside it: the opening lines of what it has open, under a lock that goes with the process. A file that somebody else can
lock is of a process that is gone; what stands in it is ended as ``abandoned``, in the journal itself, where every reader sees it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

import msgspec

from ai_dev_squad.events.append import AppendFile, is_open_as
from ai_dev_squad.events.reader import decode_line
from ai_dev_squad.events.rotation import Rotation
from ai_dev_squad.events.sanitise import encode_safely
from ai_dev_squad.file_locks import lock_file
from ai_dev_squad.kinds import KINDS
from ai_dev_squad.schema import ErrorInfo, EventType, JournalLine

__all__ = ["OpenOperations", "end_left_open"]

_FAILING: Final[dict[str, EventType]] = {kind.opening: kind.failing for kind in KINDS.values()}
_NAME: Final = re.compile(r"\.(?P<journal>.+)\.[0-9a-f]{32}\.open")
_MOST_BYTES: Final = 16_384
"""An opening line that is longer, by its captured content, is kept without it: the journal has the line itself."""
_FLAGS: Final = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class OpenOperations:
    """The file of one writer of ``journal``. Not for several threads at once: the journal has a lock.

    What goes wrong with it costs what a kill leaves open its end, and nothing else: nothing is raised.
    """

    def __init__(self, journal: Path) -> None:
        self._path = journal.with_name(f".{journal.name}.{os.urandom(16).hex()}.open")
        self._open: dict[str, bytes] = {}
        self._told = b""
        self._fd: int | None = None
        self._identity: tuple[int, int] | None = None
        self._unsupported = False

    def note(self, lines: Sequence[Any]) -> None:
        """Take what these lines open and close. Before they are in the journal: what it opens must never stand there alone."""
        try:
            self._take(lines)
        except AttributeError:  # a program may hand over anything, and such a line opens nothing
            self._take([line for line in lines if isinstance(line, JournalLine)])
        self._tell(b"".join(self._open.values()))

    def rest(self) -> None:
        """Keep no file while nothing is open."""
        if not self._open and self._fd is not None:
            with suppress(OSError):  # a directory that may not be written any more: whoever comes next removes it
                self._path.unlink()
            self.forget()

    def forget(self) -> None:
        """Let go of the file without removing it: in a forked child it is the parent's."""
        fd, self._fd, self._told = self._fd, None, b""
        if fd is not None and is_open_as(fd, self._identity):
            os.close(fd)

    def __del__(self) -> None:
        self.rest()
        self.forget()

    def _take(self, lines: Sequence[JournalLine]) -> None:
        begun: dict[str, JournalLine] = {}
        for line in lines:
            span_id = line.span_id or ""
            if line.status is not None:
                if begun.pop(span_id, None) is None:
                    self._open.pop(span_id, None)
            elif line.event_type in _FAILING:
                begun[span_id] = line
        # Encoded for those that outlast their batch; most don't.
        self._open.update({span_id: _encoded(line) for span_id, line in begun.items()})

    def _tell(self, told: bytes) -> None:
        if told == self._told or self._unsupported:
            return
        try:
            fd = self._opened()
            if fd is not None:
                os.lseek(fd, 0, os.SEEK_SET)
                os.write(fd, told)
                os.ftruncate(fd, len(told))
                self._told = told
        except OSError:
            self.forget()  # a full disk, a removed directory: the journal itself tells of it

    def _opened(self) -> int | None:
        """The file, locked by us; ``None`` on a file system without locks, where nobody could tell whether we live."""
        if self._fd is not None:
            # Somebody may have removed it, or closed all files of this process.
            if is_open_as(self._fd, self._identity) and os.fstat(self._fd).st_nlink:
                return self._fd
            self.forget()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        while self._fd is None:
            fd = os.open(self._path, _FLAGS | os.O_CREAT, 0o666)
            if not lock_file(fd):
                self._unsupported = True
                self._path.unlink(missing_ok=True)
                os.close(fd)
                return None
            status = os.fstat(fd)
            # Whoever ends what others left may have had it before us, and removed it.
            if status.st_nlink:
                self._fd, self._identity = fd, (status.st_dev, status.st_ino)
            else:
                os.close(fd)
        return self._fd


def end_left_open(directory: Path) -> int:
    """End, in the journals of ``directory``, what processes that are gone have left open. Returns how many operations.

    Their closing lines say ``abandoned``, and the last moment at which the process opened or closed something. Where a file cannot be
    read, locked or written, it stays for somebody else.
    """
    return sum(_end(path, directory / journal) for path, journal in _files(directory))


def _files(directory: Path) -> Iterator[tuple[Path, str]]:
    try:
        names = os.listdir(directory)
    except OSError:
        return
    for name in names:
        match = _NAME.fullmatch(name)
        if match:
            yield directory / name, match["journal"]


def _end(path: Path, journal: Path) -> int:
    try:
        fd = os.open(path, _FLAGS)
    except OSError:
        return 0
    try:
        # Locked with its name still there: nobody alive has it, and nobody else has ended it.
        if not lock_file(fd, timeout=0) or not os.fstat(fd).st_nlink:
            return 0
        heard = datetime.fromtimestamp(os.fstat(fd).st_mtime, timezone.utc)
        closing = [_closing(line, heard) for line in _lines(path)]
        if closing:
            file = AppendFile(journal, Rotation(), _say_nothing)
            _, error = file.append(b"".join(map(encode_safely, closing)))
            file.close()
            if error is not None:
                return 0
        path.unlink(missing_ok=True)
        return len(closing)
    except OSError:
        return 0
    finally:
        os.close(fd)


def _lines(path: Path) -> Iterator[JournalLine]:
    """The opening lines, innermost last; what a kill has torn is left out."""
    for text in path.read_bytes().splitlines():
        try:
            yield decode_line(text)
        except ValueError:
            continue


def _encoded(line: JournalLine) -> bytes:
    encoded = encode_safely(line)
    if len(encoded) <= _MOST_BYTES or line.metadata is None:
        return encoded
    short = {
        key: value for key, value in line.metadata.items() if isinstance(value, (str, int)) and len(str(value)) < 256
    }
    return encode_safely(msgspec.structs.replace(line, metadata=short))


def _closing(line: JournalLine, heard: datetime) -> JournalLine:
    heard = max(heard, line.timestamp)
    return msgspec.structs.replace(
        line,
        timestamp=heard,
        level="WARNING",
        event_type=_FAILING[line.event_type],
        message=f"{line.operation} {line.name}: abandoned",
        status="abandoned",
        duration_ms=(heard - line.timestamp) / timedelta(milliseconds=1),
        error=ErrorInfo(
            type="ProcessGone",
            message="the process ended without closing this, killed or out of memory; the duration is up to when it was last heard of",
        ),
    )


def _say_nothing(reason: str, details: dict[str, Any]) -> None:
    """A torn line that the dead left is mended by the append itself."""

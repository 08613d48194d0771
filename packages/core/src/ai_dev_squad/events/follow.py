"""Following a journal while it's being written, over rotations, truncation and restarts of the follower.

A place in the journal must survive that its file is renamed and compressed. So a file is known by its first line, which
never changes and carries a time of microseconds, and a place is that, an offset, and the number of the last rotated file
before it.
"""

from __future__ import annotations

import os
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Self

import msgspec

from ai_dev_squad.events.checks import refuse_pipe
from ai_dev_squad.events.journal import JOURNAL_FILE_NAME
from ai_dev_squad.events.reader import (
    FINGERPRINT_BYTES,
    BadLine,
    JournalError,
    OnBadLine,
    decode_line,
    fingerprint,
    is_blank,
    open_rotated,
)
from ai_dev_squad.events.rotation import RotatedFile, rotated_files
from ai_dev_squad.schema import JournalLine

__all__ = ["JournalFollower", "JournalPosition", "follow_journal"]

_CHUNK = 1 << 20


class JournalPosition(msgspec.Struct, frozen=True, kw_only=True):
    """A place in a journal, to be kept and resumed from; ``str()`` and ``parse`` turn it into text and back."""

    file: str | None = None
    """What the file's first line hashes to; ``None`` before the first line."""
    offset: int = 0
    """Bytes of this file, uncompressed, that were read."""
    after: int = 0
    """The number of the newest rotated file that is older than this one."""

    def __str__(self) -> str:
        return msgspec.json.encode(self).decode()

    @classmethod
    def parse(cls, text: str | bytes) -> JournalPosition:
        """The position that ``str()`` wrote. Raises ``ValueError`` for anything else."""
        try:
            return msgspec.json.decode(text, type=cls)
        except (msgspec.DecodeError, UnicodeError) as error:
            raise ValueError(
                f"{text!r} is no journal position ({error}); use what str(follower.position) gave, or begin anew with None"
            ) from None


def follow_journal(
    path_or_dir: str | os.PathLike[str],
    *,
    position: JournalPosition | str | None = None,
    poll_interval: float = 0.25,
    on_bad_line: OnBadLine | None = None,
) -> JournalFollower:
    """Follow a journal from ``position``, or from its oldest rotated file; ``poll_interval`` is in seconds.

    The file need not exist yet. In a directory the journal of the default name is followed. Iterate to wait for lines
    until ``stop()``, or call ``read()`` for what is new now; ``position`` tells where to resume.
    """
    return JournalFollower(path_or_dir, position=position, poll_interval=poll_interval, on_bad_line=on_bad_line)


class JournalFollower:
    """A reader that never finishes. Not for several threads at once, except ``stop``."""

    def __init__(
        self,
        path_or_dir: str | os.PathLike[str],
        *,
        position: JournalPosition | str | None = None,
        poll_interval: float = 0.25,
        on_bad_line: OnBadLine | None = None,
    ) -> None:
        path = Path(path_or_dir)
        # A directory that doesn't exist yet can only be told from a file by its name.
        self.path = path / JOURNAL_FILE_NAME if path.is_dir() or not path.suffix else path
        self.bad_lines = 0
        start = JournalPosition.parse(position) if isinstance(position, str) else position or JournalPosition()
        self._interval = poll_interval
        self._on_bad_line = on_bad_line
        self._stop = threading.Event()
        self._opened: IO[bytes] | None = None
        self._number: int | None = None
        self._identity: tuple[int, int] | None = None
        self._buffer = b""
        self._cursor = 0
        self._file, self._offset, self._after = start.file, start.offset, start.after

    @property
    def position(self) -> JournalPosition:
        """Behind the last line that was returned."""
        return JournalPosition(file=self._file, offset=self._offset, after=self._after)

    def __iter__(self) -> Iterator[JournalLine]:
        while not self._stop.is_set():
            found = False
            for line in self._new_lines():
                found = True
                yield line
                if self._stop.is_set():
                    return
            if not found:
                self._stop.wait(self._interval)

    def read(self, limit: int | None = None) -> list[JournalLine]:
        """What is new now, at most ``limit`` lines, without waiting."""
        lines: list[JournalLine] = []
        if limit is not None and limit <= 0:
            return lines
        for line in self._new_lines():
            lines.append(line)
            if limit is not None and len(lines) >= limit:
                break
        return lines

    def stop(self) -> None:
        """End the iteration, from any thread."""
        self._stop.set()

    def close(self) -> None:
        """Stop, and close the file."""
        self.stop()
        self._let_go()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- from file to file --------------------------------------------------------------------------------------------

    def _new_lines(self) -> Iterator[JournalLine]:
        while self._opened is not None or self._open_next():
            yield from self._lines_of_file()
            if not self._is_over():
                return
            # What was written between our last look and the rotation is in the file that we still hold.
            yield from self._lines_of_file()
            if self._goes_on():
                continue
            yield from self._last_words()
            self._finish()

    def _open_next(self) -> bool:
        """Open the file that we are in the middle of, or the one after the last that we finished."""
        while True:
            files = [file for file in rotated_files(self.path) if file.number > self._after]
            if self._file is not None and not self._open_same(files):
                # Pruned, truncated or replaced: go on with what is newer than all that was read.
                self._file, self._offset = None, 0
            if self._opened is None and not any(self._open(file) for file in [*files[:1], None]):
                return False
            if self._number is not None:
                self._after = self._number - 1
                return True
            # The current file was opened. If a rotation came in between, others come first.
            newest = files[-1].number if files else self._after
            if all(file.number <= newest for file in rotated_files(self.path)):
                self._after = newest
                return True
            self._let_go()

    def _open_same(self, files: list[RotatedFile]) -> bool:
        """Find the file by its first line: it may have been renamed and compressed since."""
        for file in [*files, None]:
            if self._open(file):
                if self._fingerprint() == self._file:
                    assert self._opened is not None
                    self._opened.seek(self._offset)
                    return True
                self._let_go()
        return False

    def _open(self, file: RotatedFile | None) -> bool:
        try:
            if file is None:
                refuse_pipe(self.path)
            self._opened = self.path.open("rb", buffering=0) if file is None else open_rotated(file)
            self._number = None if file is None else file.number
            self._identity = _identity(os.fstat(self._opened.fileno()))
        except OSError:
            self._let_go()
            return False
        return True

    def _is_over(self) -> bool:
        """Whether nothing more will come in this file; a file that was cut short in place is begun anew."""
        assert self._opened is not None
        if self._number is not None:
            return True
        try:
            return _identity(os.stat(self.path)) != self._identity
        except OSError:
            return True

    def _goes_on(self) -> bool:
        """Whether the file was only written anew, with lines taken out: then all places in it are as they were."""
        if self._number is not None or self._file is None:
            return False
        try:
            with self.path.open("rb", buffering=0) as current:
                if _known_by(current.read(FINGERPRINT_BYTES)) != self._file:
                    return False
        except OSError:
            return False
        offset = self._offset
        self._let_go()
        if not self._open(None):
            return False
        assert self._opened is not None
        self._opened.seek(offset)
        return True

    def _finish(self) -> None:
        if self._number is None and self._file is not None:
            # It was the current file and has a number now, if it's still there.
            mine = self._file
            self._let_go()
            for file in rotated_files(self.path):
                if file.number > self._after and self._open(file):
                    if self._fingerprint() == mine:
                        self._after = file.number
                        break
                    self._let_go()
        elif self._number is not None:
            self._after = self._number
        self._let_go()
        self._file, self._offset = None, 0

    def _let_go(self) -> None:
        opened, self._opened = self._opened, None
        self._number = self._identity = None
        self._buffer, self._cursor = b"", 0
        if opened is not None:
            opened.close()

    # --- within a file ------------------------------------------------------------------------------------------------

    def _lines_of_file(self) -> Iterator[JournalLine]:
        assert self._opened is not None
        if self._was_cut():
            self._opened.seek(0)
            self._file, self._offset, self._buffer, self._cursor = None, 0, b"", 0
        while True:
            end = self._buffer.find(b"\n", self._cursor) + 1
            if not end:
                chunk = self._read_chunk()
                if not chunk:
                    return
                self._buffer, self._cursor = self._buffer[self._cursor :] + chunk, 0
                continue
            text = self._buffer[self._cursor : end]
            if self._file is None:
                self._file = self._fingerprint()
            line = self._decoded(text)
            self._cursor = end
            self._offset += len(text)
            if line is not None:
                yield line

    def _read_chunk(self) -> bytes:
        assert self._opened is not None
        try:
            return self._opened.read(_CHUNK)
        except (OSError, EOFError, zlib.error) as error:
            self._bad(b"", f"the file is damaged from here on ({error})")
            return b""

    def _last_words(self) -> Iterator[JournalLine]:
        """What stands behind the last newline of a file that is complete."""
        text = self._buffer[self._cursor :]
        line = self._decoded(text)
        self._cursor += len(text)
        self._offset += len(text)
        if line is not None:
            yield line

    def _decoded(self, text: bytes) -> JournalLine | None:
        if not text or is_blank(text):
            return None
        try:
            return decode_line(text)
        except JournalError as error:
            self._bad(text, str(error))
            return None

    def _bad(self, text: bytes, reason: str) -> None:
        self.bad_lines += 1
        if self._on_bad_line is not None:
            self._on_bad_line(BadLine(self.path, 0, self._offset, text[:200], reason))

    def _was_cut(self) -> bool:
        """Whether the current file was truncated in place, also if it has grown beyond our place since."""
        assert self._opened is not None
        if self._number is not None or self._file is None:
            return False
        size = os.fstat(self._opened.fileno()).st_size
        return size < self._offset + len(self._buffer) - self._cursor or self._fingerprint() != self._file

    def _fingerprint(self) -> str | None:
        """The hash of the first line; ``None`` while there is no whole line."""
        assert self._opened is not None
        place = self._opened.tell()
        try:
            self._opened.seek(0)
            head = self._opened.read(FINGERPRINT_BYTES)
        except (OSError, EOFError, zlib.error):
            return None
        finally:
            self._opened.seek(place)
        return _known_by(head)


def _known_by(head: bytes) -> str | None:
    return None if b"\n" not in head and len(head) < FINGERPRINT_BYTES else fingerprint(head)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino

"""Reading journals: the rotated files first, then the one being written; bad lines are reported, never fatal.

A file that is being written may end in the middle of a line. A complete line has its closing brace, so a last line
without a newline counts if it can be read, and is reported as unfinished if it can't.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any

import msgspec

from ai_dev_squad.events.checks import refuse_pipe
from ai_dev_squad.events.rotation import RotatedFile, journals_in, rotated_files
from ai_dev_squad.schema import SCHEMA_VERSION, JournalLine

__all__ = [
    "FINGERPRINT_BYTES",
    "REMOVED",
    "BadLine",
    "JournalError",
    "decode_line",
    "fingerprint",
    "is_blank",
    "read_journal",
]

REMOVED = b'{"removed":"'
"""How a first line begins that was taken out: what its file is known by follows."""
FINGERPRINT_BYTES = 4_096
"""Of a first line, at most: what a file is known by."""
_EARLIEST, _LATEST = datetime(1900, 1, 1, tzinfo=timezone.utc), datetime(9000, 1, 1, tzinfo=timezone.utc)
"""Times beyond these can't be reckoned with; a clock that was never set tells 1970."""


class JournalError(ValueError):
    """A journal that can't be read, and what to do about it."""


@dataclass(frozen=True)
class BadLine:
    """A line that was skipped: where it stands, how it begins, and why it can't be read."""

    path: Path
    line_number: int
    """Counted from 1 in this file; 0 when it isn't known."""
    offset: int
    """Bytes of this file, uncompressed, before the line."""
    text: bytes
    """The first 200 bytes."""
    reason: str


OnBadLine = Callable[[BadLine], object]

_decode = msgspec.json.Decoder(JournalLine).decode


def decode_line(text: bytes) -> JournalLine:
    """One line of a journal. Raises ``JournalError`` saying what is wrong with it and, where there is one, the cure."""
    try:
        line = _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise JournalError(_explain(text, error)) from None
    if line.timestamp.tzinfo is None:
        line.timestamp = line.timestamp.replace(tzinfo=timezone.utc)
    if not _EARLIEST <= line.timestamp <= _LATEST:
        # What it took was taken, whatever the clock said.
        line.timestamp = min(max(line.timestamp, _EARLIEST), _LATEST)
    return line


def fingerprint(head: bytes) -> str:
    """What a journal's file is known by: its first line, which is at the start of ``head``, also after it was taken out."""
    line = head[:FINGERPRINT_BYTES].partition(b"\n")[0]
    if line.startswith(REMOVED):
        return line[len(REMOVED) :].partition(b'"')[0].decode("ascii", "replace")
    return hashlib.sha256(line).hexdigest()[:32]


def is_blank(text: bytes) -> bool:
    """Whether a line says nothing: there are lines of blanks where others were taken out."""
    return text.isspace() or text.startswith(REMOVED)


def _explain(text: bytes, error: Exception) -> str:
    try:
        version = msgspec.json.decode(text, type=dict[str, Any]).get("schema")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return f"it is not a JSON object ({error})"
    if isinstance(version, int) and version > SCHEMA_VERSION:
        return (
            f"it has schema {version}, written by a newer version of this package; this one reads schema "
            f"{SCHEMA_VERSION}. Upgrade it: pip install --upgrade ai-dev-squad"
        )
    return f"it is not a journal line of schema {SCHEMA_VERSION} ({error})"


def read_journal(
    path_or_dir: str | os.PathLike[str], *, strict: bool = False, on_bad_line: OnBadLine | None = None
) -> Iterator[JournalLine]:
    """The lines of a journal with its rotated files, oldest file first, or of every journal in a directory.

    A line that can't be read is skipped and given to ``on_bad_line``; with ``strict`` it raises ``JournalError`` instead,
    except for an unfinished last line of the file that is still being written. Raises ``FileNotFoundError`` at once when
    there is no journal. A single rotated file may be named too.
    """
    path = Path(path_or_dir)
    if path.is_dir():
        journals = journals_in(path)
        if not journals:
            raise FileNotFoundError(f"no journal in the directory {str(path)!r}; it would be a file named *.jsonl")
    else:
        journals = [path]
        if not path.exists() and not rotated_files(path):
            raise FileNotFoundError(
                f"no journal at {str(path)!r}; give the log directory (setting log_dir, AI_DEV_SQUAD_LOG_DIR) or a file"
            )
    return _read_all(journals, strict, on_bad_line or _ignore)


def _ignore(_: BadLine) -> None:
    """Nobody asked."""


def _read_all(journals: list[Path], strict: bool, on_bad_line: OnBadLine) -> Iterator[JournalLine]:
    for journal in journals:
        rotated, active = _snapshot(journal)
        with closing(active) if active is not None else _Nothing():
            for file in rotated:
                yield from _read_rotated(file, strict, on_bad_line)
            if active is not None:
                name = journal.name
                opened = _decompressed(active) if name.endswith(".gz") else active
                yield from _lines(opened, journal, strict, on_bad_line, growing=not name.endswith(".gz"))


class _Nothing:
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


def _snapshot(journal: Path) -> tuple[list[RotatedFile], IO[bytes] | None]:
    """The rotated files and the open current one, such that a rotation in between loses and repeats nothing."""
    while True:
        before = rotated_files(journal)
        refuse_pipe(journal)
        try:
            active = journal.open("rb")
        except FileNotFoundError:
            active = None
        if [file.number for file in rotated_files(journal)] == [file.number for file in before]:
            return before, active
        if active is not None:
            active.close()


def open_rotated(file: RotatedFile) -> IO[bytes]:
    """The open file, uncompressed. Raises ``FileNotFoundError`` when it has been pruned."""
    if not file.compressed:
        try:
            return file.path.open("rb")
        except FileNotFoundError:
            # It was compressed after we looked.
            return _decompressed(Path(f"{file.path}.gz").open("rb"))
    return _decompressed(file.path.open("rb"))


def _decompressed(raw: IO[bytes]) -> IO[bytes]:
    import gzip

    opened = gzip.GzipFile(fileobj=raw)
    # GzipFile leaves a file alone that it was given, unless it believes to have opened it itself.
    opened.myfileobj = raw  # type: ignore[assignment]
    return opened  # type: ignore[return-value]


def _read_rotated(file: RotatedFile, strict: bool, on_bad_line: OnBadLine) -> Iterator[JournalLine]:
    try:
        opened = open_rotated(file)
    except OSError as error:
        _bad(BadLine(file.path, 0, 0, b"", f"the file can't be opened ({error})"), strict, on_bad_line)
        return
    with closing(opened):
        yield from _lines(opened, file.path, strict, on_bad_line, growing=False)


def _lines(
    opened: IO[bytes], path: Path, strict: bool, on_bad_line: OnBadLine, *, growing: bool
) -> Iterator[JournalLine]:
    number = offset = 0
    while True:
        number += 1
        try:
            text = opened.readline()
        except (OSError, EOFError, zlib.error) as error:
            reason = f"the file is damaged from here on ({error})"
            _bad(BadLine(path, number, offset, b"", reason), strict, on_bad_line)
            return
        if not text:
            return
        offset += len(text)
        if is_blank(text):
            continue
        try:
            line = decode_line(text)
        except JournalError as error:
            torn = not text.endswith(b"\n")
            reason = f"it is unfinished: {error}" if torn else str(error)
            _bad(
                BadLine(path, number, offset - len(text), text[:200], reason),
                strict and not (torn and growing),
                on_bad_line,
            )
            continue
        yield line


def _bad(bad: BadLine, strict: bool, on_bad_line: OnBadLine) -> None:
    if strict:
        raise JournalError(f"{bad.path}, line {bad.line_number}: {bad.reason}")
    on_bad_line(bad)

"""Rotated journals: their names and order, when to rotate, compressing, and how many are kept.

The journal ``ai_dev_squad.jsonl`` becomes ``ai_dev_squad.000001.jsonl``, then ``ai_dev_squad.000001.jsonl.gz``. The
numbers only rise, so they give the order whatever the clock did.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from ai_dev_squad.file_locks import lock_file, unlock_file

__all__ = [
    "RotatedFile",
    "Rotation",
    "compress_rotated",
    "first_line_time",
    "has_name",
    "journals_in",
    "prune",
    "rotate",
    "rotated_files",
]

_CHUNK = 1 << 20
_ROTATED_NAME = re.compile(r"(?P<stem>.+)\.(?P<number>\d{6,})(?P<suffix>\.[^.]+)?")


@dataclass(frozen=True)
class Rotation:
    """When a journal is rotated (bytes, seconds; ``None`` never), and what becomes of the rotated files."""

    max_bytes: int | None = None
    max_age: float | None = None
    keep: int | None = None
    compress: bool = True

    def due(self, size: int, more: int, born: float | None, now: float) -> bool:
        """Whether a file of ``size`` bytes must be rotated before ``more`` bytes are added. Times are epoch seconds."""
        if size == 0:
            return False
        if self.max_bytes is not None and size + more > self.max_bytes:
            return True
        return self.max_age is not None and born is not None and now - born >= self.max_age


@dataclass(frozen=True)
class RotatedFile:
    """One rotated journal. ``path`` is the plain file while there is one, else the compressed one."""

    number: int
    path: Path

    @property
    def compressed(self) -> bool:
        """Whether this is a gzip file."""
        return self.path.suffix == ".gz"


def rotated_files(journal: Path) -> list[RotatedFile]:
    """The rotated files of ``journal``, oldest first. A missing directory has none."""
    found: dict[int, RotatedFile] = {}
    for number, path in _numbered(journal):
        if path.suffix == ".tmp":
            continue
        # A crash between compressing and removing the plain file leaves two of the same content.
        if number not in found or found[number].compressed:
            found[number] = RotatedFile(number, path)
    return [found[number] for number in sorted(found)]


def journals_in(directory: Path) -> list[Path]:
    """The journals of a directory by name, also those of which only rotated files are left."""
    names: set[str] = set()
    for entry in _names(directory):
        plain = entry.removesuffix(".gz")
        if not plain.endswith(".jsonl"):
            continue
        match = _ROTATED_NAME.fullmatch(plain)
        names.add(f"{match['stem']}{match['suffix'] or ''}" if match else plain)
    return [directory / name for name in sorted(names)]


def rotate(journal: Path) -> Path:
    """Give the file its number. The caller holds its lock. Returns the new path."""
    number = max((number for number, _ in _numbered(journal)), default=0) + 1
    target = _rotated_path(journal, number)
    # A listing may miss a file that is compressed meanwhile: its plain name goes while the other comes.
    while target.exists() or target.with_name(f"{target.name}.gz").exists():
        number += 1
        target = _rotated_path(journal, number)
    # With Windows in mind: rename, unlike replace, never overwrites there.
    os.rename(journal, target)
    return target


def _rotated_path(journal: Path, number: int) -> Path:
    return journal.with_name(f"{journal.stem}.{number:06d}{journal.suffix}")


def prune(journal: Path, keep: int | None) -> None:
    """Remove all but the newest ``keep`` rotated files, and what interrupted compressions left behind."""
    files = rotated_files(journal)
    doomed = {file.number for file in (files[: len(files) - keep] if keep is not None and len(files) > keep else [])}
    alive = {file.number for file in files} - doomed
    for number, path in _numbered(journal):
        if number in doomed or (path.suffix == ".tmp" and number not in alive):
            path.unlink(missing_ok=True)


def compress_rotated(journal: Path, keep: int | None) -> None:
    """Compress every plain rotated file and prune. Safe to be killed at any moment, and to run in two processes.

    The compressed file gets its name only when it's complete and on disk; the plain one is removed after that.
    """
    prune(journal, keep)
    for file in rotated_files(journal):
        if not file.compressed:
            _compress(file.path)
    prune(journal, keep)


def _compress(plain: Path) -> None:
    import gzip

    try:
        source = plain.open("rb+")
    except FileNotFoundError:
        return
    with source:
        lock_file(source.fileno())
        try:
            # Another process may have finished this file while we waited for its lock, or have taken lines out of it.
            if not has_name(source.fileno(), plain):
                return
            target, temporary = Path(f"{plain}.gz"), Path(f"{plain}.gz.tmp")
            try:
                with temporary.open("wb") as raw:
                    os.chmod(temporary, os.fstat(source.fileno()).st_mode & 0o777)
                    with gzip.GzipFile(filename=plain.name, mode="wb", fileobj=raw, compresslevel=6) as packed:
                        while chunk := source.read(_CHUNK):
                            packed.write(chunk)
                    raw.flush()
                    os.fsync(raw.fileno())
                temporary.replace(target)
            except OSError:
                temporary.unlink(missing_ok=True)
                raise
        finally:
            unlock_file(source.fileno())
    plain.unlink(missing_ok=True)


def has_name(fd: int, path: Path) -> bool:
    """Whether the open file is the one that has the name: another may have taken it while a lock was waited for."""
    try:
        named, opened = os.stat(path), os.fstat(fd)
    except FileNotFoundError:
        return False
    return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)


class _Stamp(msgspec.Struct):
    timestamp: datetime


def first_line_time(line: bytes) -> float | None:
    """The time of a journal's first line, in epoch seconds; ``None`` if it can't be told."""
    try:
        stamp = msgspec.json.decode(line, type=_Stamp).timestamp
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return (stamp if stamp.tzinfo else stamp.replace(tzinfo=timezone.utc)).timestamp()


def _numbered(journal: Path) -> Iterable[tuple[int, Path]]:
    pattern = re.compile(rf"{re.escape(journal.stem)}\.(\d{{6,}}){re.escape(journal.suffix)}(\.gz(\.tmp)?)?")
    for name in _names(journal.parent):
        match = pattern.fullmatch(name)
        if match:
            yield int(match[1]), journal.with_name(name)


def _names(directory: Path) -> list[str]:
    try:
        return os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []

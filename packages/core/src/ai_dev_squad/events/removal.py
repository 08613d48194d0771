"""Taking lines out of journals that are being written and read.

A line that goes is overwritten by blanks of its length in a new file, which takes the old one's place. So every place
that a reader has kept stays right: nothing is read twice, whoever reads. Writers lose nothing: the old file is locked
until the new one has its name, and who waited for the lock looks again which file that is.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from ai_dev_squad.attributes import CONVERSATION_ID, USER_ID
from ai_dev_squad.events.checks import refuse_pipe
from ai_dev_squad.events.left_open import end_left_open
from ai_dev_squad.events.reader import REMOVED, JournalError, decode_line, fingerprint
from ai_dev_squad.events.rotation import has_name, rotated_files
from ai_dev_squad.file_locks import lock_file, unlock_file

__all__ = ["Removed", "remove_from_journals"]

_TRIES: Final = 100
"""To lock a file before another takes its name."""
_LEVEL: Final = 6
"""Of compression, as where files are rotated."""


@dataclass(frozen=True)
class Removed:
    """What went."""

    lines: int
    files: int
    """Files that were written anew."""


class _Doomed:
    """Which lines go: those of some traces, sessions and users, and whole traces of which any line is theirs."""

    def __init__(self, traces: Collection[str], sessions: Collection[str], users: Collection[str]) -> None:
        self._traces = {trace_id.lower() for trace_id in traces}
        self._sessions, self._users = set(sessions), set(users)

    @property
    def needs_a_look(self) -> bool:
        """Whether the traces have to be found first."""
        return bool(self._sessions or self._users)

    def look(self, text: bytes) -> None:
        """Note the trace of a line that is theirs."""
        line = _decoded(text)
        if line is not None and line.trace_id is not None and self._is_theirs(line):
            self._traces.add(line.trace_id.lower())

    def has(self, text: bytes) -> bool:
        """Whether the line goes."""
        line = _decoded(text)
        if line is None:
            # What cannot be read may be the rest of a line of theirs.
            return any(name.encode() in text for name in (*self._traces, *self._sessions, *self._users))
        return (line.trace_id or "").lower() in self._traces or self._is_theirs(line)

    def _is_theirs(self, line: Any) -> bool:
        metadata = line.metadata or {}
        named = metadata.get(CONVERSATION_ID)
        return (
            line.session_id in self._sessions
            or (isinstance(named, str) and named in self._sessions)
            or (bool(self._users) and metadata.get(USER_ID) in self._users)
        )


def remove_from_journals(
    journals: Iterable[Path],
    *,
    trace_ids: Collection[str] = (),
    session_ids: Collection[str] = (),
    user_ids: Collection[str] = (),
) -> Removed:
    """Take the lines of these traces, sessions and users out of journals and their rotated files, while programs go on writing.

    A trace goes as a whole when any of its lines names one of the sessions or users. What a program writes afterwards
    stays. Raises ``OSError`` for a file that cannot be locked or written; files before it are done, and doing it again
    does the rest.
    """
    doomed = _Doomed(trace_ids, session_ids, user_ids)
    paths = [Path(journal) for journal in journals]
    for directory in {path.parent for path in paths}:
        end_left_open(directory)  # or these lines would be written after theirs are gone
    if doomed.needs_a_look:
        for path in _files(paths):
            for text in _lines(path):
                doomed.look(text)
    lines = files = 0
    for path in _files(paths):
        gone = _rewrite(path, doomed)
        lines, files = lines + gone, files + bool(gone)
    return Removed(lines, files)


def _files(journals: Iterable[Path]) -> Iterator[Path]:
    for journal in journals:
        refuse_pipe(journal)
        yield from (file.path for file in rotated_files(journal))
        if journal.exists():
            yield journal


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as raw:
            yield from _opened(path, raw)
    except FileNotFoundError:
        return  # compressed or pruned since it was listed; if compressed, the next look finds it
    except (EOFError, zlib.error):
        return  # what is damaged is read up to there, as readers do


def _opened(path: Path, raw: IO[bytes]) -> Any:
    import gzip

    return gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw


def _rewrite(path: Path, doomed: _Doomed) -> int:
    """Write a file anew if it has such lines. Returns how many."""
    for _ in range(_TRIES):
        try:
            raw = path.open("rb+")
        except FileNotFoundError:
            compressed = Path(f"{path}.gz")
            return _rewrite(compressed, doomed) if path.suffix != ".gz" and compressed.exists() else 0
        with raw:
            if not lock_file(raw.fileno()):
                raise OSError(
                    f"{str(path)!r} cannot be locked on its file system; stop the program that writes it, and copy it elsewhere"
                )
            try:
                # Rotated, compressed or written anew while we waited: what has the name now is what counts.
                if not has_name(raw.fileno(), path):
                    continue
                count = _replaced(path, raw, doomed)
            finally:
                unlock_file(raw.fileno())
        # One that was compressed just now goes away, and what it was compressed to has all of its lines.
        compressed = Path(f"{path}.gz")
        return count + (_rewrite(compressed, doomed) if compressed.exists() else 0)
    raise OSError(f"{str(path)!r} is replaced faster than it can be opened; stop the program that does, and try again")


def _replaced(path: Path, raw: IO[bytes], doomed: _Doomed) -> int:
    """Under the lock: the new file is complete and on disk before it takes the name."""
    draft = path.with_name(f"{path.name}.removing")
    count = 0
    try:
        with draft.open("wb") as target:
            os.chmod(draft, os.fstat(raw.fileno()).st_mode & 0o777)
            with _packed(path, target) as packed:
                for number, text in enumerate(_opened(path, raw)):
                    if not text.isspace() and not text.startswith(REMOVED) and doomed.has(text):
                        count += 1
                        packed.write(_blank(text, first=number == 0))
                    else:
                        packed.write(text)
            target.flush()
            os.fsync(target.fileno())
        if count:
            draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return count


class _packed:  # noqa: N801 - read as a statement
    """Where to write, compressed when the file is."""

    def __init__(self, path: Path, target: IO[bytes]) -> None:
        import gzip

        self._zipped = None
        if path.suffix == ".gz":
            self._zipped = gzip.GzipFile(filename=path.stem, mode="wb", fileobj=target, compresslevel=_LEVEL)
        self._target: Any = self._zipped or target

    def __enter__(self) -> Any:
        return self._target

    def __exit__(self, *_: object) -> None:
        if self._zipped is not None:
            self._zipped.close()


def _blank(text: bytes, *, first: bool) -> bytes:
    """As many bytes that say nothing. A file is known by its first line, so that one keeps what it is known by."""
    end = b"\n" if text.endswith(b"\n") else b""
    kept = REMOVED + fingerprint(text).encode() + b'"}' if first else b""
    return kept + b" " * (len(text) - len(kept) - len(end)) + end


def _decoded(text: bytes) -> Any:
    try:
        return decode_line(text)
    except JournalError:
        return None

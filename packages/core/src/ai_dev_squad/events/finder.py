"""Which journals there are in the directories that are followed: they appear, vanish and are rotated meanwhile."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ai_dev_squad.events.left_open import end_left_open
from ai_dev_squad.events.rotation import journals_in

__all__ = ["Found", "JournalFinder"]

_RELIST_S = 5.0
"""Seconds after which a directory is listed though nothing says that it changed: clocks of file systems are coarse."""


@dataclass(frozen=True)
class Found:
    """What a look at the directories gave."""

    journals: tuple[Path, ...]
    """Absolute, without links, each once."""
    missing: tuple[Path, ...]
    """Directories that do not exist yet."""
    errors: tuple[tuple[Path, str], ...]
    """Directories that cannot be listed, and why."""


@dataclass
class _Listing:
    changed_ns: int
    listed_at: float
    journals: list[Path]
    directories: list[Path]


class JournalFinder:
    """Looks for ``*.jsonl`` in ``directories`` and one level below. A journal's own path may be given as well.

    A directory that has not changed is not listed again. Whoever looks also ends what processes that were killed have left open
    there, so that every reader sees how it ended.
    """

    def __init__(self, directories: Sequence[Path]) -> None:
        self._given = [Path(directory) for directory in directories]
        self._listings: dict[Path, _Listing] = {}

    def find(self) -> Found:
        """What is there now."""
        journals: dict[Path, None] = {}
        missing: list[Path] = []
        errors: list[tuple[Path, str]] = []
        for given in self._given:
            try:
                root = _real(given)
                if root.is_file() or (root.suffix == ".jsonl" and not root.is_dir()):
                    journals[root] = None
                    continue
                listing = self._listing(root)
            except FileNotFoundError:
                missing.append(given)
                continue
            except OSError as error:
                errors.append((given, _reason(error)))
                continue
            journals.update(dict.fromkeys(listing.journals))
            for directory in listing.directories:
                try:
                    journals.update(dict.fromkeys(self._listing(directory).journals))
                except FileNotFoundError:
                    pass
                except OSError as error:
                    errors.append((directory, _reason(error)))
        return Found(tuple(journals), tuple(missing), tuple(errors))

    def _listing(self, directory: Path) -> _Listing:
        changed_ns = directory.stat().st_mtime_ns
        known = self._listings.get(directory)
        now = time.monotonic()
        if known is not None and known.changed_ns == changed_ns and now - known.listed_at < _RELIST_S:
            return known
        with os.scandir(directory) as entries:
            directories = sorted(Path(entry.path) for entry in entries if _is_directory(entry))
        end_left_open(directory)
        found = [_real(path) for path in journals_in(directory) if path not in directories]
        listing = _Listing(changed_ns, now, found, directories)
        self._listings[directory] = listing
        return listing


def _real(path: Path) -> Path:
    # Unlike Path.resolve, this never raises for links that lead in a circle.
    return Path(os.path.realpath(path))


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__

"""Who counts a response that several processes can ask for: the first one that says so in the directory of the journal.

A claim is an empty file that is made exclusively, which is atomic on a disk and between processes. Where none can be
made, or no journal is kept, this process remembers its own.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from pathlib import Path

from ai_dev_squad import state
from ai_dev_squad.guard import report
from ai_dev_squad.process import ForkSafeLock

__all__ = ["claim", "forget"]

_DIRECTORY = ".background"
_KEPT_S = 31 * 86_400
"""Providers keep a response for thirty days; nobody can be told of it later."""
_MOST_REMEMBERED = 10_000

_lock = ForkSafeLock()
_remembered: OrderedDict[Path, None] = OrderedDict()
_tidied: set[Path] = set()


def claim(identifier: str) -> bool:
    """Whether this is the first time that the response of this id is counted, as far as this machine's processes know."""
    # An id is the provider's text, and a name must be no path.
    name = hashlib.sha256(identifier.encode("utf-8", "replace")).hexdigest()[:40]
    settings = state.pipeline().settings
    directory = Path(settings.log_dir).absolute() / _DIRECTORY
    path = directory / name
    with _lock:
        if path in _remembered:
            return False
        _remembered[path] = None
        if len(_remembered) > _MOST_REMEMBERED:
            _remembered.popitem(last=False)
    if not settings.journal:
        return True
    try:
        directory.mkdir(parents=True, exist_ok=True)
        path.touch(exist_ok=False)
        _tidy(directory, path)
    except FileExistsError:
        return False
    except OSError as error:
        report("claiming a response that went on in the background", error)
    return True


def forget() -> None:
    """Know no more what this process has counted, as what is observed next has nothing to do with it."""
    with _lock:
        _remembered.clear()


def _tidy(directory: Path, newest: Path) -> None:
    """Delete claims on what no provider keeps any more, once a process: by the disk's own time, whatever the clock says."""
    if directory in _tidied:
        return
    _tidied.add(directory)
    oldest = newest.stat().st_mtime - _KEPT_S
    for path in directory.iterdir():
        try:
            if path.stat().st_mtime < oldest:
                path.unlink()
        except FileNotFoundError:  # another process was faster
            pass

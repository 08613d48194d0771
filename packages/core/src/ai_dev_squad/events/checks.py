"""Whether a journal's settings make sense, asked before anything is opened."""

from __future__ import annotations

import stat
from pathlib import Path

__all__ = ["check_settings", "refuse_pipe"]


def check_settings(
    path: Path,
    queue_size: int,
    on_full: str,
    flush_interval: float,
    max_bytes: int | None,
    max_age: float | None,
    keep: int | None,
) -> None:
    """Raise ``ValueError``, naming the value, what is allowed and the cure, unless a journal can be made of these."""
    if on_full not in {"drop", "block"}:
        raise ValueError(f"on_full={on_full!r} is not allowed; use 'drop' or 'block'")
    for name, value, allowed, least in (
        ("queue_size", queue_size, "a whole number of lines, 1 or more", 1),
        ("flush_interval", flush_interval, "seconds, more than 0", 1e-6),
        ("max_bytes", max_bytes, "a whole number of bytes, 1 or more, or None for no limit", 1),
        ("max_age", max_age, "seconds, more than 0, or None for no limit", 1e-6),
        ("keep", keep, "a whole number of files, 0 or more, or None for all", 0),
    ):
        if value is None and "None" in allowed:
            continue
        # What is counted by a float would fail only where it is first counted, in the thread.
        numbers = int if "whole" in allowed else (int, float)
        if isinstance(value, bool) or not isinstance(value, numbers) or not value >= least:
            raise ValueError(f"{name}={value!r} is not allowed; use {allowed}")
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if stat.S_ISDIR(mode):
        raise ValueError(
            f"the journal's path {str(path)!r} is a directory; name a file in it, such as 'ai_dev_squad.jsonl'"
        )
    try:
        refuse_pipe(path)
    except OSError as error:
        raise ValueError(str(error)) from None


def refuse_pipe(path: Path) -> None:
    """Raise ``OSError`` where ``path`` is a pipe or a socket: opening one waits for ever, as does reading from it."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        raise OSError(f"{str(path)!r} is a pipe or a socket, and a journal is a file; name a file")

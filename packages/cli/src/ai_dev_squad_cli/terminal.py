"""What commands share: errors that a user can put right, and how things are said in a terminal."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

__all__ = ["CommandError", "log_paths", "moment_us", "say", "show_json", "table", "wants_colour"]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class CommandError(Exception):
    """What a user can put right: the message says how. ``code`` is the exit code, 2 for a command that was asked wrongly."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def say(text: str = "", *, error: bool = False) -> None:
    """Print a line, whatever the terminal's encoding."""
    stream = sys.stderr if error else sys.stdout
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()


def show_json(value: Any) -> None:
    """Print a value as indented JSON. Dataclasses and times are understood."""
    import msgspec

    say(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def moment_us(text: str) -> int:
    """The moment that ``24h``, ``7d``, ``30m``, ``2w`` ago was, or that a date such as ``2026-11-01`` names, in microseconds.

    Raises ``CommandError`` for anything else.
    """
    match = re.fullmatch(r"(\d{1,9})([smhdw])", text.strip().lower())
    if match:
        return max(0, time.time_ns() // 1000 - int(match[1]) * _UNITS[match[2]] * 1_000_000)
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise CommandError(
            f"{text!r} is no span of time and no date; write 30m, 24h, 7d or 2w, or a date such as 2026-11-01", 2
        ) from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp() * 1e6)


def log_paths(given: Sequence[str]) -> list[Path]:
    """The directories or journals that are meant: those given, else the one where programs write theirs."""
    return [Path(path) for path in given] or [Path(os.environ.get("AI_DEV_SQUAD_LOG_DIR") or "logs")]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns: the first to the left, the others, which are figures, to the right."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    for row in [head, *rows]:
        cells = [
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        say("  ".join(cells).rstrip())


def wants_colour(choice: str = "auto") -> bool:
    """Whether to colour what is printed: ``always``, ``never``, or ``auto`` by the terminal and ``NO_COLOR``."""
    if choice != "auto":
        return choice == "always"
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and sys.stdout.isatty()

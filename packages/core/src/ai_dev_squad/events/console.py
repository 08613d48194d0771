"""Events for people: one short line each on stderr, coloured on a terminal, harmless to it in any case."""

from __future__ import annotations

import os
import re
import sys
from datetime import timezone
from typing import TextIO

from ai_dev_squad.guard import report
from ai_dev_squad.schema import JournalLine

__all__ = ["Console", "format_line", "safe_text"]

_COLOURS = {"DEBUG": "2", "INFO": "36", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}

# C0 and C1 controls move the cursor and rewrite the screen; bidirectional marks and separators reorder what is read.
_ACTIVE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def safe_text(text: str) -> str:
    """``text`` on one line, with everything that a terminal would obey spelled out as an escape."""
    return _ACTIVE.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode(), text)


def format_line(line: JournalLine, *, colour: bool = False) -> str:
    """One event on one line: time (UTC), level, event type, who, message, and the figures that there are."""
    level = f"[{line.level}]"
    if colour:
        level = f"\x1b[{_COLOURS.get(line.level, '0')}m{level}\x1b[0m"
    moment = line.timestamp.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
    who = "/".join(part for part in (line.framework, line.agent_id) if part)
    figures = _figures(line)
    text = f"{line.event_type} {safe_text(who) + ': ' if who else ''}{safe_text(line.message)}{f' ({figures})' if figures else ''}"
    return f"{moment}Z {level} {text}"


def _figures(line: JournalLine) -> str:
    parts = []
    if line.duration_ms is not None:
        parts.append(f"{line.duration_ms:.1f} ms")
    if line.usage is not None and line.usage.source != "missing":
        about = "about " if line.usage.source == "estimated" else ""
        parts.append(f"{about}{line.usage.input_tokens} in, {line.usage.output_tokens} out")
    if line.cost is not None:
        parts.append("price unknown" if line.cost.usd is None else f"${line.cost.usd:.6f}")
    if line.error is not None:
        parts.append(safe_text(line.error.type))
    return ", ".join(parts)


class Console:
    """Writes events to ``stream``, or to whatever ``sys.stderr`` is at that moment."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    def write(self, line: JournalLine) -> None:
        """Show the event. Never raises: there may be no terminal, or none any more."""
        stream = sys.stderr if self._stream is None else self._stream
        # Programs without a terminal (pythonw, some services) have no stderr.
        if stream is None:
            return
        try:
            text = format_line(line, colour=_wants_colour(stream)) + "\n"
            encoding = getattr(stream, "encoding", None) or "utf-8"
            stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            stream.flush()
        except Exception as error:  # noqa: BLE001 - a closed pipe must not reach the program
            report("writing an event to the console", error)


def _wants_colour(stream: TextIO) -> bool:
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()

"""The writer's thread side: encode lines, put them into the file, and let nothing be lost in silence.

Encoded bytes stay pending until the file has taken them. What went wrong meanwhile (a full queue, a full disk, a removed
directory, a torn line) is told in the journal itself, as ``telemetry.dropped`` lines.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from ai_dev_squad.background import Worker
from ai_dev_squad.events.append import AppendFile
from ai_dev_squad.events.left_open import OpenOperations, end_left_open
from ai_dev_squad.events.pending import PendingLine
from ai_dev_squad.events.rotation import Rotation, compress_rotated, prune, rotated_files
from ai_dev_squad.events.sanitise import encode_safely, lost_line
from ai_dev_squad.guard import report
from ai_dev_squad.schema import JournalLine, utc_now

__all__ = ["LineWriter"]

_BATCH_LINES = 4_096
_BATCH_BYTES = 4 << 20


class LineWriter:
    """Takes lines from a queue to the file. Not for several threads at once: the journal has a lock.

    ``dropped()`` tells how many lines never got into the queue because ``queue_size`` were waiting already.
    """

    def __init__(
        self,
        path: Path,
        queue: deque[JournalLine | PendingLine],
        rotation: Rotation,
        *,
        fsync: bool,
        queue_size: int,
        dropped: Callable[[], int],
    ) -> None:
        self.path = path
        self._queue = queue
        self._rotation = rotation
        self._fsync = fsync
        self._queue_size = queue_size
        self._dropped = dropped
        self._drops_told = 0
        self._encode_lines = msgspec.json.Encoder().encode_lines
        self._file = AppendFile(path, rotation, self._on_notice)
        self._open = OpenOperations(path)
        self._notices: list[JournalLine] = []
        self._pending = b""
        self._pending_lines = 0
        self._failed_at: float | None = None
        self._failure: OSError | None = None
        self._swept = False
        self.compressor = Worker("ai-dev-squad-gzip", self._tidy)
        """Compresses and prunes rotated files."""
        self.strict_error: Exception | None = None
        self.written = self.bytes = self.errors = self.rotations = 0

    @property
    def failing(self) -> bool:
        """Whether the last attempt to write failed."""
        return self._failed_at is not None

    @property
    def waiting(self) -> int:
        """Lines that are in the queue or encoded, and not in the file."""
        return len(self._queue) + self._pending_lines

    def close_file(self) -> None:
        """Let go of the file; it's opened again when needed."""
        self._file.close()
        self._open.rest()

    def leave_to_parent(self) -> None:
        """In a forked child: let go of what is the parent's."""
        self._file.close()
        self._open.forget()

    def write_lines(self, count: int) -> bool:
        """Write ``count`` lines of the queue, after whatever is still pending. ``False`` when the file didn't take all."""
        popleft = self._queue.popleft
        if (self._pending or self._failed_at is not None) and not self._append():
            return False
        self._tell_drops()
        while count or self._notices:
            notices, self._notices = self._notices, []
            size, lines = 0, count + len(notices)
            parts = [encode_safely(notice) for notice in notices]
            while count and size < _BATCH_BYTES:
                take = min(count, _BATCH_LINES)
                count -= take
                batch = [self._made(popleft()) for _ in range(take)]
                self._open.note(batch)
                parts.append(self._encode(batch))
                size += len(parts[-1])
            self._pending, self._pending_lines = b"".join(parts), lines - count
            if not self._append():
                return False
        return True

    def _made(self, line: JournalLine | PendingLine) -> JournalLine:
        try:
            return line.line() if isinstance(line, PendingLine) else line
        except Exception as error:  # noqa: BLE001 - one bad line must not cost the others
            self.report("making a line of the journal", error)
            return lost_line(line, error)

    def _encode(self, lines: list[JournalLine]) -> bytes:
        try:
            return self._encode_lines(lines)
        except Exception:  # noqa: BLE001 - one bad line must not cost the others
            return b"".join(map(encode_safely, lines))

    def _append(self) -> bool:
        """Try to put the pending bytes into the file; what doesn't go in stays pending."""
        size, error = self._file.append(self._pending, fsync=self._fsync)
        # To count the lines takes a third of the time of encoding them: that is for a disk that took some of them only.
        left = 0 if size == len(self._pending) else self._pending.count(b"\n", size)
        self.written += self._pending_lines - left
        self.bytes += size
        self._pending, self._pending_lines = self._pending[size:], left
        if error is not None:
            self.errors += 1
            self._failure = error
            if self._failed_at is None:
                self._failed_at = time.monotonic()
                self.report(f"writing the journal {str(self.path)!r}", error)
            return False
        if self._failed_at is not None:
            self._recovered()
        if not self._swept:
            self._swept = True
            self._sweep()
            end_left_open(self.path.parent)
        return True

    # --- what must not stay silent ------------------------------------------------------------------------------------

    def report(self, what: str, error: Exception) -> None:
        """Report a failure; strict mode's exception is kept for whoever flushes next."""
        try:
            report(what, error)
        except Exception as strict:  # noqa: BLE001 - raised at the next flush, where somebody can see it
            self.strict_error = strict

    def _notify(self, message: str, **metadata: Any) -> None:
        self._notices.append(
            JournalLine(
                timestamp=utc_now(),
                level="WARNING",
                event_type="telemetry.dropped",
                message=message,
                metadata={**metadata, "pid": os.getpid()},
            )
        )

    def _tell_drops(self) -> None:
        dropped = self._dropped() - self._drops_told
        if dropped:
            self._drops_told += dropped
            self._notify(
                f"{dropped} events were dropped: {self._queue_size} were waiting to be written already",
                dropped=dropped,
                reason="queue_full",
                queue_size=self._queue_size,
            )

    def _recovered(self) -> None:
        error, failed_at = self._failure, self._failed_at
        self._failed_at = self._failure = None
        assert failed_at is not None
        dropped = self._dropped() - self._drops_told
        self._drops_told += dropped
        seconds = round(time.monotonic() - failed_at, 3)
        self._notify(
            f"the journal could not be written for {seconds} s; {dropped} events were dropped meanwhile",
            dropped=dropped,
            reason="write_failed",
            seconds=seconds,
            error=f"{type(error).__name__}: {error}",
        )

    def _on_notice(self, reason: str, details: dict[str, Any]) -> None:
        if reason == "rotated":
            self.rotations += 1
            self._sweep()
        elif reason == "rotation_failed":
            self.report(f"rotating the journal {str(self.path)!r}", details["error"])
        elif reason == "torn_line":
            self._notify("a line that another writer left unfinished was removed", dropped=1, reason=reason, **details)
        else:
            self.report(f"keeping the journal {str(self.path)!r}", FileNotFoundError("the file was removed"))
            self._notify("the journal was removed with the lines in it; a new one was begun", reason=reason, **details)

    # --- rotated files ------------------------------------------------------------------------------------------------

    def _sweep(self) -> None:
        """Compress and prune rotated files in the background, also those that an earlier process left behind."""
        if rotated_files(self.path):
            self.compressor.wake()

    def _tidy(self) -> None:
        try:
            if self._rotation.compress:
                compress_rotated(self.path, self._rotation.keep)
            else:
                prune(self.path, self._rotation.keep)
        except Exception as error:  # noqa: BLE001 - the plain file is still there, and the next rotation tries again
            self.report(f"compressing the rotated journals of {str(self.path)!r}", error)

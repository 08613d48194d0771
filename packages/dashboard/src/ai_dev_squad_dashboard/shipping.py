"""Journals on their way to another machine: each line as an OTLP log record, from which the receiver rebuilds the runs.

How far each journal was sent is written down after the receiver has taken it, and not before. So after a kill at any moment
some lines go twice and none is lost; the dashboard counts a line that comes twice once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ai_dev_squad.events.finder import JournalFinder
from ai_dev_squad.events.follow import JournalFollower, JournalPosition
from ai_dev_squad.events.reader import BadLine
from ai_dev_squad.schema import JournalLine
from ai_dev_squad_dashboard.otlp_post import Answer
from ai_dev_squad_dashboard.private_file import write_private

__all__ = ["Shipped", "Shipper", "Unsendable"]

_BATCH_LINES = 1_000
_BATCH_BYTES = 1 << 20
_LONGEST_PAUSE_S = 30.0
_SEVERITY = {"DEBUG": 5, "INFO": 9, "WARNING": 13, "ERROR": 17, "CRITICAL": 21}
"""OpenTelemetry's numbers of severity: https://opentelemetry.io/docs/specs/otel/logs/data-model/#field-severitynumber"""

Send = Callable[[bytes], Answer]
Tell = Callable[[str], None]


class Unsendable(Exception):
    """Nothing can be sent until somebody puts it right."""


@dataclass
class Shipped:
    """What was done since the start."""

    lines: int = 0
    """Lines that the receiver took."""
    refused: int = 0
    """Lines that it will never take; each was told."""
    bad_lines: int = 0
    """Lines that are no journal lines; they stay where they are."""


class Shipper:
    """Sends what stands in the journals of ``directories``, in order, each line at least once.

    ``send`` posts one request in OTLP's JSON. ``state`` is the file that remembers how far ``target``, the receiver's address,
    has everything. ``tell`` says what a person should know. ``waits=False``: what cannot be sent now is ``Unsendable``. One
    thread at a time, except for ``stop``.
    """

    def __init__(
        self, directories: Sequence[Path], send: Send, *, state: Path, target: str, tell: Tell, waits: bool = True
    ) -> None:
        self._finder = JournalFinder(directories)
        self._send, self._state, self._target, self._tell, self._waits = send, state, target, tell, waits
        self._followers: dict[Path, JournalFollower] = {}
        self._stop = threading.Event()
        self._told = ""
        self.shipped = Shipped()
        self._positions = _read_positions(state)

    def ship_all(self) -> Shipped:
        """Send all that is written now. Raises ``Unsendable`` when that cannot be, and waits or not as it was made."""
        try:
            while self._turn():
                pass
        finally:
            self._close()
        return self.shipped

    def follow(self, poll_s: float = 0.5) -> Shipped:
        """Send what comes, until ``stop``."""
        try:
            while not self._stop.is_set():
                if not self._turn():
                    self._stop.wait(poll_s)
        finally:
            self._close()
        return self.shipped

    def stop(self) -> None:
        """End ``follow`` soon, from any thread or a signal."""
        self._stop.set()

    def _close(self) -> None:
        for follower in self._followers.values():
            follower.close()
        self._followers.clear()

    def _turn(self) -> bool:
        """A batch of each journal that has news. Whether there were some."""
        busy = False
        for path in self._finder.find().journals:
            lines = self._follower(path).read(_BATCH_LINES)
            if lines and not self._stop.is_set():
                for batch in _batches(lines, path):
                    if not self._deliver(batch):
                        return False  # stopped on the way: this batch is sent again next time
                self._remember(path)
                busy = True
        return busy

    def _follower(self, path: Path) -> JournalFollower:
        follower = self._followers.get(path)
        if follower is None:
            position = self._positions.get(self._target, {}).get(str(path))
            follower = self._followers[path] = JournalFollower(path, position=position, on_bad_line=self._on_bad_line)
        return follower

    def _on_bad_line(self, line: BadLine) -> None:
        self.shipped.bad_lines += 1

    def _remember(self, path: Path) -> None:
        positions = self._positions.setdefault(self._target, {})
        positions[str(path)] = str(self._followers[path].position)
        self._state.parent.mkdir(parents=True, exist_ok=True)
        write_private(self._state, msgspec.json.format(msgspec.json.encode(self._positions)))

    # --- one request ------------------------------------------------------------------------------------------------------

    def _deliver(self, records: list[dict[str, Any]]) -> bool:
        """Until the receiver has taken it, or will never. Whether so; not when it was stopped meanwhile."""
        pause = 1.0
        while True:
            answer = self._send(_request(records))
            if answer.verdict == "taken":
                return self._taken(records, answer)
            if answer.verdict in {"too large", "unreadable"}:
                return self._deliver_by_halves(records, answer)
            if not self._waits:
                raise Unsendable(f"{self._target} does not take it: {answer.problem}")
            self._tell_once(f"{self._target} does not take it: {answer.problem}; tried again until it does")
            wait = min(_LONGEST_PAUSE_S, pause) if answer.retry_after_s is None else answer.retry_after_s
            if self._stop.wait(wait):
                return False
            pause *= 2

    def _taken(self, records: list[dict[str, Any]], answer: Answer) -> bool:
        if self._told:
            self._tell(f"{self._target} takes lines again")
            self._told = ""
        self.shipped.lines += len(records) - answer.rejected
        self.shipped.refused += answer.rejected
        if answer.rejected:
            self._tell(f"{self._target} left {answer.rejected} of {len(records)} lines out: {answer.problem}")
        return True

    def _deliver_by_halves(self, records: list[dict[str, Any]], answer: Answer) -> bool:
        """Only what the receiver refuses by itself is left out."""
        if len(records) > 1:
            middle = len(records) // 2
            return self._deliver(records[:middle]) and self._deliver(records[middle:])
        self.shipped.refused += 1
        self._tell(f"a line is left out: {answer.problem}")
        return True

    def _tell_once(self, problem: str) -> None:
        if problem != self._told:
            self._told = problem
            self._tell(problem)


def _read_positions(state: Path) -> dict[str, dict[str, str]]:
    """Receiver → journal → place. Raises ``Unsendable`` for a file that is none of ours."""
    try:
        found = msgspec.json.decode(state.read_bytes(), type=dict[str, dict[str, str]])
        for places in found.values():
            for place in places.values():
                JournalPosition.parse(place)
    except FileNotFoundError:
        return {}
    except (msgspec.DecodeError, UnicodeError, ValueError) as error:
        raise Unsendable(
            f"{state} does not say how far journals were sent ({error}); name another file, or remove it to send everything anew"
        ) from None
    return found


def _batches(lines: Sequence[JournalLine], path: Path) -> list[list[dict[str, Any]]]:
    """Records of OTLP, in requests of bounded size."""
    batches: list[list[dict[str, Any]]] = [[]]
    size = 0
    for line in lines:
        text = msgspec.json.encode(line).decode()
        if size + len(text) > _BATCH_BYTES and batches[-1]:
            batches.append([])
            size = 0
        size += len(text)
        batches[-1].append(_record(line, text, path))
    return batches


def _record(line: JournalLine, text: str, path: Path) -> dict[str, Any]:
    """As the Collector's file receiver makes one: the line is the body."""
    return {
        "timeUnixNano": str(round(line.timestamp.timestamp() * 1e6) * 1000),
        "severityNumber": _SEVERITY[line.level],
        "severityText": line.level,
        "body": {"stringValue": text},
        "attributes": [{"key": "log.file.path", "value": {"stringValue": str(path)}}],
    }


def _request(records: list[dict[str, Any]]) -> bytes:
    scope = {"scope": {"name": "ai_dev_squad.journal"}, "logRecords": records}
    return msgspec.json.encode({"resourceLogs": [{"resource": {}, "scopeLogs": [scope]}]})

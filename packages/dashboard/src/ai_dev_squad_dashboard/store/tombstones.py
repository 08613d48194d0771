"""What was deleted does not come back: not when it is sent again, not when a journal is read again.

Of a session only a keyed hash is kept, so that nobody can read from it who was deleted. It holds for what began before the
deletion: who comes back afterwards is recorded like everybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import Any, Final

import msgspec

from .deletions import ATTRIBUTES, COLUMNS
from .rows import Batch, LogRow, MetricRow, OpenRow, SpanRow

__all__ = ["Tombstones", "digest_of"]

_MOST_REMEMBERED: Final = 10_000


class _Attributes(msgspec.Struct):
    attributes: dict[str, Any] = {}


_attributes: Final = msgspec.json.Decoder(_Attributes)


class Tombstones:
    """The deletions that the one writer holds every batch against. An engine says with ``know`` what it keeps of them."""

    def __init__(self) -> None:
        self._key = b""
        self._traces: set[str] = set()
        self._until: dict[bytes, int] = {}
        self._answers: dict[tuple[str, str], int | None] = {}

    def know(self, key: bytes, traces: Iterable[str], until: Mapping[bytes, int]) -> None:
        """Take what the store knows: the key of the hashes, traces in lower case, and hash → until when."""
        self._key = key
        self._traces = set(traces)
        self._until = dict(until)
        self._answers = {}

    def kept(self, batch: Batch) -> tuple[Batch, set[str]]:
        """``batch`` without what was deleted, and traces that turn out to belong to what was deleted."""
        if not self._traces and not self._until:
            return batch, set()
        late = (
            {row.trace_id.lower() for row in batch.spans if self._is_over(row, row.start_us)} if self._until else set()
        )
        late -= self._traces

        def stays(row: SpanRow | LogRow | OpenRow, time_us: int) -> bool:
            trace_id = row.trace_id and row.trace_id.lower()
            return trace_id not in self._traces and trace_id not in late and not self._is_over(row, time_us)

        return replace(
            batch,
            spans=[row for row in batch.spans if stays(row, row.start_us)],
            logs=[row for row in batch.logs if stays(row, row.time_us)],
            opened=[row for row in batch.opened if stays(row, row.start_us)],
            metrics=[row for row in batch.metrics if not self._is_named(row)],
        ), late

    def _is_over(self, row: SpanRow | LogRow | OpenRow, time_us: int) -> bool:
        """Whether the row names something that was deleted later than the row's time."""
        return bool(self._until) and any(
            self._ends(kind, getattr(row, column, None), time_us) for kind, column in COLUMNS.items()
        )

    def _is_named(self, row: MetricRow) -> bool:
        return bool(self._until) and any(self._ends(kind, value, row.time_us) for kind, value in _named(row.details))

    def _ends(self, kind: str, name: str | None, time_us: int) -> bool:
        if name is None:
            return False
        if (kind, name) not in self._answers:
            if len(self._answers) > _MOST_REMEMBERED:
                self._answers = {}
            self._answers[kind, name] = self._until.get(digest_of(self._key, kind, name))
        until_us = self._answers[kind, name]
        return until_us is not None and time_us <= until_us


def digest_of(key: bytes, kind: str, name: str) -> bytes:
    """What is kept of a name that was deleted."""
    return blake2b(f"{kind}:{name}".encode("utf-8", "replace"), key=key, digest_size=16).digest()


def _named(details: bytes) -> Iterator[tuple[str, str]]:
    """Kind and name of each subject that a metric's attributes name."""
    try:
        given: Mapping[str, Any] = _attributes.decode(details).attributes
    except msgspec.MsgspecError:
        return
    for kind, names in ATTRIBUTES.items():
        for name in names:
            if isinstance(value := given.get(name), str):
                yield kind, value

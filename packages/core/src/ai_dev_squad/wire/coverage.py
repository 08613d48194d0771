"""The self-check: model calls that left the process against model calls that were captured.

Counted where requests leave, whoever made them, so that what no framework announces shows instead of being missing.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["SELF_CHECK", "Coverage", "SelfCheck", "Unannounced", "coverage"]

_MAX_PLACES = 200
_OTHER = "(other)"


@dataclass(frozen=True)
class Unannounced:
    """Model calls that no framework announced: how many, of which framework's run, why, and where."""

    calls: int
    framework: str | None
    """The framework of the run that they belong to; ``None`` for none that is known."""
    reason: str
    """``own client`` for a client that the program calls itself, ``thread pool``, ``thread``, or ``after the end of its
    run``."""
    place: str | None
    """The operation that they were made in, such as ``task research``."""


@dataclass(frozen=True)
class Coverage:
    """What was seen on the wire in this process, and what of it was captured. ``str()`` says it in a sentence."""

    seen: int = 0
    """Model calls that left the process, those that were tried again included."""
    captured: int = 0
    """Those of them that stand in the journal and in the ledger."""
    unobserved: int = 0
    """Those that belong to no observed run; they are captured only with ``count_unobserved``."""
    unseen: int = 0
    """Model calls that a framework announced and answered, and that left by no door that is watched."""
    unannounced: tuple[Unannounced, ...] = ()
    """Those captured calls that no framework announced, the most first."""

    def __str__(self) -> str:
        text = f"{self.captured:,} of {self.seen:,} model calls captured"
        if self.unannounced:
            shown = ", ".join(_shown(item) for item in self.unannounced[:3])
            more = ", …" if len(self.unannounced) > 3 else ""
            text += (
                f"; {sum(item.calls for item in self.unannounced):,} of them announced by no framework: {shown}{more}"
            )
        if self.unobserved:
            text += f"; {self.unobserved:,} outside of observed runs"
        if self.unseen:
            text += f"; {self.unseen:,} more announced by a framework and not seen on the wire"
        return text

    @classmethod
    def summed(cls, lines: Iterable[Mapping[str, Any]]) -> Coverage:
        """The sum of what journal lines of ``wire.coverage`` say in their metadata. What is no count counts nothing."""
        calls: Counter[str] = Counter()
        unannounced: Counter[tuple[str | None, str, str | None]] = Counter()
        for line in lines:
            for name in _COUNTS:
                calls[name] += _count(line.get(name))
            items = line.get("unannounced")
            for item in items if isinstance(items, list) else ():
                if isinstance(item, Mapping):
                    key = _text(item.get("framework")), _text(item.get("reason")) or "", _text(item.get("place"))
                    unannounced[key] += _count(item.get("calls"))
        found = tuple(Unannounced(number, *key) for key, number in unannounced.most_common() if number)
        return cls(**calls, unannounced=found)

    def as_metadata(self) -> dict[str, Any]:
        """What a journal line says of it."""
        unannounced = [
            {"calls": item.calls, "framework": item.framework, "reason": item.reason, "place": item.place}
            for item in self.unannounced
        ]
        counts = {"seen": self.seen, "captured": self.captured, "unobserved": self.unobserved, "unseen": self.unseen}
        return {**counts, "unannounced": unannounced}


_COUNTS = ("seen", "captured", "unobserved", "unseen")


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53 else 0


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _shown(item: Unannounced) -> str:
    return f"{item.reason} in {item.place} ({item.calls:,})" if item.place else f"{item.reason} ({item.calls:,})"


class _Counts:
    def __init__(self, counts: _Counts | None = None) -> None:
        self.calls: Counter[str] = Counter() if counts is None else counts.calls.copy()
        self.unannounced: Counter[tuple[str | None, str, str | None]] = (
            Counter() if counts is None else counts.unannounced.copy()
        )

    def coverage(self) -> Coverage:
        items = [Unannounced(calls, *key) for key, calls in self.unannounced.most_common()]
        return Coverage(**self.calls, unannounced=tuple(items))


class SelfCheck:
    """Counts calls as they are seen. Safe under threads."""

    _all: _Counts
    _told: _Counts

    def __init__(self) -> None:
        self.forget()

    def count(self, *what: str) -> None:
        """One more call that is ``seen``, ``captured``, ``unobserved`` or ``unseen``."""
        with self._lock:
            for name in what:
                self._all.calls[name] += 1

    def count_unannounced(self, framework: str | None, reason: str, place: str | None) -> None:
        """One more captured call that no framework announced."""
        key = framework, reason, place
        with self._lock:
            if key not in self._all.unannounced and len(self._all.unannounced) >= _MAX_PLACES:
                key = framework, reason, _OTHER
            self._all.unannounced[key] += 1

    def coverage(self) -> Coverage:
        """Everything counted so far."""
        with self._lock:
            return self._all.coverage()

    def untold(self) -> Coverage | None:
        """What came since this was last asked; ``None`` if no call was seen since then, which is nothing to tell of."""
        fresh = _Counts()
        with self._lock:
            fresh.calls = self._all.calls - self._told.calls
            if not fresh.calls["seen"]:
                return None
            fresh.unannounced = self._all.unannounced - self._told.unannounced
            self._told = _Counts(self._all)
        return fresh.coverage()

    def forget(self) -> None:
        """Begin anew, as a forked process does."""
        self._lock = threading.RLock()  # a finalizer of a client may end a call in the midst of this
        self._all, self._told = _Counts(), _Counts()


SELF_CHECK = SelfCheck()
"""The one of this process."""


def coverage() -> Coverage:
    """How many model calls left this process so far, and how many of them were captured."""
    return SELF_CHECK.coverage()

"""Sums of what arrived in the store since this process started: they only grow, whatever is deleted.

Spans are numbered as they arrive, so each scrape adds those since the one before, put together by the engine. A few names make a series,
and only so many of them: what comes beyond is counted under ``(other)``, so that no sender can fill a Prometheus.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from ai_dev_squad.prometheus import MOST_NAMES, OTHER
from ai_dev_squad_dashboard.store.base import SETTLED_S, Store
from ai_dev_squad_dashboard.store.figures import NANO, Figure, Kind

__all__ = ["Durations", "Names", "Sums", "Tally"]

_STEP_US: Final = 1 << 50
"""So long that when something ended does not tell it apart."""

Names = tuple[str, ...]


@dataclass
class Durations:
    """A histogram: how many in each bin of the store, and how long all of them took."""

    bins: Counter[int] = field(default_factory=Counter)
    total_us: int = 0


@dataclass
class Sums:
    """What is known of one series."""

    count: int = 0
    errors: int = 0
    cost_nano: int = 0
    unpriced: int = 0
    tokens: Counter[str] = field(default_factory=Counter)
    """By kind: ``input`` and ``output``, and of these ``cache_read``, ``cache_write`` and ``reasoning``."""
    duration: Durations = field(default_factory=Durations)
    first_chunk: Counter[int] = field(default_factory=Counter)

    def add(self, figure: Figure) -> None:
        """Add spans."""
        count = figure.count
        self.count += count
        self.errors += figure.errors
        self.cost_nano += figure.cost_nano
        self.unpriced += figure.unpriced
        for kind in ("input", "output", "cache_read", "cache_write", "reasoning"):
            self.tokens[kind] += getattr(figure, f"{kind}_tokens")
        if figure.bin is not None:
            self.duration.bins[figure.bin] += count
            self.duration.total_us += figure.duration_us
        if figure.first_bin is not None:
            self.first_chunk[figure.first_bin] += count

    @property
    def cost_usd(self) -> float:
        """The known costs."""
        return self.cost_nano / NANO


class Tally:
    """The sums, from when it is made. Safe across threads. ``calls``: by framework, provider and model; ``runs`` and ``tools``: by
    framework.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: int | None = None
        self._lock = threading.Lock()
        self.runs: dict[Names, Sums] = {}
        self.calls: dict[Names, Sums] = {}
        self.tools: dict[Names, Sums] = {}

    def start(self) -> None:
        """Count what arrives from now on. Raises ``StoreError``."""
        with self._lock:
            if self._seen is None:
                self._seen = self._store.newest_span(settled_s=SETTLED_S)

    def refresh(self) -> None:
        """Add what arrived since. Raises ``StoreError``; then nothing is lost, the next time adds it."""
        with self._lock:
            if self._seen is None:
                self._seen = self._store.newest_span(settled_s=SETTLED_S)
                return
            newest = self._store.newest_span(self._seen, settled_s=SETTLED_S)
            if newest <= self._seen:
                # A store that was begun anew numbers from the beginning.
                self._seen = newest
                return
            found = self._store.figures(
                self._seen,
                newest,
                by=("framework", "provider", "model"),
                step_us=_STEP_US,
                now_us=time.time_ns() // 1000,
                since_us=-_STEP_US,
                latency=True,
            )
            self._seen = newest
            for figure in found:
                self._add(figure)

    def _add(self, figure: Figure) -> None:
        framework = (figure.framework or "",)
        if figure.kinds & Kind.RUN:
            _series(self.runs, framework).add(figure)
        if figure.kinds & Kind.TOOL:
            _series(self.tools, framework).add(figure)
        if figure.kinds & Kind.CALL:
            _series(self.calls, (*framework, figure.provider or "", figure.model or "")).add(figure)


def _series(among: dict[Names, Sums], names: Names) -> Sums:
    # For runs, for model calls and for tool calls each.
    if names not in among and len(among) >= MOST_NAMES:
        names = (OTHER,) * len(names)
    return among.setdefault(names, Sums())

"""Ids and times that are the same in every run, so that whole results can be compared."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta, timezone

from ai_dev_squad import clock
from ai_dev_squad.tracing import identity

__all__ = ["fixed_ids_and_clock"]


@contextmanager
def fixed_ids_and_clock() -> Iterator[None]:
    """Ids count 1, 2, 3 and every look at the clock is one second later, from 2026-01-01: whole results can be compared."""
    ids = itertools.count(1)
    start = datetime(2026, 1, 1, tzinfo=timezone.utc)
    seconds = -1

    def tick() -> int:
        nonlocal seconds
        seconds += 1
        return seconds

    replaced = [
        (identity, "random_bits", lambda _: next(ids)),
        (clock, "now", lambda _zone: start + timedelta(seconds=tick())),
        (clock, "monotonic_ns", lambda: tick() * 1_000_000_000),
        # Only spans look at this one: the journal is the same with and without them.
        (clock, "wall_ns", lambda: (int(start.timestamp()) + seconds) * 1_000_000_000),
    ]
    with ExitStack() as undo:
        for module, name, value in replaced:
            undo.callback(setattr, module, name, getattr(module, name))
            setattr(module, name, value)
        yield

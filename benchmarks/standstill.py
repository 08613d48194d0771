"""When the machine stood still: a virtual one may for seconds, with everything on it, and then nobody's waiting says anything of a program."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Standstill", "watched"]

_PULSE_S = 0.05
_LEAST_S = 0.5
"""Oversleeping beyond which nothing ran: who only sleeps is let go on before all that computes."""
_PULSE = f"""
import time
last = time.monotonic()
while True:
    time.sleep({_PULSE_S})
    now = time.monotonic()
    if now - last > {_LEAST_S}:
        print(last + {_PULSE_S}, now, flush=True)
    last = now
"""


class Standstill:
    """From when to when nothing ran, on the monotonic clock."""

    def __init__(self) -> None:
        self.times: list[tuple[float, float]] = []

    @property
    def seconds(self) -> float:
        """How long altogether."""
        return sum(until - since for since, until in self.times)

    def within(self, began: float, ended: float) -> float:
        """How many seconds of that time."""
        return sum(max(0.0, min(ended, until) - max(began, since)) for since, until in list(self.times))


@contextmanager
def watched() -> Iterator[Standstill]:
    """Watch the machine for as long as the block lasts, from a process that does nothing else."""
    found = Standstill()
    pulse = subprocess.Popen([sys.executable, "-c", _PULSE], stdout=subprocess.PIPE, text=True)

    def listen() -> None:
        assert pulse.stdout is not None
        for line in pulse.stdout:
            since, until = map(float, line.split())
            found.times.append((since, until))

    threading.Thread(target=listen, daemon=True).start()
    try:
        yield found
    finally:
        pulse.kill()
        pulse.wait()

"""A limit for a conversation as a whole: a time-out of a socket begins anew with every byte that a slow peer sends."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

__all__ = ["deadline"]


@contextmanager
def deadline(seconds: float, current: Callable[[], socket.socket | None]) -> Iterator[threading.Event]:
    """Cut off the socket that ``current`` gives after ``seconds``. The event says whether that was done."""
    cut = threading.Event()

    def cut_off() -> None:
        cut.set()
        held = current()
        if held is not None:
            # Whoever waits for a byte in another thread is woken with an end of the stream.
            with suppress(OSError):
                held.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut_off)
    timer.daemon = True
    timer.start()
    try:
        yield cut
    finally:
        timer.cancel()

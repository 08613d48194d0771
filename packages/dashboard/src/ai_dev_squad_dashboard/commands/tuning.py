"""What suits the interpreter and the C library to a process that receives and answers."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from typing import Final

__all__ = ["tune_interpreter", "tune_memory"]

_M_ARENA_MAX: Final = -8
"""What glibc's ``malloc.h`` calls the setting."""
_HEAPS: Final = 2


def tune_interpreter() -> None:
    """Suit Python to a process that reads requests, writes and answers at once. It is ours; whoever serves the app in their
    own decides.
    """
    # A request has thousands of new objects, nearly all of which go without being looked for: it took a tenth of the time.
    gc.set_threshold(50_000, 20, 20)
    # DuckDB asks for the interpreter some dozens of times in a commit, and would wait 5 ms each time while a request is read.
    sys.setswitchinterval(0.0005)


def tune_memory() -> None:
    """Have the C library keep few heaps. glibc has up to eight for each processor, so that threads need not wait for one another;
    what a large request leaves in one of them serves no other thread, and is not given back. Before threads are started.
    """
    if sys.platform != "linux" or "MALLOC_ARENA_MAX" in os.environ:
        return
    try:
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _HEAPS)
    except (OSError, AttributeError):
        pass  # another C library, which has no such heaps

"""What must still happen when the process ends: at exit, on SIGTERM, and in forked workers.

Callbacks run once for each process, last registered first, and a failing one doesn't keep the others from running.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from ai_dev_squad.guard import report

__all__ = ["SIGTERM_TIMEOUT_S", "at_exit", "run_callbacks"]

SIGTERM_TIMEOUT_S = 10.0
"""How long, in seconds, SIGTERM waits for the callbacks before the process ends all the same."""

_callbacks: list[Callable[[], object]] = []
_registered = False
_multiprocessing_pid: int | None = None


def at_exit(callback: Callable[[], object], *, sigterm: bool = True) -> None:
    """Call ``callback`` when the process ends; registering the same one again changes nothing.

    With ``sigterm``, SIGTERM runs the callbacks too and then ends the process exactly as it would have. Only a program
    that has no handler of its own is given one, and only when this is called in its main thread (Python allows no
    other). Workers started by ``multiprocessing`` skip ``atexit``; their callbacks run through its own finalizers.
    """
    if callback not in _callbacks:
        _callbacks.append(callback)
    _register()
    if sigterm:
        _handle_sigterm()


def run_callbacks() -> None:
    """Run every callback now, last registered first. They stay registered and must bear being called again."""
    for callback in reversed(_callbacks):
        try:
            callback()
        except Exception as error:  # noqa: BLE001 - the next callback has its own work to finish
            try:
                report("a callback at exit", error)
            except Exception:  # noqa: BLE001 - strict mode raises, and there is nobody left to raise to
                pass


def _register() -> None:
    global _registered  # noqa: PLW0603 - the interpreter has one list of exit functions
    if not _registered:
        _registered = True
        atexit.register(run_callbacks)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_follow_multiprocessing)
    _follow_multiprocessing()


def _follow_multiprocessing() -> None:
    """Have ``multiprocessing`` call us when it has prepared a worker, whichever way it starts them."""
    util = sys.modules.get("multiprocessing.util")
    process = sys.modules.get("multiprocessing.process")
    if util is not None:
        # A worker empties the list of finalizers first and runs these hooks after that.
        util.register_after_fork(_finalize_with_multiprocessing, _finalize_with_multiprocessing)
    if process is not None and process.parent_process() is not None:
        _finalize_with_multiprocessing()


def _finalize_with_multiprocessing(_: object = None) -> None:
    """Run the callbacks when this ``multiprocessing`` worker ends: it leaves by ``os._exit``, past ``atexit``."""
    global _multiprocessing_pid  # noqa: PLW0603 - once for each process
    if _multiprocessing_pid == os.getpid():
        return
    _multiprocessing_pid = os.getpid()
    from multiprocessing import util

    util.Finalize(None, run_callbacks, exitpriority=0)


def _handle_sigterm() -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _on_sigterm)


def _on_sigterm(signum: int, frame: FrameType | None) -> Any:
    # In a thread of its own: the interrupted main thread may hold a lock that a callback needs, and then it must not be
    # the one to wait for it without end.
    worker = threading.Thread(target=run_callbacks, name="ai-dev-squad-sigterm", daemon=True)
    try:
        worker.start()
    except RuntimeError:
        run_callbacks()
    else:
        worker.join(SIGTERM_TIMEOUT_S)
    signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)

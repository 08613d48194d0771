"""The one place for what a process does at its end, on SIGTERM, and after a fork.

Callbacks at exit run once for each process, in an order that is chosen here and not by who was imported first. A
failing callback doesn't keep the others from running.
"""

from __future__ import annotations

import atexit
import enum
import logging
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, Union

from ai_dev_squad.guard import report

__all__ = [
    "SIGTERM_TIMEOUT_S",
    "Callback",
    "ExitOrder",
    "ForkSafeLock",
    "after_fork",
    "at_exit",
    "bounded",
    "forget",
    "run_exit_callbacks",
]

_log = logging.getLogger("ai_dev_squad")

SIGTERM_TIMEOUT_S = 10.0
"""How long, in seconds, SIGTERM waits for the callbacks before the process ends all the same."""

_UNHEARD_S = 0.02
"""How long a signal's handler may take to begin before the main thread is woken once more."""

Callback = Union[Callable[[], object], "weakref.WeakMethod[Callable[[], object]]"]
"""What is called, without arguments. A ``weakref.WeakMethod`` leaves its object free to go before the process does."""


class ExitOrder(enum.IntEnum):
    """What ends first. Each may still use what comes after it."""

    APPLICATION = 0
    """What is built on this package, such as a server."""
    OPERATIONS = 1
    """What is still open ends as abandoned, and writes its lines and spans."""
    BUDGETS = 2
    SPANS = 3
    JOURNALS = 4
    """Last: whatever else ends may have something to say."""


class _Callbacks:
    """Callbacks that each run once, however often they were registered."""

    def __init__(self) -> None:
        self._entries: tuple[tuple[int, Callback], ...] = ()
        self.renew_lock()

    def renew_lock(self) -> None:
        """In a forked child: another thread of the parent may hold the lock for ever."""
        # Reentrant: a signal handler or finalizer may register something, too.
        self._lock = threading.RLock()

    def add(self, callback: Callback, order: int = 0) -> None:
        with self._lock:
            kept = tuple(entry for entry in self._entries if _function(entry[1]) is not None)
            known = any(each == callback for _, each in kept)
            self._entries = kept if known else (*kept, (order, callback))

    def remove(self, callback: Callback) -> None:
        with self._lock:
            self._entries = tuple(entry for entry in self._entries if entry[1] != callback)

    def run(self, what: str, *, last_first: bool = False) -> None:
        """Call all, by order; among equals in the order of their registration, or ``last_first``."""
        entries = reversed(self._entries) if last_first else self._entries
        for _, callback in sorted(entries, key=lambda entry: entry[0]):
            function = _function(callback)
            try:
                if function is not None:
                    function()
            except Exception as error:  # noqa: BLE001 - the next callback has its own work to finish
                try:
                    report(what, error)
                except Exception:  # noqa: BLE001 - strict mode raises, and there is nobody left to raise to
                    pass


class _Ending:
    """Whether this process runs its callbacks, and the signal that it ends with after that."""

    def __init__(self) -> None:
        self.running = False
        self.signum: int | None = None


_exits, _forks = _Callbacks(), _Callbacks()
_ending = _Ending()
_registered = False
_multiprocessing_pid: int | None = None


def at_exit(callback: Callback, order: ExitOrder = ExitOrder.APPLICATION, *, sigterm: bool = False) -> None:
    """Call ``callback`` when the process ends; registering the same one again changes nothing.

    With ``sigterm``, SIGTERM runs all callbacks too and then ends the process exactly as it would have. Only a program
    that has no handler of its own is given one, and only when this is called in its main thread (Python allows no
    other). Workers started by ``multiprocessing`` skip ``atexit``; their callbacks run through its own finalizers.
    """
    _exits.add(callback, order)
    _register()
    if sigterm:
        _handle_sigterm()


def after_fork(callback: Callback) -> None:
    """Call ``callback`` in every forked child, before any of its own code; registering it again changes nothing."""
    _forks.add(callback)


class ForkSafeLock:
    """A reentrant lock that every forked child begins with anew, for ``with``.

    A thread that holds a plain lock at the moment of the fork isn't there in the child to let it go, and the child's
    first ``with`` would wait for ever.
    """

    __slots__ = ("__weakref__", "now")

    def __init__(self) -> None:
        self._renew()
        after_fork(weakref.WeakMethod(self._renew))

    def _renew(self) -> None:
        self.now = threading.RLock()
        """The lock of this process. ``with lock.now`` is the same in a third of the time."""

    def __enter__(self) -> None:
        self.now.acquire()

    def __exit__(self, *_: object) -> None:
        # The child of a fork within the block leaves it too, and never held the lock that it has now.
        with suppress(RuntimeError):
            self.now.release()


def forget(callback: Callback) -> None:
    """Call ``callback`` neither at exit nor after a fork any more."""
    _exits.remove(callback)
    _forks.remove(callback)


def run_exit_callbacks() -> None:
    """Run every callback now: by order, and last registered first. They stay registered and must bear being called again."""
    outermost, _ending.running = not _ending.running, True
    try:
        _exits.run("a callback at exit", last_first=True)
    finally:
        if outermost:
            _ending.running = False
            if _ending.signum is not None:
                _end_by(_ending.signum)


def _function(callback: Callback) -> Callable[[], object] | None:
    return callback() if isinstance(callback, weakref.WeakMethod) else callback


def _register() -> None:
    global _registered  # noqa: PLW0603 - the interpreter has one list of exit functions
    if not _registered:
        _registered = True
        atexit.register(run_exit_callbacks)
    _follow_multiprocessing()


# --- processes --------------------------------------------------------------------------------------------------------


def _in_forked_child() -> None:
    global _ending  # noqa: PLW0603 - the parent's end is not the child's
    _ending = _Ending()
    try:
        for callbacks in (_exits, _forks):
            callbacks.renew_lock()
        _forks.run("a callback after a fork")
        if _registered:
            _follow_multiprocessing()
    finally:
        _let_sigterm_come()


# By thread: two may fork at the same time.
_held = threading.local()


def _hold_sigterm_back() -> None:
    """Until the child is ready for it: a new process forgets the signals for which Python has a handler.

    A pool tells its workers to end by one SIGTERM, also those that have hardly begun, and waits for them without end.
    """
    if signal.getsignal(signal.SIGTERM) is _on_sigterm:
        _held.mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def _let_sigterm_come() -> None:
    mask = vars(_held).pop("mask", None)
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


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
    from multiprocessing import process, util

    util.Finalize(None, run_exit_callbacks, exitpriority=0)
    if process.current_process().daemon:
        _make_sigterm_heard()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold_sigterm_back, after_in_parent=_let_sigterm_come, after_in_child=_in_forked_child)


# --- SIGTERM ----------------------------------------------------------------------------------------------------------


def _handle_sigterm() -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        try:
            signal.signal(signal.SIGTERM, _on_sigterm)
        except ValueError:
            # A subinterpreter has a main thread, and no say in signals.
            pass


def _on_sigterm(signum: int, frame: FrameType | None) -> Any:
    first, _ending.signum = _ending.signum is None, signum
    if first and _ending.running:
        # This may have interrupted a callback that holds what the others need: whoever runs them goes on, and ends the
        # process after that. A second signal doesn't wait.
        try:
            threading.Thread(target=_end_later, args=(signum,), name="ai-dev-squad-sigterm", daemon=True).start()
        except RuntimeError:
            pass
        return
    if first:
        # In a thread of its own: the interrupted main thread may hold a lock that a callback needs, and then it must
        # not be the one to wait for it without end.
        bounded(run_exit_callbacks, SIGTERM_TIMEOUT_S, "running the callbacks at exit")
    _end_by(signum)


def _make_sigterm_heard() -> None:
    """In a worker of a pool: see to it that a SIGTERM is acted on, which a pool sends once and then waits.

    It sends it when its workers turn to their queue. A signal that comes between the interpreter's last look and the
    waiting itself is noted, and its handler runs when the waiting ends: never.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) is not _on_sigterm:
        return
    noted, noting = os.pipe()
    os.set_blocking(noting, False)  # the interpreter insists on that
    before = signal.set_wakeup_fd(noting, warn_on_full_buffer=False)
    if before != -1:  # somebody else's, such as an event loop's
        signal.set_wakeup_fd(before)
        os.close(noted)
        os.close(noting)
        return
    threading.Thread(target=_repeat_unheard, args=(noted,), name="ai-dev-squad-sigterm", daemon=True).start()


def _repeat_unheard(noted: int) -> None:
    """Wake the main thread by the same signal until it has acted on the first one."""
    main = threading.main_thread().ident
    assert main is not None
    while signals := os.read(noted, 64):
        while signal.SIGTERM in signals and _ending.signum is None:
            time.sleep(_UNHEARD_S)
            if _ending.signum is None:
                signal.pthread_kill(main, signal.SIGTERM)


def _end_later(signum: int) -> None:
    time.sleep(SIGTERM_TIMEOUT_S)
    _end_by(signum)


def _end_by(signum: int) -> None:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)


def bounded(call: Callable[[], object], timeout_s: float, what: str) -> bool:
    """Call something that may hang; return within ``timeout_s`` seconds whether it finished."""

    def run() -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - ending is all that is left to do
            _log.debug("%s failed: %r", what, error)

    thread = threading.Thread(target=run, name="ai-dev-squad-close", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # Python 3.12+ starts no thread while the interpreter shuts down
        run()
        return True
    thread.join(timeout_s)
    return not thread.is_alive()

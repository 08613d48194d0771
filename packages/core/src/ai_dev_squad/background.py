"""One thread that does what waits: started when first woken, woken at any time, asked for an answer within a limit.

What it does in one turn, and how long it may sleep after that, is its owner's business. Everything here may be called
in signal handlers and finalizers: what is waited for are bare locks, which, unlike an ``Event``, hold no lock of their
own that the interrupted code may have.
"""

from __future__ import annotations

import math
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from ai_dev_squad.guard import report
from ai_dev_squad.process import after_fork

__all__ = ["Exclusive", "Request", "Retry", "Worker"]

_Result = TypeVar("_Result")

_LOOK_S = 0.05
"""How often whoever waits for a worker looks whether it still lives."""
_AFTER_ERROR_S = 1.0
"""The pause after a turn that failed in an unforeseen way, so that it doesn't fail without end."""


class _Here(threading.local):
    """Of each thread."""

    inside = False


class Exclusive:
    """A lock that is waited for within a limit, and that no exception of a signal handler leaves taken.

    With ``with``, and without a limit, it is for threads that no signal interrupts.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._here = _Here()

    @property
    def is_mine(self) -> bool:
        """Whether this thread has it or waits for it, as the code below a signal handler may."""
        return self._here.inside

    def run(self, action: Callable[[], _Result], timeout: float) -> _Result | None:
        """What ``action`` returns; ``None`` if it was not begun: the lock is not to be had, or this thread is at it already."""
        if self._here.inside:
            return None
        try:
            # Within the try, and said before: a handler may run between the lock's being taken and the next line.
            self._here.inside = True
            return action() if self._lock.acquire(timeout=timeout) else None
        finally:
            # Handlers run when a function of ours begins, or one in C has returned: none comes between these two.
            self._here.inside = False
            try:
                self._lock.release()
            except RuntimeError:  # it was not taken
                pass

    def __enter__(self) -> None:
        self._lock.acquire()
        self._here.inside = True

    def __exit__(self, *_: object) -> None:
        self._here.inside = False
        self._lock.release()


class Request:
    """Something that a turn of the worker has to answer."""

    def __init__(self) -> None:
        self._unanswered = threading.Lock()
        self._unanswered.acquire()
        self.result = False
        """The answer, once ``wait`` has returned ``True``."""

    def answer(self, result: bool) -> None:
        """Tell whoever waits. Once only."""
        self.result = result
        self._unanswered.release()

    def wait(self, timeout: float) -> bool:
        """Whether it was answered within ``timeout`` seconds."""
        answered = self._unanswered.acquire(timeout=max(0.0, timeout))
        if answered:
            self._unanswered.release()
        return answered


class Retry:
    """How long to wait after a failure: ``first`` seconds, twice as long after each further one, ``most`` at most."""

    def __init__(self, first: float, most: float) -> None:
        self._first, self._most = first, most
        self._next = first

    def failed(self) -> float:
        """The seconds to wait now."""
        now, self._next = self._next, min(self._next * 2, self._most)
        return now

    def succeeded(self) -> None:
        """Begin with the shortest wait again."""
        self._next = self._first


class Worker:
    """A daemon thread that calls ``turn``, sleeps as many seconds as that returns, or until it is woken, and so on.

    ``turn`` returns ``None`` when there is nothing to wait for: the thread ends, and the next wake starts another. One
    turn is under way at a time. A forked child begins without a thread and without requests.
    """

    def __init__(self, name: str, turn: Callable[[], float | None]) -> None:
        self._name, self._turn = name, turn
        self._requests: deque[Request] = deque()
        self._begin()
        after_fork(weakref.WeakMethod(self._begin))

    def _begin(self) -> None:
        # In a forked child the thread is gone, and its locks may be held for ever.
        self._thread: threading.Thread | None = None
        self._is_starting = False  # a thread that was not started yet is neither alive nor to be joined
        self._starting = Exclusive()
        self._woken = threading.Lock()
        self._woken.acquire()
        self._requests.clear()

    # --- called by anybody --------------------------------------------------------------------------------------------

    def wake(self) -> bool:
        """Have a turn begin after this moment. ``False`` when no thread can be had: the interpreter is shutting down."""
        # Before looking at the thread: one that is about to rest looks at this after it has said so.
        self._signal()
        return self.start()

    def start(self) -> bool:
        """Have a thread, woken or not. ``False`` when none can be had."""
        thread = self._thread
        if thread is not None and thread.is_alive():
            return True
        return self._starting.run(self._start, 0) is not False

    def _start(self) -> bool:
        raised: BaseException | None = None
        try:
            self._is_starting = True
            thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread = thread
            thread.start()
        except RuntimeError:
            self._thread = None
            return False
        except KeyError as error:
            # `Thread.start` stumbles over what a signal handler raises when the thread runs already.
            raised = error.__context__ or error
        finally:
            self._is_starting = False
        if raised is not None:
            raise raised  # here, where it does not seem to have come of the other
        return True

    def ask(self) -> Request:
        """Have a turn begin after this moment and answer this."""
        request = Request()
        self._requests.append(request)
        self.wake()
        return request

    def answered(self, request: Request, deadline: float | None) -> bool | None:
        """Wait for the answer until ``deadline``, a moment of ``time.monotonic``; ``None`` for ever.

        ``None`` when the thread has ended without one; at ``deadline`` the answer is ``False``.
        """
        while True:
            left = math.inf if deadline is None else deadline - time.monotonic()
            if request.wait(min(_LOOK_S, left)):
                return request.result
            if left <= 0:
                return False
            if not self.alive:
                return None

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the thread to end, at most ``timeout`` seconds. Whether there is none any more."""
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while self._is_starting and time.monotonic() < deadline:
            time.sleep(0.001)
        thread = self._thread
        if thread is not None and thread is not threading.current_thread() and not self._is_starting:
            thread.join(None if timeout is None else max(0.0, deadline - time.monotonic()))
        return not self.alive

    @property
    def alive(self) -> bool:
        """Whether there is a thread, or will be one in a moment."""
        thread = self._thread
        return thread is not None and (self._is_starting or thread.is_alive())

    @property
    def is_current(self) -> bool:
        """Whether this is called by a turn."""
        return self._thread is threading.current_thread()

    # --- called by the turn -------------------------------------------------------------------------------------------

    def taken(self) -> list[Request]:
        """The requests that were made before this moment; whoever takes them answers them."""
        taken: list[Request] = []
        for _ in range(len(self._requests)):
            try:
                taken.append(self._requests.popleft())
            except IndexError:
                break
        return taken

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _signal(self) -> None:
        if self._woken.locked():
            try:
                self._woken.release()
            except RuntimeError:  # somebody else did
                pass

    def _run(self) -> None:
        current = threading.current_thread()
        self._woken.acquire(blocking=False)  # the first turn begins here
        # A signal handler that raises while one is started leaves it on its way, and another is started in its place.
        while self._thread is current:
            try:
                pause = self._turn()
            except Exception as error:  # noqa: BLE001 - the thread must outlive whatever this is
                report(f"a turn of the thread {self._name}", error)
                pause = _AFTER_ERROR_S
            if pause is None:
                if not self._goes_on():
                    return
            elif pause > 0:
                self._woken.acquire(timeout=-1 if pause == math.inf else pause)
        self._signal()  # what woke this one was meant for the other

    def _goes_on(self) -> bool:
        """Say that this thread ends; ``False`` unless somebody woke it just before, and started no other meanwhile."""
        current = threading.current_thread()
        self._thread = None
        if not self._woken.acquire(blocking=False):
            return False
        with self._starting:
            if not self.alive:
                self._thread = current
                return True
        self._signal()
        return False

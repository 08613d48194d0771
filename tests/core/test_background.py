"""One thread that does what waits: it starts when woken, answers who asks, rests when told so, and survives a fork."""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from ai_dev_squad.background import Retry, Worker

LIMIT_S = 30.0


class Work:
    """Turns that do as they are told, and say that they began."""

    def __init__(self, *pauses: float | None, last: float | None = math.inf) -> None:
        self.pauses, self.last = list(pauses), last
        self.turns = 0
        self.changed = threading.Condition()
        self.worker = Worker("ai-dev-squad-test", self)

    def __call__(self) -> float | None:
        for request in self.worker.taken():
            request.answer(True)
        with self.changed:
            self.turns += 1
            self.changed.notify_all()
        return self.pauses.pop(0) if self.pauses else self.last

    def wait_for(self, turns: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.turns >= turns, LIMIT_S)


def until(true: Callable[[], Any]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_nothing_starts_before_the_first_wake() -> None:
    """Having a worker costs no thread."""
    work = Work()

    assert (work.worker.alive, work.worker.join(0), work.turns) == (False, True, 0)


def test_each_wake_has_a_turn_after_it() -> None:
    """Woken, started or asked, a turn begins; without any of these it sleeps as long as it said."""
    work = Work()

    assert work.worker.start()
    work.wait_for(1)
    assert work.worker.wake()
    work.wait_for(2)
    assert work.worker.answered(work.worker.ask(), time.monotonic() + LIMIT_S) is True
    assert work.worker.alive


def test_a_turn_that_wants_no_pause_has_none() -> None:
    """A pause of 0 is another turn at once, and a short one ends by itself."""
    work = Work(0, 0.001, 0)
    work.worker.wake()

    work.wait_for(4)


def test_a_turn_that_has_nothing_to_wait_for_ends_the_thread() -> None:
    """The next wake starts another one."""
    work = Work(last=None)
    for turns in (1, 2):
        assert work.worker.wake()
        work.wait_for(turns)
        assert work.worker.join(LIMIT_S)


def test_a_wake_at_the_very_moment_of_resting_is_not_lost() -> None:
    """However a wake falls, a turn begins after it: each sees what was there before."""
    seen: list[int] = []
    given = 0

    def turn() -> None:
        seen.append(given)

    worker = Worker("ai-dev-squad-test", turn)
    for given in range(2_000):
        worker.wake()
        if given % 3 == 0:
            time.sleep(0)
    until(lambda: seen[-1:] == [1_999])

    assert seen == sorted(seen)


def test_a_failing_turn_is_reported_and_the_thread_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Once per kind, and the next turn comes after a pause."""
    from ai_dev_squad import guard

    monkeypatch.setattr("ai_dev_squad.background._AFTER_ERROR_S", 0.001)
    strict = guard.set_strict(False)
    turns: list[str] = []

    def turn() -> None:
        turns.append("failed" if len(turns) < 3 else "rests")
        if turns[-1] == "failed":
            raise OSError("no room")

    worker = Worker("ai-dev-squad-test-failing", turn)
    try:
        worker.wake()
        assert worker.join(LIMIT_S)
    finally:
        guard.set_strict(strict)
    assert turns == ["failed", "failed", "failed", "rests"]
    told = [message for message in caplog.messages if "ai-dev-squad-test-failing" in message]
    assert [message.partition(". ")[0] for message in told] == [
        "a turn of the thread ai-dev-squad-test-failing failed (OSError: no room)"
    ]


def test_an_answer_is_waited_for_no_longer_than_allowed() -> None:
    """A turn that hangs costs whoever asks the time that was given, and the answer is no."""
    hang = threading.Event()

    def turn() -> None:
        hang.wait()

    worker = Worker("ai-dev-squad-test", turn)
    worker.wake()

    assert worker.answered(worker.ask(), time.monotonic() + 0.01) is False
    assert (worker.join(0.01), worker.alive) == (False, True)
    hang.set()


def test_a_thread_that_ends_without_an_answer_says_so() -> None:
    """Whoever asked can then do the work in its own thread."""
    worker = Worker("ai-dev-squad-test", lambda: None)
    request = worker.ask()

    assert worker.answered(request, None) is None
    assert worker.taken() == [request]


def test_a_turn_knows_itself() -> None:
    """So that it never waits for its own answer or its own end."""
    inside: list[bool] = []

    def turn() -> None:
        inside.extend((worker.is_current, worker.join(LIMIT_S)))

    worker = Worker("ai-dev-squad-test", turn)
    worker.wake()
    until(lambda: len(inside) == 2)

    assert (inside, worker.is_current) == ([True, False], False)


def test_without_threads_a_wake_says_no(monkeypatch: pytest.MonkeyPatch) -> None:
    """At interpreter shutdown none can be started."""

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    work = Work()

    assert (work.worker.wake(), work.worker.alive) == (False, False)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are POSIX")
def test_what_a_signal_handler_raises_amid_the_start_is_what_the_program_sees() -> None:
    """CPython's own ``Thread.start`` makes a ``KeyError`` of it when the thread runs already; the worker gives it back."""

    class SoftLimit(Exception):
        """What a handler raises, such as Celery's when a task's time is over."""

    def profile(frame: Any, event: str, function: Any) -> None:
        if event == "c_return" and function.__name__ in {"start_new_thread", "start_joinable_thread"}:
            sys.setprofile(None)
            work.wait_for(1)
            raise SoftLimit

    work = Work()
    sys.setprofile(profile)
    try:
        with pytest.raises(SoftLimit) as caught:
            work.worker.wake()
    finally:
        sys.setprofile(None)

    assert caught.value.__context__ is None
    assert work.worker.alive
    assert work.worker.wake()
    work.wait_for(2)


def test_a_forked_child_starts_anew() -> None:
    """The thread and what was asked of it stay with the parent; the child has a thread when it needs one."""
    work = Work()
    work.worker.wake()
    work.wait_for(1)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            fresh = not work.worker.alive and not work.worker.taken()
            answered = work.worker.answered(work.worker.ask(), time.monotonic() + LIMIT_S)
            status = 0 if fresh and answered else 2
        finally:
            os._exit(status)

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert work.worker.alive


def test_each_failure_doubles_the_wait_up_to_a_limit() -> None:
    """A success begins with the shortest one again."""
    retry = Retry(0.5, 3)

    assert [retry.failed() for _ in range(4)] == [0.5, 1, 2, 3]
    retry.succeeded()
    assert retry.failed() == 0.5

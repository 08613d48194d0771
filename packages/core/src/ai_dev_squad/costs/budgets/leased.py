"""A book that follows a ledger which several processes share: every reservation is asked for there, with a lease.

Whoever reserves waits for the ledger's answer for a bounded time, and not at all while it is known to be away, so that
neither a dead server nor another process stops an event loop. It asks by itself when nobody else is at the ledger and a
connection is there; everything else is said by one thread, which connects, renews, and tells what was spent and
given back, however long the ledger was away. No signal interrupts that thread, so charges are never half told.
"""

from __future__ import annotations

import logging
import math
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from typing import Any, Literal, TypeAlias
from uuid import uuid4

from ai_dev_squad.background import Exclusive, Request, Retry, Worker
from ai_dev_squad.costs.budgets.accounts import Crossing
from ai_dev_squad.costs.budgets.amounts import Hold
from ai_dev_squad.costs.budgets.book import AccountBook, Refusal
from ai_dev_squad.costs.budgets.drafts import Draft, Pending, Waiting
from ai_dev_squad.costs.budgets.store import WhenAway
from ai_dev_squad.costs.stores import Reply, ReservationLedger
from ai_dev_squad.guard import interrupts, report

__all__ = ["LeasedStore", "Tell"]

_log = logging.getLogger("ai_dev_squad")

_MOST_ASKS, _MOST_READ = 100, 500
"""Reservations, and accounts that are read, in one exchange."""
_MOST_KEPT = 200  # leases that one exchange renews: what a ledger does for them keeps others waiting
_RETRY_AT_LEAST_S, _RETRY_AT_MOST_S = 0.05, 5.0
_FIRST_CONTACT_S = 1.0
"""The least that the first call waits, whatever the others do: it pays for the connection."""
_FLUSH_TIMEOUT_S, _JOIN_TIMEOUT_S = 10.0, 2.0
"""How long ``save`` waits for a ledger that answers, and the end of the program for the thread and the ledger."""
_LOCK_TIMEOUT_S = 1.0  # for the book, which is held for moments only
_WARM_S = 600.0
"""How long after its last use a ledger is still asked whether it answers, so that no call finds out."""
_GATHER_S = 0.01
"""What is settled so soon after the last exchange is told together: each exchange would keep a reservation waiting."""

Tell: TypeAlias = Callable[[Literal["WARNING", "INFO"], str, dict[str, Any]], None]
"""Receives level, message and facts when the ledger stops answering, and when it answers again."""


class LeasedStore:
    """Keeps a book and a ledger in step. Whoever announces and tells owns the store, and is not held alive by it."""

    def __init__(
        self,
        book: AccountBook,
        announce: weakref.WeakMethod[Callable[[list[Crossing]], None]],
        tell: weakref.WeakMethod[Tell],
        ledger: ReservationLedger,
        *,
        lease_s: float,
        timeout_s: float,
        when_away: WhenAway,
    ) -> None:
        self._book, self._ledger = book, ledger
        self._announce, self._tell = announce, tell
        self._lease_s, self._timeout_s, self._when_away = lease_s, timeout_s, when_away
        self._retry = Retry(_RETRY_AT_LEAST_S, _RETRY_AT_MOST_S)
        self._worker = Worker("ai-dev-squad-budgets", self._turn)
        self._begin()

    def _begin(self) -> None:
        self._sender = uuid4().hex
        self._ids = count(1)
        self._asking: deque[Waiting] = deque()
        self._pending = Pending(self._sender)
        self._flushes: list[Request] = []
        self._read_asked: deque[Request] = deque()
        self._turning = Exclusive()
        self._stopping = False
        self._away_since: float | None = None
        self._retry_at = 0.0
        self._used = self._spoke = -math.inf
        self._wakes_at = math.inf
        self._gathers_until = -math.inf
        self._held: Callable[[list[Crossing]], None] | None = None

    def after_fork(self) -> None:
        """Begin as a sender of one's own: what is open and unsaid is the parent's."""
        self._ledger.after_fork()
        self._begin()

    # --- called by anybody --------------------------------------------------------------------------------------------

    def reserve(self, hold: Hold, estimate: int | None) -> Refusal | None:
        """Have the ledger set aside what the book has; its answer, or, while it is away, what was chosen for then."""
        if not hold.amounts:
            return None
        hold.id = f"{self._sender}:{next(self._ids)}"
        waiting = Waiting(hold, estimate)
        if self._away_since is None and not self._has_interrupted:
            if not self._ask_here(waiting):
                self._asking.append(waiting)
                self._drive()
            if not waiting.request.wait(self._timeout_s):
                self._is_late(waiting)
        else:
            waiting.is_away = True
            self._worker.wake()
        if waiting.is_away:
            return self._without_ledger(waiting)
        blocked = waiting.blocked
        return None if blocked is None else self._book.refuse(hold, blocked, estimate)

    def _ask_here(self, waiting: Waiting) -> bool:
        """Ask in this thread, if that can be done at once: to switch threads takes longer than an exchange."""
        if self._asking or self._read_asked or not self._ledger.is_open:
            return False
        now = self._used = time.monotonic()
        if not self._turning.run(lambda: self._answer_here(waiting, now), 0):
            return False
        if self._wakes_at > now + self._lease_s / 3 or self._away_since is not None:
            self._worker.wake()
        return True

    def _answer_here(self, waiting: Waiting, now: float) -> bool:
        try:
            with self._locked():
                draft = self._pending.asking(waiting, self._lease_s)
            reply = self._ledger.exchange(draft.exchange)
            if reply.refused[0] is not None and self._is_behind():
                # What this process has given back, and the ledger does not know of, may make the room: asked with it.
                return False
            self._settle(draft, reply, now)
            waiting.request.answer(True)
        except Exception as error:  # noqa: BLE001 - budgets must hold without the ledger; the user is told
            self._failed(error, [waiting], [])
        return True

    def wake(self) -> None:
        """Have what changed sent at once, or, right after an exchange, in a few milliseconds with what else changes."""
        # The thread says that it gathers no more before it looks at what changed, and this comes after the change.
        if time.monotonic() >= self._gathers_until:
            self._drive()

    def look(self) -> None:
        """Nothing: every answer says what others have spent."""

    def take_over(self) -> None:
        """Read what others have spent, in every budget."""
        if self._away_since is not None or self._has_interrupted:
            return
        request = Request()
        self._read_asked.append(request)
        self._drive()
        limit = self._timeout_s if math.isfinite(self._spoke) else max(self._timeout_s, _FIRST_CONTACT_S)
        request.wait(limit)

    def save(self) -> bool:
        """Wait until everything was said. ``False`` while the ledger is away, or in a signal handler that came between."""
        if not self._is_behind():
            return True
        # The thread needs what the interrupted code below this call would never let go of.
        if self._has_interrupted or self._worker.is_current:
            self._worker.wake()
            return False
        deadline = time.monotonic() + _FLUSH_TIMEOUT_S
        request = self._worker.ask()
        answer = self._worker.answered(request, deadline)
        return self._drain() if answer is None else answer

    def close(self) -> None:
        """Say everything and stop the thread."""
        saved = self.save()
        self.end_thread()
        self._worker.join(_JOIN_TIMEOUT_S)
        if not saved:
            self._drain()
        self._turning.run(self._ledger.close, _JOIN_TIMEOUT_S)

    def end_thread(self) -> None:
        """Have the thread end soon; the next change starts another."""
        self._stopping = True
        if self._worker.alive:
            self._worker.wake()

    # --- without the thread -------------------------------------------------------------------------------------------

    def _drive(self) -> None:
        """Have a turn begin; made here where the interpreter gives no threads any more."""
        self._stopping = False
        if not self._worker.wake():
            self._drain()

    def _drain(self) -> bool:
        """Say everything in this thread; whether the ledger has taken it."""
        return not self._book.is_mine() and bool(self._turning.run(self._drained, _JOIN_TIMEOUT_S))

    def _drained(self) -> bool:
        while self._is_behind():
            if self._exchange(time.monotonic()) and self._away_since is not None:
                return False
        return True

    @property
    def _has_interrupted(self) -> bool:
        """Whether this is a signal handler's call, and the code below has what an answer would need."""
        return self._book.is_mine() or self._turning.is_mine

    def _is_behind(self) -> bool:
        return bool(self._asking or self._read_asked or self._pending.unsaid or self._book.has_changes)

    # --- when it is away ----------------------------------------------------------------------------------------------

    def _without_ledger(self, waiting: Waiting) -> Refusal | None:
        if self._when_away == "allow":
            # What this process knows still counts, and the ledger is told of the reservation when it is back.
            return self._book.keep_alone(waiting.hold, waiting.needed)
        return self._book.refuse_unreachable(waiting.hold, waiting.needed, self._ledger.place)

    def _is_late(self, waiting: Waiting) -> None:
        """The thread has no answer: it waits for a lock, a name or a machine that does not speak."""
        waiting.is_away = True
        self._gone(TimeoutError(f"no answer within {self._timeout_s:g} s"))
        self._worker.wake()

    def _gone(self, error: BaseException) -> None:
        if self._away_since is not None:
            return
        self._away_since = time.monotonic()
        if self._when_away == "allow":
            then = "calls are held against what this process knows of"
        else:
            then = "calls under a budget that stops are refused"
        self._say(
            "WARNING",
            f"the budget store {self._ledger.place} does not answer ({type(error).__name__}: {error}); until it does, "
            f"{then}; what is spent meanwhile is added then",
            {"store": self._ledger.place, "state": "away", "when_away": self._when_away, "reason": str(error)},
        )

    def _back(self) -> None:
        """It has answered. What it was not told meanwhile is told with the first exchange."""
        since, self._away_since = self._away_since, None
        self._retry.succeeded()
        if since is not None:
            away = time.monotonic() - since
            self._say(
                "INFO",
                f"the budget store {self._ledger.place} answers again after {away:.1f} s; all spend of this process is there",
                {"store": self._ledger.place, "state": "back", "away_s": round(away, 3)},
            )

    def _say(self, level: Literal["WARNING", "INFO"], message: str, facts: dict[str, Any]) -> None:
        _log.log(logging.WARNING if level == "WARNING" else logging.INFO, message)
        tell = self._tell()
        try:
            if tell is not None:
                tell(level, message, facts)
        except Exception as error:  # noqa: BLE001 - a journal that fails must not stop the ledger
            report("telling of the budget store", error)

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _turn(self) -> float | None:
        """Say what there is to say. Returns the seconds until there is more."""
        self._gathers_until = -math.inf
        self._flushes += self._worker.taken()
        if (pause := self._spoke + _GATHER_S - time.monotonic()) > 0 and self._may_gather():
            self._gathers_until = self._spoke + _GATHER_S
            return pause
        with self._turning:
            pause = self._exchange(time.monotonic())
        behind = self._is_behind()
        if not behind or (pause and self._away_since is not None):
            flushes, self._flushes = self._flushes, []
            for request in flushes:
                request.answer(not behind)
            self._held = None if not behind else self._held
        return None if self._stopping and pause else pause

    def _may_gather(self) -> bool:
        """Whether nobody waits for what is said."""
        return not (self._asking or self._read_asked or self._flushes or self._stopping or self._away_since is not None)

    def _exchange(self, now: float) -> float:
        """One exchange, if there is anything to say. Returns the seconds to wait then."""
        if self._away_since is not None and now < self._retry_at and not self._stopping:
            self._give_up()
            self._tell_alone()
            return self._retry_at - now
        taken = [self._asking.popleft() for _ in range(min(len(self._asking), _MOST_ASKS))]
        reads = [self._read_asked.popleft() for _ in range(len(self._read_asked))]
        try:
            is_idle = not self._say_all(taken, now) and not reads
            if reads:
                self._read_all(now)
        except Exception as error:  # noqa: BLE001 - budgets must hold without the ledger; the user is told
            self._failed(error, taken, reads)
            return max(0.0, self._retry_at - time.monotonic())
        for waiting in taken:
            waiting.request.answer(True)
        for request in reads:
            request.answer(True)
        if is_idle:
            return self._pause(now)
        self._spoke = time.monotonic()
        self._back()
        return 0.0

    def _say_all(self, waiting: list[Waiting], now: float) -> bool:
        """Say what there is to say; whether there was anything."""
        with self._locked():
            self._pending.take(self._book.changes(with_charges=not self._pending.is_frozen))
            # One that has spoken lately keeps its connection warm, so that no call waits for a new one.
            is_probe = self._away_since is not None or self._spoke + self._lease_s / 3 <= now < self._used + _WARM_S
            draft = self._pending.draft(waiting, now, self._lease_s, most_kept=_MOST_KEPT, is_probe=is_probe)
        if draft is None:
            return False
        if waiting or self._pending.unsaid:
            self._used = now
            # Held from here on: a manager dropped right after its last entry is still heard.
            self._held = self._held or self._announce()
        self._settle(draft, self._ledger.exchange(draft.exchange), now)
        return True

    def _pause(self, now: float) -> float:
        """Until a lease has to be renewed, or a connection is cold."""
        warm = self._spoke + self._lease_s / 3 if now < self._used + _WARM_S else math.inf
        self._wakes_at = min(self._pending.due(self._lease_s / 3), warm)
        return max(0.001, self._wakes_at - now)

    def _settle(self, draft: Draft, reply: Reply, now: float) -> None:
        """The ledger has answered: the book learns the sums, and who waits learns the verdict."""
        with self._locked():
            for waiting, blocked in zip(draft.asks, reply.refused, strict=True):
                if blocked is not None and not waiting.is_away:
                    self._book.drop(waiting.hold)
            crossings = self._pending.settle(draft, reply, now)
        if crossings:
            self._tell_of(crossings)

    def _read_all(self, now: float) -> None:
        most = self._book.max_keys
        accounts = self._book.all_accounts(lambda budget: self._ledger.keys(budget, most))
        for start in range(0, len(accounts), _MOST_READ):
            with self._locked():
                draft = self._pending.reading(accounts[start : start + _MOST_READ], self._lease_s)
            self._settle(draft, self._ledger.exchange(draft.exchange), now)

    def _locked(self) -> AbstractContextManager[object]:
        """The book's lock; in the thread of ours, unless whoever has it waits for that."""
        # Itself, where signals come: entering and leaving it can't be interrupted.
        return self._locked_in_time() if self._worker.is_current else self._book.lock

    @contextmanager
    def _locked_in_time(self) -> Iterator[None]:
        lock = self._book.lock
        if not lock.acquire(timeout=_LOCK_TIMEOUT_S):
            raise TimeoutError(f"the budgets were locked for over {_LOCK_TIMEOUT_S:g} s")
        try:
            yield
        finally:
            lock.release()

    def _failed(self, error: Exception, taken: list[Waiting], reads: list[Request]) -> None:
        """The ledger is away. Raises ``error`` if it is the program's own and says nothing of the ledger."""
        if interrupts(error):
            raise error
        try:
            self._ledger.close()
        except Exception as failure:  # noqa: BLE001 - it is broken anyway
            report("closing the budget store", failure)
        self._gone(error)
        self._retry_at = time.monotonic() + self._retry.failed()
        self._asking.extendleft(taken)
        self._read_asked.extendleft(reads)
        self._give_up()
        self._tell_alone()

    def _give_up(self) -> None:
        """Let nobody wait for a ledger that is away."""
        for _ in range(len(self._asking)):
            waiting = self._asking.popleft()
            waiting.is_away = True
            waiting.request.answer(False)
        for _ in range(len(self._read_asked)):
            self._read_asked.popleft().answer(False)

    def _tell_alone(self) -> None:
        """Tell of what this process's own sums have reached, since nobody else does."""
        if crossings := self._book.crossed_alone():
            self._tell_of(crossings)

    def _tell_of(self, crossings: list[Crossing]) -> None:
        announce = self._held or self._announce()
        if announce is not None:
            announce(crossings)

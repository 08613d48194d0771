"""When spend is written to its file: in the background soon after it changed, on ``flush``, and at the end."""

from __future__ import annotations

import math
import time
import weakref
from collections.abc import Callable
from pathlib import Path

from ai_dev_squad.background import Exclusive, Retry, Worker
from ai_dev_squad.costs.budgets.accounts import Crossing
from ai_dev_squad.costs.budgets.amounts import Hold
from ai_dev_squad.costs.budgets.book import AccountBook, Refusal
from ai_dev_squad.costs.budgets.state_file import StateFile, StoredBudget, merge, settle, tidy
from ai_dev_squad.guard import report

__all__ = ["Saver"]

_LOOK_EVERY_S = 1.0
"""At what others have spent, at most."""
_RETRY_AT_LEAST_S, _RETRY_AT_MOST_S = 0.1, 30.0
_IO_TIMEOUT_S = 10.0
"""How long whoever saves waits for the thread, which may be held up by a slow disk."""
_JOIN_TIMEOUT_S = 2.0
"""How long the end of the program waits for the thread."""


class Saver:
    """Keeps the sums of a book in one file, and has the alerts announced that the others' spend brings about.

    The thread starts with the first change. Whoever announces owns the saver, and is not held alive by it.
    """

    def __init__(
        self,
        book: AccountBook,
        announce: weakref.WeakMethod[Callable[[list[Crossing]], None]],
        path: Path,
        interval: float,
    ) -> None:
        self._book = book
        self._announce = announce
        self._file = StateFile(path)
        self._interval = interval
        self._looked = time.monotonic()
        self._retry = Retry(max(interval, _RETRY_AT_LEAST_S) * 2, _RETRY_AT_MOST_S)
        self._worker = Worker("ai-dev-squad-budgets", self._turn)
        self.after_fork()

    def after_fork(self) -> None:
        """Begin without thread and locks: a forked child has inherited neither in a usable state."""
        self._io = Exclusive()
        self._stopping = self._pending = False
        self._held: Callable[[list[Crossing]], None] | None = None
        self._due = 0.0

    def wake(self) -> None:
        """Have what changed written within the interval. Costs next to nothing while that is already coming."""
        if self._pending:
            return
        self._pending, self._stopping = True, False
        try:
            # Without a thread the interpreter is shutting down, and the exit handler writes.
            self._pending = self._worker.wake()
        except BaseException:  # a signal handler's: nobody may be writing
            self._pending = False
            raise

    def look(self) -> None:
        """Have the others' spend read soon, unless that was done a moment ago."""
        if time.monotonic() - self._looked > _LOOK_EVERY_S:
            self._looked = time.monotonic()
            self.wake()

    def take_over(self) -> None:
        """Read the others' spend now; skipped when this process is at the file already."""
        announce = self._announce()
        if announce is None:
            return
        try:
            crossings = self._io.run(lambda: self._merge(self._file.read())[0], 0)
        except Exception as error:  # noqa: BLE001 - budgets hold without what others spent; the user is told
            report("reading the budget state", error)
            return
        if crossings:
            self.wake()  # the others should know that these alerts were sent
            announce(crossings)

    def reserve(self, hold: Hold, estimate: int | None) -> Refusal | None:
        """Nothing: a file has no say. What processes set aside is theirs, and limits are strict in each of them."""

    def save(self) -> bool:
        """Have what is unsaved written, now. ``False`` when that failed; nothing is lost, it is written later."""
        # An exception that a signal raises in the caller must not come between writing and remembering what was
        # written. So it is the thread that writes, which no signal ever interrupts.
        if self._book.is_mine() or self._worker.is_current:
            # The code below this call would never let go of what the thread needs.
            self.wake()
            return False
        if not self._is_behind():
            return True
        request = self._worker.ask()
        answer = self._worker.answered(request, time.monotonic() + _IO_TIMEOUT_S)
        return self._write() if answer is None else answer

    def _write(self, announce: Callable[[list[Crossing]], None] | None = None) -> bool:
        """Write what is unsaved, in this thread."""
        announce = announce or self._held or self._announce()
        if announce is None:
            return True
        try:
            crossings = self._io.run(self._exchange, _IO_TIMEOUT_S)
        except Exception as error:  # noqa: BLE001 - a full disk must not fail the user's call
            report(f"saving the budget state to {self._file.path}", error)
            return False
        if crossings is None:
            return False
        announce(crossings)
        return True

    def close(self) -> None:
        """Write what is unsaved and stop the thread."""
        self.save()
        self.end_thread()
        self._worker.join(_JOIN_TIMEOUT_S)
        self._pending = False
        if self._is_behind():
            self._write()

    def _is_behind(self) -> bool:
        with self._book.lock:
            return any(accounts.unsaved for accounts in self._book.budgets.values())

    def end_thread(self) -> None:
        """Have the thread end soon; the next change starts another."""
        self._stopping = True
        if self._worker.alive:
            self._worker.wake()

    def _exchange(self) -> list[Crossing]:
        book = self._book
        with book.lock:
            unsaved = any(accounts.unsaved for accounts in book.budgets.values())
        crossings: list[Crossing] = []
        if not unsaved:
            crossings, _ = self._merge(self._file.read())
            if not crossings:
                return []
        with self._file.locked():
            stored = self._file.read()
            more, now = self._merge(stored)
            for accounts in list(book.budgets.values()):
                tidy(accounts, stored)
            for budget in stored:
                budget.expire(now)
            self._file.write([budget for budget in stored if budget.accounts])
        with book.lock:
            for accounts in book.budgets.values():
                settle(accounts, stored)
        return crossings + more

    def _merge(self, stored: list[StoredBudget]) -> tuple[list[Crossing], float]:
        book = self._book
        now = book.clock()
        with book.lock:
            return [c for accounts in book.budgets.values() for c in merge(accounts, stored, now)], now

    def _turn(self) -> float | None:
        """Write what changed, an interval after it did. Returns the seconds until there is more to do."""
        if requests := self._worker.taken():
            self._pending = False
            written = self._write()
            for request in requests:
                request.answer(written)
            if written:
                self._held = None
            else:
                self._pending = not self._stopping
        if self._stopping:
            self._held = None
            return None
        if self._held is None and self._pending:
            # Held from here on: a manager dropped right after its last entry is still written.
            self._held, self._due = self._announce(), time.monotonic() + self._interval
        held, left = self._held, self._due - time.monotonic()
        if held is None:
            return math.inf
        if left > 0:
            return left
        self._pending, self._held = False, None
        if self._write(held):
            self._retry.succeeded()
            return 0
        self._pending, self._held = True, held
        pause = self._retry.failed()
        self._due = time.monotonic() + pause
        return pause

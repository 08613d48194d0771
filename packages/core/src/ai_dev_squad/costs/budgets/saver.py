"""When spend is written to its file: in the background soon after it changed, on ``flush``, and at the end."""

from __future__ import annotations

import math
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from ai_dev_squad.background import Retry, Worker
from ai_dev_squad.costs.budgets.accounts import Crossing
from ai_dev_squad.costs.budgets.state_file import StateFile, StoredBudget, merge, settle, tidy
from ai_dev_squad.guard import report

if TYPE_CHECKING:
    from ai_dev_squad.costs.budgets.manager import BudgetManager

__all__ = ["Saver"]

_LOOK_EVERY_S = 1.0
_RETRY_AT_LEAST_S, _RETRY_AT_MOST_S = 0.1, 30.0
_IO_TIMEOUT_S = 10.0
_JOIN_TIMEOUT_S = 2.0


class Saver:
    """Keeps one manager's spend in one file. The thread starts with the first change and holds no manager alive."""

    def __init__(self, manager: BudgetManager, path: Path, interval: float) -> None:
        self._manager = weakref.ref(manager)
        self._file = StateFile(path)
        self._interval = interval
        self._looked = time.monotonic()
        self._retry = Retry(max(interval, _RETRY_AT_LEAST_S) * 2, _RETRY_AT_MOST_S)
        self._worker = Worker("ai-dev-squad-budgets", self._turn)
        self.after_fork()
        weakref.finalize(manager, self._end_thread)

    def after_fork(self) -> None:
        """Begin without thread and locks: a forked child has inherited neither in a usable state."""
        self._io = threading.Lock()
        self._io_owner: int | None = None
        self._stopping = self._pending = False
        self._held: BudgetManager | None = None
        self._due = 0.0

    def wake(self) -> None:
        """Have what changed written within the interval. Costs next to nothing while that is already coming."""
        if self._pending:
            return
        self._pending, self._stopping = True, False
        # Without a thread the interpreter is shutting down, and the exit handler writes.
        self._pending = self._worker.wake()

    def look(self) -> None:
        """Have the others' spend read soon, unless that was done a moment ago."""
        if time.monotonic() - self._looked > _LOOK_EVERY_S:
            self._looked = time.monotonic()
            self.wake()

    def take_over(self) -> None:
        """Read the others' spend now; skipped when this process is at the file already."""
        if self._io_owner is not None or not self._io.acquire(blocking=False):
            return
        manager = self._manager()
        crossings: list[Crossing] = []
        try:
            if manager is not None:
                crossings, _ = self._merge(manager, self._file.read())
        except Exception as error:  # noqa: BLE001 - budgets hold without what others spent; the user is told
            report("reading the budget state", error)
        finally:
            self._io.release()
        if manager is not None and crossings:
            self.wake()  # the others should know that these alerts were sent
            manager._announce(crossings)

    def save(self) -> bool:
        """Write what is unsaved, now. ``False`` when that failed; nothing is lost, it is written later."""
        manager = self._manager()
        if manager is None:
            return True
        # A signal handler that flushes may interrupt this very function.
        if self._io_owner == threading.get_ident() or not self._io.acquire(timeout=_IO_TIMEOUT_S):
            return False
        self._io_owner = threading.get_ident()
        crossings: list[Crossing] = []
        try:
            crossings = self._exchange(manager)
        except Exception as error:  # noqa: BLE001 - a full disk must not fail the user's call
            report(f"saving the budget state to {self._file.path}", error)
            return False
        finally:
            self._io_owner = None
            self._io.release()
        manager._announce(crossings)
        return True

    def close(self) -> None:
        """Stop the thread and write what is unsaved."""
        self._end_thread()
        self._worker.join(_JOIN_TIMEOUT_S)
        self._pending = False
        self.save()

    def _exchange(self, manager: BudgetManager) -> list[Crossing]:
        with manager._lock:
            unsaved = any(ledger.unsaved for ledger in manager._ledgers.values())
        crossings: list[Crossing] = []
        if not unsaved:
            crossings, _ = self._merge(manager, self._file.read())
            if not crossings:
                return []
        with self._file.locked():
            stored = self._file.read()
            more, now = self._merge(manager, stored)
            for ledger in list(manager._ledgers.values()):
                tidy(ledger, stored)
            for budget in stored:
                budget.expire(now)
            self._file.write([budget for budget in stored if budget.accounts])
        with manager._lock:
            for ledger in manager._ledgers.values():
                settle(ledger, stored)
        return crossings + more

    def _merge(self, manager: BudgetManager, stored: list[StoredBudget]) -> tuple[list[Crossing], float]:
        now = manager._clock()
        with manager._lock:
            return [c for ledger in manager._ledgers.values() for c in merge(ledger, stored, now)], now

    def _end_thread(self) -> None:
        self._stopping = True
        if self._worker.alive:
            self._worker.wake()

    def _turn(self) -> float | None:
        """Write what changed, an interval after it did. Returns the seconds until there is more to do."""
        if self._stopping:
            self._held = None
            return None
        if self._held is None and self._pending:
            # Held from here on: a manager dropped right after its last entry is still written.
            self._held, self._due = self._manager(), time.monotonic() + self._interval
        held, left = self._held, self._due - time.monotonic()
        if held is None:
            return math.inf
        if left > 0:
            return left
        self._pending, self._held = False, None
        if self.save():
            self._retry.succeeded()
            return 0
        self._pending, self._held = True, held
        pause = self._retry.failed()
        self._due = time.monotonic() + pause
        return pause

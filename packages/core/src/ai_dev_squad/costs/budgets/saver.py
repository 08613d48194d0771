"""When spend is written to its file: in the background soon after it changed, on ``flush``, and at the end."""

from __future__ import annotations

import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from ai_dev_squad.costs.budgets.accounts import Crossing
from ai_dev_squad.costs.budgets.state_file import StateFile, StoredBudget, merge, settle, tidy
from ai_dev_squad.guard import report

if TYPE_CHECKING:
    from ai_dev_squad.costs.budgets.manager import BudgetManager

__all__ = ["Saver"]

_LOOK_EVERY_S = 1.0
_RETRY_AT_MOST_S = 30.0
_IO_TIMEOUT_S = 10.0
_JOIN_TIMEOUT_S = 2.0


class Saver:
    """Keeps one manager's spend in one file. The thread starts with the first change and holds no manager alive."""

    def __init__(self, manager: BudgetManager, path: Path, interval: float) -> None:
        self._manager = weakref.ref(manager)
        self._file = StateFile(path)
        self._interval = interval
        self._looked = time.monotonic()
        self.after_fork()
        weakref.finalize(manager, self._end_thread)

    def after_fork(self) -> None:
        """Begin without thread and locks: a forked child has inherited neither in a usable state."""
        self._io = threading.Lock()
        self._io_owner: int | None = None
        self._changed = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._pending = False

    def wake(self) -> None:
        """Have what changed written within the interval. Costs next to nothing while that is already coming."""
        if self._pending:
            return
        self._pending = True
        self._changed.set()
        if self._thread is None:
            self._start()

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
        thread = self._thread
        self._end_thread()
        if thread is not None and thread is not threading.current_thread():
            thread.join(_JOIN_TIMEOUT_S)
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

    def _start(self) -> None:
        self._stopping = threading.Event()
        thread = threading.Thread(
            target=self._run, args=(self._changed, self._stopping), name="ai-dev-squad-budgets", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # the interpreter is shutting down; the exit handler writes
            self._pending = False
            return
        self._thread = thread

    def _end_thread(self) -> None:
        self._stopping.set()
        self._changed.set()
        self._thread = None

    def _run(self, changed: threading.Event, stopping: threading.Event) -> None:
        pause = self._interval
        while not stopping.is_set():
            changed.wait()
            # Held from here on: a manager dropped right after its last entry is still written.
            manager = self._manager()
            stopping.wait(pause)
            if stopping.is_set() or manager is None:
                return
            changed.clear()
            self._pending = False
            if self.save():
                pause = self._interval
            else:
                pause = min(max(pause, 0.1) * 2, _RETRY_AT_MOST_S)
                self.wake()
            del manager

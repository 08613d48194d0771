"""All doors at once, also those of libraries that are imported later; and all put back."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Self

from ai_dev_squad.guard import report
from ai_dev_squad.patching import Patches
from ai_dev_squad.process import ForkSafeLock
from ai_dev_squad.wire.doors import DOORS
from ai_dev_squad.wire.exchange import Observer
from ai_dev_squad.wire.imports import call_after_import, is_loading
from ai_dev_squad.wire.passage import Passage

__all__ = ["Tap", "install"]


class Tap:
    """An observer at every door. ``close()``, or leaving the ``with`` block, puts all back.

    Answers that are still being read at that moment are seen to their end.
    """

    def __init__(self, observer: Observer) -> None:
        self._passage, self._patches, self._lock = Passage(observer), Patches(), ForkSafeLock()
        self._tried: set[int] = set()
        self._stop_listening: Callable[[], None] = call_after_import(DOORS, self._arrived)
        self.look()

    def look(self) -> None:
        """Watch the libraries that were loaded in a way that the import hook doesn't see. Cheap, and never raises."""
        for name in DOORS:
            module = sys.modules.get(name)
            if module is not None and id(module) not in self._tried and not is_loading(module):
                self._arrived(module)

    def settle(self) -> None:
        """End the exchanges of answers that were dropped unread, which otherwise waits for the next request."""
        self._passage.settle()

    def close(self) -> None:
        """Put everything back."""
        self._stop_listening()
        with self._lock:
            self._patches.close()
        self.settle()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _arrived(self, module: ModuleType) -> None:
        with self._lock:
            if id(module) in self._tried:
                return
            self._tried.add(id(module))
            door = DOORS.get(module.__name__)  # `httpx` may be httpx2
            if door is None:
                return
            try:
                door(module, self._patches, self._passage)
            except Exception as error:  # noqa: BLE001 - a release of the library that is made otherwise
                report(f"watching model calls of {module.__name__} {getattr(module, '__version__', '')}", error)


def install(observer: Observer) -> Tap:
    """Watch every door: now, and when its library is imported. A door that is watched already isn't watched twice."""
    return Tap(observer)

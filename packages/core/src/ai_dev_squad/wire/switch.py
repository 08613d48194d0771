"""Whether the wire is watched: switched when the product is configured, and off again when it is shut down."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Collection
from contextlib import ExitStack
from types import ModuleType
from typing import TYPE_CHECKING

from ai_dev_squad.guard import report
from ai_dev_squad.patching import Patches
from ai_dev_squad.process import after_fork
from ai_dev_squad.schema import EventType
from ai_dev_squad.wire import openai_usage
from ai_dev_squad.wire.coverage import SELF_CHECK
from ai_dev_squad.wire.imports import call_after_import
from ai_dev_squad.wire.observer import WireObserver
from ai_dev_squad.wire.refusals import LIBRARIES, let_through
from ai_dev_squad.wire.tap import Tap, install

if TYPE_CHECKING:
    from ai_dev_squad.assembly import Emit

__all__ = ["settle", "switch_off", "switch_on", "tell"]

_lock = threading.Lock()
_on: ExitStack | None = None
_tap: Tap | None = None

after_fork(SELF_CHECK.forget)


def switch_on(emit: Emit, *, wire: bool) -> None:
    """Watch what client libraries send, those that are imported later too. With ``wire`` off, only ask for usage.

    ``emit`` writes what the self-check has counted. Harmless when repeated.
    """
    global _on, _tap  # noqa: PLW0603 - libraries are patched once for the process
    with _lock:
        if _on is None:
            _on = ExitStack()
            _listen(_on, openai_usage.MODULES, lambda module: openai_usage.install())
            _on.callback(openai_usage.uninstall)
            if wire:
                patches = _on.enter_context(Patches())
                _listen(_on, LIBRARIES, lambda module: let_through(module, patches))
                _tap = _on.enter_context(install(WireObserver(lambda: tell(emit))))


def switch_off() -> None:
    """Put every library back as it was. Harmless when nothing is watched."""
    global _on
    with _lock:
        on, _on = _on, None
    if on is not None:
        on.close()


def settle() -> None:
    """End the calls whose answers were dropped unread, which else end with the next request."""
    tap = _tap
    if tap is not None:
        tap.settle()


def tell(emit: Emit) -> None:
    """Write a line of what the self-check has counted since the last one."""
    untold = SELF_CHECK.untold()
    if untold is not None:
        level = "INFO" if untold.captured + untold.unobserved == untold.seen else "WARNING"
        emit(EventType.WIRE_COVERAGE, level, str(untold), untold.as_metadata())


def _listen(on: ExitStack, names: Collection[str], patch: Callable[[ModuleType], None]) -> None:
    """Patch modules that are loaded, and those of these names that will be."""

    def guarded(module: ModuleType) -> None:
        try:
            patch(module)
        except Exception as error:  # noqa: BLE001 - a release of the library that is made otherwise
            report(f"watching {module.__name__}", error)

    on.callback(call_after_import(names, guarded))
    for name in names:
        module = sys.modules.get(name)
        if module is not None and not getattr(module.__spec__, "_initializing", False):
            guarded(module)

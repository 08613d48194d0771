"""Whether the wire is watched: switched when the product is configured, and off again when it is shut down."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from contextlib import ExitStack
from types import ModuleType
from typing import TYPE_CHECKING

from ai_dev_squad.guard import report
from ai_dev_squad.patching import Patches
from ai_dev_squad.process import ForkSafeLock, after_fork
from ai_dev_squad.schema import EventType
from ai_dev_squad.wire import mcp_context, openai_usage
from ai_dev_squad.wire.coverage import SELF_CHECK
from ai_dev_squad.wire.imports import call_after_import, is_loading
from ai_dev_squad.wire.observer import WireObserver
from ai_dev_squad.wire.refusals import LIBRARIES, let_through
from ai_dev_squad.wire.tap import Tap, install

if TYPE_CHECKING:
    from ai_dev_squad.assembly import Emit

__all__ = ["settle", "switch", "tell"]

_lock = ForkSafeLock()


class _Watching:
    """What is watched now: how to put it back, whether the wire is, and its tap."""

    undo: ExitStack | None = None
    wire = False
    tap: Tap | None = None


after_fork(SELF_CHECK.forget)


def switch(emit: Emit, *, on: bool, wire: bool) -> None:
    """Watch what client libraries send, those that are imported later too, or put every library back as it was.

    With ``wire`` off, streams are asked for their usage and nothing else. ``emit`` writes what the self-check has
    counted. Harmless when repeated.
    """
    with _lock:
        if _Watching.undo is not None and not (on and wire == _Watching.wire):
            undo, _Watching.undo, _Watching.tap = _Watching.undo, None, None
            undo.close()
        if on and _Watching.undo is None:
            _Watching.undo, _Watching.wire = _watch(emit, wire=wire), wire


def _watch(emit: Emit, *, wire: bool) -> ExitStack:
    undo = ExitStack()
    _listen(undo, openai_usage.MODULES, openai_usage.install)
    undo.callback(openai_usage.uninstall)
    if wire:
        patches = undo.enter_context(Patches())
        _listen(undo, LIBRARIES, lambda module: let_through(module, patches))
        _listen(undo, mcp_context.MODULES, lambda module: mcp_context.carry(module, patches))
        _Watching.tap = undo.enter_context(install(WireObserver(lambda: tell(emit))))
    return undo


def settle() -> None:
    """End the calls whose answers were dropped unread, which else end with the next request."""
    tap = _Watching.tap
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
        if module is not None and not is_loading(module):
            guarded(module)

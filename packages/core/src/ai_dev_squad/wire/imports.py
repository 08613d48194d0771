"""Call a function when a module has been imported, whoever imports it and when."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Container, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from ai_dev_squad.guard import report

__all__ = ["call_after_import", "is_loading"]


def call_after_import(names: Container[str], callback: Callable[[ModuleType], None]) -> Callable[[], None]:
    """Call ``callback(module)`` each time that a module of one of these names has been loaded; returns the undoing.

    Modules that are loaded already are not reported.
    """
    finder = _Finder(names, callback)
    sys.meta_path.insert(0, finder)

    def stop() -> None:
        if finder in sys.meta_path:
            sys.meta_path.remove(finder)

    return stop


def is_loading(module: ModuleType) -> bool:
    """Whether another thread is importing it, so that it lacks what comes further down; whoever waits for it is told."""
    return bool(getattr(module.__spec__, "_initializing", False))


class _Finder(MetaPathFinder):
    """Finds what the other finders find, with a loader that tells."""

    def __init__(self, names: Container[str], callback: Callable[[ModuleType], None]) -> None:
        self._names, self._callback, self._thread = names, callback, threading.local()

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Ask the others. ``None``, as from any finder, if it's none of ours."""
        if name not in self._names or getattr(self._thread, "asking", False):
            return None
        self._thread.asking = True
        try:
            specs = (finder.find_spec(name, path, target) for finder in sys.meta_path if finder is not self)
            spec = next((spec for spec in specs if spec is not None), None)
        finally:
            self._thread.asking = False
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _Loader(spec.loader, self._callback)
        return spec


class _Loader(Loader):
    """Loads a module as its own loader does, and then tells."""

    def __init__(self, loader: Any, callback: Callable[[ModuleType], None]) -> None:
        self._loader, self._callback = loader, callback

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As its own loader does."""
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Run the module with its own loader, which is also what it will find as its ``__loader__``."""
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        try:
            self._callback(module)
        except Exception as error:  # noqa: BLE001 - the import has succeeded
            report(f"looking at {module.__name__} after its import", error)

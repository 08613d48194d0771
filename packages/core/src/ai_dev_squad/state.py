"""What is in force in this process: the pipeline that operations go through, and the arguments it was built from.

The only module with global state. Who observes asks here; ``runtime`` puts here what it builds, when somebody first asks.
"""

from __future__ import annotations

# `threading` and `typing` take longer to import than all of this package, which imports this module alone.
from _thread import RLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ai_dev_squad.assembly import Pipeline

__all__ = ["arguments", "build_with", "current", "exchange", "lock", "pipeline", "renew_lock"]


class _State:
    def __init__(self) -> None:
        self.arguments: dict[str, Any] = {}
        self.pipeline: Pipeline | None = None
        self.build: Callable[[], Pipeline] | None = None
        self.lock: Any = RLock()


_state = _State()


def renew_lock() -> None:
    """For a forked child: another thread of its parent may hold the lock for ever."""
    _state.lock = RLock()


def build_with(build: Callable[[], Pipeline]) -> None:
    """Have ``build`` make what is in force when somebody asks before anything was configured."""
    _state.build = build


def pipeline() -> Pipeline:
    """What is configured now; built with the defaults if nothing was."""
    found = _state.pipeline
    if found is None:
        assert _state.build is not None
        found = _state.build()
    return found


def current() -> Pipeline | None:
    """What is configured now, if anything is."""
    return _state.pipeline


def arguments() -> dict[str, Any]:
    """What ``configure`` was given so far."""
    return _state.arguments


def lock() -> Any:
    """Held while what is in force changes."""
    return _state.lock


def exchange(pipeline: Pipeline | None, arguments: dict[str, Any]) -> tuple[Pipeline | None, dict[str, Any]]:
    """Put another pipeline in force and return the one before, with its arguments, to be put back."""
    with _state.lock:
        before = _state.pipeline, _state.arguments
        _state.pipeline, _state.arguments = pipeline, arguments
        return before

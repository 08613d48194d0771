"""Observing never raises into the user's program.

A failure of ours is reported once per kind on the standard logger ``ai_dev_squad``; tests switch ``strict`` on
(through ``ai_dev_squad_testing``) and get the exception itself.
"""

from __future__ import annotations

import functools
import logging
import signal
import threading
from collections.abc import Callable
from types import CodeType
from typing import Any, ParamSpec

from ai_dev_squad.refusal import CallRefused

__all__ = ["STRANGERS_FAULTS", "forget", "guarded", "interrupts", "report", "set_strict"]

_log = logging.getLogger("ai_dev_squad")
_state = threading.local()
_seen: set[tuple[str, type[BaseException]]] = set()
_strict = False

STRANGERS_FAULTS: tuple[type[BaseException], ...] = (Exception, SystemExit, GeneratorExit)
"""What an object of the program's own may raise when it is only asked for its words. Not a Ctrl+C, which is the user's."""


def set_strict(strict: bool) -> bool:
    """Raise internal failures instead of logging them. Returns the previous value."""
    global _strict
    previous, _strict = _strict, strict
    return previous


def report(what: str, error: BaseException) -> None:
    """Report that ``what`` failed with ``error``: once per kind, never recursively.

    Raises ``error`` when strict, and when it is the program's own: see ``interrupts``.
    """
    if _strict or interrupts(error):
        raise error
    kind = (what, type(error))
    # The log record may travel through our own logging bridge and fail there again.
    if kind in _seen or getattr(_state, "reporting", False):
        return
    _state.reporting = True
    try:
        _seen.add(kind)
        _log.warning(
            "%s failed (%s: %s). Your program is fine; some telemetry is missing. Reported once.",
            what,
            type(error).__name__,
            _words(error),
            exc_info=_log.isEnabledFor(logging.DEBUG),
        )
    finally:
        _state.reporting = False


def interrupts(error: BaseException) -> bool:
    """Whether a signal handler of the program raised it between two steps of ours, such as a soft time limit.

    Nothing of ours has failed then, and whoever set the limit waits for the exception.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    handlers = {_code(signal.getsignal(signum)) for signum in signal.valid_signals()} - {None}
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code in handlers:
            return True
        trace = trace.tb_next
    return False


def _code(handler: Any) -> CodeType | None:
    function = getattr(handler, "func", handler)  # a partial's
    return getattr(getattr(function, "__func__", function), "__code__", None)


def _words(error: BaseException) -> str:
    try:
        return str(error)
    except STRANGERS_FAULTS:
        return "no text"


_P = ParamSpec("_P")


def guarded(what: str) -> Callable[[Callable[_P, None]], Callable[_P, None]]:
    """Decorate a callback that a framework calls: whatever goes wrong inside is reported and goes no further.

    ``CallRefused`` is nothing that went wrong, and passes.
    """

    def decorate(function: Callable[_P, None]) -> Callable[_P, None]:
        @functools.wraps(function)
        def call(*args: _P.args, **kwargs: _P.kwargs) -> None:
            try:
                function(*args, **kwargs)
            except CallRefused:
                raise
            except Exception as error:  # noqa: BLE001 - the user's program comes first
                report(what, error)

        return call

    return decorate


def forget() -> None:
    """Report every kind of failure anew."""
    _seen.clear()

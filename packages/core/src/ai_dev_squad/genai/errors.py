"""What an exception means for a span: which error it is, or that it's none at all."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

from ai_dev_squad.guard import STRANGERS_FAULTS
from ai_dev_squad.schema import Status

__all__ = ["classify", "error_text", "error_type", "origin", "register_control_flow", "stack_trace"]

MAX_MESSAGE = 4_096
"""Characters of an exception's message that a span keeps."""
MAX_STACK_TRACE = 16_384
"""Characters of a stack trace that a span keeps: its end, where the failure is."""

_PROVIDER_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")

# Leaving a block in these ways is no failure of what runs in it.
_control_flow: dict[type[BaseException], Status] = {
    asyncio.CancelledError: "cancelled",
    KeyboardInterrupt: "cancelled",
    GeneratorExit: "closed_early",
}


def register_control_flow(exception: type[BaseException], status: Status) -> None:
    """Declare that a framework raises ``exception`` (and its subclasses) to steer, not because something failed.

    Such as LangGraph's interrupt: the span then carries ``status`` in ``ai_dev_squad.status`` and no error.
    """
    _control_flow[exception] = status


def classify(error: BaseException) -> Status:
    """``"error"`` for a failure, another status for an exception that only steers."""
    for kind in type(error).__mro__:
        status = _control_flow.get(kind)
        if status is not None:
            return status
    if isinstance(error, SystemExit) and error.code in {None, 0}:
        return "ok"
    return "error"


def error_type(error: BaseException) -> str:
    """The value of ``error.type``: few distinct values, the same on span and metric.

    The provider's own code (``insufficient_quota``) for an error answer that has one, else its HTTP status (``429``);
    ``timeout``; else the exception's qualified name, without module for built-in ones.
    """
    kind = type(error)
    status = _http_status(error)
    if status is not None:
        code = _quietly(lambda: getattr(error, "code", None))
        return code if isinstance(code, str) and _PROVIDER_CODE.fullmatch(code) else str(status)
    if isinstance(error, TimeoutError) or "Timeout" in kind.__name__:
        return "timeout"
    return exception_name(kind)


def exception_name(kind: type[BaseException]) -> str:
    """``package.module.Name``, or ``Name`` for built-in exceptions and those defined inside a function."""
    if kind.__module__ == "builtins" or "<locals>" in kind.__qualname__:
        return kind.__name__
    return f"{kind.__module__}.{kind.__qualname__}"


def error_text(error: BaseException, redact: Callable[[str], str]) -> str:
    """The exception's message, redacted and cut to ``MAX_MESSAGE`` characters. Never raises."""
    try:
        # Cut before and after: redacting gigabytes takes long, and a placeholder may be longer than what it hides.
        return redact(str(error)[: MAX_MESSAGE * 4])[:MAX_MESSAGE]
    except STRANGERS_FAULTS:
        return f"<{type(error).__name__} has no readable message>"


def stack_trace(error: BaseException, redact: Callable[[str], str]) -> str:
    """The stack trace, redacted; of a long one the end. Never raises."""
    import traceback  # only needed when something fails

    try:
        lines = traceback.format_exception(type(error), error, error.__traceback__)
        return redact("".join(lines)[-MAX_STACK_TRACE * 4 :])[-MAX_STACK_TRACE:]
    except Exception:  # noqa: BLE001 - a user's __str__ may do anything
        return ""


def origin(error: BaseException) -> tuple[Any, ...]:
    """Tells one exception from another, without keeping it alive: a freed one's address is soon used again."""
    innermost = error.__traceback__
    while innermost is not None and innermost.tb_next is not None:
        innermost = innermost.tb_next
    return (id(error), type(error), innermost and innermost.tb_frame.f_code, innermost and innermost.tb_lasti)


def _http_status(error: BaseException) -> int | None:
    for read in (
        lambda: getattr(error, "status_code", None),  # openai, anthropic
        lambda: getattr(getattr(error, "response", None), "status_code", None),  # requests, httpx
        lambda: getattr(error, "code", None),  # urllib, google-genai
        lambda: getattr(error, "status", None),  # aiohttp
    ):
        status = _quietly(read)
        if isinstance(status, int) and not isinstance(status, bool) and 100 <= status <= 599:
            return int(status)
    return None


def _quietly(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except STRANGERS_FAULTS:
        return None

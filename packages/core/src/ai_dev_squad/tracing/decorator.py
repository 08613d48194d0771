"""``trace_function``: a span for every call of a function, of whatever kind.

The span is current while the function's body runs and ends exactly once when the body is through: for a coroutine when
it was awaited, for a generator when it is exhausted, closed or fails. A generator that is never iterated never ran, and
has no span.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

from ai_dev_squad import attributes as keys
from ai_dev_squad import state
from ai_dev_squad.guard import report
from ai_dev_squad.steps import observed

if TYPE_CHECKING:
    from ai_dev_squad.tracing.calls import Call, Opened, Opening
    from ai_dev_squad.tracing.manager import TraceManager

__all__ = ["trace_function"]

F = TypeVar("F", bound="Callable[..., Any] | staticmethod[Any, Any] | classmethod[Any, Any, Any]")


@overload
def trace_function(operation_name: F, /) -> F: ...


@overload
def trace_function(
    operation_name: str | None = None, attributes: Mapping[str, Any] | None = None
) -> Callable[[F], F]: ...


def trace_function(operation_name: Any = None, attributes: Mapping[str, Any] | None = None) -> Any:
    """Trace every call of the decorated function, with or without parentheses.

    Works on functions, methods, static and class methods, coroutines, generators and asynchronous generators; what is
    decorated keeps its signature and kind. The span is called ``operation_name``, else module and name of the function,
    and carries ``attributes``, ``function.name``, ``function.module`` and the type of the result. The trace manager is
    the one in force at each call. Raises ``TypeError`` for what is no function.
    """
    if operation_name is not None and not isinstance(operation_name, str):
        return _traced(operation_name, None, attributes)
    return lambda function: _traced(function, operation_name, attributes)


def _traced(function: Any, operation_name: str | None, attributes: Mapping[str, Any] | None) -> Any:
    inner = function.__func__ if isinstance(function, (staticmethod, classmethod)) else function
    _check_function(inner)
    name = operation_name or f"{_module(inner)}.{_name(inner)}"
    described = {**(attributes or {}), keys.FUNCTION_NAME: _name(inner), keys.FUNCTION_MODULE: _module(inner)}

    def opening() -> Opened | None:
        try:
            manager: TraceManager | None = state.pipeline().tracing
        except Exception as failure:  # noqa: BLE001 - observing never raises into the user's program
            report("tracing a function", failure)
            return None
        return None if manager is None else (manager, name, described, None)

    return wrap(function, opening, result_type=True)


def wrap(function: Any, opening: Opening, *, result_type: bool = False) -> Any:
    """``function`` with a span around each call. Raises ``TypeError`` for what is no function."""
    if isinstance(function, (staticmethod, classmethod)):
        return type(function)(wrap(function.__func__, opening, result_type=result_type))
    _check_function(function)
    return observed(function, lambda args, kwargs: _call_class()(opening, result_type))


@functools.cache
def _call_class() -> type[Call]:
    # Loads the OpenTelemetry API, which a program that only decorates functions doesn't need yet.
    from ai_dev_squad.tracing.calls import Call

    return Call


def _check_function(function: Any) -> None:
    if isinstance(function, type) or not callable(function):
        what = f"the class {function.__qualname__}" if isinstance(function, type) else repr(function)
        raise TypeError(f"trace_function decorates functions and methods, not {what}; decorate its methods instead")


def _name(function: Any) -> str:
    return getattr(function, "__name__", None) or type(function).__name__


def _module(function: Any) -> str:
    return getattr(function, "__module__", None) or type(function).__module__

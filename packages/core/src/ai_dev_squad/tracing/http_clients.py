"""Automatic spans for calls made with the ``requests`` library, as an option that can be undone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry.trace import TracerProvider

__all__ = ["instrument_requests"]


def instrument_requests(provider: TracerProvider) -> Callable[[], Any]:
    """Instrument ``requests`` and return the function that undoes it.

    What the application instrumented itself stays the application's: then this does nothing, and undoes nothing.
    Raises ``ImportError`` with the line to install when a package is missing.
    """
    try:
        import requests  # noqa: F401 - the instrumentation only logs when it's missing
        from opentelemetry.instrumentation.requests import RequestsInstrumentor
    except ImportError as error:
        raise ImportError(
            f"tracing the requests library needs the package {error.name or 'opentelemetry-instrumentation-requests'!r}"
            ', which is not installed: pip install "ai-dev-squad[requests]"'
        ) from error
    instrumentor: Any = RequestsInstrumentor()
    if instrumentor.is_instrumented_by_opentelemetry:
        return _nothing
    instrumentor.instrument(tracer_provider=provider)
    if not instrumentor.is_instrumented_by_opentelemetry:
        raise ImportError(
            "the installed requests is not supported by opentelemetry-instrumentation-requests (its log names the "
            'versions): pip install --upgrade requests "ai-dev-squad[requests]"'
        )
    return lambda: _undo(instrumentor)


def _undo(instrumentor: Any) -> None:
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()


def _nothing() -> None:
    return

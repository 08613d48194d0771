"""Carries a trace over process boundaries: HTTP headers, message headers, environment variables. W3C only.

Works without the SDK and without an exporter: the ids are the same that the journal tells. Baggage is carried only when
asked for: it leaves the process with every request that forwards it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, MutableMapping
from contextvars import Token
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanContext
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ai_dev_squad import attributes as keys
from ai_dev_squad.context import attach, current_context, detach, session_id_var

__all__ = ["continue_trace", "environment", "extract", "inject"]

Headers = Mapping[str, Any] | Iterable[tuple[Any, Any]]
M = TypeVar("M", bound="MutableMapping[str, str]")

_TRACE_CONTEXT = TraceContextTextMapPropagator()
_NAMES = ("traceparent", "tracestate", "baggage")


def inject(headers: M, *, context: Context | None = None, session: bool = False) -> M:
    """Write ``traceparent`` (and ``tracestate``) of the current span into ``headers`` and return them.

    Without a current span nothing is written. ``session`` also writes the session id, as W3C baggage.
    """
    _TRACE_CONTEXT.inject(headers, context)
    session_id = session_id_var.get() if session else None
    if session_id:
        entry = f"{keys.SESSION_ID}={quote(session_id, safe='')}"
        headers["baggage"] = ",".join(filter(None, (headers.get("baggage"), entry)))
    return headers


def extract(headers: Headers, *, context: Context | None = None) -> Context:
    """The context in which the sender's span is current; the given (or current) context if ``headers`` name none.

    Takes mappings, lists of pairs and ASGI's byte pairs, in any case, and an environment with ``TRACEPARENT``. What is
    malformed is ignored, as the W3C recommendation asks.
    """
    base = current_context() if context is None else context
    return _TRACE_CONTEXT.extract(_relevant(headers), base)


def environment(base: Mapping[str, str] | None = None, *, session: bool = False) -> dict[str, str]:
    """The environment for a child process: a copy of ``base`` (default: ours) with ``TRACEPARENT`` of the current span.

    Continue there with ``continue_trace(os.environ)``.
    """
    variables = dict(os.environ if base is None else base)
    for name in _NAMES:
        # What an outer process left for us is not what we hand on.
        variables.pop(name.upper(), None)
    carrier: dict[str, str] = inject({}, session=session)
    return {**variables, **{name.upper(): value for name, value in carrier.items()}}


class continue_trace:  # noqa: N801 - reads as the statement it makes
    """``with continue_trace(headers):`` everything inside belongs to the sender's trace.

    Yields the sender's span context, or ``None`` when the headers name none; then a new trace begins as usual.
    ``session`` also takes over the session id from baggage; only ask for it when you trust the sender.
    """

    def __init__(self, headers: Headers, *, session: bool = False) -> None:
        relevant = _relevant(headers)
        self._session_id = _session_id(relevant.get("baggage", "")) if session else None
        self._sender = trace.get_current_span(_TRACE_CONTEXT.extract(relevant, Context())).get_span_context()
        self._tokens: list[Token[Any]] = []

    def __enter__(self) -> SpanContext | None:
        if self._session_id:
            self._tokens.append(session_id_var.set(self._session_id))
        if not self._sender.is_valid:
            return None
        self._tokens.append(attach(trace.set_span_in_context(trace.NonRecordingSpan(self._sender))))
        return self._sender

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        while self._tokens:
            detach(self._tokens.pop())


def _relevant(headers: Headers) -> dict[str, str]:
    """Our few headers with lower-case names; several headers of one name are joined, as HTTP does."""
    found: dict[str, str] = {}
    for name, value in headers.items() if isinstance(headers, Mapping) else headers:
        lowered = _decoded(name).lower()
        if lowered in _NAMES:
            text = ",".join(map(_decoded, value)) if isinstance(value, (list, tuple)) else _decoded(value)
            found[lowered] = f"{found[lowered]},{text}" if lowered in found else text
    return found


def _decoded(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _session_id(baggage: str) -> str | None:
    for entry in baggage.split(","):
        name, equals, value = entry.partition(";")[0].partition("=")
        if equals and name.strip() == keys.SESSION_ID:
            return unquote(value.strip()) or None
    return None
